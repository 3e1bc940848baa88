"""Read the table of runs: how periods stand, and how runs ended."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, exists, func, select

from app.core.job_runs import (
    FARTHEST_MICROS,
    FIRST_START,
    HOUSE,
    MOST_ATTEMPTS,
    JobRun,
    is_free,
    is_on_demand,
    state_of,
)
from app.core.schedule import RULES, Key, State
from app.store.database import SYSTEM, Tx
from app.store.tables import job_runs

ENDED = "Its process ended."


def first_start(tx: Tx) -> int | None:
    """When jobs began to be run here; None: never yet."""
    return tx.connection.execute(select(job_runs.c.due_at).where(is_run(FIRST_START))).scalar()


def states(tx: Tx, keys: Collection[Key], now: int) -> dict[Key, State]:
    """How periods stand, those that are not free to be run."""
    table = job_runs.c
    query = select(table.job, table.period, table.status, table.attempt, table.lease_until).where(
        table.workspace == SYSTEM,
        table.job.in_(sorted({job for job, _ in keys})),
        table.period.in_(sorted({period for _, period in keys})),
    )
    found = {
        (row.job, row.period): state_of(row.status, row.attempt, row.lease_until, now)
        for row in tx.connection.execute(query)
    }
    return {key: state for key, state in found.items() if state is not None and key in keys}


def last_runs(tx: Tx, jobs: Collection[str], now: int) -> dict[str, JobRun]:
    """The run of each job that began last; what another job's run did, as of when it was due.

    So a week that is caught up after the day's run does not show an older day as the last.
    """
    table, other = job_runs.c, job_runs.alias("other")
    found = {}
    for job in sorted(jobs):
        above = [name for name, rule in RULES.items() if job in rule.below]
        is_included = exists().where(
            other.c.workspace == SYSTEM, other.c.job.in_(above), other.c.owner == table.owner
        )
        query = (
            select(job_runs)
            .where(table.workspace == SYSTEM, table.job == job, table.attempt > 0)
            .order_by(
                case((is_included, table.due_at), else_=table.started_at).desc(),
                table.due_at.desc(),
            )
            .limit(1)
        )
        row = tx.connection.execute(query).one_or_none()
        if row is not None:
            found[job] = to_core(row, now)
    return found


def get_run(tx: Tx, key: Key, now: int) -> JobRun | None:
    """One run."""
    row = tx.connection.execute(select(job_runs).where(is_run(key))).one_or_none()
    return None if row is None else to_core(row, now)


def running(tx: Tx, job: str, now: int) -> JobRun | None:
    """A run of a job that is being run by somebody now."""
    table = job_runs.c
    query = select(job_runs).where(
        table.workspace == SYSTEM,
        table.job == job,
        table.status == "running",
        table.lease_until > now,
        table.lease_until <= now + FARTHEST_MICROS,
    )
    row = tx.connection.execute(query.order_by(table.started_at).limit(1)).one_or_none()
    return None if row is None else to_core(row, now)


def last_done(tx: Tx) -> dict[str, int]:
    """When each job was last done."""
    table = job_runs.c
    query = (
        select(table.job, func.max(table.finished_at).label("at"))
        .where(table.workspace == SYSTEM, table.job != HOUSE, table.status == "done")
        .group_by(table.job)
    )
    return {row.job: row.at for row in tx.connection.execute(query)}


def to_core(row: Row[Any], now: int) -> JobRun:
    """The run of a row. One whose process ended is as it will be taken: to be tried, or failed."""
    outcome = read_outcome(row.outcome)
    status, error = row.status, outcome.pop("error", None)
    outcome.pop("failures", None)
    if status in ("running", "waiting") and is_free(row.lease_until, now):
        is_lost = is_on_demand(row.period) or row.attempt >= MOST_ATTEMPTS
        error = ENDED if status == "running" else error
        status = "failed" if is_lost else "waiting"
    return JobRun(
        job=row.job,
        period=row.period,
        due_at=row.due_at,
        status=status,
        attempt=row.attempt,
        started_at=row.started_at,
        finished_at=row.finished_at,
        retry_at=row.lease_until if status == "waiting" else None,
        outcome=outcome or None,
        error=error,
    )


def read_outcome(outcome: str | None) -> dict[str, Any]:
    """What a row keeps of how its run ended."""
    found: dict[str, Any] = {} if outcome is None else json.loads(outcome)
    return found


def is_run(key: Key) -> ColumnElement[bool]:
    """The condition of one row."""
    table = job_runs.c
    job, period = key
    return and_(table.workspace == SYSTEM, table.job == job, table.period == period)
