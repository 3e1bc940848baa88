"""Say what other profiles for agents would have changed over their recorded runs."""

from collections.abc import Mapping
from typing import Literal

from app.core.analytics import CellName, usd
from app.core.policybook import PolicyBook
from app.core.replaying import MANUAL, BookBudgets, Tried
from app.core.simulation import BudgetOf, Comparison, Runs, total
from app.core.statistics import bucket_of, count_from, value_of
from app.core.usage import PERCENT, Cell
from app.core.values import value

Replayed = Literal["runs", "cells"]
"""What an impact was reckoned from: each run exactly, or sums and sketches of like runs."""


@value
class Impact:
    """What the proposal would have changed in the window; less than zero where it costs more."""

    tokens_saved: int
    """Budget tokens: those recorded less those of the proposal."""
    exceedances_avoided: int
    unmet_avoided: int | None
    """None where only cells of like runs were replayed, as the two below: they do not say."""
    used_tokens_saved: int | None
    """Tokens loaded: less than zero where runs that were cut would have had more."""
    usd_saved: str | None
    """Decimal USD of the priced runs; None where none is priced, too."""


def budgets_under(book: PolicyBook, profile: str) -> BudgetOf:
    """The budget of runs under a profile; those that asked for `max_tokens` keep theirs."""
    tried = Tried(BookBudgets(book, profile=profile))

    def budget_of(run: Runs) -> int:
        return run.budget if run.profile == MANUAL else tried(run)

    return budget_of


def impact_of(compared: Comparison) -> Impact:
    """What a replay changed."""
    was, would = total(compared.recorded), total(compared.simulated)
    return Impact(
        tokens_saved=was.budget - would.budget,
        exceedances_avoided=was.exceeded - would.exceeded,
        unmet_avoided=was.unmet - would.unmet,
        used_tokens_saved=was.used - would.used,
        usd_saved=usd(was.cost - would.cost) if was.priced else None,
    )


def no_impact(cell: Cell) -> Impact:
    """What changes where budgets stay as they are: nothing."""
    return Impact(
        tokens_saved=0,
        exceedances_avoided=0,
        unmet_avoided=0,
        used_tokens_saved=0,
        usd_saved="0" if cell.priced else None,
    )


def impact_of_sums(
    sums: Mapping[CellName, Cell],
    sketches: Mapping[CellName, tuple[bytes, bytes]],
    budget_of: BudgetOf,
) -> Impact:
    """What other budgets would have changed, of cells whose sketches are encoded still: what to
    add, and what to take away again.

    Merging sketches would take most of the time; their values are counted from a bound on. What
    runs would have loaded is not known of cells, nor who would have been met.
    """
    tokens = exceeded = 0
    for name, cell in sums.items():
        if not cell.executions:
            continue
        run = _like(name, cell)
        budget = budget_of(run)
        if budget == run.budget:
            continue
        would = _exceeded(cell, sketches.get(name, (b"", b"")), budget)
        if run.used > budget:
            would += cell.executions - cell.rated
        bounded = max if budget * cell.executions < cell.budget else min
        tokens += cell.budget - budget * cell.executions
        exceeded -= bounded(would, cell.exceeded) - cell.exceeded
    return Impact(
        tokens_saved=tokens,
        exceedances_avoided=exceeded,
        unmet_avoided=None,
        used_tokens_saved=None,
        usd_saved=None,
    )


def _like(name: CellName, cell: Cell) -> Runs:
    """The runs of a cell, all with its means."""
    agent, complexity, profile = name
    return Runs(
        agent=agent,
        budget=_mean(cell.budget, cell.executions),
        used=_mean(cell.used, cell.executions),
        count=cell.executions,
        complexity=complexity or None,
        profile=profile or None,
    )


def _mean(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)


def _exceeded(cell: Cell, sketch: tuple[bytes, bytes], budget: int) -> int:
    """How many of the rated runs used more than a budget, had all had the mean of theirs."""
    if cell.pct_min is None or cell.pct_max is None or not cell.budget:
        return 0
    whole = cell.executions * 100 * PERCENT

    def exceeds(pct: float) -> bool:
        return round(pct * cell.budget / whole) > budget

    if not exceeds(cell.pct_max):
        return 0
    if exceeds(cell.pct_min):
        return cell.rated
    bucket = max(0, bucket_of(budget * whole // cell.budget) - 1)
    while not exceeds(min(max(value_of(bucket), cell.pct_min), cell.pct_max)):
        bucket += 1
    added, taken = sketch
    return count_from(added, bucket) - count_from(taken, bucket)
