"""The originals' tracker of costs, with the service and without it: what is counted, and told."""

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from membudget import Client, CostAlert, CostAlertLevel, CostTracker
from membudget.costs import CostBudgetExceeded, PredictedCost
from tests.client.proxy import Handler, every_second, proxied

INFO, WARNING, CRITICAL, EXCEEDED = CostAlertLevel


def test_the_snippet_of_the_originals_runs(where: str) -> None:
    # 004, "Cost Optimization Usage"
    cost_tracker = CostTracker(
        budget_usd=50.0,
        alert_thresholds={
            CostAlertLevel.WARNING: 0.50,  # 50% of budget
            CostAlertLevel.CRITICAL: 0.75  # 75% of budget
        }
    )  # fmt: skip

    # Estimate cost before operation
    estimated_cost = cost_tracker.estimate_cost(
        model_name="gpt-4o-mini",
        estimated_input_tokens=1000,
        estimated_output_tokens=500
    )  # fmt: skip

    # Predict total cost
    predicted = cost_tracker.predict_total_cost(
        current_cost=10.0,
        remaining_stages=[
            ("stage_6", "gpt-4o-mini", 1000, 500),
            ("stage_7", "gpt-4o-mini", 800, 400)
        ]
    )  # fmt: skip

    # Get cost breakdown
    breakdown = cost_tracker.get_cost_breakdown()

    # Recommend model
    best_model, cost = cost_tracker.recommend_model(
        stage_name="scene_drafting",
        estimated_input_tokens=1000,
        estimated_output_tokens=500,
        current_cost=10.0,
        quality_requirement="medium"
    )  # fmt: skip

    assert f"{estimated_cost:.5f}" == "0.00045"
    assert estimated_cost + 10.0 == Decimal("10.00045")
    assert predicted == Decimal("10.00081")
    assert isinstance(predicted, PredictedCost)
    assert predicted.remaining == (("stage_6", Decimal("0.00045")), ("stage_7", Decimal("0.00036")))
    assert breakdown["by_stage"] == {}
    assert best_model is not None
    assert cost == cost_tracker.estimate_cost(best_model, 1000, 500)
    assert cost_tracker.check_budget()


def test_the_same_run_comes_to_the_same_with_the_service_and_without_it(where: str) -> None:
    heard: list[CostAlert] = []
    tracker = CostTracker(1, alert_callbacks=[heard.append])
    for stage in ("plan", "draft", "edit"):
        assert tracker.record_cost("gpt-4o", 100_000, 0, stage, cached_tokens=20_000) == 0.225
    assert [one.level for one in heard] == [INFO, WARNING]
    assert [one.used_usd for one in heard] == [Decimal("0.45"), Decimal("0.675")]
    shown = tracker.get_cost_breakdown()
    assert shown["total_cost"] == Decimal("0.675")
    assert [one["usd"] for one in shown["by_stage"].values()] == [Decimal("0.225")] * 3
    check = tracker.check_budget(additional_cost=0.4)
    assert (check.allowed, check.level, check.remaining_usd) == (False, WARNING, Decimal("0.325"))
    assert check.reason == "0.075 USD over the budget of 1 USD"
    assert tracker.estimate_cost("nobody-knows", 1, 1).is_unpriced
    assert tracker.alerts == heard


def test_every_call_is_booked_once_and_by_its_stage(service: str, home: str) -> None:
    tracker = CostTracker(workspace=home, agent="writer", project="novel")
    tracker.record_cost("gpt-4o", 1000, 500, "draft", cached_tokens=200)
    tracker.record_cost("acme-1", 10, 5, "draft")
    tracker.record_cost("acme-1", 10, 5, cost_usd="0.5")
    with Client(service, workspace=home) as client:
        found = client.costs.breakdown("stage")
        assert {one.key: one.usd for one in found.items} == {"draft": Decimal("0.00725"), None: 0.5}
        assert (found.calls, found.unpriced) == (3, 1)
        events = list(client.usage(run_id=tracker.run_id))
    assert {(one.agent, one.project) for one in events} == {("writer", "novel")}
    assert events[-1].price_version is not None
    assert events[0].price_version is None
    assert tracker.total_cost == Decimal("0.50725")


def test_calls_that_the_service_missed_are_booked_when_it_is_there(
    away: str,
    address: str,
    home: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    tracker = CostTracker(1, workspace=home)
    for _ in range(3):
        assert tracker.record_cost("gpt-4o", 100_000, 0, "draft") == 0.25
    assert [one.level for one in tracker.alerts] == [INFO, WARNING, CRITICAL]
    assert capsys.readouterr().err.count("membudget:") == 2  # nobody answers; it is kept
    with Client(address, workspace=home, spool=tmp_path / "spool") as client:
        assert client.flush().sent == 3
        (draft,) = client.costs.breakdown("stage").items
        assert (draft.usd, draft.calls) == (Decimal("0.75"), 3)


def test_a_run_that_is_named_is_one_budget_for_all_who_spend_in_it(service: str, home: str) -> None:
    heard: dict[str, list[CostAlertLevel]] = {"a": [], "b": [], "c": []}

    def tracker(name: str) -> CostTracker:
        told: Callable[[CostAlert], object] = lambda alert: heard[name].append(alert.level)  # noqa: E731
        return CostTracker(1, run_id="novel-7", workspace=home, alert_callbacks=[told])

    one, two = tracker("a"), tracker("b")
    one.record_cost("gpt-4o", 80_000, 0, "plan")
    assert two.record_cost("gpt-4o", 80_000, 0, "draft") == 0.2
    one.record_cost("gpt-4o", 80_000, 0, "draft")
    assert heard == {"a": [WARNING], "b": [INFO], "c": []}
    assert two.check_budget().used_usd == Decimal("0.6")
    assert not two.check_budget(additional_cost=0.5)
    late = tracker("c")  # the program was started again
    assert late.total_cost == Decimal("0.6")
    assert [record.stage for record in late.history] == ["plan", "draft", "draft"]
    late.record_cost("gpt-4o", 200_000, 0, "edit")
    assert heard == {"a": [WARNING], "b": [INFO], "c": [CRITICAL, EXCEEDED]}
    with Client(service, workspace=home) as client:
        assert [one.level for one in client.costs.alerts(budget="novel-7")][::-1] == [
            "info", "warning", "critical", "budget_exceeded"
        ]  # fmt: skip


def test_budgets_of_the_service_bind_beside_the_trackers_own(service: str, home: str) -> None:
    tracker = CostTracker(10, workspace=home, user="ada")
    with Client(service, workspace=home) as client:
        ada = {"user": "ada"}
        client.costs.budgets.put("of-ada", "0.4", "month", scope=ada)
        client.costs.budgets.put("of-bob", "0.1", "month", scope={"user": "bob"})
        tracker.record_cost("gpt-4o", 80_000, 0)
        (alert,) = [one for one in tracker.alerts if one.level is WARNING]
        assert (alert.budget, alert.budget_usd) == ("of-ada", Decimal("0.4"))
        check = tracker.check_budget(additional_cost=0.3)
        assert (check.allowed, check.binding, check.limit_usd) == (False, "of-ada", Decimal("0.4"))
        assert "of-ada" in check.reason
        assert tracker.authorize("gpt-4o", 200_000, 0) == 0.5  # soft
        client.costs.budgets.put(
            "of-ada", "0.4", "month", scope={"user": "ada"}, enforcement="hard"
        )
        with pytest.raises(CostBudgetExceeded, match="of-ada"):
            tracker.authorize("gpt-4o", 200_000, 0)
        # what was spent all the same is booked: it has happened
        tracker.record_cost("gpt-4o", 200_000, 0, "draft")
        assert client.costs.breakdown("stage").total_usd == Decimal("0.7")
        assert client.costs.budgets.get("of-ada").status.used_usd == Decimal("0.7")


def test_prices_of_the_service_count_and_the_callers_own_before_them(
    service: str, home: str
) -> None:
    with Client(service, workspace=home) as client:
        client.costs.prices.put("gpt-4o", {"input": 7, "output": 7})
    assert CostTracker(workspace=home).estimate_cost("gpt-4o", 1_000_000, 0) == 7
    own = CostTracker(workspace=home, prices={"gpt-4o": (3, 3)})
    assert own.estimate_cost("gpt-4o", 1_000_000, 0) == 3
    assert own.record_cost("gpt-4o", 1_000_000, 0) == 3
    assert own.predict_total_cost(remaining_stages=[("x", "gpt-4o", 1_000_000, 0)]) == 6
    assert CostTracker(client=False).estimate_cost("gpt-4o", 1_000_000, 0) == 2.5
    with Client(service, workspace=home) as client:
        assert client.costs.breakdown().total_usd == 3


def hard(client: Client) -> None:
    client.costs.budgets.put("cap", "0.3", "month", scope={"project": "p"}, enforcement="hard")


def test_a_call_that_waited_is_booked_whatever_a_hard_budget_has_left(
    service: str, home: str, tmp_path: Path
) -> None:
    with Client(service, workspace=home, spool=False) as client, proxied(service) as proxy:
        hard(client)
        waits = Client(proxy.url, workspace=home, spool=tmp_path / "spool", retries=0, timeout=2)
        tracker = CostTracker(client=waits, project="p")
        proxy.fault = every_second(503)
        for _ in range(4):
            tracker.record_cost("gpt-4o", 80_000, 0, "draft")
        proxy.fault = None
        assert waits.flush().refused == 0
        assert waits.flush().waiting == 0
        waits.close()
        events = list(client.usage())
        assert len({one.id for one in events}) == len(events) == 4
        assert client.costs.budgets.get("cap").status.used_usd == Decimal("0.8")


def test_a_call_that_a_hard_budget_refuses_waits_if_the_service_goes_away(
    service: str, home: str, tmp_path: Path
) -> None:
    with Client(service, workspace=home) as client, proxied(service) as proxy:
        hard(client)
        waits = Client(proxy.url, workspace=home, spool=tmp_path / "spool", retries=0, timeout=2)
        tracker = CostTracker(client=waits, project="p")
        tracker.record_cost("gpt-4o", 100_000, 0)
        proxy.fault = lambda handler, _: "import" in handler.path and answered(handler, 503)
        tracker.record_cost("gpt-4o", 100_000, 0)
        proxy.fault = None
        assert waits.flush().sent == 1
        waits.close()
        assert client.costs.breakdown().total_usd == Decimal("0.5") == tracker.total_cost


def test_alerts_are_told_though_the_answer_that_told_them_was_lost(service: str, home: str) -> None:
    with proxied(service) as proxy, Client(proxy.url, workspace=home) as client:
        client.costs.budgets.put("p", 1, "month", scope={"project": "p"})
        tracker = CostTracker("0.5", run_id="r", client=client, project="p")
        assert tracker.total_cost == 0
        lost = iter([True])

        def lose(handler: Handler, body: bytes) -> bool:
            if handler.command != "POST" or handler.path != "/usage" or not next(lost, False):
                return False
            handler.forward(body)
            handler.hang_up()
            return True

        proxy.fault = lose
        tracker.record_cost("gpt-4o", 160_000, 0)
        told = {(one.budget, one.level) for one in tracker.alerts}
        assert told == {(None, INFO), (None, WARNING), (None, CRITICAL), ("p", INFO)}
        assert len(tracker.alerts) == 4
        assert len(list(client.usage())) == 1


def test_a_run_may_be_watched_for_other_levels_and_by_those_without_a_budget(
    service: str, home: str
) -> None:
    one = CostTracker(1, run_id="r", workspace=home)
    two = CostTracker(1, {CRITICAL: None}, run_id="r", workspace=home)
    watching = CostTracker(run_id="r", workspace=home)
    assert two.total_cost == one.total_cost == 0  # the budget has all levels
    two.record_cost("gpt-4o", 320_000, 0)
    assert [alert.level for alert in two.alerts] == [INFO, WARNING]
    watching.record_cost("gpt-4o", 80_000, 0)
    assert [(alert.budget, alert.level) for alert in watching.alerts] == [("r", EXCEEDED)]


@pytest.mark.parametrize("run_id", ["novel/7", "n" * 201, "*"])
def test_a_run_whose_name_no_budget_can_have_says_so(
    where: str, home: str, run_id: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = CostTracker(1, run_id=run_id, workspace=home)
    tracker.record_cost("gpt-4o", 200_000, 0)
    assert [alert.level for alert in tracker.alerts] == [INFO, WARNING]
    said = capfd.readouterr().err
    assert "has no budget at the service" in said
    assert "at most 200 characters, and no / or *" in said
    assert "No such path" not in said


def test_alerts_of_another_version_harm_nobody(service: str, home: str) -> None:
    def other(answer: Any) -> Any:
        if isinstance(answer, dict) and "alerts" in answer:
            answer["alerts"] = [{**one, "level": "ninety"} for one in answer["alerts"]]
            answer["alerts"].append({"level": "info"})
        return answer

    with proxied(service) as proxy, Client(proxy.url, workspace=home) as client:
        tracker = CostTracker(1, run_id="r", client=client)
        proxy.change = other
        assert tracker.record_cost("gpt-4o", 400_000, 0) == 1


def test_threads_that_open_a_run_count_each_call_once(service: str, home: str) -> None:
    CostTracker(run_id="r", workspace=home).record_cost("gpt-4o", 1000, 0)
    with proxied(service) as proxy, Client(proxy.url, workspace=home) as client:

        def slow(handler: Handler, _: bytes) -> bool:
            if handler.command == "GET" and handler.path.startswith("/usage?"):
                time.sleep(0.3)
            return False

        proxy.fault = slow
        tracker = CostTracker(run_id="r", client=client)
        threads = [
            threading.Thread(target=tracker.record_cost, args=("gpt-4o", 1000, 0)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tracker.history) == 5


def test_a_cost_below_zero_is_none(service: str, home: str) -> None:
    tracker = CostTracker(workspace=home)
    with pytest.raises(ValueError, match="least is 0"):
        tracker.record_cost("gpt-4o", 1, 1, cost_usd="-0.01")
    assert tracker.total_cost == 0
    with Client(service, workspace=home) as client:
        assert list(client.usage()) == []


@pytest.mark.parametrize(
    "stage", ["s" * 5_000, "nul \0", "line\nline", "half \ud800", "\n", "  ", "\u202e"]
)
def test_a_call_is_booked_whatever_its_stage_is_called(service: str, home: str, stage: str) -> None:
    CostTracker(workspace=home).record_cost("gpt-4o", 400_000, 0, stage)
    with Client(service, workspace=home) as client:
        (one,) = client.costs.breakdown("stage").items
    assert one.usd == 1


def answered(handler: Handler, status: int) -> bool:
    handler.reply(status, b"")
    return True
