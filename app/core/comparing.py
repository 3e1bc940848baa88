"""Say whether something is different from before: differences and ratios with their intervals."""

import math
from collections.abc import Iterable

from app.core.intervals import rate_difference, ratio_interval, wilson
from app.core.values import value

FEWEST_RUNS = 10
"""Runs on each side below which nothing is compared: the minimum of A12."""


@value
class Change:
    """How much something changed, and the interval that holds it with 95 % confidence."""

    by: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out that nothing changed."""
        return self.low > 0 or self.high < 0


@value
class Sample:
    """Amounts that were measured, by what is needed to compare them."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Their average; 0 of none."""
        return self.total / self.count if self.count else 0.0


def change_of_rate(before: tuple[int, int], after: tuple[int, int]) -> Change | None:
    """The difference of two shares, each k of n; None where either is of nothing."""
    found = rate_difference(*after, *before)
    if found is None:
        return None
    return Change(by=after[0] / after[1] - before[0] / before[1], low=found[0], high=found[1])


def change_of_mean(before: Sample, after: Sample) -> Change | None:
    """The relative change of a mean (−0.25: a quarter less); None where there is no telling."""
    found = ratio_interval(
        after.count, after.total, after.squares, before.count, before.total, before.squares
    )
    if found is None:
        return None
    return Change(by=after.mean / before.mean - 1, low=found[0] - 1, high=found[1] - 1)


def rate_sample(amounts: Iterable[tuple[float, float]]) -> Sample | None:
    """The first amounts per unit of the second ones, as a sample whose mean is sum over sum.

    Its spread is that of the first amounts around what the second ones let expect (the delta
    method). None where the second ones are nothing.
    """
    given = list(amounts)
    below = math.fsum(x for _, x in given)
    if len(given) < 2 or below <= 0:
        return None
    ratio = math.fsum(d for d, _ in given) / below
    each = below / len(given)
    spread = math.fsum((d - ratio * x) ** 2 for d, x in given) / each**2
    return Sample(
        count=len(given), total=ratio * len(given), squares=spread + ratio * ratio * len(given)
    )


def share_interval(count: int, of: int) -> tuple[float, float]:
    """The Wilson interval of a share in per cent, 0 to 100 where nothing was counted."""
    low, high = wilson(count, of) or (0.0, 1.0)
    return 100 * low, 100 * high
