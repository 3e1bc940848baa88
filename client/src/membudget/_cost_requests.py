"""Build the requests about what calls cost, and about budgets in USD."""

from collections.abc import Mapping
from typing import Any

from membudget import results
from membudget._answers import many, one
from membudget._calls import Builder, Call, Listing, deleting, getting, part, posting, putting, said

BREAKDOWN = "/costs/breakdown"


class CostRequests(Builder):
    """Requests about money."""

    def estimate_cost(self, asked: Mapping[str, Any]) -> Call[results.CostEstimate]:
        """POST /costs/estimate."""
        return posting("/costs/estimate", self._body(asked), one(results.CostEstimate))

    def predict_cost(self, asked: Mapping[str, Any]) -> Call[results.CostPrediction]:
        """POST /costs/predict."""
        return posting("/costs/predict", self._body(asked), one(results.CostPrediction))

    def recommend_model(self, asked: Mapping[str, Any]) -> Call[results.ModelChoice]:
        """POST /costs/recommend-model."""
        return posting("/costs/recommend-model", self._body(asked), one(results.ModelChoice))

    def cost_breakdown(self, wanted: Mapping[str, Any]) -> Call[results.CostBreakdown]:
        """GET /costs/breakdown."""
        params = self._params({**wanted, "format": "json"})
        return getting(BREAKDOWN, one(results.CostBreakdown), params)

    def cost_alerts(
        self, limit: int | None, wanted: Mapping[str, Any]
    ) -> Listing[results.CostAlertRaised]:
        """GET /costs/alerts."""
        return self._listing("/costs/alerts", results.CostAlertRaised, limit, wanted)

    def cost_budgets(self, workspace: str | None) -> Call[tuple[results.CostBudget, ...]]:
        """GET /costs/budgets."""
        params = self._params({"workspace": workspace})
        return getting("/costs/budgets", many(results.CostBudget), params)

    def cost_budget(self, name: str, workspace: str | None) -> Call[results.CostBudget]:
        """GET /costs/budgets/{name}."""
        params = self._params({"workspace": workspace})
        return getting(f"/costs/budgets/{part(name)}", one(results.CostBudget), params)

    def put_cost_budget(
        self, name: str, budget: Mapping[str, Any], workspace: str | None
    ) -> Call[results.CostBudget]:
        """PUT /costs/budgets/{name}."""
        params = self._params({"workspace": workspace})
        return putting(
            f"/costs/budgets/{part(name)}", said(budget), one(results.CostBudget), params
        )

    def delete_cost_budget(self, name: str, workspace: str | None) -> Call[None]:
        """DELETE /costs/budgets/{name}."""
        return deleting(f"/costs/budgets/{part(name)}", self._params({"workspace": workspace}))

    def check_cost(self, name: str, asked: Mapping[str, Any]) -> Call[results.CostCheck]:
        """GET /costs/budgets/{name}/check."""
        path = f"/costs/budgets/{part(name)}/check"
        return getting(path, one(results.CostCheck), self._params(asked))

    def stated_prices(
        self, limit: int | None, workspace: str | None
    ) -> Listing[results.StatedPrice]:
        """GET /costs/prices."""
        wanted = {"workspace": workspace}
        return self._listing("/costs/prices", results.StatedPrice, limit, wanted)

    def put_price(
        self, model: str, price: Mapping[str, Any], workspace: str | None
    ) -> Call[results.StatedPrice]:
        """PUT /costs/prices/{model}."""
        params = self._params({"workspace": workspace})
        return putting(
            f"/costs/prices/{part(model)}", said(price), one(results.StatedPrice), params
        )

    def delete_price(self, model: str, workspace: str | None) -> Call[None]:
        """DELETE /costs/prices/{model}."""
        return deleting(f"/costs/prices/{part(model)}", self._params({"workspace": workspace}))
