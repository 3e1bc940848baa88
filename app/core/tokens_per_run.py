"""Say how many tokens a run loads and how sure that is, from sums by agent, complexity and day.

The mean is exact. Its spread is that between days: each day's runs of one kind are taken as one
draw, so that runs of one day that are alike do not make a figure look surer than it is.
"""

import math
from collections.abc import Mapping

from app.core.comparing import Sample
from app.core.values import value

Kind = tuple[str, str]
"""An agent and a complexity."""


@value
class Tally:
    """What the runs of one kind come to over some days."""

    days: int = 0
    """Days, or hours, that it ran in."""
    runs: int = 0
    used: int = 0
    squares: float = 0.0
    """Of each day the square of its tokens over its runs, added up."""
    exceeded: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            days=self.days + other.days,
            runs=self.runs + other.runs,
            used=self.used + other.used,
            squares=self.squares + other.squares,
            exceeded=self.exceeded + other.exceeded,
        )

    @property
    def mean(self) -> float:
        """Tokens a run."""
        return self.used / self.runs

    @property
    def variance_of_mean(self) -> float:
        """How far the mean may be off, squared; at least two days."""
        spread = max(0.0, self.squares - self.used * self.mean) / (self.days - 1)
        return spread / self.runs


Tallies = Mapping[Kind, Tally]

FEWEST_DAYS = 2
"""Days of one kind on each side below which it is left out: no spread is known."""


@value
class Alike:
    """Tokens a run before and after, of the same mix of agents and complexities."""

    before: Sample
    after: Sample
    runs_before: int
    runs_after: int


def total_of(tallies: Tallies) -> Tally:
    """All kinds together."""
    return sum(tallies.values(), Tally())


def like_for_like(before: Tallies, after: Tallies) -> Alike:
    """Compare the kinds that ran in both, each by its runs after.

    A change of what is run is then no change of what a run loads.
    """
    pairs = [
        (before[kind], after[kind])
        for kind in sorted(before.keys() & after.keys())
        if min(before[kind].days, after[kind].days) >= FEWEST_DAYS
    ]
    weights = [later.runs for _, later in pairs]
    return Alike(
        before=_weighted([earlier for earlier, _ in pairs], weights),
        after=_weighted([later for _, later in pairs], weights),
        runs_before=sum(earlier.runs for earlier, _ in pairs),
        runs_after=sum(weights),
    )


def _weighted(tallies: list[Tally], weights: list[int]) -> Sample:
    """A weighted mean of means, as a sample of the days behind it that has its error."""
    whole = sum(weights)
    if not whole:
        return Sample()
    pairs = list(zip(weights, tallies, strict=True))
    mean = math.fsum(weight * one.mean for weight, one in pairs) / whole
    error = math.fsum(weight * weight * one.variance_of_mean for weight, one in pairs) / whole**2
    draws = 1 + sum(one.days - 1 for one in tallies)
    return Sample(
        count=draws, total=mean * draws, squares=draws * mean * mean + error * draws * (draws - 1)
    )
