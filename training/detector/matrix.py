"""Turn texts into the numbers that a fit takes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.core.hygiene import MASK
from app.core.reading import NUMBER, Reading
from training.detector.fit import Floats, Rows, fit
from training.detector.priors import BIAS, PRIORS

SIGNAL, WORD, PAIR, BESIDE, CONSTANT = 0.5, 1.0, 0.5, 0.2, 4.0
"""How far weights may leave their priors (variances): words of the request most, those beside it
least. Chosen by texts of writers that were left out."""

RARE = 2
"""Fewer texts than this do not make a feature, unless it has a prior."""

_MARKS = frozenset(f"{MASK}{NUMBER}~^ ")
"""Of these alone a text has no words: names and numbers are signals."""


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
    names = sorted(
        {
            name
            for name, count in seen.items()
            if name in signals or (count >= RARE and not _MARKS.issuperset(name))
        }
        | set(PRIORS)
    )
    return Columns(
        place={name: at for at, name in enumerate(names)},
        signals=frozenset(signals),
        variance=np.array([*(_variance(name, signals) for name in names), CONSTANT]),
        prior=np.array([*(PRIORS.get(name, (0.0, 0.0, 0.0)) for name in names), BIAS]),
    )


def _variance(name: str, signals: set[str]) -> float:
    if name in signals:
        return SIGNAL
    if name.startswith("~"):
        return BESIDE
    return PAIR if " " in name else WORD


def rows_of(readings: Sequence[Reading], columns: Columns) -> Rows:
    """One row for each text; the last column is constant."""
    place = columns.place
    rows = [
        [
            *((place[stem], 1.0) for stem in sorted(set(reading.stems)) if stem in place),
            *(
                (place[name], value)
                for name, value in sorted(reading.signals.items())
                if name in place
            ),
            (len(place), 1.0),
        ]
        for reading in readings
    ]
    return Rows.of(rows, len(place) + 1)


def fit_all(readings: Sequence[Reading], labels: Floats) -> tuple[Columns, Floats]:
    """Weights for each of the three questions; `labels` has both labels of each text."""
    columns = columns_of(readings)
    x = rows_of(readings, columns)
    weights = [
        fit(x, (labels > rung).mean(axis=1), columns.prior[:, rung], columns.variance)
        for rung in range(3)
    ]
    return columns, np.array(weights).T
