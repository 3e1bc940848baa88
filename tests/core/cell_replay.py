"""Replay cells under other budgets, sketches and all: what the shorter sum must agree with."""

from collections.abc import Mapping

from app.core.analytics import CellName
from app.core.simulation import BudgetOf, Comparison, Runs
from app.core.statistics import bucket_of, value_of
from app.core.usage import MAX_SUMMED_PERCENT, PERCENT, Cell, used_pct


def replay_cells(cells: Mapping[CellName, Cell], budget_of: BudgetOf) -> Comparison:
    """Runs that are known only as cells of the family `run`, under other budgets, softly.

    What is recorded stays exact, and so does what would have happened to a cell whose budget does
    not change. Otherwise each run is taken to have had the cell's mean budget, and who exceeds is
    read from the sketch of used per cent (within one per cent). Cells do not keep what runs
    needed: unmet runs are taken to be the fullest of those within their budget; under a larger
    one they use the same and stay unmet, so what it would have met is understated. `budget_of` is
    asked with the means of each cell. Usage without a budget is left out, but for its cost and
    the like, which a cell cannot tell apart.
    """
    compared = Comparison()
    for name, cell in cells.items():
        if not cell.executions:
            continue
        recorded = Cell()
        recorded.add(cell)
        recorded.events, recorded.unbudgeted = cell.executions, 0
        agent, complexity, profile = name
        run = Runs(
            agent=agent,
            budget=_mean(cell.budget, cell.executions),
            used=_mean(cell.used, cell.executions),
            count=cell.executions,
            complexity=complexity or None,
            profile=profile or None,
        )
        budget = budget_of(run)
        compared.recorded.setdefault(name, Cell()).add(recorded)
        changed = recorded if budget == run.budget else _rebudgeted(recorded, budget)
        compared.simulated.setdefault(name, Cell()).add(changed)
    return compared


def _mean(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)


def _rebudgeted(cell: Cell, budget: int) -> Cell:
    """The cell had every run had this budget."""
    after = Cell()
    after.add(cell)
    after.budget = budget * cell.executions
    after.rated, after.pct_sum, after.pct_min, after.pct_max, after.sketch = 0, 0, None, None, {}
    after.exceeded = 0
    unrated = cell.executions - cell.rated
    for bucket, count in cell.sketch.items():
        pct = min(max(value_of(bucket), cell.pct_min or 0), cell.pct_max or 0)
        used = round(pct * cell.budget / (cell.executions * 100 * PERCENT))
        _rate(after, used, budget, count)
    if unrated:
        _rate(after, _mean(cell.used, cell.executions), budget, unrated)
    had = cell.budget / cell.executions
    bounded = max if budget < had else min
    after.exceeded = bounded(after.exceeded, cell.exceeded)
    after.unmet = max(0, cell.unmet - max(0, after.exceeded - cell.exceeded))
    if budget and cell.budget and not unrated and after.rated:
        above, below = cell.budget, budget * cell.executions
        after.pct_sum = _scaled(cell.pct_sum, above, below)
        after.pct_min = _scaled(cell.pct_min or 0, above, below)
        after.pct_max = _scaled(cell.pct_max or 0, above, below)
    return after


def _rate(cell: Cell, used: int, budget: int, count: int) -> None:
    if used > budget:
        cell.exceeded += count
    pct = used_pct(used, budget)
    if pct is None:
        return
    cell.rated += count
    cell.pct_sum += min(pct, MAX_SUMMED_PERCENT) * count
    cell.pct_min = pct if cell.pct_min is None else min(cell.pct_min, pct)
    cell.pct_max = pct if cell.pct_max is None else max(cell.pct_max, pct)
    bucket = bucket_of(pct)
    cell.sketch[bucket] = cell.sketch.get(bucket, 0) + count


def _scaled(amount: int, above: int, below: int) -> int:
    return (2 * amount * above + below) // (2 * below)
