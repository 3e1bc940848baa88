"""Laws of the sketch: merging is exact, and order statistics are within one per cent."""

from collections import Counter
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from app.core.statistics import (
    bucket_of,
    count_from,
    decode,
    encode,
    median_and_p95,
    quantiles,
    value_of,
)

MOST = 10**18  # used per cent of 10,000,000,000 tokens on a budget of one
values = st.one_of(st.integers(0, 300), st.integers(0, 200_000_000), st.integers(0, MOST))
samples = st.lists(values, min_size=1, max_size=60)
buckets = st.integers(0, 2_200)
sketches = st.dictionaries(buckets, st.integers(1, 200_000), max_size=6)


def sketch_of(sample: list[int]) -> Counter[int]:
    return Counter(map(bucket_of, sample))


def exact(sample: list[int], rank: int) -> int:
    return sorted(sample)[rank - 1]


def is_near(found: float, true: float) -> bool:
    return abs(found - true) <= 0.01 * true + 1e-9


@given(value=values)
def test_a_bucket_stands_within_one_per_cent_of_its_values(value: int) -> None:
    assert is_near(value_of(bucket_of(value)), value)


@given(one=values, other=values)
def test_buckets_keep_the_order_of_values(one: int, other: int) -> None:
    low, high = sorted((one, other))

    assert bucket_of(low) <= bucket_of(high)


def test_the_greatest_value_has_a_bucket_that_sixteen_bits_hold() -> None:
    assert 0 < bucket_of(MOST) <= 0xFFFF


@given(ours=samples, theirs=samples)
def test_merged_sketches_are_the_sketch_of_the_union(ours: list[int], theirs: list[int]) -> None:
    assert sketch_of(ours) + sketch_of(theirs) == sketch_of(ours + theirs)


@given(sketch=sketches)
def test_a_sketch_survives_its_encoding(sketch: dict[int, int]) -> None:
    assert decode(encode(sketch)) == sketch


@given(parts=st.lists(sketches, max_size=4))
def test_joined_encodings_are_the_merged_sketch(parts: list[dict[int, int]]) -> None:
    merged: Counter[int] = Counter()
    for part in parts:
        merged.update(part)

    assert decode(b"".join(map(encode, parts))) == merged


def test_counts_beyond_sixteen_bits_are_kept() -> None:
    for count in (0xFFFF - 1, 0xFFFF, 0xFFFF + 1, 3 * 0xFFFF, 1_000_000):
        assert decode(encode({7: count})) == {7: count}


def test_an_empty_sketch_is_no_bytes() -> None:
    assert encode({}) == b""
    assert decode(b"") == {}


@given(sample=samples, shares=st.lists(st.integers(1, 1_000), min_size=1, max_size=5))
def test_a_quantile_is_within_one_per_cent_of_its_exact_rank(
    sample: list[int], shares: list[int]
) -> None:
    ranks = sorted(ceil(share * len(sample) / 1_000) for share in shares)

    found = quantiles(sketch_of(sample), ranks, low=min(sample), high=max(sample))

    for rank, value in zip(ranks, found, strict=True):
        assert is_near(value, exact(sample, rank)), rank


@given(sample=samples)
def test_the_first_and_the_last_rank_are_exact(sample: list[int]) -> None:
    low, high = min(sample), max(sample)

    found = quantiles(sketch_of(sample), [1, len(sample)], low=low, high=high)

    assert found == ([float(low), float(high)] if len(sample) > 1 else [float(low)] * 2)


@given(sample=samples)
def test_the_median_is_the_mean_of_both_middle_ranks(sample: list[int]) -> None:
    count = len(sample)
    middle = (exact(sample, (count + 1) // 2) + exact(sample, count // 2 + 1)) / 2

    median, _ = median_and_p95(sketch_of(sample), low=min(sample), high=max(sample))

    assert is_near(median, middle)


@given(sample=samples)
def test_p95_is_the_rank_of_ninety_five_hundredths_rounded_up(sample: list[int]) -> None:
    rank = ceil(95 * len(sample) / 100)

    _, p95 = median_and_p95(sketch_of(sample), low=min(sample), high=max(sample))

    assert is_near(p95, exact(sample, rank))


@given(sample=samples)
def test_order_statistics_lie_between_least_and_greatest(sample: list[int]) -> None:
    low, high = float(min(sample)), float(max(sample))

    median, p95 = median_and_p95(sketch_of(sample), low=min(sample), high=max(sample))

    assert low <= median <= p95 <= high


@given(parts=st.lists(sketches, max_size=4), bucket=buckets)
def test_values_from_a_bucket_on_are_counted_in_what_is_encoded(
    parts: list[dict[int, int]], bucket: int
) -> None:
    joined = b"".join(encode(part) for part in parts)

    assert count_from(joined, bucket) == sum(
        count for part in parts for other, count in part.items() if other >= bucket
    )
