"""Split and scale whole amounts by decimal ratios without losing or inventing a unit."""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import lcm


def split_by_weight(total: int, weights: Sequence[Decimal]) -> tuple[int, ...]:
    """Shares of `total` in proportion to `weights`, by largest remainder, ties to the earlier.

    The shares sum to `total` exactly, whatever the weights sum to; with no weight above zero
    every share is zero.
    """
    parts = _whole_parts(tuple(weights))
    whole = sum(parts)
    if whole == 0:
        return (0,) * len(parts)

    divided = [divmod(total * part, whole) for part in parts]
    shares = [share for share, _ in divided]
    missing = total - sum(shares)
    if missing:
        by_remainder = sorted(range(len(parts)), key=lambda at: -divided[at][1])
        for at in by_remainder[:missing]:
            shares[at] += 1
    return tuple(shares)


def scale_down(amount: int, *ratios: Decimal) -> int:
    """The product of `amount` and all `ratios`, computed exactly and cut down to an integer."""
    divisor = 1
    for ratio in ratios:
        above, below = exact_ratio(ratio)
        amount *= above
        divisor *= below
    return amount // divisor


@lru_cache(maxsize=4096)
def exact_ratio(ratio: Decimal) -> tuple[int, int]:
    """The ratio as numerator and denominator: what float and Decimal arithmetic would round."""
    return ratio.as_integer_ratio()


@lru_cache(maxsize=1024)
def _whole_parts(weights: tuple[Decimal, ...]) -> tuple[int, ...]:
    ratios = [exact_ratio(weight) for weight in weights]
    common = lcm(*(below for _, below in ratios))
    return tuple(above * (common // below) for above, below in ratios)
