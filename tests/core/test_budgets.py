"""Laws of budgets and rooms, and the numbers that the originals answer."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.budgets import budget_for, rooms
from tests.core.policies import TASK, manual_policy, profile_policy, workspace_policy
from tests.data import vectors

MUST = ("must",)

bases = st.integers(1, 10**10)
multipliers = st.decimals("0.01", 5, places=3)


@given(bases, st.integers(1, 10**10), multipliers)
def test_the_budget_is_cut_down_then_capped(base: int, ceiling: int, multiplier: Decimal) -> None:
    policy = profile_policy(base, ceiling, multipliers={"medium": multiplier})
    exact = base * Fraction(multiplier)

    budget = budget_for(policy, "medium")

    assert budget.tokens == min(exact.numerator // exact.denominator, ceiling)
    assert budget.capped == (exact > ceiling)
    assert budget.bound_by == ("max" if exact > ceiling else "multiplier")


@given(bases, st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(any))
def test_rooms_of_a_profile_sum_to_the_budget(base: int, parts: list[int]) -> None:
    weights = {f"scope{at}": Decimal(part) / 100 for at, part in enumerate(parts)}
    policy = profile_policy(base, None, weights)
    for tier in TASK:
        budget = budget_for(policy, tier)
        assert sum(room.tokens for room in rooms(policy, budget)) == budget.tokens


@pytest.mark.parametrize("record", [*vectors("A4.budget", classes=MUST)], ids=lambda r: r["id"])
def test_assigned_agents_get_the_published_budgets(record: dict[str, Any]) -> None:
    out = record["out"]
    policy = profile_policy(out["base"], out["max"], out["weights"])

    budget = budget_for(policy, record["in"]["complexity"])

    assert (budget.tokens, budget.capped) == (out["tokens"], out["capped"])
    assert float(budget.multiplier) == out["multiplier"]
    for room in rooms(policy, budget):
        assert room.tokens == budget.tokens * room.weight


@pytest.mark.parametrize("record", [*vectors("A4.custom", classes=MUST)], ids=lambda r: r["id"])
def test_profiles_of_users_get_the_originals_budgets(record: dict[str, Any]) -> None:
    profile = record["in"]["profile"]
    policy = profile_policy(profile["base_budget"], profile["max_budget"], profile["scope_weights"])

    budget = budget_for(policy, record["in"]["complexity"])

    assert budget.tokens == record["out"]["tokens"]
    assert budget.capped == record["out"]["capped"]


@pytest.mark.parametrize("record", [*vectors("B2.tiers", classes=MUST)], ids=lambda r: r["id"])
def test_tiers_of_a_workspace_are_each_cut_down(record: dict[str, Any]) -> None:
    policy = workspace_policy(record["in"]["workspace"])
    budget = budget_for(policy, record["in"]["complexity"])
    given_rooms = rooms(policy, budget)

    assert {room.name: room.tokens for room in given_rooms} == record["out"]["tiers"]
    assert {room.name: float(room.weight) for room in given_rooms} == record["out"]["weights"]
    assert float(budget.multiplier) == record["out"]["multiplier"]
    assert policy.base == record["out"]["max_total_tokens"]


def test_a_manual_budget_is_what_was_asked_for() -> None:
    budget = budget_for(manual_policy(777), "multi-system")
    assert (budget.tokens, budget.max, budget.capped) == (777, None, False)
    assert (budget.multiplier, budget.bound_by) == (1, "max_tokens")
