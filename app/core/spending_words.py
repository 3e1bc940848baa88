"""Say in words and in plain data how budgets in USD stand."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.core.analytics import usd
from app.core.errors import BudgetExceeded
from app.core.spending import CostAlert, CostBudget, Passed, Slot, Standing, period
from app.core.windows import moment


def alert_data(alert: CostAlert, budget: CostBudget) -> dict[str, Any]:
    """An alert as it is noted on the event that raised it."""
    pct = percent(alert.used, alert.limit)
    return {
        "level": alert.level,
        "budget": budget.name,
        "used_pct": pct,
        "used_usd": usd(alert.used),
        "limit_usd": usd(alert.limit),
        "at": stamp(alert.at),
        "message": describe(alert),
    }


def cost_alerts(alerts: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Of the alerts that are noted on an event those about budgets in USD."""
    return tuple(alert for alert in alerts if "budget" in alert)


def describe(alert: CostAlert) -> str:
    """An alert as a sentence."""
    used, limit = usd(alert.used), usd(alert.limit)
    if alert.level == "budget_exceeded" and alert.used > alert.limit:
        return f"Budget {alert.slot.budget} is exceeded: {used} of {limit} USD."
    pct = percent(alert.used, alert.limit)
    share = "" if pct is None else f" ({pct:,.0f} %)" if pct >= 1_000 else f" ({pct:.4g} %)"
    return f"Budget {alert.slot.budget} has spent {used} of {limit} USD{share}."


def percent(used: int, limit: int) -> float | None:
    """How much of a limit is used, 0–100 and beyond; None of a limit of zero that is passed."""
    if limit == 0:
        return None if used else 0.0
    return 100 * used / limit


def refusal(passed: Passed) -> BudgetExceeded:
    """Why a list of events was not booked."""
    budget = passed.budget
    left = max(0, budget.limit - passed.used)
    more = passed.asked
    return BudgetExceeded(
        f"The hard budget {budget.name} has {usd(left)} USD left, and this costs {usd(more)}:"
        f" nothing was booked. {_when(budget, passed.slot)}",
        budget=budget.name,
        used_usd=usd(passed.used),
        limit_usd=usd(budget.limit),
        remaining_usd=usd(left),
        resets_at=_resets_at(budget, passed.slot),
    )


def exhaustion(standing: Standing) -> BudgetExceeded:
    """Why no run may begin."""
    budget = standing.budget
    slot = standing.slot or Slot(budget=budget.name, start=0)
    return BudgetExceeded(
        f"The hard budget {budget.name} is spent: {usd(standing.used)} of {usd(budget.limit)} USD;"
        f" no run may begin. {_when(budget, slot)}",
        budget=budget.name,
        used_usd=usd(standing.used),
        limit_usd=usd(budget.limit),
        remaining_usd="0",
        resets_at=_resets_at(budget, slot),
    )


def _when(budget: CostBudget, slot: Slot) -> str:
    at = _resets_at(budget, slot)
    if at is None:
        return f"Raise it: PUT /costs/budgets/{budget.name}."
    return f"Raise it (PUT /costs/budgets/{budget.name}), or wait till {at}."


def _resets_at(budget: CostBudget, slot: Slot) -> str | None:
    if budget.window in ("run", "event"):
        return None
    return stamp(period(budget.window, slot.start, budget.zone)[1])


def stamp(at: int) -> str:
    """A moment as RFC 3339."""
    return moment(at).isoformat().replace("+00:00", "Z")
