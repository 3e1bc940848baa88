"""Laws of comparing embeddings: with numpy and without the answers are the same."""

import struct
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import embeddings
from app.core.embeddings import Embedding, cosines, nearest, nearness

WIDTH = 3
numbers = st.floats(-1000, 1000, width=32)
vectors = st.lists(numbers, min_size=WIDTH, max_size=WIDTH)
some = st.one_of(
    vectors,
    vectors.map(lambda vector: struct.pack(f"<{len(vector)}f", *vector)),
    st.none(),
    st.lists(numbers, max_size=WIDTH - 1),
    st.binary(max_size=4 * (WIDTH - 1)).map(lambda found: found[: len(found) // 4 * 4]),
)


def told(embedding: Embedding) -> list[float]:
    if isinstance(embedding, bytes):
        return list(struct.unpack(f"<{len(embedding) // 4}f", embedding))
    return list(embedding or [])


@pytest.fixture(params=["numpy", "plain"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(embeddings, "fast", lambda: None)
    else:
        assert embeddings.fast() is not None, "the extra `embeddings` belongs to the tests"


@given(question=vectors, kept=st.lists(some, max_size=6))
def test_both_ways_are_the_formula(question: list[float], kept: list[Embedding]) -> None:
    numpy = embeddings.fast()
    assert numpy is not None
    for found in (embeddings._slowly(question, kept), embeddings._fast(numpy, question, kept)):
        assert len(found) == len(kept)
        for cosine, embedding in zip(found, kept, strict=True):
            theirs = told(embedding)
            length = sqrt(sum(number * number for number in theirs))
            if len(theirs) != WIDTH or not length:
                assert cosine == 0
                continue
            right = sum(a * b for a, b in zip(question, theirs, strict=True)) / length
            reach = sqrt(sum(number * number for number in question))
            assert isclose(cosine, right, abs_tol=1e-5 * reach + 1e-9) or length < 1e-15


@pytest.mark.usefixtures("_way")
def test_the_nearest_come_first_and_what_is_opposite_not_at_all() -> None:
    kept: list[Embedding] = [
        struct.pack("<2f", 0.0, 1.0),
        [1.0, 0.1],
        None,
        struct.pack("<2f", -1.0, 0.0),
        [1.0, 0.0, 0.0],
        [3e38, 3e38],
        struct.pack("<2f", 0.5, 0.1),
    ]
    assert nearest([1.0, 0.0], kept)[:2] == [1, 6]
    ranks = nearness([1.0, 0.0], kept)
    assert ranks[1] == 1
    assert 0.9 < ranks[6] < 1
    assert ranks[0] == ranks[2] == ranks[3] == ranks[4] == 0


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("scale", [1e-42, 1e-25, 1.0, 1e25, 2e38])
def test_any_scale_that_float32_holds_is_compared(scale: float) -> None:
    kept: list[Embedding] = [
        struct.pack("<2f", *(scale * number for number in numbers))
        for numbers in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (-1.0, 0.0))
    ]
    assert nearest([1.0, 0.125], kept) == [2, 1, 0]
    assert nearest([scale, scale / 8], [struct.pack("<2f", 1.0, 1.0), *kept[2:]]) == [1, 0]


@pytest.mark.usefixtures("_way")
def test_nothing_is_near_to_nothing() -> None:
    assert cosines([1.0], []) == []
    assert cosines([0.0, 0.0], [[1.0, 2.0], None]) == [0.0, 0.0]


def test_more_are_compared_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = embeddings.most_compared()
    monkeypatch.setattr(embeddings, "fast", lambda: None)
    assert embeddings.most_compared() < fast
