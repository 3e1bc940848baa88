"""Read the books a stretch at a time, for the audit."""

import json
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Table, and_, func, or_, select

from app.core.auditing import Closing
from app.core.monitor_data import from_data
from app.core.monitoring import Monitor
from app.core.usage import UsageEvent
from app.store.database import Tx, in_chunks
from app.store.pacing import pause
from app.store.tables import allocations, cost_totals, usage_cells, usage_events
from app.store.usage_rows import event_of

AT_ONCE = 1_000
"""Rows held at a time."""

UNHURRIED = 20
"""Events between two pauses: about half a millisecond's work."""


def workspaces_with_books(tx: Tx) -> list[str]:
    """Every workspace that has events, cells, allocations or totals (a sweep over index keys)."""
    tables = (usage_events, usage_cells, allocations, cost_totals)
    return sorted({name for table in tables for name in _distinct(tx, table, "workspace")})


def families(tx: Tx, workspace: str) -> list[str]:
    """The families that cells are kept of."""
    return list(_distinct(tx, usage_cells, "family", usage_cells.c.workspace == workspace))


def _distinct(tx: Tx, table: Table, column: str, *where: ColumnElement[bool]) -> Iterator[str]:
    """The values of a column that leads an index (after `where`), one look-up each."""
    its = table.c[column]
    query = select(its).where(*where).order_by(its).limit(1)
    value = tx.connection.execute(query).scalar()
    while value is not None:
        yield value
        value = tx.connection.execute(query.where(its > value)).scalar()


def next_event(tx: Tx, workspace: str, since: int) -> int | None:
    """The moment (microseconds) of the first event from `since` on."""
    table = usage_events.c
    query = select(table.at).where(table.workspace == workspace, table.at >= since)
    return tx.connection.execute(query.order_by(table.at, table.id).limit(1)).scalar()


def next_cell(tx: Tx, workspace: str, names: Sequence[str], grain: int, since: int) -> int | None:
    """The first start (second) from `since` on of a cell of some families."""
    table = usage_cells.c
    starts = []
    for family in names:
        query = select(func.min(table.start)).where(
            table.workspace == workspace,
            table.family == family,
            table.grain == grain,
            table.start >= since,
        )
        starts.append(tx.connection.execute(query).scalar())
    return min((start for start in starts if start is not None), default=None)


def stream_events(tx: Tx, workspace: str, since: int, until: int) -> Iterator[UsageEvent]:
    """Events of `since` ≤ at < `until` (microseconds), in bounded memory and without haste."""
    table = usage_events.c
    query = (
        select(usage_events)
        .where(table.workspace == workspace, table.at >= since, table.at < until)
        .execution_options(yield_per=AT_ONCE)
    )
    for number, row in enumerate(tx.connection.execute(query)):
        if number % UNHURRIED == 0:
            pause()
        yield event_of(row)


def next_allocation(tx: Tx, workspace: str, since: int) -> int | None:
    """When the first allocation from `since` on was made (microseconds)."""
    table = allocations.c
    query = select(table.created_at).where(table.workspace == workspace, table.created_at >= since)
    first = query.order_by(table.created_at, table.id).limit(1)
    return tx.connection.execute(first).scalar()


def stream_closings(tx: Tx, workspace: str, since: int, until: int) -> Iterator[Closing]:
    """Allocations made in `since` ≤ t < `until` (microseconds) with the events they name."""
    table = allocations.c
    columns = (table.id, table.created_at, table.finished_at, table.event_id, table.monitor)
    here = and_(table.workspace == workspace, table.created_at < until)
    at, after = since, ""
    while True:
        further = or_(table.created_at > at, and_(table.created_at == at, table.id > after))
        query = select(*columns).where(here, table.created_at >= at, further)
        rows = tx.connection.execute(
            query.order_by(table.created_at, table.id).limit(AT_ONCE)
        ).all()
        events = _events(tx, workspace, [row.event_id for row in rows if row.event_id is not None])
        for row in rows:
            yield Closing(
                id=row.id,
                monitor=_monitor(row.monitor),
                finished_at=row.finished_at,
                event_id=row.event_id,
                event=events.get(row.event_id),
            )
        if len(rows) < AT_ONCE:
            return
        at, after = rows[-1].created_at, rows[-1].id


def _monitor(text: str) -> Monitor | None:
    try:
        return from_data(json.loads(text))
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _events(tx: Tx, workspace: str, ids: Iterable[str]) -> dict[str, UsageEvent]:
    table = usage_events.c
    found: dict[str, UsageEvent] = {}
    for chunk in in_chunks(ids):
        query = select(usage_events).where(table.workspace == workspace, table.id.in_(chunk))
        found.update((row.id, event_of(row)) for row in tx.connection.execute(query))
    return found
