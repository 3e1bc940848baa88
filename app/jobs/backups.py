"""Back up on an interval, and a last time before a stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.core.errors import DomainError
from app.core.job_runs import JobLine, JobRun, on_demand_period
from app.core.schedule import Handler, Run
from app.core.windows import micros, moment
from app.flows.backup import Backups

log = structlog.get_logger("membudget")

PAUSE_SECONDS = 60.0
"""How long to wait before a backup that failed, or had nothing new to hold, is thought of again."""

LONGEST_SLEEP_SECONDS = 3600.0

Now = Callable[[], datetime]
NewId = Callable[[], str]


async def keep_backing_up(
    backups: Backups, interval: timedelta, *, now: Now, new_id: NewId
) -> None:
    """Back up whenever the newest backup is an interval old and something was written since."""
    seconds = interval.total_seconds()
    is_first = True
    while True:
        at = now()
        due = await backups.due_at(interval, at)
        if due > at:
            wait = min((due - at).total_seconds(), LONGEST_SLEEP_SECONDS)
        else:
            wait = min(PAUSE_SECONDS, seconds)
            if is_first or backups.has_changes:
                is_first = not await back_up(backups, now=now, new_id=new_id)
        await asyncio.sleep(wait)


async def back_up(backups: Backups, *, now: Now, new_id: NewId) -> bool:
    """Make a backup and log it; whether it could be made. What it raises is logged, too."""
    try:
        made = await backups.create(new_id(), now())
    except DomainError as error:
        log.error("backup_failed", reason=error.detail)
        return False
    except Exception as error:
        backups.note_failure(f"The backup failed: {type(error).__name__}; the log has more.")
        log.error("backup_failed", kind=type(error).__name__, exc_info=error)
        return False
    log.info("backed_up", id=made.id, bytes=made.bytes)
    return True


def backup(backups: Backups, new_id: NewId) -> Handler:
    """The handler of the job `backup`, for whoever asks for it."""

    async def work(run: Run) -> Mapping[str, Any]:
        made = await backups.create(new_id(), moment(run.started_at))
        return {"id": made.id, "bytes": made.bytes}

    return work


def standing(backups: Backups, interval: timedelta) -> Callable[[int], Awaitable[JobLine]]:
    """What tells how backups stand: of the last one, the folder knows."""

    async def tell(now: int) -> JobLine:
        last = await backups.last_at()
        return JobLine(
            name="backup",
            schedule=f"every {interval}, if anything was written" if interval else "on demand",
            is_on=bool(interval),
            last_run=None if last is None else _run(micros(last), backups.error),
            next_run=max(micros(last + interval) if last else now, now) if interval else None,
        )

    return tell


def _run(at: int, error: str | None) -> JobRun:
    """A backup as a run: when it was made is all that the folder knows of it."""
    return JobRun(
        job="backup",
        period=on_demand_period(at),
        due_at=at,
        status="done" if error is None else "failed",
        attempt=1,
        started_at=at,
        finished_at=at,
        retry_at=None,
        outcome=None,
        error=error,
    )
