"""Say whether the service is up, ready, and which it is."""

import sys
from dataclasses import dataclass
from typing import Literal

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from app import __version__
from app.api.dependencies import HouseDep
from app.api.reference import page
from app.api.routing import answer, router_of
from app.flows.readiness import Readiness, check

router = router_of("System")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The process is up."""

    status: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which program answers."""

    name: str
    version: str
    python: str


@router.get("/healthz")
async def healthz() -> Health:
    """The process is up and answers."""
    return Health()


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def readyz(house: HouseDep) -> Response:
    """Whether requests that must be recorded can be; says what is not ready, with 503.

    `books`, `disk`, `backups`, `redis` and `scheduler` are told and leave it ready.
    """
    ready = await check(
        house.store,
        house.shelf,
        {
            "backups": house.backups.error,
            "redis": house.texts.shared.trouble,
            "scheduler": house.jobs.trouble or ("ok" if house.jobs.is_on else "off"),
        },
    )
    return answer(ready, status=200 if ready.ready else 503)


@router.get("/version")
async def version() -> Version:
    """Name and version of the service."""
    return Version(name="membudget", version=__version__, python=sys.version.partition(" ")[0])


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The API reference as a page that needs nothing from elsewhere."""
    return HTMLResponse(page(request.app.openapi()))


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Counters and gauges for Prometheus."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
