"""Book usage, list it, carry it in and out, and say what it comes to."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import Query, Request, Response

from app.api.dependencies import House, HouseDep
from app.api.exporting import export, table
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Agent, Since, Text, Until, Workspace, at
from app.api.reach import bearer
from app.api.routing import answer, router_of
from app.api.schemas.cloudevents import CLOUDEVENTS, read_cloudevents
from app.api.schemas.usage import (
    USAGE_BODY,
    UsageEventOut,
    event_out,
    read_events,
    to_event,
)
from app.api.schemas.usage_lines import read_line, write_line
from app.api.strict import check_nul
from app.api.uploads import upload, upload_docs
from app.core.analytics import Analytics, By, flat
from app.core.errors import InvalidRequest
from app.core.filters import UsageFilter
from app.core.questions import Question
from app.core.receipts import Receipt
from app.core.unread import Unread
from app.core.usage import UsageEvent
from app.core.windows import micros
from app.flows.analyse import analyse
from app.flows.import_usage import ImportReport, import_usage
from app.flows.list_usage import export_usage, list_usage
from app.flows.record_usage import record_usage

router = router_of("Usage")

FILES = upload_docs("application/x-ndjson", "application/json", required=False)

LONG_BODY = 64 * 1024
"""Bytes from which a body is read beside the event loop, so that nobody waits for it."""


@router.post("/usage", status_code=201, response_model=Receipt, openapi_extra=USAGE_BODY)
async def post_usage(request: Request, house: HouseDep) -> Response:
    """Book one event or a list of up to 10,000: each once, a list whole or not at all."""
    raw = await request.body()
    check_nul(raw)
    kind = request.headers.get("content-type", "")
    found: Receipt | list[UsageEvent] | None = None
    if len(raw) >= LONG_BODY and house.lists is not None:
        unread = Unread(raw=raw, kind=kind, now=house.now(), key=bearer())
        found = await house.lists.record(unread)
    if found is None:
        found = await _read(raw, kind, house)
    if not isinstance(found, Receipt):
        found = await record_usage(house.store, found, house.costs.charge)
    return answer(found, status=201)


async def _read(raw: bytes, kind: str, house: House) -> list[UsageEvent]:
    if len(raw) < LONG_BODY and (house.prices.is_ready or b'"model"' not in raw):
        return _events(raw, kind, house)
    return await to_thread.run_sync(_events, raw, kind, house)


def _events(raw: bytes, kind: str, house: House) -> list[UsageEvent]:
    given = read_cloudevents(raw) if kind.startswith(CLOUDEVENTS) else read_events(raw)
    now = house.now()
    identify = house.identify if len(given) == 1 else cache(house.identify)
    return [
        to_event(
            one,
            index=index,
            identify=identify,
            new_id=house.new_id,
            now=now,
            price_of=house.costs.price,
        )
        for index, one in enumerate(given)
    ]


@router.get("/usage", response_model=Page[UsageEventOut])
async def get_usage(
    house: HouseDep,
    workspace: Workspace = "default",
    agent: Agent = None,
    project: Text = None,
    user: Text = None,
    model: Text = None,
    session_id: Text = None,
    run_id: Text = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Usage events, newest first."""
    wanted = UsageFilter(
        workspace=workspace,
        agent=agent,
        project=project,
        user=user,
        model=model,
        session_id=session_id,
        run_id=run_id,
        since=at(since),
        until=at(until),
    )
    listed = await list_usage(house.store, wanted, from_cursor(cursor), limit)
    return answer(page([event_out(event) for event in listed.items], listed.next_before))


@router.get("/usage/export", response_class=Response)
async def get_usage_export(
    house: HouseDep,
    workspace: Workspace = "default",
    format: Annotated[Literal["jsonl", "csv"], Query()] = "jsonl",
    agent: Agent = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Every matching event, newest first, in the originals' log format or as CSV."""
    wanted = UsageFilter(workspace=workspace, agent=agent, since=at(since), until=at(until))
    events = export_usage(house.store, wanted)
    rows = _lines(events) if format == "jsonl" else _flat(events)
    return export(rows, format, "usage")


async def _lines(events: AsyncIterator[UsageEvent]) -> AsyncIterator[Mapping[str, Any]]:
    async for event in events:
        yield write_line(event)


async def _flat(events: AsyncIterator[UsageEvent]) -> AsyncIterator[Mapping[str, Any]]:
    async for event in events:
        yield asdict(event_out(event))


@router.post("/usage/import", response_model=ImportReport, openapi_extra=FILES)
async def post_usage_import(
    request: Request, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Book a log in the originals' format, line by line; lines that cannot be read are named."""
    now = house.now()

    def read(line: bytes) -> UsageEvent:
        event = read_line(line, workspace=workspace, identify=house.identify, now=now)
        return house.costs.charge(event)

    await house.prices.ready()
    return answer(await import_usage(house.store, workspace, upload(request), read))


@router.get("/usage/analytics", response_model=Analytics)
async def get_analytics(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    days: Annotated[float | None, Query(gt=0, le=36_500, description="The last days.")] = None,
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    by: Annotated[By, Query(description="What to group by.")] = "agent",
    format: Annotated[Literal["json", "csv"] | None, Query()] = None,
) -> Response:
    """What agents used over a window: everything, unless `days`, `since` or `until` say less."""
    now = house.now()
    if days is not None:
        if since is not None or until is not None:
            raise InvalidRequest(
                "Give `days`, or `since` and `until`, not both.",
                errors=[{"loc": ["query", "days"], "msg": "goes without since and until"}],
            )
        since = now - timedelta(days=days)
    question = Question(
        workspace=workspace,
        by=by,
        agent=agent,
        since=at(since),
        until=at(until),  # the last days end where the books do: a clock may be ahead of ours
        now=micros(now),
        zone=house.zone,
    )
    found = await analyse(house.store, house.cache, question)
    if format == "csv" or (format is None and "text/csv" in request.headers.get("accept", "")):
        return Response(table(flat(found)), media_type="text/csv")
    return answer(found)
