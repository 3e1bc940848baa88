"""Wake up when a job may be due, and let the table of runs say whether it is."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.core.errors import Unavailable
from app.core.job_runs import SECOND_MICROS
from app.core.schedule import Handler, Run
from app.flows.run_jobs import Jobs, Now

__all__ = ["Handler", "Run", "keep_time"]

log = structlog.get_logger("membudget")

TICK_SECONDS = 15.0
"""How often the table is asked between the times of jobs: runs that others have left, or that are
to be tried again, begin that much later."""


async def keep_time(
    jobs: Jobs,
    *,
    now: Now,
    run: Callable[[Now], Awaitable[int]] | None = None,
    tick_seconds: float = TICK_SECONDS,
) -> None:
    """Run jobs when they are due, till it is cancelled; a run that is cut off is given back.

    `run` runs those that are due, by civil times unless it is given.
    """
    run = run or jobs.run_due
    is_away = False
    while True:
        try:
            await run(now)
            is_away = False
        except Unavailable as error:
            if not is_away:  # once an outage
                log.warning("jobs_wait", reason=error.detail)
            is_away = True
        except Exception as error:
            log.error("jobs_not_looked_at", kind=type(error).__name__, exc_info=error)
        await asyncio.sleep(_seconds_to_next(jobs, now(), tick_seconds))


def _seconds_to_next(jobs: Jobs, now: int, tick_seconds: float) -> float:
    coming = min(jobs.next_due(now).values(), default=now)
    left = (coming - now) / SECOND_MICROS
    return left if 0 < left < tick_seconds else tick_seconds
