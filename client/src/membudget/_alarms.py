"""Raise each alert of a budget in USD once, and tell whoever wants to hear."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from membudget import results
from membudget._cost_values import THRESHOLDS, BudgetCheck, CostAlert, CostAlertLevel
from membudget._money import Amount, Usd, exact

log = logging.getLogger("membudget.costs")


class Alarms:
    """The levels of one budget. May be used from several threads."""

    def __init__(
        self,
        budget_usd: Usd | None,
        thresholds: Mapping[CostAlertLevel, Amount | None],
        callbacks: Iterable[Callable[[CostAlert], object]],
        now: Callable[[], datetime],
    ) -> None:
        self.thresholds = _shares(thresholds)
        """By level, the lowest first."""
        self.callbacks = list(callbacks)
        self._budget = budget_usd
        self._now = now
        self._lock = threading.Lock()
        self.reset()

    def reset(self, heard: Iterable[CostAlertLevel] = ()) -> None:
        """Forget every alert; those of `heard` have been told before."""
        self.alerts: list[CostAlert] = []
        self._heard = set(heard)

    def level(self, used: Usd) -> CostAlertLevel | None:
        """The highest level that is reached."""
        reached = [level for level, due in self._due().items() if used and used >= due]
        return reached[-1] if reached else None

    def reach(self, used: Usd) -> None:
        """Raise the levels that are reached and were not yet."""
        for level, due in self._due().items():
            if used and used >= due:
                self.raise_level(level, used)

    def raise_level(self, level: CostAlertLevel, used: Usd) -> None:
        """Raise a level, if it was not yet."""
        share = self.thresholds.get(level)
        with self._lock:
            if level in self._heard or self._budget is None or share is None:
                return  # told before, or switched off here
            self._heard.add(level)
        message = (
            f"{used:f} of {self._budget:f} USD are spent ({level.value.replace('_', ' ')}, from"
            f" {100 * share:f} %)"
        )
        self.tell(level, share, used, self._budget, message)

    def tell(
        self,
        level: CostAlertLevel,
        share: Decimal,
        used: Usd,
        limit: Usd,
        message: str,
        budget: str | None = None,
    ) -> None:
        """Tell an alert: of this budget, or of one of the service's that is named."""
        alert = CostAlert(
            level=level,
            threshold=share,
            used_usd=used,
            budget_usd=limit,
            at=self._now(),
            message=message,
            budget=budget,
        )
        with self._lock:
            self.alerts.append(alert)
        log.warning("%s", message)
        for callback in tuple(self.callbacks):
            try:
                callback(alert)
            except Exception:
                log.exception("a cost alert's callback failed")

    def _due(self) -> dict[CostAlertLevel, Usd]:
        """Dollars at which each level is reached; nothing is reached by spending nothing."""
        budget = self._budget
        if budget is None:
            return {}
        return {level: budget * share for level, share in self.thresholds.items()}


def tightened(check: BudgetCheck, found: results.CostCheck, own: str | None) -> BudgetCheck:
    """A check, as far as the service's budgets allow it; the figures are those of the tightest."""
    other = min(
        (one for one in found.budgets if one.name != own),
        key=lambda one: (one.allowed, one.remaining_usd),
        default=None,
    )
    if other is None:
        return check
    is_tighter = check.remaining_usd is None or other.remaining_usd < check.remaining_usd
    if other.allowed and not is_tighter:
        return check
    return replace(
        check,
        allowed=check.allowed and other.allowed,
        used_usd=Usd(other.used_usd),
        limit_usd=Usd(other.limit_usd),
        remaining_usd=Usd(other.remaining_usd),
        reason=check.reason if other.allowed else f"the budget {other.name} does not hold it",
        binding=other.name,
        enforcement="hard" if "hard" in (check.enforcement, other.enforcement) else "soft",
    )


def _shares(
    given: Mapping[CostAlertLevel, Amount | None],
) -> dict[CostAlertLevel, Decimal]:
    shares: dict[CostAlertLevel, Amount | None] = {**THRESHOLDS, **given}
    kept = {CostAlertLevel(level): exact(s) for level, s in shares.items() if s is not None}
    for level, share in kept.items():
        if share < 0:
            raise ValueError(f"alert_thresholds[{level.name}] is {share}; the least is 0")
    return dict(sorted(kept.items(), key=lambda pair: pair[1]))
