"""What is different from before is said with an interval, and not where there is no telling."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.comparing import (
    Sample,
    change_of_mean,
    change_of_rate,
    rate_sample,
    share_interval,
)


def sample(*amounts: float) -> Sample:
    squares = math.fsum(one * one for one in amounts)
    return Sample(count=len(amounts), total=math.fsum(amounts), squares=squares)


amounts = st.lists(st.floats(1, 1e6), min_size=2, max_size=30)


def test_a_quarter_less_is_a_change_of_minus_a_quarter() -> None:
    before, after = sample(90, 100, 110, 100), sample(70, 75, 80, 75)
    change = change_of_mean(before, after)
    assert change is not None
    assert change.by == pytest.approx(-0.25)
    assert change.low < -0.25 < change.high
    assert change.is_clear


@given(amounts, amounts)
def test_the_change_is_within_its_interval(before: list[float], after: list[float]) -> None:
    change = change_of_mean(sample(*before), sample(*after))
    assert change is not None
    assert change.low <= change.by + 1e-9
    assert change.by <= change.high + 1e-9


@pytest.mark.parametrize("other", [Sample(), sample(1.0), sample(0.0, 0.0)])
def test_means_are_not_compared_where_there_is_no_telling(other: Sample) -> None:
    assert change_of_mean(other, sample(1, 2, 3)) is None
    assert change_of_mean(sample(1, 2, 3), other) is None


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
def test_a_change_of_share_is_within_its_interval(k1: int, n1: int, k2: int, n2: int) -> None:
    change = change_of_rate((min(k1, n1), n1), (min(k2, n2), n2))
    assert change is not None
    assert -1 <= change.low <= change.by <= change.high <= 1


def test_the_same_share_is_no_clear_change() -> None:
    change = change_of_rate((5, 50), (50, 500))
    assert change is not None
    assert not change.is_clear
    assert change_of_rate((0, 0), (1, 2)) is None


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(1, 1e6)), min_size=2, max_size=30))
def test_a_rate_is_sum_over_sum(pairs: list[tuple[float, float]]) -> None:
    found = rate_sample(pairs)
    assert found is not None
    whole = math.fsum(d for d, _ in pairs) / math.fsum(x for _, x in pairs)
    assert found.mean == pytest.approx(whole)


def test_exactly_proportional_amounts_have_no_spread() -> None:
    found = rate_sample([(2.0, 1.0), (4.0, 2.0), (20.0, 10.0)])
    assert found is not None
    assert found.squares == pytest.approx(found.count * found.mean**2)
    assert rate_sample([(1.0, 0.0), (2.0, 0.0)]) is None
    assert rate_sample([(1.0, 1.0)]) is None


def test_the_share_of_nothing_is_unknown() -> None:
    assert share_interval(0, 0) == (0.0, 100.0)
    low, high = share_interval(1, 20)
    assert (round(low, 1), round(high, 1)) == (0.9, 23.6)  # Wilson, by hand
