"""Compare embeddings that callers bring: with numpy where it is installed, else in plain Python."""

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt
from operator import mul
from types import ModuleType
from typing import Any

RANK_OFFSET = 10
"""How slowly reciprocal ranks fall: the eleventh is worth about half of the first."""

COMPARED, COMPARED_SLOWLY = 20_000, 1_000
"""Embeddings that a question is compared with at most: with numpy, and without."""

FLOAT_BYTES = 4
LEAST_SQUARE, MOST_SQUARE = 1e-20, 1e20
"""Of a length: between them float32 reckons as well as anybody."""

Embedding = bytes | Sequence[float] | None
"""Numbers, or float32 as they are kept, the lowest byte first; None where there is none."""


def nearness(question: Sequence[float], embeddings: Sequence[Embedding]) -> list[float]:
    """How near each embedding is to the question's among the others: 1 for the nearest, falling
    with the rank of its cosine; 0 for those that are missing, opposite or of another length."""
    found = [0.0] * len(embeddings)
    for rank, at in enumerate(nearest(question, embeddings)):
        found[at] = RANK_OFFSET / (RANK_OFFSET + rank)
    return found


def nearest(question: Sequence[float], embeddings: Sequence[Embedding]) -> list[int]:
    """Indexes of the embeddings on the question's side, the nearest first."""
    found = cosines(question, embeddings)
    sided = [at for at, cosine in enumerate(found) if cosine > 0]
    return sorted(sided, key=found.__getitem__, reverse=True)


def cosines(question: Sequence[float], embeddings: Sequence[Embedding]) -> list[float]:
    """The cosine of each embedding to the question's, up to the length of the question's, which
    all share; 0 for those that are missing, zero or of another length."""
    numpy = fast()
    return _slowly(question, embeddings) if numpy is None else _fast(numpy, question, embeddings)


@lru_cache(maxsize=1)
def fast() -> ModuleType | None:
    """numpy, if it is installed: an extra, which is looked for when embeddings come."""
    try:
        import numpy  # noqa: PLC0415 (slow to load; most do without)
    except ImportError:
        return None
    return numpy


def most_compared() -> int:
    """How many embeddings a question can be compared with in some ten milliseconds."""
    return COMPARED_SLOWLY if fast() is None else COMPARED


def _slowly(question: Sequence[float], embeddings: Sequence[Embedding]) -> list[float]:
    found = []
    for embedding in embeddings:
        numbers = memoryview(embedding).cast("f") if isinstance(embedding, bytes) else embedding
        if numbers is None or len(numbers) != len(question):
            found.append(0.0)
            continue
        length = sqrt(sum(map(mul, numbers, numbers)))
        found.append(sum(map(mul, question, numbers)) / length if length else 0.0)
    return found


def _fast(
    numpy: ModuleType, question: Sequence[float], embeddings: Sequence[Embedding]
) -> list[float]:
    width = len(question)
    kept: list[tuple[int, bytes]] = []
    told: list[tuple[int, Sequence[float]]] = []
    for at, embedding in enumerate(embeddings):
        if isinstance(embedding, bytes):
            if len(embedding) == FLOAT_BYTES * width:
                kept.append((at, embedding))
        elif embedding is not None and len(embedding) == width:
            told.append((at, embedding))
    asked = numpy.asarray(question, dtype="f8")
    found = numpy.zeros(len(embeddings))
    for places, numbers in (
        ([at for at, _ in kept], numpy.frombuffer(b"".join(one for _, one in kept), "<f4")),
        ([at for at, _ in told], numpy.asarray([one for _, one in told], dtype="f8")),
    ):
        if places:
            found[places] = _cosines(numpy, asked, numbers.reshape(len(places), width))
    cosines: list[float] = found.tolist()
    return cosines


def _cosines(numpy: ModuleType, asked: Any, rows: Any) -> Any:
    """Of rows of numbers; zeros come out as 0. Squares that leave the range of float32 are taken
    again as float64."""
    with numpy.errstate(all="ignore"):
        largest = abs(asked).max() or 1.0
        asked = asked / largest
        squares = numpy.einsum("ij,ij->i", rows, rows)
        products = (rows @ numpy.asarray(asked, rows.dtype)).astype("f8")
        extreme = ~((squares > LEAST_SQUARE) & (squares < MOST_SQUARE))
        if rows.dtype.itemsize == FLOAT_BYTES and extreme.any():
            again = rows[extreme].astype("f8")
            squares = squares.astype("f8")
            squares[extreme] = numpy.einsum("ij,ij->i", again, again)
            products[extreme] = again @ asked
        cosines = largest * products / numpy.sqrt(squares)
        return numpy.nan_to_num(cosines, nan=0.0, posinf=0.0, neginf=0.0)
