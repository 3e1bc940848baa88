"""Run jobs: what the table of runs says is due, or what somebody asks for, each once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import Counter, Gauge

from app.core.errors import Conflict, DomainError, JobRunning, NotAvailable, NotFound, Unavailable
from app.core.job_runs import (
    BEAT_SECONDS,
    LEASE_SECONDS,
    OUTAGE_SECONDS,
    SECOND_MICROS,
    Claim,
    JobLine,
    JobRun,
    run_on_demand,
    told,
)
from app.core.schedule import (
    RULES,
    Due,
    Handler,
    Key,
    Run,
    asked_about,
    next_due,
    owed,
    scheduled_run,
    what_is_due,
)
from app.store import job_reading, job_runs
from app.store.database import Store, Tx
from app.store.pacing import short_turns

log = structlog.get_logger("membudget")

RUNS = Counter("membudget_job_runs", "Runs of jobs that ended here.", ["job", "status"])
LAST_DONE = Gauge(
    "membudget_job_last_done_seconds", "When a job was last done (seconds since 1970).", ["job"]
)

LONGEST_SECONDS = 3_600.0
"""How long a run may take: one that hangs must not keep others from their turn."""

PATIENCE_SECONDS = 1.0
"""How long to wait before the end of a run is noted again, when the database was away."""

Now = Callable[[], int]
"""The present in microseconds."""

Other = Callable[[int], Awaitable[JobLine]]
"""Tells how a job stands that keeps its own time."""


class Jobs:
    """The jobs of a service, and the table that decides which of their runs are due."""

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        zone: ZoneInfo,
        *,
        is_on: bool,
        new_owner: Callable[[], str],
        others: Mapping[str, Other] = {},
        lease_seconds: float = LEASE_SECONDS,
        beat_seconds: float = BEAT_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self.handlers = handlers
        self.zone = zone
        self.is_on = is_on
        """Whether jobs run by themselves (here, or where else the settings are the same)."""
        self.trouble: str | None = None
        """Why they do not any more."""
        self._others = others
        self._store = store
        self._new_owner = new_owner
        self._lease = round(lease_seconds * SECOND_MICROS)
        self._beat_seconds = beat_seconds
        self._longest_seconds = longest_seconds

    async def run_due(self, now: Now) -> int:
        """Run what is due, one after the other, until nothing is; how many runs were begun.

        Errors: Unavailable when the database is away.
        """
        begun = 0
        since = await self._first_start(now)
        while due := await self._due(now(), since):
            first = due[0]
            claim = await self._claim(first, now())
            if claim is None:
                break
            begun += 1
            await self._carry_out(claim, scheduled_run(first, now()), now)
        return begun

    def next_due(self, now: int) -> dict[str, int]:
        """When each scheduled job is due next."""
        coming = {job: next_due(job, self.zone, now) for job in RULES if job in self.handlers}
        return {job: slot.due_at for job, slot in coming.items() if slot is not None}

    async def run_now(self, job: str, now: Now) -> JobRun:
        """Run a job because somebody asks; the run as it ended. It takes no scheduled run's place.

        Errors: NotFound, NotAvailable, JobRunning, Unavailable.
        """
        if job not in self.names:
            raise NotFound(f"There is no job of this name; there are {', '.join(self.names)}.")
        if job not in self.handlers:
            raise NotAvailable(f"The job {job} is not there yet.")
        run = run_on_demand(job, now())
        key = run.job, run.period
        claim = await self._claim_on_demand(key, run.started_at)
        await self._carry_out(claim, run, now)
        done = await self._store.read(lambda tx: job_reading.get_run(tx, key, now()))
        if done is None:
            raise Conflict("The run is gone: a backup was restored meanwhile; ask again.")
        return done

    @property
    def names(self) -> list[str]:
        """All jobs there are, in the order of the day."""
        return [*RULES, *self._others]

    async def listed(self, now: int) -> list[JobLine]:
        """All jobs and how they stand."""
        last = await self._store.read(lambda tx: job_reading.last_runs(tx, self.names, now))
        coming = self.next_due(now) if self.is_on else {}
        lines = [
            JobLine(
                name=name,
                schedule=rule.says,
                is_on=name in coming,
                last_run=last.get(name),
                next_run=coming.get(name),
            )
            for name, rule in RULES.items()
        ]
        return lines + [await tell(now) for tell in self._others.values()]

    async def _first_start(self, now: Now) -> int:
        since = await self._store.read(job_reading.first_start)
        if since is None or since > now():
            since = await self._store.write_alone(lambda tx: job_runs.note_first_start(tx, now()))
        return since

    async def _due(self, now: int, since: int) -> list[Due]:
        keys = asked_about(owed(now, since, self.zone), self.zone)

        def read(tx: Tx) -> list[Due]:
            for job, at in job_reading.last_done(tx).items():
                LAST_DONE.labels(job).set(at / SECOND_MICROS)
            due = what_is_due(now, since, job_reading.states(tx, keys, now), self.zone)
            return [one for one in due if one.slot.job in self.handlers]

        return await self._store.read(read)

    async def _claim(self, due: Due, now: int) -> Claim | None:
        """Claim a run; None if somebody else was faster."""
        owner = self._new_owner()

        def work(tx: Tx) -> Claim:
            return job_runs.claim(
                tx,
                due.slot.key,
                due_at=due.slot.due_at,
                includes=[(one.key, one.due_at) for one in due.includes],
                owner=owner,
                now=now,
                lease=self._lease,
            )

        try:
            return await self._store.write_alone(work)
        except Conflict:
            return None

    async def _claim_on_demand(self, key: Key, now: int) -> Claim:
        job, owner = key[0], self._new_owner()

        def work(tx: Tx) -> Claim:
            other = job_reading.running(tx, job, now)
            if other is not None:
                raise JobRunning(
                    f"The job {job} is being run already, for {other.period}. GET /jobs shows "
                    "when it is done; ask again then."
                )
            return job_runs.claim_on_demand(tx, key, owner=owner, now=now, lease=self._lease)

        try:
            return await self._store.write_alone(work)
        except JobRunning:
            raise
        except Conflict as error:
            raise JobRunning(
                f"The job {job} is being run already. GET /jobs shows when it is done; ask again "
                "then."
            ) from error

    async def _carry_out(self, claim: Claim, run: Run, now: Now) -> None:
        """Let the handler work while the lease is extended, and note how it ended."""
        log.info("job_started", job=run.job, period=run.period)
        handling = _in_short_turns(self.handlers[run.job], run)
        work = asyncio.create_task(asyncio.wait_for(handling, self._longest_seconds))
        beating = asyncio.create_task(self._keep_beating(claim, now))
        try:
            await asyncio.wait({work, beating}, return_when=asyncio.FIRST_COMPLETED)
            is_lost = not work.done()
        except asyncio.CancelledError:
            await _stop(work)
            await _stop(beating)
            await self._give_back(claim, run, now)
            raise
        await _stop(work)
        await _stop(beating)
        if is_lost:
            log.warning("job_taken_over", job=run.job, period=run.period)
            return
        await self._note_end(claim, run, work, now)

    async def _note_end(
        self, claim: Claim, run: Run, work: "asyncio.Future[Mapping[str, Any]]", now: Now
    ) -> None:
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        at = now()
        if error is None:
            outcome = work.result()
            is_ours = await self._insist(
                lambda tx: job_runs.finish(tx, claim, now=at, outcome=outcome)
            )
            status = "done"
        elif isinstance(error, Unavailable) and not run.is_on_demand:
            later = at + OUTAGE_SECONDS * SECOND_MICROS
            is_ours = await self._insist(
                lambda tx: job_runs.release(tx, claim, now=at, until=later)
            )
            status = "waiting"
        else:
            reason = told(error)
            is_ours = await self._insist(lambda tx: job_runs.fail(tx, claim, now=at, error=reason))
            status = "failed"
        seconds = (at - run.started_at) / SECOND_MICROS
        said = {"job": run.job, "period": run.period, "seconds": round(seconds, 3)}
        if not is_ours:
            log.warning("job_taken_over", **said)
            return
        RUNS.labels(run.job, status).inc()
        if error is None:
            LAST_DONE.labels(run.job).set(at / SECOND_MICROS)
            log.info("job_done", **said)
        elif isinstance(error, DomainError):
            log.warning("job_failed", **said, reason=error.detail)
        else:
            log.error("job_failed", **said, kind=type(error).__name__, exc_info=error)
        if isinstance(error, DomainError) and run.is_on_demand:
            raise error

    async def _keep_beating(self, claim: Claim, now: Now) -> None:
        """Extend the lease until it is somebody else's."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(self._beat_seconds)
            with suppress(Unavailable):  # the next beat may be in time
                is_ours = await self._store.write_alone(
                    lambda tx: job_runs.beat(tx, claim, now=now(), lease=self._lease)
                )

    async def _insist(self, work: Callable[[Tx], bool]) -> bool:
        """Note an end, for as long as the lease may last if the database is away."""
        left = self._lease / SECOND_MICROS
        while True:
            try:
                return await self._store.write_alone(work)
            except Unavailable:
                left -= PATIENCE_SECONDS
                if left <= 0:
                    return False
                await asyncio.sleep(PATIENCE_SECONDS)

    async def _give_back(self, claim: Claim, run: Run, now: Now) -> None:
        """Let somebody else have a run that is cut off here."""
        at = now()
        with suppress(Unavailable):  # its lease ends by itself
            await self._store.write_alone(lambda tx: job_runs.release(tx, claim, now=at, until=at))
        log.info("job_cut_off", job=run.job, period=run.period)


async def _in_short_turns(handler: Handler, run: Run) -> Mapping[str, Any]:
    with short_turns():
        return await handler(run)


async def _stop(task: "asyncio.Future[Any]") -> None:
    """End a task, and hear nothing of how it ended."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
