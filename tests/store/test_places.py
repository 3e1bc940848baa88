"""Prove that places in memory answer as the database does, whatever is committed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import pytest

from app.core.memory import Memory, texts_of
from app.core.recall import Found, View, Wish
from app.store import places as kept_places
from app.store.database import Store, Tx
from app.store.kept_recall import read_place, recall_kept
from app.store.memories import (
    Change,
    New,
    add_memories,
    change_memories,
    note_accesses,
    purge_memories,
)
from app.store.places import Place, Places
from app.store.recall import Recalled, recall

AT = 1_700_000_000_000_000
WORDS = [f"w{number}" for number in range(300)]
COMMON = ["tea", "coffee", "garden"]
VIEWS = [
    View(workspace="w"),
    View(workspace="w", project="p"),
    View(workspace="w", project="p", agent="a"),
]


@pytest.fixture
def file_store(sqlite_url: str) -> Iterator[Store]:
    store = Store(sqlite_url)
    yield store
    store.close()


def made(chance: Random, number: int) -> Memory:
    words = chance.choices(WORDS, k=chance.randrange(9)) + chance.sample(
        COMMON, chance.randrange(3)
    )
    return Memory(
        id=f"m{number:05}",
        workspace="w",
        project=chance.choice(["p", "p", "p", None]),
        agent=chance.choice([None, None, None, None, "a", "b"]),
        text=" ".join(words) or "nothing",
        created_at=AT + number,
        modified_at=AT,
        session=chance.choice(["s1", "s2", None]),
        position=chance.choice([None, number, number // 2]),
        pinned=chance.random() < 0.01,
        expires_at=chance.choice([None, None, AT - 1]),
    )


def length(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def add(store: Store, *memories: Memory) -> None:
    texts = texts_of((one.text for one in memories), length)
    item = New(memories=memories, texts=texts, answer=b"", now=AT)
    store.write_now(lambda tx: add_memories(tx, "w", [item]))


def commit_something(store: Store, chance: Random, number: int) -> None:
    ids = [f"m{chance.randrange(number):05}" for _ in range(chance.randrange(1, 4))]
    kind = chance.randrange(4)
    if kind == 0:
        add(store, *(made(chance, number + at) for at in range(3)))
    elif kind == 1:
        store.write_now(lambda tx: purge_memories(tx, "w", ids))
    elif kind == 2:
        store.write_now(lambda tx: note_accesses(tx, "w", ids, AT + number))
    else:
        other = made(chance, number)
        fields = {
            "text": other.text,
            "project": other.project,
            "agent": other.agent,
            "importance": chance.random(),
            "pinned": other.pinned,
            "session": other.session,
            "state": chance.choice(["active", "active", "archived", "deleted"]),
        }
        for name in chance.sample([*fields], 5):
            del fields[name]
        texts = texts_of([other.text], length)
        changes = [
            Change(id=id_, apply=lambda one: replace(one, **fields), texts=texts) for id_ in ids
        ]
        store.write_now(lambda tx: change_memories(tx, "w", changes))


def fill(store: Store, *views: View) -> None:
    places = store.places
    assert places is not None
    for view in views:
        for project in places.due(view, 0):
            moment = places.moment("w")
            place = store.read_now(lambda tx, project=project: read_place(tx, "w", project))
            places.keep("w", project, place, moment)


def assert_alike(one: Recalled, other: Recalled) -> None:
    assert one.statistics == other.statistics
    assert {found.id: found for found in one.memories} == {
        found.id: found for found in other.memories
    }
    assert len(one.memories) == len({found.id for found in one.memories})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [60, 1_800])
def test_a_place_answers_as_the_database_after_any_commits(
    file_store: Store, seed: int, size: int
) -> None:
    chance = Random(seed)
    add(file_store, *(made(chance, number) for number in range(size)))
    fill(file_store, *VIEWS)
    places = file_store.places
    assert places is not None

    for step in range(12):
        commit_something(file_store, chance, size + 3 * step)
        for view in VIEWS:
            words = chance.sample(WORDS, chance.randrange(4)) + chance.sample(COMMON, 2)
            wish = Wish(room=chance.randrange(2_000), now=AT)
            since = AT + chance.randrange(size)
            ranges = [(since, since + chance.randrange(400))] * chance.randrange(2)
            with places.lock:
                kept = places.of(view)
                assert kept is not None
                found = recall_kept(kept, view, words, wish, ranges=ranges)
            asked = (view, words, wish)
            assert_alike(
                found, file_store.read_now(lambda tx, a=asked, r=ranges: recall(tx, *a, ranges=r))
            )


def test_what_was_read_before_a_commit_is_not_kept(file_store: Store) -> None:
    chance = Random(1)
    add(file_store, made(chance, 1))
    places = file_store.places
    assert places is not None
    moment = places.moment("w")
    place = file_store.read_now(lambda tx: read_place(tx, "w", "p"))

    add(file_store, made(chance, 2))
    places.keep("w", "p", place, moment)
    places.keep("w", "", place, places.moment("w"))
    file_store.forget()
    places.keep("w", "", place, moment)

    assert places.of(VIEWS[0]) is None
    assert places.of(VIEWS[1]) is None


def test_a_commit_that_was_read_already_changes_nothing_more(file_store: Store) -> None:
    """A reader may see a commit before places are told of it."""
    memory = replace(made(Random(2), 1), project=None)
    add(file_store, memory)
    fill(file_store, VIEWS[0])
    places = file_store.places
    assert places is not None
    before = file_store.read_now(lambda tx: recall(tx, VIEWS[0], [], Wish(room=9, now=AT)))

    (found,) = before.memories
    places.change("w", [memory.id], [found], {})

    kept = places.of(VIEWS[0])
    assert kept is not None
    assert_alike(recall_kept(kept, VIEWS[0], [], Wish(room=9, now=AT)), before)


def test_the_least_recently_used_places_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_places, "MOST_KEPT", 2 * kept_places.OVERHEAD)
    places = Places()
    for workspace in ("a", "b", "c"):
        places.keep(workspace, "", Place(), places.moment(workspace))
        places.of(View(workspace="a"))
    places.keep("d", "", Place(), places.moment("d"))

    kept = [name for name in "abcd" if places.of(View(workspace=name)) is not None]
    assert kept == ["a", "c", "d"]


def test_a_place_is_due_when_it_is_asked_often_enough_for_its_size() -> None:
    places = Places()
    view = View(workspace="w", project="p")
    answers = [places.due(view, 5 * kept_places.WORTH) for _ in range(5)]

    assert answers == [[], [], [], [], ["", "p"]]
    assert places.due(view, kept_places.LARGEST + 1) == []


def test_nothing_is_kept_on_postgresql(postgresql_url: str) -> None:
    """There other replicas write, too."""
    store = Store(postgresql_url)
    try:
        assert store.places is None
    finally:
        store.close()


def test_found_of_a_row_has_every_field() -> None:
    place = Place()
    found = Found(*("x" for _ in Found._fields))._replace(session="s", position=3, pinned=True)
    place.add(7, found, "tea tea")

    assert place.remove("x") == ("x", 7, "tea tea")
    assert not any(getattr(place, name) for name in Place.__slots__)


def test_accesses_that_a_reading_may_have_seen_are_not_noted_twice(file_store: Store) -> None:
    memory = made(Random(1), 1)
    add(file_store, memory)
    places = file_store.places
    assert places is not None

    def note_and_read(tx: Tx) -> None:
        note_accesses(tx, "w", [memory.id], AT)
        place = read_place(tx, "w", memory.project or "")  # as another reader, once it is committed
        tx.on_commit.insert(0, lambda: places.keep("w", memory.project or "", place, moment))
        moment = places.moment("w")

    file_store.write_now(note_and_read)
    kept = places.of(View(workspace="w", project=memory.project))
    assert kept is None


def test_long_memories_count_for_more() -> None:
    places = Places()
    found = Found._make([None] * len(Found._fields))._replace(id="m", session=None)
    words = " ".join(f"w{number}" for number in range(kept_places.WORDS * kept_places.LARGEST + 25))
    places.keep("w", "", Place([(1, found, words)]), places.moment("w"))
    assert places.of(View(workspace="w")) is None
    asked = [places.due(View(workspace="w"), 1, len(words.split())) for _ in range(9)]
    assert asked == [[]] * 9
