"""Hold what events cost against budgets in USD: what counts where, is reached, is refused.

Amounts are nano-USD. Nothing here knows of rows: totals go in, totals come out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from app.core.alerts import crossed, is_reached
from app.core.usage import UsageEvent
from app.core.values import value
from app.core.windows import micros, moment

CostWindow = Literal["event", "run", "day", "week", "month"]
CostLevel = Literal["info", "warning", "critical", "budget_exceeded"]
SubjectKind = Literal["workspace", "project", "user", "agent", "run"]

LEVELS: tuple[CostLevel, ...] = ("info", "warning", "critical", "budget_exceeded")
EXCEEDED: CostLevel = "budget_exceeded"


@value
class CostThreshold:
    """A share of a budget at which someone is told."""

    level: CostLevel
    share: Decimal


DEFAULT_THRESHOLDS = tuple(  # spec C2
    CostThreshold(level=level, share=Decimal(share))
    for level, share in zip(LEVELS, ("0.25", "0.50", "0.75", "1.0"), strict=True)
)


@value
class Subject:
    """Whose spending a budget is about."""

    kind: SubjectKind
    name: str


@value
class CostBudget:
    """How much may be spent in a window of time, and what happens then."""

    name: str
    limit: int
    window: CostWindow
    thresholds: tuple[CostThreshold, ...]
    """By share, ascending."""
    is_hard: bool
    """Usage that would pass it is refused; otherwise it is booked, with an alert."""
    subject: Subject
    zone: ZoneInfo
    """Whose days, weeks and months count."""


@value
class Slot:
    """One window of a budget."""

    budget: str
    start: int
    """Its first microsecond; 0 for a run, and for an event."""
    key: str = ""
    """The run, or the event."""


@value
class Spender:
    """Who is about to spend, as far as it is known."""

    agent: str | None = None
    project: str | None = None
    user: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlert:
    """A threshold of a budget that was reached."""

    slot: Slot
    level: CostLevel
    share: Decimal
    at: int
    """When: microseconds since 1970."""
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A hard budget that a list of events would pass."""

    budget: CostBudget
    slot: Slot
    used: int
    """Before the list."""
    asked: int
    """What the list would add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a list of events did to totals."""

    totals: Mapping[Slot, int]
    """Of the slots that changed."""
    alerts: Mapping[int, Sequence[CostAlert]]
    """By the index of the event that raised them."""


def covers(budget: CostBudget, spender: Spender | UsageEvent) -> bool:
    """Whether what a spender spends counts against a budget."""
    kind, name = budget.subject.kind, budget.subject.name
    if kind == "workspace":
        return True
    if kind == "agent":
        return is_agent(name, spender.agent)
    if kind == "project":
        return spender.project == name
    if kind == "user":
        return spender.user == name
    return spender.run_id == name


def is_agent(wanted: str, agent: str | None) -> bool:
    """Whether an agent is the one that is named, with its type or without."""
    if agent is None:
        return False
    return agent == wanted or ("/" not in wanted and agent.rpartition("/")[2] == wanted)


def period(window: CostWindow, at: int, zone: ZoneInfo) -> tuple[int, int]:
    """When the civil day, ISO week or month of a moment begins and ends, in microseconds."""
    day = moment(at).astimezone(zone).date()
    if window == "week":
        day -= timedelta(days=day.weekday())
        return _midnight(day, zone), _midnight(day + timedelta(days=7), zone)
    if window == "month":
        first = day.replace(day=1)
        return _midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone)
    return _midnight(day, zone), _midnight(day + timedelta(days=1), zone)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return micros(datetime(day.year, day.month, day.day, tzinfo=zone))


def slot_of(
    budget: CostBudget, at: int, *, run_id: str | None, event_id: str | None = None
) -> Slot | None:
    """The window of a budget that something belongs to; None where it belongs to none."""
    if budget.window == "run":
        return None if run_id is None else Slot(budget=budget.name, start=0, key=run_id)
    if budget.window == "event":
        return None if event_id is None else Slot(budget=budget.name, start=0, key=event_id)
    return Slot(budget=budget.name, start=period(budget.window, at, budget.zone)[0])


Shares = Sequence[tuple[int, CostBudget, Slot]]
"""Index of an event, a budget that it counts against, and in which of its windows."""


def shares_of(budgets: Sequence[CostBudget], events: Sequence[UsageEvent]) -> Shares:
    """What the events that cost something count against."""
    found: list[tuple[int, CostBudget, Slot]] = []
    for budget in budgets:
        since, until = 1, 0
        civil: Slot | None = None
        for index, event in enumerate(events):
            if not event.cost_nano_usd or not covers(budget, event):
                continue
            if budget.window in ("run", "event"):
                slot = slot_of(budget, event.at, run_id=event.run_id, event_id=event.id)
            else:
                if not since <= event.at < until:
                    since, until = period(budget.window, event.at, budget.zone)
                    civil = Slot(budget=budget.name, start=since)
                slot = civil
            if slot is not None:
                found.append((index, budget, slot))
    return found


def spend(
    totals: Mapping[Slot, int],
    shares: Shares,
    events: Sequence[UsageEvent],
    *,
    enforced: bool,
) -> Spent | Passed:
    """Add events to totals, one after the other, or say which hard budget they would pass.

    `totals` has the slots of `shares`; one that it lacks is empty. Not `enforced`: what happened
    is booked whatever it costs, and each event that ends beyond a hard budget says so.
    """
    after: dict[Slot, int] = {}
    alerts: dict[int, list[CostAlert]] = {}
    passed: list[tuple[CostBudget, Slot]] = []
    for index, budget, slot in shares:
        event = events[index]
        before = after.get(slot, totals.get(slot, 0))
        now = after[slot] = before + (event.cost_nano_usd or 0)
        is_over = budget.is_hard and now > budget.limit
        if is_over and enforced:
            passed.append((budget, slot))
            continue
        reached = list(crossed(before, now, budget.limit, budget.thresholds))
        if is_over and not any(one.level == EXCEEDED for one in reached):
            reached.append(CostThreshold(level=EXCEEDED, share=Decimal(1)))
        if reached:
            alerts.setdefault(index, []).extend(_alerts(budget, slot, reached, event.at, now))
    if passed:
        budget, slot = min(passed, key=lambda one: one[0].limit - totals.get(one[1], 0))
        used = totals.get(slot, 0)
        return Passed(budget=budget, slot=slot, used=used, asked=after[slot] - used)
    return Spent(totals=after, alerts=alerts)


def due(budget: CostBudget, slot: Slot, used: int, at: int) -> list[CostAlert]:
    """The alerts of everything that a window has reached by now."""
    reached = crossed(0, used, budget.limit, budget.thresholds)
    return list(_alerts(budget, slot, reached, at, used))


def _alerts(
    budget: CostBudget, slot: Slot, reached: Iterable[CostThreshold], at: int, used: int
) -> Iterable[CostAlert]:
    return (
        CostAlert(slot=slot, level=one.level, share=one.share, at=at, used=used, limit=budget.limit)
        for one in reached
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much of a budget's window is spent, and what more would mean."""

    budget: CostBudget
    slot: Slot | None
    """None: nothing is known of the run or event that its window is about."""
    used: int
    asked: int = 0

    @property
    def remaining(self) -> int:
        """What is left, before what is asked; not below zero."""
        return max(0, self.budget.limit - self.used)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.budget.limit

    @property
    def holds(self) -> bool:
        """Whether what is asked still fits; where nothing is asked, whether anything is left."""
        if self.asked:
            return self.used + self.asked <= self.budget.limit
        return not self.is_exhausted

    @property
    def level(self) -> CostLevel | None:
        """The highest level that would be reached with what is asked."""
        found: CostLevel | None = None
        for threshold in self.budget.thresholds:
            if is_reached(self.used + self.asked, self.budget.limit, threshold):
                found = threshold.level
        return found

    @property
    def resets_at(self) -> int | None:
        """When the next window begins; None for runs and events."""
        if self.slot is None or self.budget.window in ("run", "event"):
            return None
        return period(self.budget.window, self.slot.start, self.budget.zone)[1]


def binding(standings: Sequence[Standing]) -> Standing:
    """The tightest: the one with the least left; of equals a hard one, then by name."""
    return min(standings, key=lambda one: (one.remaining, not one.budget.is_hard, one.budget.name))
