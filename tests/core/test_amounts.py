"""Laws of splitting and scaling amounts."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.core.amounts import scale_down, split_by_weight

totals = st.integers(0, 10**12)
weights = st.lists(st.decimals(0, 5, places=4), min_size=1, max_size=8).filter(any)


@given(totals, weights)
def test_shares_sum_to_the_total(total: int, weights: list[Decimal]) -> None:
    assert sum(split_by_weight(total, weights)) == total


@given(totals, weights)
def test_each_share_is_less_than_one_from_its_exact_part(
    total: int, weights: list[Decimal]
) -> None:
    whole = Fraction(sum(weights))
    for share, weight in zip(split_by_weight(total, weights), weights, strict=True):
        assert abs(share - total * Fraction(weight) / whole) < 1


@given(totals, weights, st.integers(1, 9))
def test_only_the_proportion_of_weights_counts(
    total: int, weights: list[Decimal], factor: int
) -> None:
    grown = [weight * factor for weight in weights]
    assert split_by_weight(total, grown) == split_by_weight(total, weights)


def test_a_tie_goes_to_the_earlier() -> None:
    assert split_by_weight(2, [Decimal("0.25")] * 4) == (1, 1, 0, 0)
    assert split_by_weight(1, [Decimal("0.2"), Decimal("0.4"), Decimal("0.4")]) == (0, 1, 0)


def test_nothing_has_no_shares() -> None:
    assert split_by_weight(100, []) == ()
    assert split_by_weight(100, [Decimal(0), Decimal(0)]) == (0, 0)


@given(totals, st.decimals(0, 3, places=6), st.decimals(0, 1, places=6))
def test_scaling_is_exact_before_it_is_cut(amount: int, one: Decimal, other: Decimal) -> None:
    exact = amount * Fraction(one) * Fraction(other)
    assert scale_down(amount, one, other) == exact.numerator // exact.denominator


def test_a_ratio_longer_than_decimal_precision_is_not_rounded() -> None:
    almost_one = Decimal("0." + "9" * 40)
    assert scale_down(10**12, almost_one) == 10**12 - 1
