"""Laws of intervals: they hold the figure, and narrow as runs come in."""

import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.intervals import (
    mean_interval,
    rate_difference,
    ratio_interval,
    student_t,
    wilson,
)

counts = st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))
samples = st.lists(st.floats(0.5, 10_000), min_size=2, max_size=40)


def sums(values: list[float]) -> tuple[int, float, float]:
    return len(values), math.fsum(values), math.fsum(value * value for value in values)


# Wilson, "Probable inference, the law of succession, and statistical inference" (1927); the
# figures can be had from any statistics program.
@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (3, 10, 0.10779, 0.60322),
        (0, 10, 0.0, 0.27753),
        (10, 10, 0.72247, 1.0),
        (81, 263, 0.25529, 0.36621),
        (1, 1, 0.20655, 1.0),
    ],
)
def test_known_intervals_of_rates(count: int, of: int, low: float, high: float) -> None:
    assert wilson(count, of) == pytest.approx((low, high), abs=5e-6)


@given(counted=counts)
def test_the_interval_of_a_rate_holds_it_and_stays_between_0_and_1(
    counted: tuple[int, int],
) -> None:
    count, of = counted
    found = wilson(count, of)

    assert found is not None
    assert 0 <= found[0] <= count / of <= found[1] <= 1
    assert found[0] < found[1]


@given(counted=counts)
def test_the_other_rate_has_the_mirrored_interval(counted: tuple[int, int]) -> None:
    count, of = counted
    found, other = wilson(count, of), wilson(of - count, of)

    assert found is not None
    assert other is not None
    assert other == pytest.approx((1 - found[1], 1 - found[0]), abs=1e-12)


@given(counted=counts, times=st.integers(2, 50))
def test_more_runs_of_one_rate_narrow_its_interval(counted: tuple[int, int], times: int) -> None:
    count, of = counted
    few, many = wilson(count, of), wilson(count * times, of * times)

    assert few is not None
    assert many is not None
    assert many[1] - many[0] < few[1] - few[0]


def test_nothing_counted_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert rate_difference(1, 2, 0, 0) is None
    assert mean_interval(1, 5.0, 25.0) is None
    assert ratio_interval(1, 5.0, 25.0, 9, 9.0, 9.0) is None
    assert ratio_interval(9, 9.0, 9.0, 9, 0.0, 0.0) is None


@given(now=counts, before=counts)
def test_a_difference_of_rates_is_held_and_turns_with_its_sides(
    now: tuple[int, int], before: tuple[int, int]
) -> None:
    found, turned = rate_difference(*now, *before), rate_difference(*before, *now)

    assert found is not None
    assert turned is not None
    assert -1 <= found[0] <= now[0] / now[1] - before[0] / before[1] <= found[1] <= 1
    assert turned == pytest.approx((-found[1], -found[0]), abs=1e-12)


def test_a_known_difference_of_rates() -> None:
    # Newcombe (1998), example (a) of its table II: 56/70 against 48/80, method 10
    assert rate_difference(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("freedom", "point"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (10, 2.2281), (30, 2.0423)],
)
def test_points_of_students_t(freedom: int, point: float) -> None:
    assert student_t(freedom) == pytest.approx(point, abs=1e-3)


@given(freedom=st.integers(1, 10_000))
def test_students_t_falls_towards_the_normal(freedom: int) -> None:
    assert 1.959 < student_t(freedom + 1) < student_t(freedom)


@given(values=samples)
def test_the_interval_of_a_mean_holds_it(values: list[float]) -> None:
    found = mean_interval(*sums(values))
    mean = math.fsum(values) / len(values)

    assert found is not None
    assert found[0] - 1e-6 <= mean <= found[1] + 1e-6


def test_a_known_interval_of_a_mean() -> None:
    # nine values with mean 5 and standard deviation sqrt(7.5): 5 ± 2.306 · 0.91287
    assert mean_interval(*sums([1, 2, 3, 4, 5, 6, 7, 8, 9])) == pytest.approx(
        (2.8949, 7.1051), abs=2e-4
    )


@given(values=samples, before=samples)
def test_a_ratio_is_held_and_turns_with_its_sides(values: list[float], before: list[float]) -> None:
    found = ratio_interval(*sums(values), *sums(before))
    turned = ratio_interval(*sums(before), *sums(values))
    ratio = (math.fsum(values) / len(values)) / (math.fsum(before) / len(before))

    assert found is not None
    assert turned is not None
    assert found[0] * (1 - 1e-9) <= ratio <= found[1] * (1 + 1e-9)
    assume(found[0] > 1e-250)
    assert turned[1] == pytest.approx(1 / found[0], rel=1e-9)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    chance = random.Random(4)
    means = ratios = rates = 0
    for _ in range(1_000):
        values = [chance.gauss(70, 20) for _ in range(25)]
        before = [chance.gauss(100, 25) for _ in range(30)]
        mean, ratio = mean_interval(*sums(values)), ratio_interval(*sums(values), *sums(before))
        rate = wilson(sum(chance.random() < 0.15 for _ in range(40)), 40)
        assert mean is not None
        assert ratio is not None
        assert rate is not None
        means += mean[0] <= 70 <= mean[1]
        ratios += ratio[0] <= 0.7 <= ratio[1]
        rates += rate[0] <= 0.15 <= rate[1]

    assert 925 <= means <= 975
    assert 925 <= ratios <= 980
    assert 925 <= rates <= 985
