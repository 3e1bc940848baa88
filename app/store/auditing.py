"""Read the books a stretch at a time, for the audit."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Table, and_, func, select

from app.core.usage import UsageEvent
from app.store.database import Tx
from app.store.tables import allocations, usage_cells, usage_events
from app.store.usage import to_core

AT_ONCE = 1_000
"""Rows held at a time."""


def workspaces_with_books(tx: Tx) -> list[str]:
    """Every workspace that has events, cells or allocations (a sweep over index keys)."""
    tables = (usage_events, usage_cells, allocations)
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
    """Events of `since` ≤ at < `until` (microseconds), in bounded memory."""
    table = usage_events.c
    query = (
        select(usage_events)
        .where(table.workspace == workspace, table.at >= since, table.at < until)
        .execution_options(yield_per=AT_ONCE)
    )
    for row in tx.connection.execute(query):
        yield to_core(row)


def count_finished(tx: Tx, workspace: str) -> int:
    """Allocations that are finished."""
    table = allocations.c
    query = select(func.count()).where(table.workspace == workspace, table.finished_at.is_not(None))
    return int(tx.connection.execute(query).scalar_one())


def finished_without_event(
    tx: Tx, workspace: str, limit: int
) -> tuple[int, list[tuple[str, str | None]]]:
    """How many finished allocations have no event, and the id and missing event of the first."""
    mine, events = allocations.c, usage_events.c
    joined = allocations.outerjoin(
        usage_events, and_(events.workspace == mine.workspace, events.id == mine.event_id)
    )
    without = and_(mine.workspace == workspace, mine.finished_at.is_not(None), events.id.is_(None))
    count = tx.connection.execute(select(func.count()).select_from(joined).where(without))
    query = select(mine.id, mine.event_id).select_from(joined).where(without)
    rows = tx.connection.execute(query.order_by(mine.id).limit(limit))
    return int(count.scalar_one()), [(row.id, row.event_id) for row in rows]
