"""Book operations, and say where the time goes."""

from typing import Annotated

from anyio import to_thread
from fastapi import Query, Request, Response

from app.api import names
from app.api.dependencies import House, HouseDep
from app.api.parameters import Since, Until, Workspace, at
from app.api.routing import answer, router_of
from app.api.schemas.operations import OPERATIONS_BODY, read_operations
from app.api.strict import check_nul
from app.core.parallelism import MOST_LISTED, Parallelism
from app.flows.operation_reports import (
    Asked,
    Bottlenecks,
    By,
    OperationStatistics,
    operation_bottlenecks,
    operation_statistics,
    run_parallelism,
)
from app.flows.record_operations import BookedOperations, record_operations

router = router_of("Operations")

RunId = Annotated[
    str,
    Query(description="The run.", min_length=1, max_length=400, pattern=names.LABEL),
]

Names = Annotated[int, Query(ge=1, le=MOST_LISTED, description="Names that each list has at most.")]


@router.post(
    "/operations", status_code=201, response_model=BookedOperations, openapi_extra=OPERATIONS_BODY
)
async def post_operations(request: Request, house: HouseDep) -> Response:
    """Book one operation or a list of up to 10,000: each once, a list whole or not at all."""
    raw = await request.body()
    check_nul(raw)
    operations = await to_thread.run_sync(read_operations, raw, house.now())
    return answer(await record_operations(house.store, operations), status=201)


@router.get("/operations/statistics", response_model=OperationStatistics)
async def get_statistics(
    house: HouseDep,
    workspace: Workspace = "default",
    since: Since = None,
    until: Until = None,
    by: Annotated[By, Query(description="What to group by.")] = "type",
) -> Response:
    """How often and how long: the last seven days, unless `since` or `until` say otherwise, in
    whole hours (begun within three days) or days; and what is slower than the week before."""
    asked = _asked(house, workspace, at(since), at(until))
    return answer(await operation_statistics(house.store, asked, by))


@router.get("/operations/bottlenecks", response_model=Bottlenecks)
async def get_bottlenecks(
    house: HouseDep,
    workspace: Workspace = "default",
    since: Since = None,
    until: Until = None,
    min_pct: Annotated[float, Query(ge=0, le=100, description="Of all measured time.")] = 5.0,
) -> Response:
    """The operations that take most of the time, how bad that is, and what usually helps."""
    asked = _asked(house, workspace, at(since), at(until))
    return answer(await operation_bottlenecks(house.store, asked, min_pct))


@router.get("/operations/parallelism", response_model=Parallelism)
async def get_parallelism(
    house: HouseDep, run_id: RunId, workspace: Workspace = "default", limit: Names = MOST_LISTED
) -> Response:
    """What of a run could have run side by side, the path that could not, and what it saves.

    `groups`, `critical_path` and `ignored` list at most `limit` names each; totals count all."""
    return answer(await run_parallelism(house.store, workspace, run_id, limit))


def _asked(house: House, workspace: str, since: int | None, until: int | None) -> Asked:
    return Asked(workspace=workspace, since=since, until=until, now=house.now_micros())
