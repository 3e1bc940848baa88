"""Turn texts into the numbers that a fit takes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.core.reading import Reading
from training.detector.fit import Floats, fit
from training.detector.priors import BIAS, PRIORS

SIGNAL, CROSSING, STEM, BESIDE, CONSTANT = 1.0, 0.25, 0.05, 0.02, 4.0
"""How far weights may leave their priors (variances): signals most, words beside it least."""

RARE = 2
"""Fewer texts than this do not make a feature, unless it has a prior."""


@dataclass(frozen=True)
class Columns:
    """The features that a fit knows."""

    place: dict[str, int]
    signals: frozenset[str]
    variance: Floats
    prior: Floats


def columns_of(readings: Sequence[Reading]) -> Columns:
    """The features of these texts, with what is believed of them before."""
    seen: Counter[str] = Counter()
    signals = set(PRIORS)
    for reading in readings:
        seen.update({*reading.stems, *reading.signals})
        signals.update(reading.signals)
    names = sorted({name for name, count in seen.items() if count >= RARE} | set(PRIORS))
    return Columns(
        place={name: at for at, name in enumerate(names)},
        signals=frozenset(signals),
        variance=np.array([*(_variance(name, signals) for name in names), CONSTANT]),
        prior=np.array([*(PRIORS.get(name, (0.0, 0.0, 0.0)) for name in names), BIAS]),
    )


def _variance(name: str, signals: set[str]) -> float:
    if name in signals:
        return CROSSING if " + " in name else SIGNAL
    return BESIDE if name.startswith("~") else STEM


def matrix_of(readings: Sequence[Reading], columns: Columns) -> Floats:
    """One row for each text; the last column is constant."""
    found = np.zeros((len(readings), len(columns.place) + 1))
    found[:, -1] = 1
    for row, reading in enumerate(readings):
        for stem in set(reading.stems):
            if stem in columns.place:
                found[row, columns.place[stem]] = 1
        for name, strength in reading.signals.items():
            if name in columns.place:
                found[row, columns.place[name]] = strength
    return found


def fit_all(readings: Sequence[Reading], labels: Floats) -> tuple[Columns, Floats]:
    """Weights for each of the three questions; `labels` has both labels of each text."""
    columns = columns_of(readings)
    x = matrix_of(readings, columns)
    kernel = ((x * columns.variance).astype("f4") @ x.T.astype("f4")).astype(float)
    weights = [
        fit(x, (labels > rung).mean(axis=1), columns.prior[:, rung], columns.variance, kernel)
        for rung in range(3)
    ]
    return columns, np.array(weights).T
