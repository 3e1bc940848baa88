"""Estimate order statistics from a mergeable sketch, within one per cent.

A sketch counts integers in buckets whose bounds grow by `GROWTH`; merging adds counts, so it is
exact, and any grouping of the same values gives the same sketch. Ranks: the q-quantile of n values
is the one of rank ⌈q·n⌉ in ascending order; the median is the mean of both middle ranks.
"""

import math
from array import array
from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import Struct
from sys import byteorder

GROWTH = 1.0198
"""Bounds of neighbouring buckets; the middle of a bucket is then within 0.98 % of its values."""

_LOG = math.log(GROWTH)
_MAX_COUNT = 0xFFFF
_STORE = "little"
_ONE = Struct("<HH")
_PAIR = next(kind for kind in "IL" if array(kind).itemsize == _ONE.size)


def bucket_of(value: int) -> int:
    """The bucket of a value ≥ 0; zero has its own."""
    return 1 + int(math.log(value) / _LOG) if value > 0 else 0


@lru_cache(maxsize=4096)
def value_of(bucket: int) -> float:
    """The value that stands for all values of a bucket."""
    return 2.0 * GROWTH**bucket / (GROWTH + 1.0) if bucket else 0.0


def encode(counts: Mapping[int, int]) -> bytes:
    """A sketch as bytes: pairs of 16-bit bucket and count. Joining encodings merges sketches."""
    if len(counts) == 1:
        ((bucket, count),) = counts.items()
        if count <= _MAX_COUNT:
            return _ONE.pack(bucket, count)
    pairs = array("H")
    for bucket in sorted(counts):
        count = counts[bucket]
        while count > _MAX_COUNT:
            pairs.extend((bucket, _MAX_COUNT))
            count -= _MAX_COUNT
        pairs.extend((bucket, count))
    if byteorder != _STORE:
        pairs.byteswap()
    return pairs.tobytes()


def decode(encoded: bytes) -> dict[int, int]:
    """The counts by bucket of one encoding or of several joined."""
    pairs = array("H")
    pairs.frombytes(encoded)
    if byteorder != _STORE:
        pairs.byteswap()
    counts: dict[int, int] = {}
    get = counts.get
    for bucket, count in zip(pairs[0::2], pairs[1::2], strict=True):
        counts[bucket] = get(bucket, 0) + count
    return counts


def count_from(encoded: bytes, bucket: int) -> int:
    """How many values of an encoding, or of several joined, lie in a bucket or above it."""
    pairs = array("H", encoded)
    pairs.byteswap()
    joined = array(_PAIR, pairs.tobytes())  # a bucket's 16 bits before those of its count
    if byteorder == _STORE:
        joined.byteswap()
    least = bucket << 16
    return sum([pair & _MAX_COUNT for pair in joined if pair >= least])


def quantiles(
    counts: Mapping[int, int], ranks: Iterable[int], *, low: int, high: int
) -> list[float]:
    """The values of ascending ranks (1 … n), between the exact least and greatest value."""
    total = sum(counts.values())
    ordered = sorted(counts)
    found: list[float] = []
    position, seen = -1, 0
    for rank in ranks:
        if rank <= 1 or rank >= total:
            found.append(float(low if rank <= 1 else high))
            continue
        while seen < rank:
            position += 1
            seen += counts[ordered[position]]
        found.append(min(max(value_of(ordered[position]), low), high))
    return found


def median_and_p95(counts: Mapping[int, int], *, low: int, high: int) -> tuple[float, float]:
    """Median and 95th percentile of a sketch with at least one value."""
    total = sum(counts.values())
    below, above = (total + 1) // 2, total // 2 + 1
    p95 = -(-95 * total // 100)
    ranks = sorted({below, above, p95})
    values = dict(zip(ranks, quantiles(counts, ranks, low=low, high=high), strict=True))
    return (values[below] + values[above]) / 2, values[p95]
