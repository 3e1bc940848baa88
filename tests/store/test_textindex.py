"""Prove that the text index and words' statistics are what the active memories say."""

from collections import Counter
from collections.abc import Mapping
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.recall import View
from app.store.database import Store, Tx
from app.store.recall import words_in
from app.store.tables import memory_places, memory_words
from app.store.textindex import Indexed, index_changes, indexed_under

WORDS = ("cat", "dog", "naïve", "東京", "co2", "a", "b", "ß", "x" * 200)
PROJECTS = ("", "p")

texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
memories = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.sampled_from(PROJECTS), texts), max_size=6
)


def found_by_word(tx: Tx, workspace: str, project: str) -> dict[str, set[str]]:
    found = {word: indexed_under(tx, workspace, project, word) for word in WORDS}
    return {word: ids for word, ids in found.items() if ids}


def expected(state: Mapping[str, tuple[str, str]], project: str) -> dict[str, set[str]]:
    mine = {id_: words.split() for id_, (its, words) in state.items() if its == project}
    found = {word: {id_ for id_, words in mine.items() if word in words} for word in WORDS}
    return {word: ids for word, ids in found.items() if ids}


def indexed(state: Mapping[str, tuple[str, str]], ids: set[str]) -> list[Indexed]:
    return [(id_, *state[id_]) for id_ in sorted(ids)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(states=st.lists(memories, min_size=1, max_size=5))
def test_index_and_statistics_are_those_of_the_memories_after_any_changes(
    store: Store, states: list[dict[str, tuple[str, str]]]
) -> None:
    workspace = f"w-{uuid4()}"  # an example has a workspace of its own in the test's database
    before: dict[str, tuple[str, str]] = {}
    for after in states:
        gone = {id_ for id_ in before if after.get(id_) != before[id_]}
        new = {id_ for id_ in after if after[id_] != before.get(id_)}
        removed, added = indexed(before, gone), indexed(after, new)
        store.write_now(lambda tx, a=added, r=removed: index_changes(tx, workspace, a, r))
        before = after

    for project in PROJECTS:
        mine = [words.split() for its, words in before.values() if its == project]
        found = store.read_now(lambda tx, its=project: found_by_word(tx, workspace, its))
        assert found == expected(before, project)
        rows = store.read_now(
            lambda tx, its=project: (
                tx.connection.execute(
                    memory_places.select().where(
                        memory_places.c.workspace == workspace, memory_places.c.project == its
                    )
                ).all(),
                tx.connection.execute(
                    memory_words.select().where(
                        memory_words.c.workspace == workspace, memory_words.c.project == its
                    )
                ).all(),
            )
        )
        assert sum(row.memories for row in rows[0]) == len(mine)
        assert sum(row.length for row in rows[0]) == sum(map(len, mine))
        containing = Counter(word for words in mine for word in set(words))
        assert {row.word: row.memories for row in rows[1]} == containing


def test_a_place_finds_and_counts_nothing_of_another(store: Store) -> None:
    rows = {("w", ""): "one", ("w", "p"): "two", ("other", ""): "three", ("other", "p"): "four"}
    for (workspace, project), id_ in rows.items():
        added = [(id_, project, "cat cat")]
        store.write_now(lambda tx, w=workspace, a=added: index_changes(tx, w, a, []))

    for (workspace, project), id_ in rows.items():
        found = store.read_now(lambda tx, w=workspace, p=project: indexed_under(tx, w, p, "cat"))
        assert found == {id_}
    seen = store.read_now(lambda tx: words_in(tx, View(workspace="w"), ["cat", "dog"]))
    both = store.read_now(lambda tx: words_in(tx, View(workspace="w", project="p"), ["cat"]))

    assert (seen.memories, seen.length, seen.containing) == (1, 2, {"cat": 1})
    assert (both.memories, both.length, both.containing) == (2, 4, {"cat": 2})


def test_many_memories_are_indexed_in_one_transaction(store: Store) -> None:
    many = [(f"m{number:04}", "p", f"cat w{number}") for number in range(1_000)]
    store.write_now(lambda tx: index_changes(tx, "w", many, []))
    store.write_now(lambda tx: index_changes(tx, "w", [], many[100:]))

    found = store.read_now(lambda tx: indexed_under(tx, "w", "p", "cat"))
    assert found == {id_ for id_, _, _ in many[:100]}


def test_ids_are_sorted_alike_in_all_tables_that_are_joined_by_them(postgresql_url: str) -> None:
    """Else the key of one cannot serve a look-up from the other."""
    store = Store(postgresql_url)
    query = (
        "SELECT table_name, collation_name FROM information_schema.columns"
        " WHERE column_name = 'id' AND table_name IN ('memories', 'memory_vectors')"
    )
    found = dict(store.read_now(lambda tx: tx.fetch(query, [])))
    store.close()

    assert found == {"memories": "C", "memory_vectors": "C"}
