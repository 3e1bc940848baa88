"""Know what calls to language models cost: before, while and after they are made."""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from membudget._cost_values import (
    THRESHOLDS,
    BudgetCheck,
    CostAlert,
    CostAlertLevel,
    CostBudgetExceeded,
    CostRecord,
    ModelRecommendation,
    PredictedCost,
    Sum,
)
from membudget._money import UNPRICED, Amount, Usd, exact
from membudget._prices import (
    PUBLISHED,
    QUALITIES,
    Price,
    Quality,
    cost_of,
    find_price,
    read_price,
)

__all__ = [
    "PUBLISHED",
    "UNPRICED",
    "BudgetCheck",
    "CostAlert",
    "CostAlertLevel",
    "CostBudgetExceeded",
    "CostRecord",
    "CostTracker",
    "ModelRecommendation",
    "PredictedCost",
    "Price",
    "Usd",
]

log = logging.getLogger("membudget.costs")

KEPT_RECORDS = 10_000
"""Single calls that a breakdown still lists; sums are kept of all."""
MOST_NAMES = 1_000
"""Stages and models with sums of their own; further ones are summed under `OTHER`."""
OTHER = "(other)"
NO_STAGE = "(none)"


class CostTracker:
    """Estimates, records and watches what calls cost. May be used from several threads."""

    def __init__(
        self,
        budget_usd: Amount | None = None,
        alert_thresholds: Mapping[CostAlertLevel, Amount | None] | None = None,
        *,
        prices: Mapping[str, Any] | None = None,
        models: Iterable[str] | None = None,
        alert_callbacks: Iterable[Callable[[CostAlert], object]] = (),
        enforcement: Literal["soft", "hard"] = "soft",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        alert_thresholds: shares of the budget, 0–1; levels that are left out keep 0.25, 0.50, 0.75
            and 1.00; None switches a level off.
        prices: USD per million tokens by model, `(input, output[, cached])` or `Price`, beside and
            before the published ones.
        models: those that may be recommended; all that have a price if None.
        enforcement: `hard` makes `authorize` refuse what the budget does not hold.
        """
        self.budget_usd = None if budget_usd is None else Usd(exact(budget_usd))
        if self.budget_usd is not None and self.budget_usd < 0:
            raise ValueError(f"budget_usd is {budget_usd}; the least is 0")
        if enforcement not in ("soft", "hard"):
            raise ValueError(f"enforcement is soft or hard, not {enforcement!r}")
        self.enforcement = enforcement
        self.alert_thresholds = _thresholds(alert_thresholds or {})
        self.prices = dict(PUBLISHED)
        """By model."""
        for name, given in (prices or {}).items():
            try:
                self.prices[name] = read_price(given, self.prices.get(name))
            except ValueError as error:
                raise ValueError(f"prices[{name!r}]: {error}") from None
        self._models = None if models is None else tuple(models)
        self._callbacks = list(alert_callbacks)
        self._now = now
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget what was spent and which alerts were raised."""
        with self._lock:
            self.alerts: list[CostAlert] = []
            """Every alert, in its order."""
            self._total = Sum()
            self._sums: dict[str, dict[str, Sum]] = {"stage": {}, "model": {}, "day": {}}
            self._records: deque[CostRecord] = deque(maxlen=KEPT_RECORDS)

    @property
    def total_cost(self) -> Usd:
        """What recorded calls cost; without those that have no price (`unpriced_calls`)."""
        return Usd(self._total.usd)

    @property
    def unpriced_calls(self) -> int:
        """Recorded calls whose model has no price."""
        return self._total.unpriced_calls

    @property
    def remaining_usd(self) -> Usd | None:
        """What is left of the budget, not below zero; None without a budget."""
        return self._remaining(self.total_cost)

    @property
    def history(self) -> Sequence[CostRecord]:
        """The last calls, oldest first."""
        return tuple(self._records)

    def add_alert_callback(self, callback: Callable[[CostAlert], object]) -> None:
        """Call this with every alert to come; what it raises is logged and goes no further."""
        self._callbacks.append(callback)

    def estimate_cost(
        self,
        model_name: str,
        estimated_input_tokens: float,
        estimated_output_tokens: float,
        cached_tokens: float = 0,
    ) -> Usd:
        """What a call would cost; `UNPRICED` for a model without a price, never zero."""
        return cost_of(
            self.prices,
            model_name,
            _tokens(estimated_input_tokens),
            _tokens(estimated_output_tokens),
            _tokens(cached_tokens),
        )

    def predict_total_cost(
        self,
        current_cost: Amount | None = None,
        remaining_stages: Iterable[tuple[str, str, float, float]] = (),
    ) -> PredictedCost:
        """What everything will cost: `current_cost` (what was recorded, if None) and the stages to
        come, each `(stage, model, input tokens, output tokens)`."""
        current = self.total_cost if current_cost is None else Usd(exact(current_cost))
        remaining = []
        unpriced = []
        for stage, model, input_tokens, output_tokens in remaining_stages:
            usd = self.estimate_cost(model, input_tokens, output_tokens)
            remaining.append((stage, usd))
            if usd.is_unpriced:
                unpriced.append(model)
        predicted = PredictedCost(sum((usd for _, usd in remaining), current))
        predicted.remaining = tuple(remaining)
        predicted.lower = sum((usd for _, usd in remaining if not usd.is_unpriced), current)
        predicted.unpriced = tuple(dict.fromkeys(unpriced))
        return predicted

    def record_cost(
        self,
        model_name: str,
        input_tokens: float,
        output_tokens: float,
        stage_name: str | None = None,
        *,
        cached_tokens: float = 0,
        cost_usd: Amount | None = None,
    ) -> Usd:
        """Count a call that was made, raise the alerts that are due, and answer what it cost.

        cost_usd: what the provider charged; from the prices if None.
        """
        counts = _tokens(input_tokens), _tokens(output_tokens), _tokens(cached_tokens)
        usd = cost_of(self.prices, model_name, *counts)
        if cost_usd is not None:
            usd = Usd(exact(cost_usd))
        record = CostRecord(
            at=self._now(),
            stage=stage_name or NO_STAGE,
            model=model_name,
            input_tokens=counts[0],
            output_tokens=counts[1],
            cached_tokens=counts[2],
            usd=usd,
        )
        with self._lock:
            self._total.add(record)
            self._records.append(record)
            names = (record.stage, record.model, record.at.date().isoformat())
            for sums, name in zip(self._sums.values(), names, strict=True):
                kept = name if name in sums or len(sums) < MOST_NAMES else OTHER
                sums.setdefault(kept, Sum()).add(record)
            used = self.total_cost
        self._raise_alerts(used)
        return usd

    def check_budget(
        self, current_cost: Amount | None = None, *, additional_cost: Amount | Usd = 0
    ) -> BudgetCheck:
        """Whether the budget holds `current_cost` (what was recorded, if None) and
        `additional_cost`; raises the alerts that `current_cost` is due."""
        used = self.total_cost if current_cost is None else Usd(exact(current_cost))
        self._raise_alerts(used)
        is_unpriced = isinstance(additional_cost, Usd) and additional_cost.is_unpriced
        wanted = Usd() if is_unpriced else Usd(exact(additional_cost))
        if self.budget_usd is None:
            allowed, reason = True, "no budget is set"
        elif is_unpriced:
            allowed, reason = False, "its price is not known: name it in prices="
        elif used + wanted > self.budget_usd:
            over = used + wanted - self.budget_usd
            allowed, reason = False, f"{over:f} USD over the budget of {self.budget_usd:f} USD"
        else:
            allowed, reason = True, "within the budget"
        return BudgetCheck(
            allowed=allowed,
            level=self._level(used),
            used_usd=used,
            limit_usd=self.budget_usd,
            remaining_usd=self._remaining(used),
            unpriced_calls=self.unpriced_calls,
            reason=reason,
        )

    def authorize(
        self,
        model_name: str,
        estimated_input_tokens: float,
        estimated_output_tokens: float,
        cached_tokens: float = 0,
    ) -> Usd:
        """What a call would cost, before it is made.

        Errors: CostBudgetExceeded under hard enforcement, if the budget does not hold it or its
        price is not known.
        """
        usd = self.estimate_cost(
            model_name, estimated_input_tokens, estimated_output_tokens, cached_tokens
        )
        check = self.check_budget(additional_cost=usd)
        if not check and self.enforcement == "hard":
            raise CostBudgetExceeded(f"{model_name} is refused: {check.reason}")
        return usd

    def recommend_model(
        self,
        stage_name: str | None = None,
        estimated_input_tokens: float = 0,
        estimated_output_tokens: float = 0,
        current_cost: Amount | None = None,
        quality_requirement: Quality = "medium",
    ) -> ModelRecommendation:
        """The cheapest model that is good enough and fits what is left of the budget, with its
        cost: `model, cost = tracker.recommend_model(…)`; `(None, None)` if there is none."""
        if quality_requirement not in QUALITIES:
            raise ValueError(f"quality_requirement is one of {', '.join(QUALITIES)}")
        used = self.total_cost if current_cost is None else Usd(exact(current_cost))
        counts = _tokens(estimated_input_tokens), _tokens(estimated_output_tokens)
        remaining = self._remaining(used)
        rejected: list[tuple[str, str]] = []
        for usd, name in self._by_cost(*counts):
            price = find_price(self.prices, name)
            if price is None:
                rejected.append((name, "its price is not known: name it in prices="))
            elif QUALITIES.index(price.quality) < QUALITIES.index(quality_requirement):
                rejected.append((name, f"its quality is {price.quality}"))
            elif remaining is not None and usd > remaining:
                rejected.append((name, f"{usd:f} USD, and {remaining:f} USD are left"))
            else:
                return ModelRecommendation(name, usd, grade=price.quality, rejected=rejected)
        return ModelRecommendation(None, None, grade=None, rejected=rejected)

    def get_cost_breakdown(self) -> dict[str, Any]:
        """What was spent, by stage, by model and by day (UTC), and the last calls with their times.

        `{"total_cost", "budget_usd", "remaining_usd", "unpriced_calls", "by_stage": {name: sums},
        "by_model": …, "by_day": …, "records": [CostRecord]}`; sums are `{"usd", "calls",
        "input_tokens", "output_tokens", "cached_tokens", "unpriced_calls"}`.
        """
        with self._lock:
            shown = {
                f"by_{dimension}": {name: one.shown() for name, one in sums.items()}
                for dimension, sums in self._sums.items()
            }
            return {
                "total_cost": self.total_cost,
                "budget_usd": self.budget_usd,
                "remaining_usd": self.remaining_usd,
                "unpriced_calls": self.unpriced_calls,
                **shown,
                "records": list(self._records),
            }

    def _by_cost(self, input_tokens: int, output_tokens: int) -> list[tuple[Usd, str]]:
        names = self.prices if self._models is None else self._models
        costs = [(cost_of(self.prices, name, input_tokens, output_tokens), name) for name in names]
        unpriced = [pair for pair in costs if pair[0].is_unpriced]
        return sorted(pair for pair in costs if not pair[0].is_unpriced) + unpriced

    def _remaining(self, used: Usd) -> Usd | None:
        return None if self.budget_usd is None else max(Usd(), self.budget_usd - used)

    def _level(self, used: Usd) -> CostAlertLevel | None:
        reached = [level for level, due in self._due().items() if used and used >= due]
        return reached[-1] if reached else None

    def _due(self) -> dict[CostAlertLevel, Usd]:
        """Dollars at which each level is reached; nothing is reached by spending nothing."""
        if self.budget_usd is None:
            return {}
        return {level: self.budget_usd * share for level, share in self.alert_thresholds.items()}

    def _raise_alerts(self, used: Usd) -> None:
        raised: list[CostAlert] = []
        with self._lock:
            before = {alert.level for alert in self.alerts}
            for level, due in self._due().items():
                if level in before or used < due or not used:
                    continue
                assert self.budget_usd is not None
                alert = CostAlert(
                    level=level,
                    threshold=self.alert_thresholds[level],
                    used_usd=used,
                    budget_usd=self.budget_usd,
                    at=self._now(),
                    message=f"{used:f} of {self.budget_usd:f} USD are spent"
                    f" ({level.value.replace('_', ' ')}, from"
                    f" {100 * self.alert_thresholds[level]:f} %)",
                )
                self.alerts.append(alert)
                raised.append(alert)
        for alert in raised:
            log.warning("%s", alert.message)
            for callback in tuple(self._callbacks):
                try:
                    callback(alert)
                except Exception:
                    log.exception("a cost alert's callback failed")


def _thresholds(
    given: Mapping[CostAlertLevel, Amount | None],
) -> dict[CostAlertLevel, Decimal]:
    """By level, the lowest first."""
    shares: dict[CostAlertLevel, Amount | None] = {**THRESHOLDS, **given}
    kept = {CostAlertLevel(level): exact(s) for level, s in shares.items() if s is not None}
    for level, share in kept.items():
        if share < 0:
            raise ValueError(f"alert_thresholds[{level.name}] is {share}; the least is 0")
    return dict(sorted(kept.items(), key=lambda pair: pair[1]))


def _tokens(given: float) -> int:
    """Whole tokens; estimates are rounded up."""
    if not math.isfinite(given) or given < 0:
        raise ValueError(f"{given!r} is no number of tokens")
    return math.ceil(given)
