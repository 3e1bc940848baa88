"""Read usage events, and turn them into rows and back."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from app.core.usage import UsageEvent
from app.core.windows import MICROS
from app.store.cell_reading import first_hour, read_sealed
from app.store.database import Tx, dumps
from app.store.tables import usage_events


class RaceLost(Exception):
    """Another replica stored one of these ids just now; the group is tried again one by one."""


def to_row(event: UsageEvent) -> tuple[Any, ...]:
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


def to_core(row: Row[Any]) -> UsageEvent:
    """The event of a row of `usage_events`."""
    details = json.loads(row.details) if row.details else {}
    return UsageEvent(
        id=row.id,
        workspace=row.workspace,
        at=row.at,
        agent=row.agent,
        used_tokens=row.used_tokens,
        budget_tokens=row.budget_tokens,
        needed_tokens=row.needed_tokens,
        complexity=row.complexity,
        profile=row.profile,
        project=row.project,
        user=row.user,
        session_id=row.session_id,
        run_id=row.run_id,
        allocation_id=row.allocation_id,
        model=row.model,
        stage=row.stage,
        task=details.get("task"),
        scopes=json.loads(row.scopes) if row.scopes else {},
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        cost_nano_usd=row.cost_nano_usd,
        duration_seconds=row.duration_seconds,
        success=row.success,
        error=details.get("error"),
        alerts=tuple(details.get("alerts", ())),
        metadata=details.get("metadata", {}),
        cache_write_tokens=details.get("cache_write"),
        cache_write_1h_tokens=details.get("cache_write_1h"),
        reasoning_tokens=details.get("reasoning"),
        service=details.get("service"),
        price_version=details.get("price"),
        late=row.late,
        fingerprint=bytes(row.fingerprint),
    )


def get_event(tx: Tx, workspace: str, event_id: str) -> UsageEvent | None:
    """One event by its id."""
    table = usage_events.c
    query = select(usage_events).where(table.workspace == workspace, table.id == event_id)
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else to_core(row)


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
    return [to_core(row) for row in tx.connection.execute(query)]


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
    return [to_core(row) for row in tx.connection.execute(query)]


def first_and_last(tx: Tx, workspace: str) -> tuple[int, int] | None:
    """The moments of the workspace's first and last event, or None where there is none.

    Where events are kept no longer it is the hour of the first that counts.
    """
    table = usage_events.c
    base = select(table.at).where(table.workspace == workspace)
    first = tx.connection.execute(base.order_by(table.at, table.id).limit(1)).scalar()
    last = tx.connection.execute(base.order_by(table.at.desc(), table.id.desc()).limit(1)).scalar()
    sealed = read_sealed(tx, workspace)
    hour = first_hour(tx, workspace) if sealed else None
    if hour is not None and hour < sealed:
        first, last = hour * MICROS, last or sealed * MICROS - 1
    return None if first is None or last is None else (first, last)


def count_all(tx: Tx) -> int:
    """Number of events in all workspaces (a sweep, for commands)."""
    return int(tx.connection.execute(select(func.count()).select_from(usage_events)).scalar_one())
