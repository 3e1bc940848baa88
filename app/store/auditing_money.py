"""Read totals of budgets in USD beside what they should be, for the audit."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from sqlalchemy import Row, and_, select, tuple_

from app.core.auditing_money import Total, TotalAt
from app.core.spending import CostAlert, CostBudget, Slot
from app.store.cost_budgets import read_budgets
from app.store.cost_sums import spent, spent_by_runs
from app.store.database import Tx, in_chunks
from app.store.pacing import pause
from app.store.tables import cost_alerts, cost_totals

Checked = tuple[CostBudget | None, Total]
"""None: there is no such budget."""


def totals_after(
    tx: Tx, after: TotalAt | None, most: int, workspace: str | None = None
) -> list[TotalAt]:
    """The next totals in the order of their table, of one workspace or of all (a sweep)."""
    table = cost_totals.c
    key = (table.workspace, table.budget, table.start, table.key)
    query = select(*key).order_by(*key).limit(most)
    if workspace is not None:
        query = query.where(table.workspace == workspace)
    if after is not None:
        query = query.where(tuple_(*key) > after)
    return [(row[0], row[1], row[2], row[3]) for row in tx.connection.execute(query)]


def read_checked(tx: Tx, workspace: str, wanted: Sequence[TotalAt]) -> list[Checked]:
    """Totals of a workspace, each with its budget, its events' sum and its alerts."""
    budgets = {one.name: one for one in read_budgets(tx, workspace)}
    found: list[Checked] = []
    for name, places in groupby(sorted(wanted), key=lambda at: at[1]):
        slots = [Slot(budget=name, start=start, key=key) for _, _, start, key in places]
        rows = _rows(tx, cost_totals, workspace, slots)
        alerts = _alerts(tx, workspace, slots)
        counted = _counted(tx, workspace, budgets.get(name), slots)
        for row in rows:
            slot = _slot_of(row)
            total = Total(
                slot=slot,
                used=row.used,
                at=row.at,
                counted=counted.get(slot, 0),
                alerts=alerts.get(slot, ()),
            )
            found.append((budgets.get(name), total))
    return found


def _counted(
    tx: Tx, workspace: str, budget: CostBudget | None, slots: Sequence[Slot]
) -> dict[Slot, int]:
    if budget is None:
        return {}
    if budget.window == "run":
        runs = spent_by_runs(tx, workspace, budget, [slot.key for slot in slots])
        return {slot: runs[slot.key] for slot in slots}
    found = {}
    for slot in slots:
        pause()
        found[slot] = spent(tx, workspace, budget, slot)
    return found


def _alerts(tx: Tx, workspace: str, slots: Sequence[Slot]) -> dict[Slot, list[CostAlert]]:
    found: dict[Slot, list[CostAlert]] = {}
    for row in _rows(tx, cost_alerts, workspace, slots):
        slot = _slot_of(row)
        found.setdefault(slot, []).append(
            CostAlert(
                slot=slot,
                level=row.level,
                share=Decimal(row.share),
                at=row.at,
                used=row.used,
                limit=row.cap,
            )
        )
    return found


def _rows(tx: Tx, table: Any, workspace: str, slots: Sequence[Slot]) -> list[Row[Any]]:
    """Rows of windows of one budget."""
    found: list[Row[Any]] = []
    by_start: dict[int, list[str]] = {}
    for slot in slots:
        by_start.setdefault(slot.start, []).append(slot.key)
    for start, keys in by_start.items():
        for chunk in in_chunks(keys):
            here = and_(
                table.c.workspace == workspace,
                table.c.budget == slots[0].budget,
                table.c.start == start,
                table.c.key.in_(chunk),
            )
            found += tx.connection.execute(select(table).where(here)).all()
    return found


def _slot_of(row: Row[Any]) -> Slot:
    return Slot(budget=row.budget, start=row.start, key=row.key)
