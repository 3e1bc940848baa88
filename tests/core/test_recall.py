"""Laws of the first look: what is searched for, and what stands beside hits."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.passages import Statistics
from app.core.recall import LEAST_HITS, MOST_HITS, gain, hits_for, rarity, searches, spans

counts = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 5_000), max_size=50)
hits = st.lists(
    st.tuples(st.sampled_from("pq"), st.sampled_from("st"), st.integers(-20, 20)), max_size=20
)


def known(containing: dict[str, int]) -> Statistics:
    return Statistics(memories=10_000, length=100_000, containing=containing)


@given(room=st.integers(0, 10**9), more=st.integers(0, 10**9))
def test_a_larger_budget_looks_at_no_fewer_and_at_enough_to_fill_it(room: int, more: int) -> None:
    few = hits_for(known({}), room)
    assert LEAST_HITS <= few <= hits_for(known({}), room + more) <= MOST_HITS
    short = Statistics(memories=1_000, length=3_000, containing={})
    assert few <= hits_for(short, room)
    assert hits_for(short, 100) * 5 > 100


@given(containing=counts)
def test_only_the_rarest_words_count_alone_and_others_beside_rarer_ones(
    containing: dict[str, int],
) -> None:
    wanted = searches(known(containing), 1_000)
    alone = [word for word, beside in wanted if not beside]

    assert bool(wanted) == bool(containing)
    assert len(alone) <= 1 or sum(containing[word] for word in alone) <= 1_000
    for word, beside in wanted:
        assert all(containing[other] <= containing[word] for other in beside)


@given(containing=counts)
def test_a_rarer_word_says_more(containing: dict[str, int]) -> None:
    by_count = sorted(containing, key=containing.__getitem__)
    found = [rarity(known(containing), word) for word in by_count]
    assert found == sorted(found, reverse=True)


@given(length=st.floats(1, 1_000), average=st.floats(1, 1_000))
def test_a_word_gains_less_among_more_others(length: float, average: float) -> None:
    assert gain(length, average) > gain(length + 10, average) > 0


@given(hits=hits, reach=st.integers(0, 3))
def test_spans_cover_what_is_near_a_hit_once_and_nothing_else(
    hits: list[tuple[str, str, int]], reach: int
) -> None:
    near = {
        (project, session, position + step)
        for project, session, position in hits
        for step in range(-reach, reach + 1)
    }
    covered = [
        (project, session, position)
        for project, session, low, high in spans(hits, reach)
        for position in range(low, high + 1)
    ]
    assert sorted(covered) == sorted(near)
