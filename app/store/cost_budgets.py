"""Keep budgets in USD, and what their windows have spent."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, delete, select

from app.core.spending import (
    CostBudget,
    CostThreshold,
    Slot,
    Subject,
    due,
    period,
)
from app.store.cost_alerts import add_alerts
from app.store.cost_heads import begin_change
from app.store.cost_sums import spent
from app.store.database import Tx, dumps, in_chunks
from app.store.tables import cost_alerts, cost_budgets, cost_totals


def read_budgets(tx: Tx, workspace: str) -> list[CostBudget]:
    """The budgets of a workspace, by name."""
    table = cost_budgets.c
    query = select(cost_budgets).where(table.workspace == workspace).order_by(table.name)
    return [to_core(row.name, json.loads(row.document)) for row in tx.connection.execute(query)]


def put_budget(tx: Tx, workspace: str, budget: CostBudget, *, now: int) -> bool:
    """Make a budget, or put it in another's place; answers whether it is new.

    Its current window counts what was spent before; alerts that are due then are raised.
    """
    version = begin_change(tx, workspace, now)
    before = {one.name: one for one in read_budgets(tx, workspace)}.get(budget.name)
    if before is not None and _counts_the_same(before, budget):
        totals = read_totals(tx, workspace, budget.name)
    else:
        _clear(tx, workspace, budget.name)
        totals = count(tx, workspace, budget, now)
    tx.insert_many(
        cost_budgets,
        [(workspace, budget.name, dumps({**to_data(budget), "version": version, "at": now}))],
        tail="ON CONFLICT (workspace, name) DO UPDATE SET document = excluded.document",
    )
    add_totals(tx, workspace, {} if before and _counts_the_same(before, budget) else totals, now)
    add_alerts(tx, workspace, (one for at in totals for one in due(budget, at, totals[at], now)))
    return before is None


def delete_budget(tx: Tx, workspace: str, name: str, *, now: int) -> bool:
    """Delete a budget with its totals and alerts; answers whether it was there."""
    if all(one.name != name for one in read_budgets(tx, workspace)):
        return False
    begin_change(tx, workspace, now)
    _clear(tx, workspace, name)
    table = cost_budgets.c
    tx.connection.execute(
        delete(cost_budgets).where(table.workspace == workspace, table.name == name)
    )
    return True


def _counts_the_same(one: CostBudget, other: CostBudget) -> bool:
    return (one.window, one.subject, one.zone.key) == (
        other.window,
        other.subject,
        other.zone.key,
    )


def _clear(tx: Tx, workspace: str, name: str) -> None:
    for table in (cost_totals, cost_alerts):
        its = and_(table.c.workspace == workspace, table.c.budget == name)
        tx.connection.execute(delete(table).where(its))


def count(tx: Tx, workspace: str, budget: CostBudget, now: int) -> dict[Slot, int]:
    """What the present window of a budget has spent; runs are counted when they spend next."""
    if budget.window in ("event", "run"):
        return {}
    start, _ = period(budget.window, now, budget.zone)
    slot = Slot(budget=budget.name, start=start)
    return {slot: spent(tx, workspace, budget, slot)}


def read_totals(
    tx: Tx, workspace: str, budget: str, slots: Iterable[Slot] | None = None
) -> dict[Slot, int]:
    """What windows of a budget have spent, of those that are counted yet; all if not said which."""
    table = cost_totals.c
    query = select(table.start, table.key, table.used).where(
        table.workspace == workspace, table.budget == budget
    )
    if slots is None:
        queries = [query]
    else:
        by_start: dict[int, list[str]] = {}
        for slot in slots:
            by_start.setdefault(slot.start, []).append(slot.key)
        queries = [
            query.where(table.start == start, table.key.in_(chunk))
            for start, keys in sorted(by_start.items())
            for chunk in in_chunks(keys)
        ]
    return {
        Slot(budget=budget, start=row.start, key=row.key): row.used
        for one in queries
        for row in tx.connection.execute(one)
    }


def add_totals(tx: Tx, workspace: str, deltas: Mapping[Slot, int], at: int) -> None:
    """Add to totals what ended at a moment (microseconds) or before, in the order of their keys."""
    rows = sorted(
        (workspace, slot.budget, slot.start, slot.key, more, at) for slot, more in deltas.items()
    )
    later = "max" if tx.is_sqlite else "greatest"
    tail = (
        "ON CONFLICT (workspace, budget, start, key) DO UPDATE"
        " SET used = cost_totals.used + excluded.used,"
        f" at = {later}(cost_totals.at, excluded.at)"
    )
    tx.insert_many(cost_totals, rows, tail=tail)


def to_data(budget: CostBudget) -> dict[str, Any]:
    """A budget as plain data."""
    return {
        "limit": budget.limit,
        "window": budget.window,
        "thresholds": [[one.level, str(one.share)] for one in budget.thresholds],
        "hard": budget.is_hard,
        "subject": [budget.subject.kind, budget.subject.name],
        "zone": budget.zone.key,
    }


def to_core(name: str, data: Mapping[str, Any]) -> CostBudget:
    """The budget of plain data."""
    kind, subject = data["subject"]
    return CostBudget(
        name=name,
        limit=data["limit"],
        window=data["window"],
        thresholds=_thresholds(data["thresholds"]),
        is_hard=data["hard"],
        subject=Subject(kind=kind, name=subject),
        zone=ZoneInfo(data["zone"]),
    )


def _thresholds(data: Sequence[Sequence[Any]]) -> tuple[CostThreshold, ...]:
    return tuple(CostThreshold(level=level, share=Decimal(share)) for level, share in data)
