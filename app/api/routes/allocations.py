"""Ask for budgets, follow them, and look back at them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response

from app.api.dependencies import House, HouseDep
from app.api.errors import OUTAGES
from app.api.exporting import export
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Agent, Since, Text, Until, Workspace, at
from app.api.routing import JSON, NEEDED, answer, router_of
from app.api.schemas.allocations import (
    AllocateIn,
    AllocationOut,
    ExtendIn,
    FinishIn,
    LoadsIn,
    require_one_source,
    require_subject,
    to_candidate,
)
from app.api.schemas.usage import UsageEventOut, event_out
from app.core.allocation import Allocation
from app.core.filters import AllocationFilter
from app.core.monitoring import Monitor, extend, record, release
from app.flows.allocate import Asked, allocate
from app.flows.follow import change, finish, locate, look_up
from app.flows.list_allocations import (
    AllocationStatistics,
    delete_allocations,
    export_allocations,
    list_allocations,
    summarise,
)

router = router_of("Budgets")

State = Annotated[Literal["open", "finished", "expired"] | None, Query()]


@router.post(
    "/allocate",
    status_code=201,
    response_model=Allocation,
    openapi_extra={"requestBody": NEEDED, **IDEMPOTENCY_KEY},
)
async def post_allocate(body: AllocateIn, request: Request, house: HouseDep) -> Response:
    """Ask for a budget: how many tokens a run may load, why, and which memories fit."""
    asked = await _asked(body, request, house)
    content = await allocate(
        house.store,
        house.shelf,
        house.tokens,
        house.texts,
        asked=asked,
        now=house.now(),
        new_id=house.new_id,
    )
    if content.startswith(_NO_ID):
        OUTAGES.note("degraded")
        return Response(content, status_code=200, media_type=JSON)
    return Response(content, status_code=201, media_type=JSON)


_NO_ID = b'{"id":null'


async def _asked(body: AllocateIn, request: Request, house: House) -> Asked:
    body.require_whole()
    require_subject(body)
    require_one_source(body)
    key, digest = await idempotency(request)
    core = body.to_core(ttl_seconds=house.ttl_seconds)
    price = None
    if body.model is not None:
        await house.prices.ready()
        price = house.costs.price(body.workspace, body.model, house.now_micros(), "standard")
    hard = house.costs.book(body.workspace).hard_budgets
    if not body.memories:
        return Asked(
            request=core,
            idempotency_key=key,
            request_hash=digest,
            price=price,
            hard_budgets=hard,
        )
    return Asked(
        request=core,
        price=price,
        hard_budgets=hard,
        candidates=[to_candidate(one, index) for index, one in enumerate(body.memories)],
        uncounted=[index for index, one in enumerate(body.memories) if one.tokens is None],
        idempotency_key=key,
        request_hash=digest,
    )


@router.post("/allocations/{id}/loads", response_model=AllocationOut)
async def post_loads(id: str, body: LoadsIn, house: HouseDep) -> Response:
    """Note tokens that entered the context; answers how the allocation stands."""
    loads = tuple(load.to_core() for load in body.loads)
    return await _changed(house, id, lambda monitor, now: record(monitor, loads, now))


@router.post("/allocations/{id}/extend", response_model=AllocationOut)
async def post_extend(id: str, body: ExtendIn, house: HouseDep) -> Response:
    """Give an allocation more time."""
    return await _changed(house, id, lambda monitor, now: extend(monitor, body.ttl_seconds, now))


@router.post("/allocations/{id}/release", response_model=AllocationOut)
async def post_release(id: str, house: HouseDep) -> Response:
    """Give an allocation up: it counts as expired from now on, and nothing is booked."""
    return await _changed(house, id, release)


async def _changed(
    house: House, id_: str, apply: Callable[[Monitor, datetime], Monitor]
) -> Response:
    workspace = await locate(house.store, house.directory, id_)
    return answer(await change(house.store, workspace, id_, apply, house.now()))


@router.post("/allocations/{id}/finish", response_model=UsageEventOut)
async def post_finish(id: str, body: FinishIn, house: HouseDep) -> Response:
    """Close a run and book its usage event; the same report again is the same event."""
    workspace = await locate(house.store, house.directory, id)
    if body.has_tokens:
        await house.prices.ready()
    report, charge = body.to_core(), house.costs.charge
    return answer(event_out(await finish(house.store, workspace, id, report, house.now(), charge)))


@router.get("/allocations/statistics")
async def get_statistics(
    house: HouseDep,
    workspace: Workspace = "default",
    hours: Annotated[
        float | None, Query(gt=0, le=87_600, description="The last hours; all if left out.")
    ] = None,
    project: Text = None,
    agent: Agent = None,
) -> AllocationStatistics:
    """Counts and averages of a workspace's allocations."""
    since = None if hours is None else house.now() - timedelta(hours=hours)
    wanted = _wanted(house, workspace=workspace, project=project, since=at(since))
    return await summarise(house.store, wanted, agent)


@router.get("/allocations/export", response_class=Response)
async def get_export(
    house: HouseDep,
    workspace: Workspace = "default",
    format: Annotated[Literal["json", "jsonl", "csv"], Query()] = "json",
    project: Text = None,
    agent: Agent = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Every matching allocation, newest first, as JSON, JSON Lines or CSV."""
    wanted = _wanted(
        house,
        workspace=workspace,
        project=project,
        state=state,
        since=at(since),
        until=at(until),
    )
    return export(export_allocations(house.store, wanted, agent), format, "allocations")


@router.get("/allocations", response_model=Page[AllocationOut])
async def get_allocations(
    house: HouseDep,
    workspace: Workspace = "default",
    project: Text = None,
    agent: Agent = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Allocations with their status, newest first."""
    wanted = _wanted(
        house,
        workspace=workspace,
        project=project,
        state=state,
        since=at(since),
        until=at(until),
    )
    listed = await list_allocations(house.store, wanted, agent, from_cursor(cursor), limit)
    return answer(page(listed.items, listed.next_before))


@router.delete("/allocations", status_code=204, response_class=Response)
async def delete_allocations_until(
    house: HouseDep, until: Until, workspace: Workspace = "default"
) -> Response:
    """Delete a workspace's allocations made before a time; their usage events stay."""
    await delete_allocations(house.store, _wanted(house, workspace=workspace, until=at(until)))
    return Response(status_code=204)


@router.get("/allocations/{id}", response_model=AllocationOut)
async def get_allocation(id: str, house: HouseDep) -> Response:
    """An allocation and how it stands."""
    workspace = await locate(house.store, house.directory, id)
    return answer(await look_up(house.store, workspace, id, house.now()))


def _wanted(house: House, **fields: Any) -> AllocationFilter:
    return AllocationFilter(now=house.now_micros(), **fields)
