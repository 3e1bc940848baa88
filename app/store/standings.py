"""Read how much of budgets in USD is spent."""

from collections.abc import Sequence

from app.core.spending import CostBudget, Slot, Standing, slot_of
from app.store.cost_budgets import read_totals
from app.store.cost_sums import spent
from app.store.database import Tx


def read_standings(
    tx: Tx,
    workspace: str,
    budgets: Sequence[CostBudget],
    *,
    at: int,
    run_id: str | None = None,
    asked: int = 0,
) -> list[Standing]:
    """How each budget's window of a moment stands, with what is asked of it (nano-USD)."""
    return [
        Standing(
            budget=budget,
            slot=(slot := slot_of(budget, at, run_id=run_id)),
            used=0 if slot is None else _used(tx, workspace, budget, slot),
            asked=asked,
        )
        for budget in budgets
    ]


def _used(tx: Tx, workspace: str, budget: CostBudget, slot: Slot) -> int:
    found = read_totals(tx, workspace, budget.name, [slot]).get(slot)
    if found is not None:
        return found
    return spent(tx, workspace, budget, slot)
