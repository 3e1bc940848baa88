"""Sort memories by how many words they have, into few classes."""

from functools import lru_cache
from math import log2

LENGTH_STEPS = 4
"""Classes of length per doubling."""

NUMBERS = 1 << 40
"""Numbers that a class of length has on SQLite: so the index lists shorter memories first."""


def length_class(length: int) -> int:
    """Memories of about the same number of words have the same class; longer ones a higher."""
    return int(LENGTH_STEPS * log2(length + 1))


@lru_cache(maxsize=256)
def length_in(length_class: int) -> float:
    """The number of words in the middle of a class."""
    return float(2 ** ((length_class + 0.5) / LENGTH_STEPS) - 1)
