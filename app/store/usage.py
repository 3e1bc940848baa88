"""Read usage events."""

from collections.abc import Sequence

from sqlalchemy import and_, func, or_, select

from app.core.usage import UsageEvent
from app.core.windows import MICROS
from app.store.cell_reading import first_hour, read_sealed
from app.store.database import Tx
from app.store.tables import usage_events
from app.store.usage_rows import event_of


class RaceLost(Exception):
    """Another replica stored one of these ids just now; the group is tried again one by one."""


def get_event(tx: Tx, workspace: str, event_id: str) -> UsageEvent | None:
    """One event by its id."""
    table = usage_events.c
    query = select(usage_events).where(table.workspace == workspace, table.id == event_id)
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else event_of(row)


def list_events(
    tx: Tx,
    workspace: str,
    *,
    filters: dict[str, Sequence[str]],
    since: int | None = None,
    until: int | None = None,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[UsageEvent]:
    """Events newest first; `filters` name columns and the values wanted; `before` is a cursor."""
    table = usage_events.c
    query = select(usage_events).where(table.workspace == workspace)
    for name, values in filters.items():
        query = query.where(table[name].in_(list(values)))
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at < until)
    if before is not None:
        at, event_id = before
        query = query.where(or_(table.at < at, and_(table.at == at, table.id < event_id)))
        query = query.where(table.at <= at)
    query = query.order_by(table.at.desc(), table.id.desc()).limit(limit)
    return [event_of(row) for row in tx.connection.execute(query)]


def events_between(
    tx: Tx, workspace: str, since: int, until: int, *, agents: Sequence[str] = ()
) -> list[UsageEvent]:
    """All events of `since` ≤ at < `until` (microseconds), optionally of some agents."""
    table = usage_events.c
    query = select(usage_events).where(
        table.workspace == workspace, table.at >= since, table.at < until
    )
    if agents:
        query = query.where(table.agent.in_(list(agents)))
    return [event_of(row) for row in tx.connection.execute(query)]


def first_and_last(tx: Tx, workspace: str) -> tuple[int, int] | None:
    """The moments of the workspace's first and last event, or None where there is none.

    Where events are kept no longer it is the hour of the first that counts.
    """
    sql = f"SELECT at FROM usage_events WHERE workspace = {tx.marks(1)} ORDER BY at"
    first, last = (
        next((at for (at,) in tx.fetch(f"{sql}{order} LIMIT 1", [workspace])), None)
        for order in (", id", " DESC, id DESC")
    )
    sealed = read_sealed(tx, workspace)
    hour = first_hour(tx, workspace) if sealed else None
    if hour is not None and hour < sealed:
        first, last = hour * MICROS, last or sealed * MICROS - 1
    return None if first is None or last is None else (first, last)


def count_all(tx: Tx) -> int:
    """Number of events in all workspaces (a sweep, for commands)."""
    return int(tx.connection.execute(select(func.count()).select_from(usage_events)).scalar_one())
