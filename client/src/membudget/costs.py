"""Know what calls to language models cost: before, while and after they are made.

With a service at the address its prices, models and budgets count, and every call is booked there,
once; without it the same is worked out here, by the short table of prices that ships.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from membudget._alarms import Alarms, tightened
from membudget._cost_values import (
    NO_STAGE,
    THRESHOLDS,
    BudgetCheck,
    CostAlert,
    CostAlertLevel,
    CostBudgetExceeded,
    CostRecord,
    ModelRecommendation,
    PredictedCost,
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
from membudget._spending import Counts, Raised, Spending
from membudget._tally import Tally

if TYPE_CHECKING:
    from membudget.client import Client

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


class CostTracker:
    """Estimates, records and watches what calls cost. May be used from several threads.

    A tracker is a run: its calls are booked under one `run_id`. Nothing here raises because the
    service is away: calls wait on this machine, and are booked when it answers.
    """

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
        client: "Client | Literal[False] | None" = None,
        run_id: str | None = None,
        agent: str | None = None,
        project: str | None = None,
        user: str | None = None,
        workspace: str | None = None,
    ) -> None:
        """
        alert_thresholds: shares of the budget, 0–1; levels that are left out keep 0.25, 0.50, 0.75
            and 1.00; None switches a level off.
        prices: USD per million tokens by model, `(input, output[, cached])` or `Price`, beside and
            before those of the service and of the table that ships.
        models: those that may be recommended; all that have a price if None.
        enforcement: `hard` makes `authorize` refuse what the budget does not hold.
        client: of the service; one that all names share if None, none at all if False.
        run_id: of a run that others know, too: what it has spent before counts, and its budget is
            one of the service's of this name. Else the run is this tracker's alone.
        agent, project, user, workspace: who spends; their budgets in USD count beside.
        """
        self.budget_usd = None if budget_usd is None else Usd(exact(budget_usd))
        if self.budget_usd is not None and self.budget_usd < 0:
            raise ValueError(f"budget_usd is {budget_usd}; the least is 0")
        if enforcement not in ("soft", "hard"):
            raise ValueError(f"enforcement is soft or hard, not {enforcement!r}")
        self.enforcement = enforcement
        self._alarms = Alarms(self.budget_usd, alert_thresholds or {}, alert_callbacks, now)
        self.prices = dict(PUBLISHED)
        """By model."""
        for name, given in (prices or {}).items():
            try:
                self.prices[name] = read_price(given, self.prices.get(name))
            except ValueError as error:
                raise ValueError(f"prices[{name!r}]: {error}") from None
        self._own_prices = {name: self.prices[name] for name in prices or ()}
        self._models = None if models is None else tuple(models)
        self._now = now
        self._lock = threading.Lock()
        self._tally = Tally()
        self._spending: Spending | None = None
        if client is not False:
            who = {"agent": agent, "project": project, "user": user, "workspace": workspace}
            self._spending = Spending(client, run_id=run_id, **who)
        self._is_open = run_id is None or self._spending is None
        self._is_kept = False
        """Whether the service keeps the budget, and raises its levels."""

    @property
    def run_id(self) -> str | None:
        """The run that calls are booked under; None without a service to book them."""
        return None if self._spending is None else self._spending.run_id

    def reset(self) -> None:
        """Forget what was spent and which alerts were raised. A run that the caller has named goes
        on at the service; else another begins."""
        self._open()
        if self._spending is not None:
            self._spending.begin_anew()
        self._tally = Tally()
        self._alarms.reset()

    @property
    def alert_thresholds(self) -> Mapping[CostAlertLevel, Decimal]:
        """Shares of the budget by level, the lowest first."""
        return self._alarms.thresholds

    @property
    def alerts(self) -> list[CostAlert]:
        """Every alert, in its order."""
        return self._alarms.alerts

    @property
    def total_cost(self) -> Usd:
        """What recorded calls cost; without those that have no price (`unpriced_calls`)."""
        self._open()
        return self._tally.usd

    @property
    def unpriced_calls(self) -> int:
        """Recorded calls whose model has no price."""
        return self._tally.unpriced_calls

    @property
    def remaining_usd(self) -> Usd | None:
        """What is left of the budget, not below zero; None without a budget."""
        return self._remaining(self.total_cost)

    @property
    def history(self) -> Sequence[CostRecord]:
        """The last calls, oldest first."""
        self._open()
        return self._tally.records()

    def add_alert_callback(self, callback: Callable[[CostAlert], object]) -> None:
        """Call this with every alert to come; what it raises is logged and goes no further."""
        self._alarms.callbacks.append(callback)

    def estimate_cost(
        self,
        model_name: str,
        estimated_input_tokens: float,
        estimated_output_tokens: float,
        cached_tokens: float = 0,
    ) -> Usd:
        """What a call would cost; `UNPRICED` for a model without a price, never zero."""
        counts = (
            _tokens(estimated_input_tokens),
            _tokens(estimated_output_tokens),
            _tokens(cached_tokens),
        )
        return self._cost(model_name, counts)

    def predict_total_cost(
        self,
        current_cost: Amount | None = None,
        remaining_stages: Iterable[tuple[str, str, float, float]] = (),
    ) -> PredictedCost:
        """What everything will cost: `current_cost` (what was recorded, if None) and the stages to
        come, each `(stage, model, input tokens, output tokens)`."""
        current = self.total_cost if current_cost is None else Usd(exact(current_cost))
        stages = [(stage, model, _tokens(a), _tokens(b)) for stage, model, a, b in remaining_stages]
        if self._spending is not None and stages and not any(map(self._is_own, _second(stages))):
            found = self._spending.predict(current, stages)
            if found is not None:
                return found
        remaining = [(stage, self._cost(model, (a, b, 0))) for stage, model, a, b in stages]
        unpriced = [
            model
            for model, (_, usd) in zip(_second(stages), remaining, strict=True)
            if usd.is_unpriced
        ]
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

        cost_usd: what the provider charged, 0 or more; from the prices if None.
        """
        self._open()
        counts = _tokens(input_tokens), _tokens(output_tokens), _tokens(cached_tokens)
        is_stated = cost_usd is not None or self._is_own(model_name)
        usd = self._cost(model_name, counts) if cost_usd is None else Usd(exact(cost_usd))
        if usd < 0:
            raise ValueError(f"cost_usd is {cost_usd}; the least is 0")
        record = CostRecord(
            at=self._now(),
            stage=stage_name or NO_STAGE,
            model=model_name,
            input_tokens=counts[0],
            output_tokens=counts[1],
            cached_tokens=counts[2],
            usd=usd,
        )
        used = self._tally.add(record)
        raised: list[Raised] = []
        is_booked = False
        if self._spending is not None:
            raised, is_booked = self._spending.book(record, is_stated=is_stated)
        for one in raised:
            if one.budget == self.run_id and self.budget_usd is not None:
                self._alarms.raise_level(one.level, one.used)
            else:
                share = THRESHOLDS[one.level]
                self._alarms.tell(one.level, share, one.used, one.limit, one.message, one.budget)
        if not (self._is_kept and is_booked):
            self._alarms.reach(used)
        return usd

    def check_budget(
        self, current_cost: Amount | None = None, *, additional_cost: Amount | Usd = 0
    ) -> BudgetCheck:
        """Whether the budget holds `current_cost` (what was recorded, if None) and
        `additional_cost`; raises the alerts that `current_cost` is due."""
        used = self.total_cost if current_cost is None else Usd(exact(current_cost))
        is_unpriced = isinstance(additional_cost, Usd) and additional_cost.is_unpriced
        wanted = Usd() if is_unpriced else Usd(exact(additional_cost))
        found = None
        if self._spending is not None and current_cost is None:
            found = self._spending.check(self.run_id if self._is_kept else None, wanted)
        if found is not None and found.budgets and self._is_kept:
            used = Usd(found.budgets[0].used_usd)
        else:
            self._alarms.reach(used)
        if self.budget_usd is None:
            allowed, reason = True, "no budget is set"
        elif is_unpriced:
            allowed, reason = False, "its price is not known: name it in prices="
        elif used + wanted > self.budget_usd:
            over = used + wanted - self.budget_usd
            allowed, reason = False, f"{over:f} USD over the budget of {self.budget_usd:f} USD"
        else:
            allowed, reason = True, "within the budget"
        check = BudgetCheck(
            allowed=allowed,
            level=self._alarms.level(used),
            used_usd=used,
            limit_usd=self.budget_usd,
            remaining_usd=self._remaining(used),
            unpriced_calls=self.unpriced_calls,
            reason=reason,
            enforcement=self.enforcement,
        )
        return check if found is None else tightened(check, found, own=self.run_id)

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
        if not check and check.enforcement == "hard":
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
        if self._spending is not None and self._models is None and not self._own_prices:
            found = self._spending.choose(stage_name, counts, quality_requirement, remaining)
            if found is not None:
                return found
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
        return {
            "total_cost": self.total_cost,
            "budget_usd": self.budget_usd,
            "remaining_usd": self.remaining_usd,
            "unpriced_calls": self.unpriced_calls,
            **self._tally.shown(),
        }

    def _by_cost(self, input_tokens: int, output_tokens: int) -> list[tuple[Usd, str]]:
        names = self.prices if self._models is None else self._models
        costs = [(self._cost(name, (input_tokens, output_tokens, 0)), name) for name in names]
        unpriced = [pair for pair in costs if pair[0].is_unpriced]
        return sorted(pair for pair in costs if not pair[0].is_unpriced) + unpriced

    def _remaining(self, used: Usd) -> Usd | None:
        return None if self.budget_usd is None else max(Usd(), self.budget_usd - used)

    def _is_own(self, model: str) -> bool:
        return find_price(self._own_prices, model) is not None

    def _cost(self, model: str, counts: Counts) -> Usd:
        """By the caller's prices, else the service's, else those of the table."""
        if self._spending is not None and not self._is_own(model):
            found = self._spending.price(model, counts)
            if found is not None:
                return found
        return cost_of(self.prices, model, *counts)

    def _open(self) -> None:
        """Once: learn what a run has spent that others know, too, and put its budget in force."""
        if self._spending is None:
            return
        used = Usd()
        with self._lock:  # who comes meanwhile waits: its own call is not to be counted twice
            if self._is_open:
                return
            for record in self._spending.records() or ():
                self._tally.add(record)
            if self.budget_usd is not None:
                found = self._spending.keep_budget(self.budget_usd, self.alert_thresholds)
                if found is not None:
                    used, heard = found
                    self._is_kept = True
                    self._alarms.reset(heard)
            self._is_open = True
        self._alarms.reach(used)


def _second(stages: Sequence[tuple[str, str, int, int]]) -> list[str]:
    return [model for _, model, _, _ in stages]


def _tokens(given: float) -> int:
    """Whole tokens; estimates are rounded up."""
    if not math.isfinite(given) or given < 0:
        raise ValueError(f"{given!r} is no number of tokens")
    return math.ceil(given)
