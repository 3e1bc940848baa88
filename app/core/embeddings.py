"""Compare embeddings that callers bring."""

from collections.abc import Sequence
from math import sqrt
from operator import mul

RANK_OFFSET = 10
"""How slowly reciprocal ranks fall: the eleventh is worth about half of the first."""


def nearness(
    question: Sequence[float], embeddings: Sequence[Sequence[float] | None]
) -> list[float]:
    """How near each embedding is to the question's among the others: 1 for the nearest, falling
    with the rank of its cosine; 0 for those that are missing, opposite or of another length."""
    cosines = [_cosine(question, embedding) for embedding in embeddings]
    best = sorted(range(len(cosines)), key=lambda at: -cosines[at])
    found = [0.0] * len(cosines)
    for rank, at in enumerate(best):
        if cosines[at] <= 0:
            break
        found[at] = RANK_OFFSET / (RANK_OFFSET + rank)
    return found


def _cosine(one: Sequence[float], other: Sequence[float] | None) -> float:
    """Up to the length of `one`, which all comparisons of a question share."""
    if other is None or len(other) != len(one):
        return 0.0
    length = sqrt(sum(map(mul, other, other)))
    return sum(map(mul, one, other)) / length if length else 0.0
