"""Replay recorded runs under other budgets, and compare what happens with what happened.

What a run would have done under another budget:

- Enforcement stays soft: a smaller budget does not change what was loaded, the run exceeds it.
- A run that was not cut loads the same under any budget. It was cut if it needed more than it
  used and more than its budget.
- A run that was cut takes more where more is allowed: all it needed once that fits; below that
  what the budget grew by, for the room that it left unfilled (no memory was small enough) stays.
- Under hard enforcement nothing beyond the budget is loaded, and a run that wanted more is unmet.
- A priced run costs in proportion to what it loads. Its other figures (input, output and cached
  tokens, failures, durations) stay as recorded: only context and budget are simulated.

The budget that a run had gives exactly the run that was. A larger one never exceeds more, nor
leaves more runs short (exceeded or unmet together). Runs add up in any order and grouping.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.core.analytics import CellName
from app.core.profiles import Enforcement
from app.core.statistics import bucket_of
from app.core.usage import MAX_SUMMED_PERCENT, Cell, used_pct
from app.core.values import value

Outcome = dict[CellName, Cell]
"""What runs come to by agent, complexity ("" where none) and profile, as recorded: groups of it
are `analytics.group_runs`, their figures `analytics.describe`."""


@value
class Runs:
    """One run, or `count` runs that are alike; tokens, nano-USD and milliseconds of each."""

    agent: str
    budget: int
    used: int
    needed: int | None = None
    """What it would have loaded had nothing been cut; None: not known."""
    count: int = 1
    complexity: str | None = None
    profile: str | None = None
    at: int = 0
    """When it ended: microseconds since 1970 in UTC."""
    opened_at: int = 0
    """When it began, as far as that is known."""
    project: str | None = None
    user: str | None = None
    allocation_id: str | None = None
    """None: its client chose the budget, or had it from elsewhere."""
    cost: int | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    duration_ms: int | None = None
    failed: bool = False


BudgetOf = Callable[[Runs], int]
"""The budget of each of these runs under another policy; `run.budget` leaves them as they are."""


@dataclass(slots=True)
class Comparison:
    """What happened, and what would have; comparisons of disjoint runs add up."""

    recorded: Outcome = field(default_factory=dict)
    simulated: Outcome = field(default_factory=dict)

    def add(self, other: "Comparison") -> None:
        """Take in the comparison of other runs."""
        for mine, its in (self.recorded, other.recorded), (self.simulated, other.simulated):
            for name, cell in its.items():
                mine.setdefault(name, Cell()).add(cell)


class Replay:
    """Adds up runs that come in parts, as they were and as they would have been."""

    def __init__(self, enforcement: Enforcement = "soft") -> None:
        self._is_hard = enforcement == "hard"
        self._same: Outcome = {}
        self._before: Outcome = {}
        self._after: Outcome = {}

    def take(self, runs: Iterable[Runs], budget_of: BudgetOf) -> None:
        """Replay every run under the budget that `budget_of` gives it."""
        is_hard = self._is_hard
        for run in runs:
            name = (run.agent, run.complexity or "", run.profile or "")
            budget, used, needed, cost = budget_of(run), run.used, run.needed, run.cost
            if budget == run.budget and not (is_hard and used > budget):
                _count(_cell(self._same, name), run, budget, used, needed, cost)
                continue
            _count(_cell(self._before, name), run, run.budget, used, needed, cost)
            used = used_under(run, budget)
            if is_hard and used > budget:
                used, needed = budget, max(used, needed or 0)
            if cost is not None and used != run.used:
                cost = _in_proportion(cost, used, run.used)
            _count(_cell(self._after, name), run, budget, used, needed, cost)

    def compared(self) -> Comparison:
        """The comparison of all runs so far."""
        whole = Comparison()
        whole.add(Comparison(recorded=self._same, simulated=self._same))
        whole.add(Comparison(recorded=self._before, simulated=self._after))
        return whole


def replay(
    runs: Iterable[Runs], budget_of: BudgetOf, *, enforcement: Enforcement = "soft"
) -> Comparison:
    """Every run under the budget that `budget_of` gives it."""
    whole = Replay(enforcement)
    whole.take(runs, budget_of)
    return whole.compared()


def used_under(run: Runs, budget: int) -> int:
    """Tokens that each of these runs would have loaded under a budget, enforced softly."""
    used, needed = run.used, run.needed
    if needed is None or needed <= used or needed <= run.budget or budget <= run.budget:
        return used
    if budget >= needed:
        return needed
    unfilled = max(run.budget - used, 0)
    return max(used, budget - unfilled)


def _in_proportion(cost: int, used: int, before: int) -> int:
    """A cost for other tokens, rounded half up; runs without tokens cost what they cost."""
    return (2 * cost * used + before) // (2 * before) if before else cost


def _cell(outcome: Outcome, name: CellName) -> Cell:
    cell = outcome.get(name)
    if cell is None:
        cell = outcome[name] = Cell()
    return cell


def _count(
    cell: Cell, run: Runs, budget: int, used: int, needed: int | None, cost: int | None
) -> None:
    """Count like runs in a cell, as `usage` counts an event."""
    count = run.count
    cell.events += count
    cell.executions += count
    cell.budget += budget * count
    cell.used += used * count
    if used > budget:
        cell.exceeded += count
    elif needed is not None and needed > budget:
        cell.unmet += count
    pct = used_pct(used, budget)
    if pct is not None:
        cell.rated += count
        cell.pct_sum += min(pct, MAX_SUMMED_PERCENT) * count
        if cell.pct_min is None or pct < cell.pct_min:
            cell.pct_min = pct
        if cell.pct_max is None or pct > cell.pct_max:
            cell.pct_max = pct
        bucket = bucket_of(pct)
        cell.sketch[bucket] = cell.sketch.get(bucket, 0) + count
    if cost is not None:
        cell.cost += cost * count
        cell.priced += count
    if run.input is not None:
        cell.input += run.input * count
    if run.output is not None:
        cell.output += run.output * count
    if run.cached is not None:
        cell.cached += run.cached * count
    if run.failed:
        cell.failed += count
    if run.duration_ms is not None:
        cell.duration_ms += run.duration_ms * count
        cell.timed += count


def total(outcome: Outcome) -> Cell:
    """All of an outcome in one cell."""
    whole = Cell()
    for cell in outcome.values():
        whole.add(cell)
    return whole
