"""Say which run of which job is due: periods of civil time, and what one run does for others."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.core.values import value
from app.core.windows import micros, moment

MOST_CAUGHT_UP = 40
"""Periods looked back at: of those missed before them nothing is done (the contract)."""

LATE_MICROS = 15 * 60 * 1_000_000
"""A run that starts later than this after it was due is catching up."""

Key = tuple[str, str]
"""A job and the label of a period."""

State = Literal["done", "failed", "running", "waiting"]
"""How a period stands: done; failed for good; run by somebody now; to be tried again later."""

SETTLED: frozenset[State | None] = frozenset({"done", "failed"})

DAY = timedelta(days=1)
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)
"""The calendar of jobs."""


@value
class Rule:
    """When a job is due: a time of day in civil time, on all days or on some."""

    hour: int
    weekday: int | None = None
    """Monday is 0; None: any."""
    day: int | None = None
    """Of the month; None: any."""
    catches_up: bool = False
    """Whether each missed period is run, and not only the last."""
    below: frozenset[str] = frozenset()
    """Jobs whose part it does as well."""
    says: str = ""
    """The rule in words."""


RULES: Mapping[str, Rule] = {
    "daily": Rule(hour=5, says="every day at 05:00"),
    "weekly": Rule(
        hour=6,
        weekday=6,
        catches_up=True,
        below=frozenset({"daily"}),
        says="on Sundays at 06:00",
    ),
    "monthly": Rule(
        hour=7,
        day=1,
        catches_up=True,
        below=frozenset({"daily", "weekly"}),
        says="on the 1st of each month at 07:00",
    ),
    "retention": Rule(hour=4, says="every day at 04:00"),
}
"""The jobs of A13, and retention."""


HOURLY: Mapping[str, str] = {"audit": "20 minutes after every full UTC hour"}
"""Jobs that are due every hour of UTC, with their rule in words."""

HOURLY_DELAY_MICROS = 20 * 60 * 1_000_000
HOUR_MICROS = 3_600 * 1_000_000


@value
class Run:
    """One run of a job, as its handler sees it."""

    job: str
    period: str
    """The hour (2026-11-21 08h), day (2026-11-21), ISO week (2026-W47) or month (2026-11) it was
    due in; on demand the moment it was asked for (2026-11-21T08:15:00.000000Z)."""
    due_at: int
    """Microseconds since 1970, as all moments; on demand the moment it was asked for."""
    started_at: int
    covers: frozenset[str]
    """Jobs whose part this run does as well as its own. A job below it that is not named had a
    run of its own today: its part is not done again."""
    is_catching_up: bool
    """Whether it starts so late that the present is another than the one it was due in."""
    is_on_demand: bool


Handler = Callable[[Run], Awaitable[Mapping[str, Any]]]
"""Does a job's work; answers what came of it, small and plain JSON. It may be cancelled, and the
same period may be given to it again after a crash: what it records, it records once a period."""


@value
class Slot:
    """A period of a job."""

    job: str
    period: str
    due_at: int
    day: date
    """The civil day it is due on."""

    @property
    def key(self) -> Key:
        return self.job, self.period


@value
class Due:
    """A run that may begin."""

    slot: Slot
    covers: frozenset[str]
    """As `Run.covers`."""
    includes: tuple[Slot, ...]
    """Periods of other jobs that are done when this run is."""


def slot_of(job: str, day: date, zone: ZoneInfo) -> Slot:
    """A job's period that is due on a civil day.

    A time that the day does not have is moved forward by as much as the clock was; of a time that
    it has twice the first is meant.
    """
    local = datetime(day.year, day.month, day.day, RULES[job].hour, tzinfo=zone)
    return Slot(job=job, period=period_of(job, day), due_at=micros(local), day=day)


def period_of(job: str, day: date) -> str:
    """The label of the period of a job that is due on a day."""
    if job == "weekly":
        year, week, _ = day.isocalendar()
        return f"{year:04}-W{week:02}"
    return day.isoformat()[:7] if job == "monthly" else day.isoformat()


def hourly_slot(job: str, now: int) -> Slot:
    """The last period of an hourly job that was due at or before a moment."""
    due_at = (now - HOURLY_DELAY_MICROS) // HOUR_MICROS * HOUR_MICROS + HOURLY_DELAY_MICROS
    hour = moment(due_at)
    return Slot(job=job, period=hour.strftime("%Y-%m-%d %Hh"), due_at=due_at, day=hour.date())


def next_due(job: str, zone: ZoneInfo, after: int) -> Slot | None:
    """The first period due after a moment; None at the end of the calendar."""
    return next(_forward(job, zone, after), None)


def due_between(job: str, zone: ZoneInfo, after: int, until: int) -> list[Slot]:
    """Periods with `after` < due ≤ `until`, oldest first."""
    return list(takewhile(lambda slot: slot.due_at <= until, _forward(job, zone, after)))


def owed(now: int, since: int, zone: ZoneInfo) -> list[Slot]:
    """Periods that should have been run by now, oldest first: at most forty, none that was due by
    the first start (`since`)."""
    found = [
        slot
        for job, rule in RULES.items()
        for slot in islice(
            takewhile(lambda slot: slot.due_at > since, _backward(job, zone, now)),
            MOST_CAUGHT_UP if rule.catches_up else 1,
        )
    ]
    return sorted(found, key=_order)[-MOST_CAUGHT_UP:]


def asked_about(slots: Iterable[Slot], zone: ZoneInfo) -> set[Key]:
    """The periods whose states decide what is due: those owed, and what they may do as well."""
    return {one.key for slot in slots for one in (slot, *_below(slot, zone))}


def what_is_due(now: int, since: int, states: Mapping[Key, State], zone: ZoneInfo) -> list[Due]:
    """Runs that may begin now, in the order in which to run them.

    `since` is the moment of the first start; `states` has the periods of `asked_about`, as far as
    they have one. What must wait for another run is left out till that has ended: the next period
    of a job, and whatever would do the same work. The list takes each run as done before the next
    one begins; whoever has run one asks again.
    """
    known = dict(states)
    open_ = [slot for slot in owed(now, since, zone) if known.get(slot.key) not in SETTLED]
    stuck: set[str] = set()
    found = []
    for slot in open_:
        if _is_done_by_another(slot, open_):
            continue
        below = _below(slot, zone)
        is_free = known.get(slot.key) is None and slot.job not in stuck
        waits = any(known.get(one.key) == "running" for one in below) or any(
            one in open_ and RULES[one.job].catches_up and known.get(one.key) not in SETTLED
            for one in below
        )
        if waits or not is_free:
            stuck.add(slot.job)
            continue
        due = _due(slot, below, known)
        found.append(due)
        known |= {one.key: "done" for one in (slot, *due.includes)}
    return found


def scheduled_run(due: Due, now: int) -> Run:
    """The run of a period that is due, begun now."""
    return Run(
        job=due.slot.job,
        period=due.slot.period,
        due_at=due.slot.due_at,
        started_at=now,
        covers=due.covers,
        is_catching_up=now - due.slot.due_at > LATE_MICROS,
        is_on_demand=False,
    )


def covered_on_demand(job: str) -> frozenset[str]:
    """The jobs whose part a run on demand does as well: all below it."""
    return RULES[job].below if job in RULES else frozenset()


def _due(slot: Slot, below: Sequence[Slot], known: Mapping[Key, State]) -> Due:
    done = {one.job for one in below if known.get(one.key) == "done"}
    done |= {job for name in done for job in RULES[name].below}
    covers = RULES[slot.job].below - done
    includes = tuple(
        one
        for one in below
        if one.job in covers and not RULES[one.job].catches_up and known.get(one.key) not in SETTLED
    )
    return Due(slot=slot, covers=covers, includes=includes)


def _is_done_by_another(slot: Slot, open_: Sequence[Slot]) -> bool:
    """Whether a run of the same day does its work; a missed week or month has its own run."""
    return not RULES[slot.job].catches_up and any(
        one.day == slot.day and slot.job in RULES[one.job].below for one in open_
    )


def _below(slot: Slot, zone: ZoneInfo) -> list[Slot]:
    """The periods of the same day whose work a run may do."""
    jobs = sorted(RULES[slot.job].below)
    return [slot_of(job, slot.day, zone) for job in jobs if _falls_on(job, slot.day)]


def _falls_on(job: str, day: date) -> bool:
    rule = RULES[job]
    return rule.weekday in (None, day.weekday()) and rule.day in (None, day.day)


def _forward(job: str, zone: ZoneInfo, after: int) -> Iterator[Slot]:
    day = _local_day(after, zone) - 2 * DAY
    while day < LAST_DAY:
        if _falls_on(job, day) and (slot := slot_of(job, day, zone)).due_at > after:
            yield slot
        day += DAY


def _backward(job: str, zone: ZoneInfo, until: int) -> Iterator[Slot]:
    day = _local_day(until, zone) + DAY
    while day > FIRST_DAY:
        if _falls_on(job, day) and (slot := slot_of(job, day, zone)).due_at <= until:
            yield slot
        day -= DAY


def _local_day(at: int, zone: ZoneInfo) -> date:
    day = moment(at).date()  # beyond the calendar, a day that it has
    if FIRST_DAY < day < LAST_DAY:
        day = moment(at).astimezone(zone).date()
    return min(max(day, FIRST_DAY + 2 * DAY), LAST_DAY)


def _order(slot: Slot) -> tuple[int, int, date]:
    return slot.due_at, RULES[slot.job].hour, slot.day
