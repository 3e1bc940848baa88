"""Hold events that are being booked against the budgets in USD that they count against."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from app.core.errors import BudgetExceeded
from app.core.spending import (
    CostAlert,
    CostBudget,
    Passed,
    Shares,
    Slot,
    due,
    shares_of,
    spend,
)
from app.core.spending_words import alert_data, refusal
from app.core.usage import UsageEvent
from app.store.cell_reading import Marks
from app.store.cost_alerts import add_alerts
from app.store.cost_budgets import add_totals, read_budgets, read_totals
from app.store.cost_sums import spent, spent_by_runs
from app.store.database import Tx

REMEMBERED = 10_000
"""Workspaces whose budgets a process remembers."""


class Ledger:
    """The budgets of one transaction: what they have spent, and what is being added.

    Whoever has the workspace's marks is alone with its totals till the commit: a sum that held
    when it was compared holds when it is written, on both databases.
    """

    def __init__(self, tx: Tx, workspace: str, budgets: Sequence[CostBudget]) -> None:
        self._tx = tx
        self._workspace = workspace
        self._budgets = budgets
        self._by_name = {budget.name: budget for budget in budgets}
        self._totals: dict[Slot, int] = {}
        self._stored: dict[Slot, int] = {}
        """Totals as the rows have them; a slot without a row is not in it."""
        self._alerts: list[CostAlert] = []
        self._newest = 0

    def admit(
        self, events: Sequence[UsageEvent], *, enforced: bool
    ) -> list[UsageEvent] | BudgetExceeded:
        """The events with the alerts they raise; all are refused where a hard budget lacks room
        and `enforced` says that it counts."""
        shares = shares_of(self._budgets, events)
        if not shares:
            return list(events)
        self._load(shares, events)
        outcome = spend(self._totals, shares, events, enforced=enforced)
        if isinstance(outcome, Passed):
            return refusal(outcome)
        self._totals.update(outcome.totals)
        self._newest = max(self._newest, *(events[index].at for index, _, _ in shares))
        admitted = list(events)
        for index, alerts in outcome.alerts.items():
            self._alerts += alerts
            data = tuple(alert_data(one, self._by_name[one.slot.budget]) for one in alerts)
            admitted[index] = replace(events[index], alerts=(*events[index].alerts, *data))
        return admitted

    def save(self) -> None:
        """Write what has changed."""
        kept = {
            slot: used - self._stored.get(slot, 0)
            for slot, used in self._totals.items()
            if self._by_name[slot.budget].window != "event" and used != self._stored.get(slot)
        }
        add_totals(self._tx, self._workspace, kept, self._newest)
        add_alerts(self._tx, self._workspace, self._alerts)

    def _load(self, shares: Shares, events: Sequence[UsageEvent]) -> None:
        wanted: defaultdict[str, set[Slot]] = defaultdict(set)
        newest = max(events[index].at for index, _, _ in shares)
        for _, budget, slot in shares:
            if budget.window != "event" and slot not in self._totals:
                wanted[budget.name].add(slot)
        for name, slots in wanted.items():
            found = read_totals(self._tx, self._workspace, name, slots)
            self._stored.update(found)
            self._totals.update(found)
            self._count(self._by_name[name], slots - found.keys(), newest)

    def _count(self, budget: CostBudget, slots: Collection[Slot], at: int) -> None:
        """Take in what windows have spent that nobody has counted yet, and what is due of it."""
        if budget.window == "run":
            runs = spent_by_runs(self._tx, self._workspace, budget, [one.key for one in slots])
            before = {slot: runs[slot.key] for slot in slots}
        else:
            before = {slot: spent(self._tx, self._workspace, budget, slot) for slot in slots}
        self._totals.update(before)
        for slot, used in before.items():
            self._alerts += due(budget, slot, used, at)


def open_ledger(tx: Tx, workspace: str, marks: Marks) -> Ledger | None:
    """The ledger of a workspace whose marks are held; None where nothing is budgeted."""
    if not marks.costs:
        return None
    held = tx.notes.budgets.get(workspace)
    if held is None or held[0] != marks.costs:
        fresh = held = marks.costs, read_budgets(tx, workspace)
        tx.on_commit.append(lambda: _note(tx.notes.budgets, workspace, fresh))
    return Ledger(tx, workspace, held[1]) if held[1] else None


def _note(
    budgets: dict[str, tuple[int, list[CostBudget]]],
    workspace: str,
    fresh: tuple[int, list[CostBudget]],
) -> None:
    if len(budgets) > REMEMBERED:
        budgets.clear()
    budgets[workspace] = fresh
