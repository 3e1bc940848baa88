"""What speaks for a memory: words, neighbours, speakers, dates, shape."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.retrieval import Passage, Relevance, probe, relevances, statistics_of, traits_of

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
SUBJECTS = "boat harbour lemon violin river ladder copper window garden printer".split()


def passage(id: str, text: str, **more: object) -> Passage:
    return Passage(id=id, traits=traits_of(text), **more)  # type: ignore[arg-type]


def talk(
    *turns: str, session: str = "s", start: datetime = NOW - timedelta(days=9)
) -> list[Passage]:
    """Turns of one sitting, each `speaker: text`."""
    return [
        passage(
            f"{session}{at}",
            turn,
            session=session,
            speaker=turn.partition(":")[0],
            position=at,
            created_at=start + timedelta(minutes=at),
        )
        for at, turn in enumerate(turns)
    ]


def scores(
    task: str, passages: Sequence[Passage], *, explain: bool = False
) -> dict[str, Relevance]:
    found = relevances(task, passages, statistics_of(passages), as_of=NOW, explain=explain)
    return {one.id: score for one, score in zip(passages, found, strict=True)}


def best(task: str, passages: Sequence[Passage]) -> str:
    found = scores(task, passages)
    return max(found, key=lambda id: found[id].value)


texts = st.lists(st.sampled_from([*SUBJECTS, "?", "Anna", "three", "yesterday", "\n"]), max_size=12)
moments = st.none() | st.datetimes(timezones=st.just(UTC))
pools = st.lists(
    st.builds(
        lambda words, session, speaker, position, created_at, importance: Passage(
            id="",
            traits=traits_of(" ".join(words)),
            session=session,
            speaker=speaker,
            position=position,
            created_at=created_at,
            importance=importance,
        ),
        words=texts,
        session=st.sampled_from([None, "a", "b"]),
        speaker=st.sampled_from([None, "Anna", "Ben Sund"]),
        position=st.none() | st.integers(0, 20),
        created_at=moments,
        importance=st.floats(0, 1),
    ),
    min_size=1,
    max_size=20,
)
tasks = st.text(max_size=40) | st.lists(
    st.sampled_from([*SUBJECTS, "When", "Anna", "how many", "latest", "in May 2023"]), max_size=8
).map(" ".join)


@given(task=tasks, pool=pools)
def test_parts_times_weights_add_up_to_a_value_between_0_and_1(
    task: str, pool: list[Passage]
) -> None:
    found = relevances(task, pool, statistics_of(pool), as_of=NOW, explain=True)
    assert len(found) == len(pool)
    for one in found:
        assert 0.0 <= one.value <= 1.0
        assert all(0.0 <= value <= 1.0 for _, value, _ in one.parts)
        assert sum(value * weight for _, value, weight in one.parts) == pytest.approx(one.value)
        assert len({name for name, _, _ in one.parts}) == len(one.parts)


@given(task=tasks, pool=pools)
def test_explaining_changes_no_value(task: str, pool: list[Passage]) -> None:
    statistics = statistics_of(pool)
    plain = relevances(task, pool, statistics, as_of=NOW)
    explained = relevances(task, pool, statistics, as_of=NOW, explain=True)
    assert [one.value for one in plain] == [one.value for one in explained]


@given(task=tasks, words=st.lists(texts, min_size=1, max_size=12), data=st.data())
def test_the_order_of_the_pool_changes_no_value(
    task: str, words: list[list[str]], data: st.DataObject
) -> None:
    pool = [
        passage(str(at), " ".join(some), session="ab"[at % 2], position=at)
        for at, some in enumerate(words)
    ]
    shuffled = data.draw(st.permutations(pool))
    one, other = scores(task, pool), scores(task, shuffled)
    assert {id: score.value for id, score in one.items()} == pytest.approx(
        {id: score.value for id, score in other.items()}
    )


@given(pool=pools)
def test_statistics_count_passages_not_mentions(pool: list[Passage]) -> None:
    statistics = statistics_of(pool)
    assert statistics.memories == len(pool)
    assert statistics.length == sum(one.traits.length for one in pool)
    assert all(0 < count <= len(pool) for count in statistics.containing.values())


def test_nothing_to_score_is_no_score() -> None:
    assert relevances("boat", [], statistics_of([]), as_of=NOW) == []


def test_statistics_that_lag_behind_do_no_harm() -> None:
    pool = talk("Ann: boat", "Ben: a boat and a lemon")
    stale = statistics_of(pool[:1])
    assert all(0 <= one.value <= 1 for one in relevances("boat lemon", pool, stale, as_of=NOW))


def test_a_turn_that_has_the_words_is_best() -> None:
    pool = talk("Ann: The lemon tree died.", "Ben: Poor tree.", "Ann: The boat leaks again.")
    assert best("What leaks?", pool) == "s2"


def test_an_answer_gains_from_its_question() -> None:
    pool = [
        *talk("Ann: Which violin did you buy?", "Ben: The old brown one.", session="a"),
        *talk("Ann: Which ladder did you sell?", "Ben: The old brown one.", session="b"),
    ]
    found = scores("What violin is it?", pool)
    assert found["a1"].value > found["b1"].value


def test_turns_that_are_far_apart_are_no_neighbours() -> None:
    turn = {"session": "a", "speaker": "Ann"}
    pool = [
        passage("1", "The violin broke.", position=1, **turn),
        passage("2", "It happened in summer.", position=2, **turn),
        passage("9", "It happened in winter.", position=9, **turn),
    ]
    found = scores("What happened to the violin?", pool)
    assert found["2"].value > found["9"].value


def test_who_is_asked_about_is_heard_first() -> None:
    pool = talk("Ann: I sold the boat.", "Ben: I sold the boat.")
    assert best("What did Ben sell?", pool) == "s1"
    assert best("what did ann sell?", pool) == "s0"


def test_a_named_date_leads_to_what_was_said_then() -> None:
    pool = [
        *talk("Ann: I painted the window.", session="a", start=datetime(2024, 3, 9, tzinfo=UTC)),
        *talk("Ann: I painted the ladder.", session="b", start=datetime(2024, 5, 9, tzinfo=UTC)),
    ]
    assert best("What was painted in March 2024?", pool) == "a0"
    assert best("What was painted last month?", pool) == "b0"


def test_newer_is_better_only_where_it_is_asked_for() -> None:
    old = datetime(2023, 1, 1, tzinfo=UTC)
    pool = [
        *talk("Ann: The printer is copper, the copper printer.", session="a", start=old),
        *talk("Ann: My printer is by the window of the garden.", session="b"),
    ]
    assert best("Which copper printer?", pool) == "a0"
    same = [
        *talk("Ann: My printer is new.", session="a", start=old),
        *talk("Ann: My printer is new.", session="b"),
    ]
    assert best("Which is the latest printer?", same) == "b0"
    tie, asked = scores("Which printer?", same), scores("Which is the latest printer?", same)
    assert tie["a0"].value / tie["b0"].value > 0.9 > asked["a0"].value / asked["b0"].value


def test_a_title_that_the_best_document_names_is_the_second_step() -> None:
    pool = [
        passage("song", "Copper River\nCopper River is a song by Ola Brandt."),
        passage("singer", "Ola Brandt\nHe was born in Tromvik."),
        passage("other", "Per Lunde\nHe was born in Askvoll."),
    ]
    found = scores("Where was the performer of Copper River born?", pool)
    assert found["singer"].value > found["other"].value


def test_importance_helps_among_equals() -> None:
    pool = [passage("low", "boat", importance=0.1), passage("high", "boat", importance=0.9)]
    assert best("boat", pool) == "high"


def test_embeddings_bring_what_has_other_words() -> None:
    pool = [passage("a", "lemon"), passage("b", "garden"), passage("c", "river")]
    found = relevances(
        "boat",
        pool,
        statistics_of(pool),
        as_of=NOW,
        query_embedding=[1.0, 0.0],
        embeddings=[[0.1, 1.0], [1.0, 0.1], None],
    )
    assert found[1].value > found[0].value > found[2].value


def test_a_probe_searches_for_what_is_asked_before_how_it_is_asked() -> None:
    asked = probe("What kind of boat did Ann mention in May 2023?", NOW)
    assert asked.words[0] == "boat"
    assert set(asked.words) == {"kind", "boat", "ann", "mention", "may", "2023"}
    assert asked.spans == ((datetime(2023, 5, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC)),)


@given(st.text(max_size=300))
def test_traits_say_the_same_of_known_words(text: str) -> None:
    plain = traits_of(text)
    assert traits_of(text, " ".join(w for w, n in plain.counts.items() for _ in range(n))) == plain
    assert 0.0 <= plain.statement <= 1.0


def test_a_very_long_task_is_read_at_both_ends() -> None:
    long = "boat " + "x" * 200_000 + " lemon"
    assert {"boat", "lemon"} <= set(probe(long, NOW).words)
