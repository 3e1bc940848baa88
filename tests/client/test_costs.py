"""Laws of money: exact, never free by ignorance, each alert once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from membudget._money import Usd
from membudget._prices import PUBLISHED, QUALITIES, find_price
from membudget.costs import (
    UNPRICED,
    CostAlert,
    CostAlertLevel,
    CostBudgetExceeded,
    Price,
)
from membudget.costs import CostTracker as AnyTracker

CostTracker = partial(AnyTracker, client=False)
"""Without a service; with one: `tests/client/faces/test_cost_documents.py`."""

MODELS = sorted(PUBLISHED)
FLAT = [name for name in MODELS if PUBLISHED[name].above is None]
tokens = st.integers(0, 10_000_000)
dollars = st.decimals(0, 1000, places=6)


@given(st.sampled_from(FLAT), tokens, tokens, tokens, tokens)
def test_the_cost_of_two_calls_is_the_cost_of_both(
    model: str, a: int, b: int, c: int, d: int
) -> None:
    tracker = CostTracker()
    both = tracker.estimate_cost(model, a + c, b + d)
    assert tracker.estimate_cost(model, a, b) + tracker.estimate_cost(model, c, d) == both
    tracker.record_cost(model, a, b)
    tracker.record_cost(model, c, d)
    assert tracker.total_cost == both


@given(st.sampled_from(MODELS), tokens, tokens, tokens)
def test_cached_input_never_costs_more(model: str, a: int, b: int, cached: int) -> None:
    tracker = CostTracker()
    assert tracker.estimate_cost(model, a, b, cached) <= tracker.estimate_cost(model, a, b)
    assert tracker.estimate_cost(model, a, b, cached) >= 0


@given(st.lists(st.tuples(st.sampled_from([*MODELS, "nobody-knows"]), tokens, tokens)))
def test_every_breakdown_sums_to_the_total(calls: list[tuple[str, int, int]]) -> None:
    tracker = CostTracker()
    for at, (model, a, b) in enumerate(calls):
        tracker.record_cost(model, a, b, stage_name=f"s{at % 3}")
    shown = tracker.get_cost_breakdown()
    for dimension in ("by_stage", "by_model", "by_day"):
        sums = shown[dimension].values()
        assert sum(one["usd"] for one in sums) == shown["total_cost"]
        assert sum(one["calls"] for one in sums) == len(calls)
        assert sum(one["input_tokens"] for one in sums) == sum(a for _, a, _ in calls)
        assert sum(one["unpriced_calls"] for one in sums) == shown["unpriced_calls"]
    assert shown["unpriced_calls"] == sum(model == "nobody-knows" for model, _, _ in calls)
    assert [one.model for one in shown["records"]] == [model for model, _, _ in calls]


@given(
    st.decimals(Decimal("0.01"), 100, places=2),
    st.dictionaries(
        st.sampled_from(CostAlertLevel), st.none() | st.decimals(0, 2, places=2), max_size=4
    ),
    st.lists(dollars, max_size=20),
)
def test_each_level_is_raised_once_and_as_soon_as_it_is_reached(
    budget: Decimal, thresholds: dict[CostAlertLevel, Decimal | None], spent: list[Decimal]
) -> None:
    heard: list[CostAlert] = []
    tracker = CostTracker(budget, thresholds, alert_callbacks=[heard.append])
    due = {
        level: budget * share
        for level, share in {
            CostAlertLevel.INFO: Decimal("0.25"),
            CostAlertLevel.WARNING: Decimal("0.5"),
            CostAlertLevel.CRITICAL: Decimal("0.75"),
            CostAlertLevel.BUDGET_EXCEEDED: Decimal(1),
            **thresholds,
        }.items()
        if share is not None
    }
    total = Decimal()
    for usd in spent:
        tracker.record_cost("any", 1, 1, cost_usd=usd)
        total += usd
        reached = {level for level, at in due.items() if total and total >= at}
        assert {alert.level for alert in heard} == reached
        assert len(heard) == len(reached)
        assert (tracker.check_budget().level is None) == (not reached)
    assert heard == tracker.alerts


@given(
    st.integers(0, 200_000),
    st.integers(0, 20_000),
    st.sampled_from(QUALITIES),
    st.none() | st.decimals(0, 1, places=4),
)
def test_the_model_recommended_is_the_cheapest_that_fits(
    a: int, b: int, quality: str, budget: Decimal | None
) -> None:
    tracker = CostTracker(budget)
    found = tracker.recommend_model("stage", a, b, quality_requirement=quality)  # type: ignore[arg-type]
    good = [
        name
        for name in MODELS
        if QUALITIES.index(PUBLISHED[name].quality) >= QUALITIES.index(quality)
    ]  # type: ignore[arg-type]
    costs = {name: tracker.estimate_cost(name, a, b) for name in good}
    fitting = {name: usd for name, usd in costs.items() if budget is None or usd <= budget}
    model, cost = found
    if not fitting:
        assert (model, cost) == (None, None)
        assert {name for name, _ in found.rejected} == set(MODELS)
    else:
        assert model is not None
        assert cost == fitting[model] == min(fitting.values())
        assert found.grade == PUBLISHED[model].quality


def test_a_model_without_a_price_is_unpriced_and_never_free() -> None:
    tracker = CostTracker(budget_usd=1, enforcement="hard")
    usd = tracker.estimate_cost("gpt-99", 1000, 10)
    assert usd.is_unpriced
    assert not usd < 5
    assert not usd >= 0
    assert f"{usd + 1:.2f}" == "NaN"
    predicted = tracker.predict_total_cost(
        0.5, [("a", "gpt-99", 1, 1), ("b", "gpt-4o-mini", 1_000_000, 0)]
    )
    assert predicted.is_unpriced
    assert predicted.unpriced == ("gpt-99",)
    assert predicted.lower == Decimal("0.65")
    tracker.record_cost("gpt-99", 1000, 10)
    check = tracker.check_budget()
    assert (check.unpriced_calls, check.used_usd, check.allowed) == (1, 0, True)
    with pytest.raises(CostBudgetExceeded, match="its price is not known"):
        tracker.authorize("gpt-99", 1, 1)
    model, _ = CostTracker(models=["gpt-99"]).recommend_model("s", 1, 1)
    assert model is None


@pytest.mark.parametrize(
    ("name", "priced_as"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openai:gpt-4.1", "gpt-4.1"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic/claude-opus-5-latest", "claude-opus-5"),
        ("GPT-4o", "gpt-4o"),
        ("ft:gpt-4o:acme", None),
        ("gpt-4o-mini-realtime", None),
        ("gpt-4o:extended", None),
    ],
)
def test_names_lead_to_their_price_and_to_no_other(name: str, priced_as: str | None) -> None:
    expected = None if priced_as is None else PUBLISHED[priced_as]
    assert find_price(PUBLISHED, name) is expected


def test_a_long_prompt_costs_what_long_prompts_cost() -> None:
    tracker = CostTracker()
    assert tracker.estimate_cost("claude-haiku-5-5", 100_000, 0) == Decimal("0.01")
    assert tracker.estimate_cost("claude-haiku-5-5", 100_001, 0) == Decimal("0.0500005")


def test_prices_of_ones_own_come_first() -> None:
    tracker = CostTracker(
        prices={
            "mine": (1, "2.5"),
            "cached": {"input": 1, "output": 1, "cached": 0.1, "quality": "high"},
            "gpt-4o": {"quality": "low"},
            "whole": Price(input=Decimal(3), output=Decimal(4)),
        }
    )
    assert tracker.estimate_cost("mine", 1_000_000, 1_000_000) == Decimal("3.5")
    assert tracker.estimate_cost("cached", 1_000_000, 0, 500_000) == Decimal("0.55")
    assert tracker.estimate_cost("gpt-4o", 1_000_000, 0) == Decimal("2.5")
    assert tracker.prices["gpt-4o"].quality == "low"


@pytest.mark.parametrize("price", [(1,), (1, 2, 3, 4), (-1, 2), {"input": 1}, {"x": 1}, "ab", 5])
def test_a_price_that_is_none_is_refused_with_its_model(price: object) -> None:
    with pytest.raises(ValueError, match=r"prices\['mine'\]"):
        CostTracker(prices={"mine": price})


def test_amounts_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="budget_usd"):
        CostTracker(budget_usd=-1)
    with pytest.raises(ValueError, match="no amount of dollars"):
        CostTracker(budget_usd=float("nan"))
    with pytest.raises(ValueError, match="no number of tokens"):
        CostTracker().estimate_cost("gpt-4o", -1, 0)
    with pytest.raises(ValueError, match="no number of tokens"):
        CostTracker().estimate_cost("gpt-4o", float("inf"), 0)


def test_hard_enforcement_refuses_what_the_budget_does_not_hold() -> None:
    hard = CostTracker(budget_usd=0.01, enforcement="hard")
    assert hard.authorize("gpt-4o-mini", 10_000, 10_000) == Decimal("0.0075")
    with pytest.raises(CostBudgetExceeded, match=r"over the budget of 0\.01 USD"):
        hard.authorize("gpt-4o", 10_000, 10_000)
    soft = CostTracker(budget_usd=0.01)
    assert soft.authorize("gpt-4o", 10_000, 10_000) == Decimal("0.125")
    assert not soft.check_budget(0.02)
    assert soft.check_budget(0.01).remaining_usd == 0


def test_a_callback_that_fails_keeps_nobody_else_from_hearing() -> None:
    heard: list[CostAlertLevel] = []

    def fail(alert: CostAlert) -> None:
        raise OSError

    tracker = CostTracker(1.0, alert_callbacks=[fail])
    tracker.add_alert_callback(lambda alert: heard.append(alert.level))
    tracker.record_cost("any", 0, 0, cost_usd=0.6)
    assert heard == [CostAlertLevel.INFO, CostAlertLevel.WARNING]


def test_days_are_told_apart_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("membudget._tally.MOST_NAMES", 2)
    moments = iter([datetime(2026, 3, 14, tzinfo=UTC) + timedelta(days=at) for at in range(9)])
    tracker = CostTracker(now=lambda: next(moments))
    for stage in "abcd":
        tracker.record_cost("gpt-4o", 1_000_000, 0, stage)
    shown = tracker.get_cost_breakdown()
    assert list(shown["by_day"]) == ["2026-03-14", "2026-03-15", "(other)"]
    assert {name: one["calls"] for name, one in shown["by_stage"].items()} == {
        "a": 1,
        "b": 1,
        "(other)": 2,
    }
    tracker.reset()
    assert tracker.total_cost == 0


@given(dollars, st.floats(0, 1000))
def test_dollars_get_along_with_floats(usd: Decimal, other: float) -> None:
    money = Usd(usd)
    plain = Decimal(repr(other))
    assert isinstance(money + other, Usd)
    assert money + other == other + money == usd + plain
    assert money * other == usd * plain
    assert other - money == plain - usd
    assert (money < other) == (usd < plain)
    assert (money >= other) == (usd >= plain)
    assert hash(money) == hash(usd)
    assert Usd("0.1") == 0.1
    assert UNPRICED != UNPRICED
