"""Both clients ask what calls cost, and keep budgets in USD."""

from decimal import Decimal

import pytest

from membudget.errors import NotFound
from tests.client.both import face
from tests.running import Served

EVENT = {"agent": "writer", "used_tokens": 1_000_000, "model": "acme-1", "input_tokens": 1_000_000}


def test_money_is_asked_before_counted_and_looked_at_afterwards(
    shared_service: Served, kind: str, workspace: str
) -> None:
    with face(kind, shared_service.url, workspace=workspace) as client:
        costs = client.costs
        assert costs.estimate("gpt-4o", 1000, 500, cached_tokens=200).usd == Decimal("0.00725")
        unknown = costs.estimate("acme-1", 1)
        assert (unknown.usd, unknown.unpriced) == (None, True)
        stated = costs.prices.put("acme-1", {"input": 1, "output": "2.5", "quality": "high"})
        assert stated.prices[0]["input"] == "1"
        assert [one.model for one in costs.prices()] == ["acme-1"]
        assert costs.estimate("acme-1", 2_000_000, 1_000_000).usd == Decimal("4.5")

        made = costs.budgets.put("lot", 2, "month", thresholds={"info": 0.5, "warning": None})
        assert (made.usd, made.thresholds["info"], made.thresholds["warning"]) == (2, 0.5, None)
        (raised,) = client.track(**EVENT, stage="draft").alerts
        assert (raised["budget"], raised["level"]) == ("lot", "info")
        (heard,) = costs.alerts(budget="lot")
        assert (heard.level, heard.used_usd) == ("info", 1)
        assert [one.status.used_usd for one in costs.budgets()] == [1]
        assert costs.budgets.get("lot").status.remaining_usd == 1
        check = costs.budgets.check("lot", "1.5", agent="writer")
        assert (check.allowed, check.binding, check.budgets[0].used_usd) == (False, "lot", 1)

        found = costs.breakdown("stage")
        assert [(one.key, one.usd) for one in found.items] == [("draft", 1)]
        assert found.total_usd == 1
        calls = [{"stage": "edit", "model": "acme-1", "input_tokens": 500_000}]
        ahead = costs.predict(calls, current_usd=1)
        assert (ahead.total_usd, ahead.remaining[0].stage) == (Decimal("1.5"), "edit")
        choice = costs.recommend_model(1000, 500, "high", budget="lot")
        assert (choice.model, choice.usd) == ("acme-1", Decimal("0.00225"))
        assert len(choice.rejected) > 5

        costs.budgets.delete("lot")
        costs.prices.delete("acme-1")
        with pytest.raises(NotFound, match="it has none yet"):
            costs.budgets.get("lot")
