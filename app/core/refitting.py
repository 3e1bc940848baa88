"""Fit the learned detector's bias and temperature to what tasks turned out to be."""

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any

from app.core.complexity import rung
from app.core.detection import BIAS_LIMIT, TEMPERATURE_RANGE, Detection, Three
from app.core.learned import Weights, cheapest, probabilities, weigh
from app.core.reading import read
from app.core.values import value

FEWEST = 50  # issue 8: before that nothing is fitted
NEW_ONES = 10
"""How much feedback must have come since the last fit, so that a restored version stays."""
MOST_READ = 2_000
"""The newest feedback that a fit looks at."""

VARIANCE = 0.5
"""How far a bias may be drawn from 0: about 0.7 where feedback is plenty."""
STEPS = 8
TEMPERATURES = tuple(0.5 * 1.15**step for step in range(13))

Sample = tuple[Three, int]
"""The log odds of a text, and the rung it turned out to be on."""


@value
class Refit:
    """What a fit came to."""

    samples: int
    applied: bool
    why: str
    bias: Three = (0.0, 0.0, 0.0)
    temperature: float = 1.0
    surprise_before: float = 0.0
    """Mean minus log likelihood, on the half of the feedback that was not fitted."""
    surprise_after: float = 0.0
    right_before: float = 0.0
    """Share of that half whose tier is right."""
    right_after: float = 0.0


def samples_of(feedback: Sequence[tuple[str, str]], weights: Weights) -> list[Sample]:
    """Texts and tiers as what a fit is made of."""
    return [(weigh(read(text), weights)[0], rung(tier)) for text, tier in feedback]


def refit(samples: Sequence[Sample], weights: Weights, detection: Detection) -> Refit:
    """Bias and temperature that suit the feedback, if half of it says so of the other half.

    The weights are never changed. A bias stays within `BIAS_LIMIT`.
    """
    count = len(samples)
    if count < FEWEST:
        return Refit(samples=count, applied=False, why=f"{FEWEST - count} more are needed")
    fitted, held = samples[::2], samples[1::2]
    tried = _with(detection, *_fit(fitted, weights))
    before, after = surprise(held, weights, detection), surprise(held, weights, tried)
    right_before, right_after = _right(held, weights, detection), _right(held, weights, tried)
    is_better = after < before and right_after >= right_before
    bias, temperature = _fit(samples, weights)
    return Refit(
        samples=count,
        applied=is_better,
        why="it judges the half better that was not fitted"
        if is_better
        else "it would not judge the half better that was not fitted",
        bias=bias if is_better else detection.bias,
        temperature=temperature if is_better else detection.temperature,
        surprise_before=round(before, 4),
        surprise_after=round(after, 4),
        right_before=round(right_before, 4),
        right_after=round(right_after, 4),
    )


def section(found: Refit, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The section `detection` of a policy document with what was fitted."""
    return {**stated, "bias": list(found.bias), "temperature": found.temperature}


def surprise(samples: Sequence[Sample], weights: Weights, detection: Detection) -> float:
    """Mean minus log likelihood of what texts turned out to be."""
    return -sum(
        log(probabilities(odds, weights, detection)[truth]) for odds, truth in samples
    ) / len(samples)


def _right(samples: Sequence[Sample], weights: Weights, detection: Detection) -> float:
    hits = sum(
        cheapest(probabilities(odds, weights, detection), detection.under_cost) == truth
        for odds, truth in samples
    )
    return hits / len(samples)


def _fit(samples: Sequence[Sample], weights: Weights) -> tuple[Three, float]:
    """The bias with the highest posterior, then the temperature that suits it."""
    first, second, third = (_shift(samples, at, weights.temperature) for at in range(3))
    bias = round(first, 3), round(second, 3), round(third, 3)
    low, high = TEMPERATURE_RANGE
    best = min(
        (one for one in TEMPERATURES if low <= one <= high),
        key=lambda one: surprise(samples, weights, Detection(bias=bias, temperature=one)),
    )
    return bias, round(best, 3)


def _shift(samples: Sequence[Sample], at: int, temperature: float) -> float:
    """What to add to one of the log odds, by Newton's method."""
    shift = 0.0
    for _ in range(STEPS):
        slope, bend = -shift / VARIANCE, 1 / VARIANCE
        for odds, truth in samples:
            chance = 1 / (1 + exp(-max(-30.0, min(30.0, (odds[at] + shift) / temperature))))
            slope += ((truth > at) - chance) / temperature
            bend += chance * (1 - chance) / temperature**2
        shift = max(-BIAS_LIMIT, min(BIAS_LIMIT, shift + slope / bend))
    return shift


def _with(detection: Detection, bias: Three, temperature: float) -> Detection:
    return Detection(
        detector=detection.detector,
        under_cost=detection.under_cost,
        learns=detection.learns,
        bias=bias,
        temperature=temperature,
    )
