"""Delete rows that are kept no longer, some at a time, so that other writes get their turn."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    and_,
    delete,
    exists,
    not_,
    or_,
    select,
    true,
    tuple_,
)

from app.core.job_runs import HOUSE
from app.core.keeping import Keep
from app.core.values import value
from app.core.windows import MICROS
from app.store.cell_reading import read_sealed
from app.store.database import Tx
from app.store.operation_reading import read_sealed as read_operations_sealed
from app.store.tables import (
    allocations,
    complexity_feedback,
    cost_alerts,
    cost_totals,
    job_runs,
    memory_actions,
    memory_health,
    memory_keys,
    operation_days,
    operation_hours,
    operations,
    pools,
    recommendations,
    reports,
    usage_events,
)

AT_ONCE = 500
"""Rows that one transaction deletes."""

TIMES: Mapping[Table, Column[int]] = {
    usage_events: usage_events.c.at,
    allocations: allocations.c.created_at,
    memory_keys: memory_keys.c.created_at,
    memory_actions: memory_actions.c.created_at,
    memory_health: memory_health.c.day,
    reports: reports.c.created_at,
    recommendations: recommendations.c.created_at,
    job_runs: job_runs.c.due_at,
    cost_totals: cost_totals.c.at,
    cost_alerts: cost_alerts.c.at,
    operations: operations.c.at,
    operation_hours: operation_hours.c.start,
    operation_days: operation_days.c.start,
    complexity_feedback: complexity_feedback.c.created_at,
    pools: pools.c.expires_at,
}
"""The tables that have a rule, and by which of their moments rows grow old."""


@value
class Sweep:
    """Rows of a workspace that go; moments in microseconds since 1970."""

    table: str
    before: int
    """Those that are older than this."""
    now: int


def sweeps_of(tx: Tx, workspace: str, keep: Keep, now: int) -> list[Sweep]:
    """What there is to delete in a workspace, or in `*`."""
    limits = {
        usage_events: read_sealed(tx, workspace) * MICROS,
        allocations: max(keep.allocations_before, _overflow(tx, workspace, keep, now)),
        memory_keys: keep.answers_before,
        memory_actions: keep.actions_before,
        memory_health: keep.health_before,
        reports: keep.records_before,
        recommendations: keep.records_before,
        job_runs: keep.records_before,
        cost_totals: keep.records_before,
        cost_alerts: keep.records_before,
        operations: read_operations_sealed(tx, workspace),
        operation_hours: keep.operation_hours_before,
        operation_days: keep.operation_days_before,
        complexity_feedback: keep.records_before,
        pools: keep.allocations_before,
    }
    found = [Sweep(table=one.name, before=limits[one], now=now) for one in TIMES]
    return [one for one in found if _keys(tx, workspace, one, limit=1)]


def sweep(tx: Tx, workspace: str, wanted: Sequence[Sweep]) -> list[int]:
    """Delete some of the rows, the oldest first; how many went: fewer than `AT_ONCE` at the end."""
    return [_sweep(tx, workspace, one) for one in wanted]


def _sweep(tx: Tx, workspace: str, wanted: Sweep) -> int:
    keys = _keys(tx, workspace, wanted, limit=AT_ONCE)
    if not keys:
        return 0
    table = _table(wanted)
    is_one = tuple_(*_key(table)).in_(keys)
    still = and_(_is_past(table, workspace, wanted), is_one)  # whatever happened to them meanwhile
    return tx.connection.execute(delete(table).where(still)).rowcount


def _keys(tx: Tx, workspace: str, wanted: Sweep, *, limit: int) -> list[tuple[str, ...]]:
    table = _table(wanted)
    query = select(*_key(table)).where(_is_past(table, workspace, wanted))
    rows = tx.connection.execute(query.order_by(TIMES[table], *_key(table)).limit(limit))
    return [tuple(row) for row in rows]


def _is_past(table: Table, workspace: str, wanted: Sweep) -> ColumnElement[bool]:
    is_old = and_(table.c.workspace == workspace, TIMES[table] < wanted.before)
    return and_(is_old, _may_go(table, wanted))


def _may_go(table: Table, wanted: Sweep) -> ColumnElement[bool]:
    """What else must be so: nobody needs the row, or has a newer one in its place."""
    if table is allocations:
        return _is_closed(wanted.now)
    if table is recommendations:
        return table.c.status != "open"
    if table is cost_alerts:
        return not_(_has_total())
    if table is reports:
        return _has_newer(reports, "kind")
    if table is job_runs:
        return and_(table.c.job != HOUSE, _has_newer(job_runs, "job"))
    return true()


def _has_total() -> ColumnElement[bool]:
    """Whether what an alert's window has spent is kept: the audit asks for its alerts."""
    shared = ("workspace", "budget", "start", "key")
    return exists().where(*(cost_totals.c[name] == cost_alerts.c[name] for name in shared))


def _has_newer(table: Table, kind: str) -> ColumnElement[bool]:
    newer = table.alias()
    return exists().where(
        newer.c.workspace == table.c.workspace,
        newer.c[kind] == table.c[kind],
        newer.c[TIMES[table].name] > TIMES[table],
    )


def _is_closed(now: int) -> ColumnElement[bool]:
    return or_(allocations.c.finished_at.is_not(None), allocations.c.expires_at <= now)


def _overflow(tx: Tx, workspace: str, keep: Keep, now: int) -> int:
    """The moment before which closed allocations are more than the policy keeps."""
    if keep.allocations_most is None:
        return 0
    table = allocations.c
    oldest_kept = (
        select(table.created_at)
        .where(table.workspace == workspace, _is_closed(now))
        .order_by(table.created_at.desc(), table.id.desc())
        .offset(keep.allocations_most - 1)
        .limit(1)
    )
    return tx.connection.execute(oldest_kept).scalar() or 0


def _table(wanted: Sweep) -> Table:
    return next(table for table in TIMES if table.name == wanted.table)


def _key(table: Table) -> list[Column[str]]:
    return [column for column in table.primary_key.columns if column.name != "workspace"]
