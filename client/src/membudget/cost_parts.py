"""Group the calls of a client that are about money."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from membudget import results
from membudget._fields import Moment
from membudget._money import Amount
from membudget.parts import Part

By = Literal["stage", "model", "agent", "user", "project", "day"]
Window = Literal["event", "run", "day", "week", "month"]
Quality = Literal["low", "medium", "high"]


class CostBudgets(Part):
    """Budgets in USD."""

    def __call__(self, *, workspace: str | None = None) -> tuple[results.CostBudget, ...]:
        """The budgets of a workspace, and how they stand."""
        return self._client._ask(self._requests.cost_budgets(workspace))

    list = __call__

    def get(self, name: str, *, workspace: str | None = None) -> results.CostBudget:
        """A budget, and how its present window stands."""
        return self._client._ask(self._requests.cost_budget(name, workspace))

    def put(
        self,
        name: str,
        usd: Amount,
        window: Window,
        *,
        scope: Mapping[str, str] | None = None,
        thresholds: Mapping[str, Amount | None] | Sequence[Amount] | None = None,
        enforcement: Literal["soft", "hard"] = "soft",
        timezone: str | None = None,
        workspace: str | None = None,
    ) -> results.CostBudget:
        """Make a budget, or put another in its place; what its window has spent counts.

        `scope`: one of `{"project" | "user" | "agent" | "run": name}`; the workspace if None.
        """
        budget = {
            "usd": usd,
            "window": window,
            "scope": scope,
            "thresholds": thresholds,
            "enforcement": enforcement,
            "timezone": timezone,
        }
        return self._client._ask(self._requests.put_cost_budget(name, budget, workspace))

    def delete(self, name: str, *, workspace: str | None = None) -> None:
        """Take a budget away, with what it has counted and raised; usage stays."""
        self._client._ask(self._requests.delete_cost_budget(name, workspace))

    def check(
        self,
        name: str,
        usd: Amount = 0,
        *,
        agent: str | None = None,
        project: str | None = None,
        user: str | None = None,
        run_id: str | None = None,
        workspace: str | None = None,
    ) -> results.CostCheck:
        """Whether an amount may be spent, by this budget and all that apply to who spends."""
        asked = {
            "usd": usd,
            "agent": agent,
            "project": project,
            "user": user,
            "run_id": run_id,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.check_cost(name, asked))


class CostPrices(Part):
    """Prices that a workspace states itself, in place of what is published."""

    def __call__(
        self, *, workspace: str | None = None, limit: int | None = None
    ) -> Iterator[results.StatedPrice]:
        """What a workspace states, page by page; `limit` in all."""
        return self._client._each(self._requests.stated_prices(limit, workspace))

    list = __call__

    def put(
        self, model: str, price: Mapping[str, Any], *, workspace: str | None = None
    ) -> results.StatedPrice:
        """State what a model costs: `{"input", "output", "cached"?, "cache_write"?, "quality"?,
        "effective_from"?, …}`, USD for a million tokens."""
        return self._client._ask(self._requests.put_price(model, price, workspace))

    def delete(self, model: str, *, workspace: str | None = None) -> None:
        """Take back what is stated of a model."""
        self._client._ask(self._requests.delete_price(model, workspace))


class Costs(Part):
    """What calls cost, will cost and have cost, and budgets in USD."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.budgets = CostBudgets(client)
        """Budgets in USD: list (also by calling it), get, put, delete, check."""
        self.prices = CostPrices(client)
        """Prices of one's own: list (also by calling it), put, delete."""

    def estimate(
        self,
        model: str,
        input_tokens: int,
        output_tokens: int = 0,
        *,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        service: str | None = None,
        workspace: str | None = None,
    ) -> results.CostEstimate:
        """What a call would cost; `unpriced`, and never 0, where nobody knows."""
        asked = {
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
            "service": service,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.estimate_cost(asked))

    def predict(
        self,
        remaining: Sequence[Mapping[str, Any]] | None = None,
        *,
        current_usd: Amount | None = None,
        run_id: str | None = None,
        agent: str | None = None,
        workspace: str | None = None,
    ) -> results.CostPrediction:
        """What a run will have cost: with the calls that remain, each `{"model", "input_tokens"?,
        "output_tokens"?, "stage"?}`, or without them as the agent's earlier runs went."""
        asked = {
            "remaining": remaining,
            "current_usd": current_usd,
            "run_id": run_id,
            "agent": agent,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.predict_cost(asked))

    def recommend_model(
        self,
        input_tokens: int,
        output_tokens: int,
        quality: Quality = "medium",
        *,
        budget: str | Amount | None = None,
        stage: str | None = None,
        run_id: str | None = None,
        agent: str | None = None,
        workspace: str | None = None,
    ) -> results.ModelChoice:
        """The cheapest model of at least a grade that a budget (its name, or an amount) allows."""
        asked = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "quality": quality,
            "budget": budget,
            "stage": stage,
            "run_id": run_id,
            "agent": agent,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.recommend_model(asked))

    def breakdown(
        self,
        by: By = "model",
        *,
        days: float | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        agent: str | None = None,
        workspace: str | None = None,
    ) -> results.CostBreakdown:
        """Where the money went: everything, unless `days`, `since` or `until` say less."""
        wanted = {
            "by": by,
            "days": days,
            "since": since,
            "until": until,
            "agent": agent,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.cost_breakdown(wanted))

    def alerts(
        self,
        *,
        budget: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        workspace: str | None = None,
        limit: int | None = None,
    ) -> Iterator[results.CostAlertRaised]:
        """Thresholds that were reached, newest first, page by page; `limit` in all."""
        wanted = {"budget": budget, "since": since, "until": until, "workspace": workspace}
        return self._client._each(self._requests.cost_alerts(limit, wanted))
