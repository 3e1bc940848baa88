"""Laws of prices: every token once, by the rate of its kind and the step of the call's length."""

from decimal import ROUND_HALF_EVEN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.core.pricing import Counts, Price, Rates, Step, bill, nano, rate

USD = st.decimals("0", "200", places=6)
MAYBE = st.none() | USD
TOKENS = st.integers(0, 2_000_000)


def price(above: int | None = None, **usd: str | None) -> Price:
    rates = Rates(**{name: rate(Decimal(one)) for name, one in usd.items() if one is not None})
    steps = [Step(above=-1, rates=rates)]
    if above is not None:
        doubled = {name: 2 * rate(Decimal(one)) for name, one in usd.items() if one is not None}
        steps.append(Step(above=above, rates=Rates(**doubled)))
    return Price(steps=tuple(steps), version="test")


def in_nano(usd: Decimal) -> int:
    return int((usd * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))


def test_a_call_by_hand() -> None:
    listed = price(input="2.5", output="10", cached="1.25", cache_write="3", reasoning="20")
    counts = Counts(input=1_000, cached=400, cache_write=100, output=200, reasoning=50)
    # 500 × 2.50 + 400 × 1.25 + 100 × 3 = 2,050 and 150 × 10 + 50 × 20 = 2,500 per million
    found = bill(listed, counts)
    assert (found.input, found.output, found.total) == (2_050_000, 2_500_000, 4_550_000)


@given(USD, USD, TOKENS, TOKENS)
def test_the_total_is_what_decimals_say_rounded_once(
    into: Decimal, out: Decimal, sent: int, came: int
) -> None:
    found = bill(price(input=str(into), output=str(out)), Counts(input=sent, output=came))
    assert found.total == in_nano((into * sent + out * came) / 1_000_000)
    assert found.input == in_nano(into * sent / 1_000_000)


@given(USD, TOKENS, TOKENS, TOKENS, TOKENS)
def test_kinds_without_a_rate_cost_as_the_kind_they_are_part_of(
    into: Decimal, sent: int, cached: int, written: int, hour: int
) -> None:
    counts = Counts(input=sent, cached=cached, cache_write=written, cache_write_1h=hour)
    plain = bill(price(input=str(into)), Counts(input=sent))
    assert bill(price(input=str(into)), counts) == plain
    same = price(input=str(into), cached=str(into), cache_write=str(into), cache_write_1h=str(into))
    assert bill(same, counts) == plain


@given(TOKENS, st.integers(1, 1_000_000))
def test_a_long_call_costs_the_higher_rate_for_all_of_it(sent: int, above: int) -> None:
    listed = price(above=above, input="3")
    factor = 2 if sent > above else 1
    assert bill(listed, Counts(input=sent)).total == in_nano(Decimal(3 * factor * sent) / 1_000_000)


def test_halves_are_rounded_to_even() -> None:
    half = 10**15 // 2
    assert [nano(one) for one in (half, 3 * half, 5 * half, half + 1, half - 1)] == [0, 2, 2, 1, 0]
