"""Turn usage events, and the cells that they come to, into rows; and events back.

Nothing here asks a database, so that a process without one can do it (`app.api.beside`).
"""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from pydantic_core import to_json

from app.core.packed import pack_one
from app.core.unread import CellRow, Row
from app.core.usage import RUN, SCOPE, Cell, CellId, UsageEvent

_NO_SCOPES = (b"", 0)


def dumps(value: object) -> str:
    """Plain data of finite numbers as compact JSON text."""
    return to_json(value).decode()


def to_row(event: UsageEvent) -> Row:
    """An event as a row of `usage_events`, in column order."""
    details = _details(event)
    return (
        event.workspace,
        event.id,
        event.at,
        event.agent,
        event.complexity,
        event.profile,
        event.project,
        event.user,
        event.session_id,
        event.run_id,
        event.allocation_id,
        event.model,
        event.stage,
        event.budget_tokens,
        event.used_tokens,
        event.needed_tokens,
        event.input_tokens,
        event.output_tokens,
        event.cached_tokens,
        event.cost_nano_usd,
        event.duration_seconds,
        event.success,
        event.late,
        dumps(event.scopes) if event.scopes else None,
        dumps(details) if details else None,
        event.fingerprint,
    )


def _details(event: UsageEvent) -> dict[str, Any]:
    """What of an event nobody asks for by itself."""
    details: dict[str, Any] = {}
    if event.task:
        details["task"] = event.task
    if event.error:
        details["error"] = event.error
    if event.alerts:
        details["alerts"] = event.alerts
    if event.metadata:
        details["metadata"] = event.metadata
    if event.cache_write_tokens:
        details["cache_write"] = event.cache_write_tokens
    if event.cache_write_1h_tokens:
        details["cache_write_1h"] = event.cache_write_1h_tokens
    if event.reasoning_tokens:
        details["reasoning"] = event.reasoning_tokens
    if event.service:
        details["service"] = event.service
    if event.price_version:
        details["price"] = event.price_version
    return details


def event_of(row: Sequence[Any]) -> UsageEvent:
    """The event of a row of `usage_events`."""
    (
        workspace,
        id_,
        at,
        agent,
        complexity,
        profile,
        project,
        user,
        session_id,
        run_id,
        allocation_id,
        model,
        stage,
        budget_tokens,
        used_tokens,
        needed_tokens,
        input_tokens,
        output_tokens,
        cached_tokens,
        cost_nano_usd,
        duration_seconds,
        success,
        late,
        scopes,
        written,
        fingerprint,
    ) = row
    details = json.loads(written) if written else {}
    return UsageEvent(
        id=id_,
        workspace=workspace,
        at=at,
        agent=agent,
        used_tokens=used_tokens,
        budget_tokens=budget_tokens,
        needed_tokens=needed_tokens,
        complexity=complexity,
        profile=profile,
        project=project,
        user=user,
        session_id=session_id,
        run_id=run_id,
        allocation_id=allocation_id,
        model=model,
        stage=stage,
        task=details.get("task"),
        scopes=json.loads(scopes) if scopes else {},
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached_tokens,
        cost_nano_usd=cost_nano_usd,
        duration_seconds=duration_seconds,
        success=success,
        error=details.get("error"),
        alerts=tuple(details.get("alerts", ())),
        metadata=details.get("metadata", {}),
        cache_write_tokens=details.get("cache_write"),
        cache_write_1h_tokens=details.get("cache_write_1h"),
        reasoning_tokens=details.get("reasoning"),
        service=details.get("service"),
        price_version=details.get("price"),
        late=late,
        fingerprint=bytes(fingerprint),
    )


def rows_of(
    workspace: str, cells: dict[CellId, Cell], crowded: Collection[tuple[str, str]] = ()
) -> list[CellRow]:
    """The rows that cells are written as, in the order of their keys.

    Cells of scopes go into the row of a run beside them, unless their agent is `crowded`.
    """
    carried = _carry_scopes(crowded, workspace, cells)
    measures = {id(cell): cell.row() for cell in cells.values()}  # grains may share a cell
    rows: list[CellRow] = []
    for at, cell in cells.items():
        family, grain, start, agent, key, key2 = at
        packed, entries = carried.get(at, _NO_SCOPES)
        row = (workspace, grain, start, agent, family, key, key2, *measures[id(cell)], packed)
        rows.append((at, row, entries + len(cell.sketch)))
    rows.sort(key=_place)
    return rows


def _place(one: CellRow) -> tuple[Any, ...]:
    return one[1][:7]


def _carry_scopes(
    crowded: Collection[tuple[str, str]], workspace: str, cells: dict[CellId, Cell]
) -> dict[CellId, tuple[bytes, int]]:
    """Take the cells of scopes out, packed for the row of a run beside them, with their number."""
    scopes = [at for at in cells if at[0] == SCOPE and (workspace, at[3]) not in crowded]
    if not scopes:
        return {}
    carriers = {at[1:4]: at for at in cells if at[0] == RUN}
    packed: dict[int, bytes] = {}  # grains may share a cell
    parts: defaultdict[CellId, list[bytes]] = defaultdict(list)
    for at in scopes:
        cell = cells.pop(at)
        entry = packed.get(id(cell))
        if entry is None:
            entry = packed[id(cell)] = pack_one(at[4], cell)
        parts[carriers[at[1:4]]].append(entry)
    return {at: (b"".join(entries), len(entries)) for at, entries in parts.items()}
