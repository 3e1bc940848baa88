"""Say what a row of the table of runs means: whose it is, how it stands, when it is tried again."""

from collections.abc import Mapping
from typing import Any, Literal

from app.core.errors import DomainError
from app.core.schedule import Key, Run, State, covered_on_demand
from app.core.values import value
from app.core.windows import moment

SECOND_MICROS = 1_000_000

LEASE_SECONDS = 60.0
"""How long a run is its owner's without a sign of life."""

BEAT_SECONDS = 15.0
"""How often an owner gives one."""

MOST_FAILURES = 3
"""Runs of a period that end in an error before it is given up."""

MOST_ATTEMPTS = 10
"""Runs of a period that begin: their process may end in the middle, but not for ever."""

PAUSES_SECONDS = (60, 300)
"""How long a period waits after its first error, and after its second."""

OUTAGE_SECONDS = 60
"""How long a period waits when the database cannot serve it; that is no failure of the job."""

FARTHEST_MICROS = 3_600 * SECOND_MICROS
"""A lease that ends later than this from now was given by a clock that has jumped back since."""

HOUSE = "*"
"""The job of rows that are no runs."""

FIRST_START: Key = (HOUSE, "first start")

Status = Literal["running", "waiting", "done", "failed", "idle"]
"""`waiting`: to be tried again; `idle`: a seat that nobody has."""


def seat_of(job: str) -> Key:
    """The row that whoever runs a job on demand holds, so that nobody else does at that time."""
    return HOUSE, job


@value
class Hold:
    """A row that a run has claimed."""

    key: Key
    attempt: int


@value
class Claim:
    """A run that is somebody's until its lease ends."""

    owner: str
    """Of this claim alone."""
    holds: tuple[Hold, ...]
    """The run's own row, then those of periods that it includes, or its seat."""
    failures: int
    """Runs of this period that ended in an error before."""

    @property
    def own(self) -> Hold:
        return self.holds[0]


@value
class JobRun:
    """A run, as its row tells."""

    job: str
    period: str
    due_at: int
    status: Status
    attempt: int
    started_at: int
    finished_at: int | None
    retry_at: int | None
    """When a period that waits may be tried again."""
    outcome: Mapping[str, Any] | None
    error: str | None
    """Why the last attempt failed."""


def is_on_demand(period: str) -> bool:
    """Whether the label is a moment, and not a day, week or month."""
    return "T" in period


@value
class JobLine:
    """A job, as a list of them shows it."""

    name: str
    schedule: str
    """When it runs, in words."""
    is_on: bool
    """Whether it runs by itself."""
    last_run: JobRun | None
    next_run: int | None
    """When it runs by itself next; None: it does not."""


def on_demand_period(now: int) -> str:
    """The label of a run that is asked for at a moment."""
    return moment(now).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def run_on_demand(job: str, now: int) -> Run:
    """The run of a job that is asked for now."""
    return Run(
        job=job,
        period=on_demand_period(now),
        due_at=now,
        started_at=now,
        covers=covered_on_demand(job),
        is_catching_up=False,
        is_on_demand=True,
    )


def told(error: BaseException) -> str:
    """An error in words that hold nothing of what users wrote: ours, or only its kind."""
    return error.detail if isinstance(error, DomainError) else type(error).__name__


def is_free(lease_until: int, now: int) -> bool:
    """Whether a lease, or a wait, is over."""
    return lease_until <= now or lease_until > now + FARTHEST_MICROS


def state_of(status: Status, attempt: int, lease_until: int, now: int) -> State | None:
    """How a period stands; None: a run may begin."""
    if status in ("done", "failed"):
        return status
    if not is_free(lease_until, now):
        return "running" if status == "running" else "waiting"
    return "failed" if attempt >= MOST_ATTEMPTS else None


def after_failure(failures: int, now: int) -> tuple[Status, int]:
    """How a period stands after that many errors, and until when it waits."""
    if failures >= MOST_FAILURES:
        return "failed", now
    return "waiting", now + PAUSES_SECONDS[failures - 1] * SECOND_MICROS
