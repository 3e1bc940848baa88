"""Laws of crossing thresholds."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.alerts import Threshold, crossed
from tests.core.policies import THRESHOLDS

amounts = st.integers(0, 3000)


def levels(found: tuple[Threshold, ...]) -> list[str]:
    return [threshold.level for threshold in found]


@given(amounts, amounts, amounts, st.integers(0, 2000))
def test_every_way_up_crosses_the_same_thresholds(
    first: int, second: int, third: int, limit: int
) -> None:
    low, middle, high = sorted((first, second, third))
    in_one = crossed(low, high, limit, THRESHOLDS)
    in_two = crossed(low, middle, limit, THRESHOLDS) + crossed(middle, high, limit, THRESHOLDS)
    assert in_one == in_two


@given(st.integers(1, 3000), st.integers(1, 2000))
def test_a_threshold_is_reached_at_equality_exactly(after: int, limit: int) -> None:
    expected = [one.level for one in THRESHOLDS if Fraction(one.share) * limit <= after]
    assert levels(crossed(0, after, limit, THRESHOLDS)) == expected


@given(amounts, st.integers(0, 2000))
def test_standing_still_crosses_nothing(amount: int, limit: int) -> None:
    assert crossed(amount, amount, limit, THRESHOLDS) == ()


def test_a_limit_of_zero_is_passed_by_the_first_token() -> None:
    assert crossed(0, 0, 0, THRESHOLDS) == ()
    assert crossed(0, 1, 0, THRESHOLDS) == THRESHOLDS
    assert crossed(1, 2, 0, THRESHOLDS) == ()


@pytest.mark.parametrize(
    ("limit", "below", "at"), [(3, 2, 3), (10, 8, 9), (20_001, 18_000, 18_001)]
)
def test_the_share_is_not_rounded(limit: int, below: int, at: int) -> None:
    thresholds = (Threshold(level="warning", share=Decimal("0.9")),)
    assert crossed(0, below, limit, thresholds) == ()
    assert crossed(below, at, limit, thresholds) == thresholds
