"""Laws of health: who counts where, the status, the trend and when it meets the thresholds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.health import (
    EMPTY,
    SEARCH_ADVICE,
    Amount,
    Day,
    Holding,
    Snapshot,
    day_found,
    day_of,
    figures_of,
    health_of,
    status_of,
    trend_of,
)
from app.core.lifecycle import DAY_MICROS
from app.core.lifecycle_rules import SPEC
from tests.core.cards import NOW_MICROS

TODAY = day_of(NOW_MICROS)

holdings = st.lists(
    st.builds(
        Holding,
        agent=st.none() | st.sampled_from(["roles/a", "specialists/b"]),
        scope=st.none() | st.sampled_from(["global", "agent_patterns", "working", "reference"]),
        state=st.sampled_from(["active", "archived", "deleted"]),
        amount=st.builds(Amount, tokens=st.integers(0, 90_000), files=st.integers(1, 9)),
    ),
    max_size=8,
)


@given(holdings)
def test_everything_that_is_not_deleted_counts_once(held: list[Holding]) -> None:
    found = figures_of(held)
    counted = found.total + found.other + found.archive
    kept = [one.amount for one in held if one.state != "deleted"]
    assert counted.tokens == sum(one.tokens for one in kept)
    assert counted.files == sum(one.files for one in kept)


@given(holdings, holdings)
def test_a_projects_health_is_its_own_and_that_of_no_project(
    shared: list[Holding], own: list[Holding]
) -> None:
    held = {"": shared, "p": own, "q": [*own, *shared]}
    found = health_of(held, [day_found(held, NOW_MICROS)], project="p", now=NOW_MICROS)
    assert found.figures == figures_of([*shared, *own])
    assert found.history == [
        (
            TODAY,
            Snapshot(
                everybodys=found.figures.everybodys,
                agents=found.figures.agents,
                archive=found.figures.archive,
            ),
        )
    ]


@pytest.mark.parametrize(
    ("tokens", "status"),
    [
        (0, "HEALTHY"),
        (149_999, "HEALTHY"),
        (150_000, "WARNING"),
        (179_999, "WARNING"),
        (180_000, "CRITICAL"),
        (199_999, "CRITICAL"),
        (200_000, "LIMIT"),
        (10**9, "LIMIT"),
    ],
)
def test_the_status_is_the_highest_threshold_reached(tokens: int, status: str) -> None:
    assert status_of(tokens) == status


@pytest.mark.parametrize(("tokens", "advised"), [(150_000, False), (150_001, True)])
def test_semantic_search_is_advised_above_the_warning(tokens: int, advised: bool) -> None:
    amount = Amount(tokens=tokens, files=1)
    held = {"": [Holding(agent=None, scope=None, state="active", amount=amount)]}
    found = health_of(held, [], project=None, now=NOW_MICROS)
    assert (SEARCH_ADVICE in found.advice) is advised


@given(st.integers(0, 140_000), st.integers(10, 3_000), st.integers(2, 60))
def test_a_steady_growth_meets_a_threshold_when_it_is_due(first: int, step: int, days: int) -> None:
    history = [(TODAY - (days - 1 - n) * DAY_MICROS, first + n * step) for n in range(days)]
    found = trend_of(history, now=NOW_MICROS)
    assert found.tokens_per_day == pytest.approx(step)
    now = history[-1][1]
    for name, tokens in SPEC.thresholds.items():
        reached = found.reached[name]
        if now >= tokens:
            assert reached is None
        else:
            assert reached is not None
            later = (reached - TODAY) // DAY_MICROS
            assert now + later * step >= tokens - 1e-3 > now + (later - 1) * step - 2e-3


@given(st.lists(st.integers(0, 140_000), max_size=1) | st.just([5, 4]) | st.just([7, 7]))
def test_without_growth_no_day_is_projected(tokens: list[int]) -> None:
    history = [(TODAY - DAY_MICROS * at, one) for at, one in enumerate(reversed(tokens))][::-1]
    found = trend_of(history, now=NOW_MICROS)
    assert set(found.reached.values()) == {None}
    assert (found.tokens_per_day is None) is (len(tokens) < 2)


def test_a_day_sums_what_its_projects_hold() -> None:
    one = Snapshot(
        everybodys=Amount(tokens=1, files=1),
        agents=Amount(tokens=2, files=1),
        archive=Amount(tokens=3, files=1),
    )
    day = Day(day=TODAY, projects={"": one, "p": one, "q": one})
    assert day.of(None) == one + one + one
    assert day.of("p") == one + one
    assert day.of("unknown") == one
    assert Day(day=TODAY, projects={}).of(None) == EMPTY
