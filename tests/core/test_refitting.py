"""Prove that feedback shifts bias and temperature where it helps, and nothing else."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.detection import BIAS_LIMIT, TEMPERATURE_RANGE, Detection
from app.core.refitting import FEWEST, Sample, refit, samples_of, section, surprise
from app.presets.detector import weights

ODDS = st.tuples(*[st.floats(-8, 8)] * 3)


def harder_than_thought(count: int) -> list[Sample]:
    """Texts of which the detector believes less than is true."""
    chance = random.Random(1)
    found = []
    for _ in range(count):
        base = chance.gauss(0, 2)
        odds = (base + 1, base - 1, base - 3)
        found.append((odds, sum(chance.random() < 1 / (1 + 2.7 ** -(one + 1.2)) for one in odds)))
    return found


def test_fewer_than_fifty_change_nothing() -> None:
    found = refit(harder_than_thought(FEWEST - 1), weights(), Detection())
    assert not found.applied
    assert found.why == "1 more are needed"


def test_what_is_harder_than_thought_raises_the_bias() -> None:
    samples = harder_than_thought(400)
    found = refit(samples, weights(), Detection())
    assert found.applied
    assert all(shift > 0.3 for shift in found.bias)
    assert found.surprise_after < found.surprise_before
    fitted = Detection(bias=found.bias, temperature=found.temperature)
    assert surprise(samples, weights(), fitted) < surprise(samples, weights(), Detection())


def test_once_fitted_a_second_fit_finds_the_same() -> None:
    samples = harder_than_thought(400)
    once = refit(samples, weights(), Detection())
    again = refit(samples, weights(), Detection(bias=once.bias, temperature=once.temperature))
    assert (again.bias, again.temperature) == (once.bias, once.temperature)


@given(st.lists(st.tuples(ODDS, st.integers(0, 3)), min_size=FEWEST, max_size=70))
def test_a_fit_stays_within_its_limits(samples: list[Sample]) -> None:
    found = refit(samples, weights(), Detection())
    assert all(abs(shift) <= BIAS_LIMIT for shift in found.bias)
    assert TEMPERATURE_RANGE[0] <= found.temperature <= TEMPERATURE_RANGE[1]
    assert found.applied or (found.bias, found.temperature) == ((0.0, 0.0, 0.0), 1.0)


def test_the_section_keeps_what_is_stated() -> None:
    found = refit(harder_than_thought(400), weights(), Detection())
    made = section(found, {"detector": "learned", "under_allocation_cost": 2})
    assert made["under_allocation_cost"] == 2
    assert made["bias"] == list(found.bias)


def test_texts_become_samples() -> None:
    ((odds, truth),) = samples_of([("List tables", "expert")], weights())
    assert truth == 3
    assert odds[0] == pytest.approx(sorted(odds)[2])
