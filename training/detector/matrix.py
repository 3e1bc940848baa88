"""Turn texts into the numbers that a fit takes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.core.hygiene import MASK
from app.core.learned import share
from app.core.reading import NUMBER, Reading, parts_of
from training.detector.data import Example, labels_of
from training.detector.fit import Floats, Rows, Spelt, fit
from training.detector.priors import BIAS, PRIORS

SIGNAL, WORD, PAIR, PART, CONSTANT = 0.2, 0.4, 0.8, 0.1, 4.0
"""How far weights may leave their priors (variances). Chosen by texts left out."""

RARE = 2
RARE_PART = 3
"""What fewer texts than this have is no feature, unless it has a prior."""

_MARKS = frozenset(f"{MASK}{NUMBER}?^ ")
"""Of these alone a text has no words: names and numbers are signals."""


@dataclass(frozen=True)
class Columns:
    """The features that a fit knows, in the order of its columns.

    Signals, words, pairs, a constant, parts of words.
    """

    signals: dict[str, int]
    words: dict[str, int]
    pairs: dict[str, int]
    parts: dict[str, int]
    variance: Floats
    prior: Floats

    @property
    def constant(self) -> int:
        """The column that each text has."""
        return len(self.signals) + len(self.words) + len(self.pairs)


def columns_of(readings: Sequence[Reading]) -> Columns:
    """The features of these texts, with what is believed of them before."""
    signals = sorted({*PRIORS, *(name for reading in readings for name in reading.signals)})
    words = _common((reading.vocabulary for reading in readings), RARE)
    pairs = _common((reading.pairs for reading in readings), RARE)
    parts = _common(
        ({part for word in reading.vocabulary for part in parts_of(word)} for reading in readings),
        RARE_PART,
    )
    plain = len(words) + len(pairs)
    first = len(signals)
    return Columns(
        signals={name: at for at, name in enumerate(signals)},
        words={name: first + at for at, name in enumerate(words)},
        pairs={name: first + len(words) + at for at, name in enumerate(pairs)},
        parts={name: at for at, name in enumerate(parts)},
        variance=np.repeat(
            [SIGNAL, WORD, PAIR, CONSTANT, PART],
            [first, len(words), len(pairs), 1, len(parts)],
        ),
        prior=np.array(
            [
                *(PRIORS.get(name, (0.0, 0.0, 0.0)) for name in signals),
                *([(0.0, 0.0, 0.0)] * plain),
                BIAS,
                *([(0.0, 0.0, 0.0)] * len(parts)),
            ]
        ),
    )


def _common(texts: Iterable[Iterable[str]], least: int) -> list[str]:
    seen = Counter(name for one in texts for name in one)
    return sorted(
        name for name, count in seen.items() if count >= least and not _MARKS.issuperset(name)
    )


def rows_of(readings: Sequence[Reading], columns: Columns) -> Spelt:
    """One row for each text."""
    vocabulary = sorted({word for reading in readings for word in reading.vocabulary})
    at = {word: place for place, word in enumerate(vocabulary)}
    left, words = [], []
    for reading in readings:
        counts = share(len(reading.vocabulary))
        left.append(
            [
                *(
                    (columns.signals[n], v)
                    for n, v in sorted(reading.signals.items())
                    if n in columns.signals
                ),
                *((columns.words[n], counts) for n in reading.vocabulary if n in columns.words),
                *((columns.pairs[n], counts) for n in reading.pairs if n in columns.pairs),
                (columns.constant, 1.0),
            ]
        )
        words.append([(at[word], counts) for word in reading.vocabulary])
    parts = [
        [(columns.parts[part], 1.0) for part in parts_of(word) if part in columns.parts]
        for word in vocabulary
    ]
    return Spelt(
        left=Rows.of(left, columns.constant + 1),
        words=Rows.of(words, len(vocabulary)),
        parts=Rows.of(parts, len(columns.parts)),
    )


def fit_all(examples: Sequence[Example], *, is_rough: bool = False) -> tuple[Columns, Floats]:
    """Weights for each of the three questions, of features that our own texts have."""
    columns = columns_of([one.reading for one in examples if one.is_ours])
    x = rows_of([one.reading for one in examples], columns)
    labels = labels_of(examples)
    weights = [
        fit(
            x,
            (labels > rung).mean(axis=1),
            columns.prior[:, rung],
            columns.variance,
            is_rough=is_rough,
        )
        for rung in range(3)
    ]
    return columns, np.array(weights).T
