"""Wire the house: the only place that opens the store, the policies and the routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from anyio import to_thread
from fastapi import FastAPI

from app import __version__, clock
from app.api import errors
from app.api.dependencies import House
from app.api.middleware import Edge
from app.api.routes import (
    allocations,
    complexity,
    config,
    policies,
    system,
    usage,
    workspaces,
)
from app.api.routing import express
from app.api.schemas.usage import describe_usage
from app.flows.follow_policies import follow
from app.gateways.tokens import TokenCounter
from app.presets.loader import shipped
from app.settings import Settings
from app.store.database import Store
from app.store.directory import Directory
from app.store.groupcache import GroupCache
from app.store.migrate import upgrade
from app.store.processlock import ProcessLock
from app.store.shelf import PolicyShelf

log = structlog.get_logger("membudget")

SUMMARY = "Token budgets for AI agents: what a run deserves, what fits, what it used."

HOT = (("POST", "/allocate"), ("POST", "/usage"))
"""What agents call on every run: answered without the router."""


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application; it opens the database when it starts."""
    store = Store(
        settings.database_url,
        queue_limit=settings.write_queue_limit,
        pooled=settings.database_admin_url is not None,
    )
    house = House(
        store=store,
        shelf=PolicyShelf(shipped()),
        directory=Directory(),
        cache=GroupCache(),
        tokens=TokenCounter(),
        zone=ZoneInfo(settings.timezone),
        ttl_seconds=settings.allocation_ttl_seconds,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with ProcessLock(settings.database_url, url=address(settings)):
            await to_thread.run_sync(upgrade, settings.database_admin_url or settings.database_url)
            store.start()
            try:
                await follow(store, house.shelf, settings.policy_files, now=clock.now())
                following = asyncio.create_task(_keep_following(house, settings))
                log.info("started", version=__version__, database=store.engine.dialect.name)
                yield
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
            finally:
                await to_thread.run_sync(store.close)
                log.info("stopped")

    app = FastAPI(
        title="membudget",
        version=__version__,
        summary=SUMMARY,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        responses=errors.RESPONSES,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.house = house
    write = app.openapi
    app.openapi = lambda: errors.describe_problems(describe_usage(write()))  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    errors.install(app)
    for module in (allocations, usage, complexity, policies, workspaces, config, system):
        app.include_router(module.router)
    inner = app.build_middleware_stack
    edge = partial(
        Edge,
        application=app,
        express=express(allocations.router, usage.router, paths=HOT),
        key=settings.key,
        body_limit=settings.body_limit_bytes,
        upload_limit=settings.upload_limit_bytes,
        access_log=settings.access_log,
    )
    app.build_middleware_stack = lambda: edge(inner())  # type: ignore[method-assign]  # outermost
    return app


async def _keep_following(house: House, settings: Settings) -> None:
    """Follow policy changed by other replicas, and the policy files, once a second."""
    while True:
        await asyncio.sleep(settings.policy_poll_seconds)
        try:
            await follow(house.store, house.shelf, settings.policy_files, now=clock.now())
        except Exception as error:  # noqa: BLE001 (following goes on, whatever happened)
            log.warning("policy_not_followed", kind=type(error).__name__)


def address(settings: Settings) -> str:
    """Where the service can be reached from this machine."""
    return f"http://{settings.host}:{settings.port}"
