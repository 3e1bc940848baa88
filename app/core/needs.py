"""Say which profile fits what an agent's runs need: counted exactly, in bounded memory.

A run's need is the context it would have taken had nothing been cut: what it needed, or used if
that is more. A profile fits if its budgets cover the needs of 95 of 100 runs, each at the
complexity the run had, medium where that is not known. Runs that needed nothing say nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.core.budgets import budget_for
from app.core.complexity import MEDIUM, TASK_TIERS
from app.core.errors import InvalidRequest
from app.core.intervals import Interval, wilson
from app.core.policybook import PolicyBook
from app.core.statistics import bucket_of, median_and_p95, value_of
from app.core.values import value

USUAL = TASK_TIERS[MEDIUM]
"""The complexity of runs of which it is not known."""

COVERED = 95
"""Of a hundred runs, those whose need a budget must cover to fit."""

STEP = 5_000
"""Budgets of profiles that are proposed are whole multiples of this."""

SKETCH_ERROR = 1.01
"""A quantile is at most so many times what the sketch says."""


@value
class Run:
    """What one run took; tokens and nano-USD."""

    agent: str
    complexity: str | None
    used: int
    needed: int | None
    output: int | None = None
    cached: int | None = None
    cost: int | None = None


@value
class Choice:
    """A profile that runs may be measured against."""

    name: str
    budgets: Mapping[str, int]
    """Tokens by complexity tier."""
    ceiling: int | None

    @property
    def usual(self) -> int:
        """Tokens of a run of which no complexity is known."""
        return self.budgets[USUAL]


@dataclass(slots=True)
class Slot:
    """Runs between two budgets."""

    short: int = 0
    """By what they needed."""
    runs: int = 0
    """By what they used, as all that follows."""
    used: int = 0
    cost: int = 0
    cost_per_token: float = 0.0


@dataclass(slots=True)
class Need:
    """What the runs of one agent needed, and how they lie between the budgets of all profiles."""

    runs: int = 0
    empty: int = 0
    """Runs that needed nothing; they are not counted in `runs`."""
    low: int = 0
    high: int = 0
    used: int = 0
    output: int = 0
    cached: int = 0
    cost: int = 0
    priced: int = 0
    sketch: dict[int, int] = field(default_factory=dict)
    slots: dict[str, list[Slot]] = field(default_factory=dict)

    @property
    def median_and_p95(self) -> tuple[float, float]:
        """Within one per cent; of no runs at all both are zero."""
        if not self.runs:
            return 0.0, 0.0
        return median_and_p95(self.sketch, low=self.low, high=self.high)


@value
class Outcome:
    """What a budget would have meant for an agent's runs."""

    short: int
    """Runs that needed more."""
    saved: int
    """Tokens that were used beyond it."""
    saved_cost: int | None
    """Nano-USD, in proportion to the tokens of runs that have a cost; None where none has.

    At most this: output costs the same, and cached tokens cost less than others.
    """


@value
class Fit:
    """What one agent's runs need, and the profile for it."""

    agent: str
    need: Need
    median: float
    p95: float
    choice: Choice | None
    """The smallest profile that fits; None: none does, or too few runs to say."""
    outcome: Outcome | None
    """Under that profile, else under a budget of `own` tokens (within one per cent)."""
    own: int | None
    """The base of a profile that would fit, where none does."""
    has: str
    """The profile that it gets now; empty: none."""
    is_assigned: bool
    """Whether it has that by name, not as everybody nobody knows."""
    short_now: int
    """Runs that would be short under the profile that it gets now."""
    missing: int = 0
    """Runs that are missing before anything is proposed."""

    @property
    def interval(self) -> Interval | None:
        """Between which shares of runs would be short, with 95 % confidence."""
        return None if self.outcome is None else wilson(self.outcome.short, self.need.runs)


def choices_of(book: PolicyBook) -> tuple[Choice, ...]:
    """The profiles of a policy, smaller ones first."""
    found = []
    for name in book.profiles:
        policy = book.under(name)
        budgets = {tier: budget_for(policy, tier).tokens for tier in policy.multipliers}
        if USUAL in budgets:
            found.append(Choice(name=name, budgets=budgets, ceiling=policy.ceiling))
    return tuple(sorted(found, key=lambda one: (one.usual, one.name)))


class Ledger:
    """Adds up runs by agent."""

    def __init__(self, choices: Iterable[Choice]) -> None:
        self.choices = tuple(choices)
        self.needs: dict[str, Need] = {}
        tiers = {tier for choice in self.choices for tier in choice.budgets} | {USUAL}
        self._bounds = {
            tier: sorted({_budget(one, tier) for one in self.choices}) for tier in tiers
        }

    def add(self, run: Run) -> None:
        """Count a run."""
        need = self.needs.get(run.agent)
        if need is None:
            need = self.needs[run.agent] = Need()
        needed = run.used if run.needed is None or run.needed < run.used else run.needed
        if run.cost is not None:
            need.cost += run.cost
            need.priced += 1
        need.used += run.used
        need.output += run.output or 0
        need.cached += run.cached or 0
        if not needed:
            need.empty += 1
            return
        need.low = min(need.low, needed) if need.runs else needed
        need.high = max(need.high, needed)
        need.runs += 1
        bucket = bucket_of(needed)
        need.sketch[bucket] = need.sketch.get(bucket, 0) + 1
        tier = run.complexity if run.complexity in self._bounds else USUAL
        bounds = self._bounds[tier]
        slots = need.slots.get(tier)
        if slots is None:
            slots = need.slots[tier] = [Slot() for _ in range(len(bounds) + 1)]
        slots[bisect_left(bounds, needed)].short += 1
        slot = slots[bisect_left(bounds, run.used)]
        slot.runs += 1
        slot.used += run.used
        if run.cost is not None and run.used:
            slot.cost += run.cost
            slot.cost_per_token += run.cost / run.used

    def under(self, need: Need, choice: Choice) -> Outcome:
        """What an agent's runs would have been under a profile: counted, not estimated."""
        short = saved = 0
        saved_cost = 0.0
        for tier, slots in need.slots.items():
            budget = _budget(choice, tier)
            above = slots[bisect_left(self._bounds[tier], budget) + 1 :]
            short += sum(slot.short for slot in above)
            saved += sum(slot.used - slot.runs * budget for slot in above)
            saved_cost += sum(slot.cost - slot.cost_per_token * budget for slot in above)
        cost = round(max(0.0, saved_cost)) if need.priced else None
        return Outcome(short=short, saved=saved, saved_cost=cost)

    def fits(self, need: Need, choice: Choice) -> bool:
        """Whether a profile covers what 95 of 100 runs need."""
        return self.under(need, choice).short <= need.runs - -(-COVERED * need.runs // 100)


def fit_of(ledger: Ledger, agent: str, *, book: PolicyBook, least: int) -> Fit:
    """The profile for an agent; with fewer than `least` runs none is proposed."""
    need = ledger.needs[agent]
    median, p95 = need.median_and_p95
    has, is_assigned = _now(book, agent)
    is_few = need.runs < least
    held = next((one for one in ledger.choices if one.name == has), None)
    choice = outcome = own = None
    if not is_few:
        choice = next((one for one in ledger.choices if ledger.fits(need, one)), None)
        if choice is not None:
            outcome = ledger.under(need, choice)
        else:
            own = -(-min(need.high, round(p95 * SKETCH_ERROR)) // STEP) * STEP
            outcome = _estimated(need, own)
    return Fit(
        agent=agent,
        need=need,
        median=median,
        p95=p95,
        choice=choice,
        outcome=outcome,
        own=own,
        has=has,
        is_assigned=is_assigned,
        short_now=0 if held is None else ledger.under(need, held).short,
        missing=max(0, least - need.runs),
    )


def _now(book: PolicyBook, agent: str) -> tuple[str, bool]:
    """The profile that an agent has now, and whether by its name."""
    try:
        policy, match = book.resolve(agent=agent, fuzzy=False)
    except InvalidRequest:  # no name that could be assigned anything
        return "", False
    has = policy.name if policy.kind == "profile" else ""
    return has, match is not None and match.match in ("exact", "alias")


def _budget(choice: Choice, tier: str) -> int:
    return choice.budgets.get(tier, choice.usual)


def _estimated(need: Need, budget: int) -> Outcome:
    """What a budget that no profile has would have meant, from the sketch."""
    short = saved = 0
    for bucket, count in need.sketch.items():
        tokens = min(max(value_of(bucket), need.low), need.high)
        if tokens > budget:
            short += count
            saved += round(count * (tokens - budget))
    cost = round(need.cost * saved / need.used) if need.priced and need.used else None
    return Outcome(short=short, saved=saved, saved_cost=cost)
