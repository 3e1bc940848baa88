"""Laws of kept memories: what is kept is read, and all that is derived follows."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.errors import DomainError, IdempotencyMismatch, IdMismatch, NotFound
from app.core.memory import Memory, MemoryText, State, content_of, float32, texts_of
from app.store.agents import list_agents
from app.store.database import Store
from app.store.memories import (
    EVERY,
    Change,
    Imported,
    New,
    add_memories,
    change_memories,
    fingerprints_of,
    get_memories,
    get_memory,
    ids_in,
    list_memories,
    note_accesses,
    purge_memories,
    put_memories,
)
from app.store.memory_keys import purge_answers
from app.store.memory_texts import counts_of, put_counts, words_of
from app.store.tables import memory_counts, memory_places, memory_texts, memory_words
from tests.core.memories import memory_fields, names

uses_database = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
fresh = itertools.count()
"""Numbers of workspaces: every example has one of its own."""

AT = 1_700_000_000_000_000


def length(texts: Sequence[str]) -> list[int]:
    """Stands in for the tokenizer, which the store does not know."""
    return [len(text) for text in texts]


def memory(id: str, text: str = "red apples", **fields: Any) -> Memory:
    made = Memory(id=id, workspace="default", text=text, created_at=AT, modified_at=AT)
    return replace(made, **{"tokens": len(text), **fields})


def texts_in(memories: Iterable[Memory]) -> dict[bytes, MemoryText]:
    return texts_of((one.text for one in memories), length)


def new(*memories: Memory, key: str | None = None, **fields: Any) -> New:
    return New(
        memories=memories,
        texts=texts_in(memories),
        answer=fields.pop("answer", "|".join(one.id for one in memories).encode()),
        now=AT,
        idempotency_key=key,
        **fields,
    )


def add(store: Store, *items: New, workspace: str = "default") -> list[bytes | DomainError]:
    return list(store.write_now(lambda tx: add_memories(tx, workspace, items)))


def put(store: Store, *memories: Memory, workspace: str = "default") -> list[bool]:
    item = Imported(memories=memories, texts=texts_in(memories), renew=lambda old, new: new)
    return store.write_now(lambda tx: put_memories(tx, workspace, [item]))[0]


def change(
    store: Store, id: str, *, workspace: str = "default", states: Any = None, **fields: Any
) -> Memory | DomainError:
    texts = texts_of([fields["text"]], length) if "text" in fields else {}
    wanted = Change(id=id, apply=lambda one: replace(one, **fields), texts=texts)
    if states is not None:
        wanted = replace(wanted, states=states)
    return store.write_now(lambda tx: change_memories(tx, workspace, [wanted]))[0]


def everything(store: Store, workspace: str = "default") -> dict[str, Memory]:
    found = store.read_now(lambda tx: list_memories(tx, workspace, limit=10_000, states=EVERY))
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def assert_in_step(store: Store, workspace: str = "default") -> None:
    """Statistics and texts are what the memories say, nothing is missing or too many."""
    kept = everything(store, workspace).values()
    texts = texts_in(kept)
    memories: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    words: Counter[tuple[str, str]] = Counter()
    for one in kept:
        if one.state == "active":
            its = texts[content_of(one.text)].words.split()
            memories[one.project or ""] += 1
            lengths[one.project or ""] += len(its)
            words.update((one.project or "", word) for word in set(its))

    def rows(*columns: Any) -> set[tuple[Any, ...]]:
        query = select(*columns).where(columns[0].table.c.workspace == workspace)
        return store.read_now(lambda tx: {tuple(row) for row in tx.connection.execute(query)})

    places, stands = memory_places.c, memory_words.c
    found = rows(places.project, places.memories, places.length)
    assert {row for row in found if row[1]} == {(p, n, lengths[p]) for p, n in memories.items()}
    assert all(row[1:] == (0, 0) for row in found if not row[1])
    found = rows(stands.project, stands.word, stands.memories)
    assert found == {(project, word, n) for (project, word), n in words.items()}
    said = rows(memory_texts.c.text, memory_texts.c.words, memory_texts.c.length)
    assert said == {(one.text, one.words, one.length) for one in texts.values()}
    counted = rows(memory_counts.c.content, memory_counts.c.tokens)
    assert {(bytes(content), n) for content, n in counted} == {
        (content, len(one.text)) for content, one in texts.items()
    }


texts = st.text("ab äß漢🙂\n", min_size=1, max_size=12)
moments = st.integers(-(10**16), 10**17)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda part: st.lists(part, max_size=2) | st.dictionaries(names, part, max_size=2),
    max_leaves=4,
)
whole = st.builds(
    memory,
    id=st.text("abcXYZ_0", min_size=1, max_size=5),
    text=texts,
    **memory_fields(moments),
    metadata=st.dictionaries(names, anything, max_size=2),
    state=st.sampled_from(EVERY),
    state_at=moments,
    fingerprint=st.binary(max_size=3),
)


@given(memories=st.lists(whole, max_size=6, unique_by=lambda one: one.id), imports=st.booleans())
@uses_database
def test_what_is_kept_is_read(store: Store, memories: list[Memory], imports: bool) -> None:
    workspace = f"w{next(fresh)}"
    memories = [replace(one, workspace=workspace) for one in memories]
    if imports:
        assert put(store, *memories, workspace=workspace) == [True] * len(memories)
    else:
        add(store, new(*memories), workspace=workspace)

    assert everything(store, workspace) == {one.id: one for one in memories}
    assert_in_step(store, workspace)
    agents = store.read_now(lambda tx: list_agents(tx, workspace))
    assert agents.keys() == {one.agent for one in memories if one.agent is not None}


operations = st.lists(
    st.tuples(
        st.sampled_from(["add", "put", "text", "state", "project", "purge", "access"]),
        st.sampled_from("abc"),
        st.sampled_from(["red apples", "green apples and pears", "pears pears", "of the"]),
        st.sampled_from(EVERY),
        st.sampled_from([None, "p", "q"]),
    ),
    max_size=14,
)


@given(steps=operations)
@uses_database
def test_what_is_derived_follows_every_change(store: Store, steps: list[Any]) -> None:
    workspace = f"w{next(fresh)}"
    for what, id_, text, state, project in steps:
        one = memory(id_, text, workspace=workspace, state=state, project=project)
        if what == "add":
            add(store, new(one), workspace=workspace)
        elif what == "put":
            put(store, one, workspace=workspace)
        elif what == "purge":
            store.write_now(partial(purge_memories, workspace=workspace, ids=[id_]))
        elif what == "access":
            store.write_now(partial(note_accesses, workspace=workspace, ids=[id_], at=AT))
        else:
            fields = {what: {"text": text, "state": state, "project": project}[what]}
            change(store, id_, workspace=workspace, states=EVERY, **fields)
        assert_in_step(store, workspace)


def test_the_same_id_with_the_same_body_is_the_same_memory(store: Store) -> None:
    first, other = memory("a", fingerprint=b"1"), memory("a", "other", fingerprint=b"2")

    assert add(store, new(first)) == [b"a"]
    assert add(store, new(first), new(memory("b"))) == [b"a", b"b"]
    (refused,) = add(store, new(memory("c"), other))
    assert isinstance(refused, IdMismatch)
    assert refused.errors[0]["loc"] == ["body", 1, "id"]
    assert everything(store).keys() == {"a", "b"}
    assert everything(store)["a"].text == first.text


def test_a_list_may_not_give_an_id_to_two_memories(store: Store) -> None:
    pair = memory("a", "one", fingerprint=b"1"), memory("a", "two", fingerprint=b"2")

    assert isinstance(add(store, new(*pair))[0], IdMismatch)
    assert [type(one) for one in add(store, new(pair[0]), new(pair[1]))] == [bytes, IdMismatch]
    assert everything(store)["a"].text == "one"


def test_a_deleted_id_is_free_again(store: Store) -> None:
    add(store, new(memory("a", "old", fingerprint=b"1")))
    change(store, "a", state="deleted")

    assert add(store, new(memory("a", "new", fingerprint=b"2"))) == [b"a"]
    assert everything(store)["a"].text == "new"
    assert_in_step(store)


@pytest.mark.parametrize("together", [True, False])
def test_a_key_asks_for_the_first_answer_again(store: Store, together: bool) -> None:
    items = [
        new(memory("a"), key="k", request_hash=b"1", answer=b"first"),
        new(memory("b"), key="k", request_hash=b"1", answer=b"second"),
        new(memory("c"), key="k", request_hash=b"2", answer=b"third"),
    ]
    answers = add(store, *items) if together else [add(store, item)[0] for item in items]

    assert answers[:2] == [b"first", b"first"]
    assert isinstance(answers[2], IdempotencyMismatch)
    assert everything(store).keys() == {"a"}


def test_a_key_is_forgotten_with_its_retention(store: Store) -> None:
    add(store, new(memory("a"), key="k", request_hash=b"1"))
    store.write_now(lambda tx: purge_answers(tx, "default", until=AT))
    assert add(store, new(memory("b"), key="k", request_hash=b"1")) == [b"a"]
    store.write_now(lambda tx: purge_answers(tx, "default", until=AT + 1))
    assert add(store, new(memory("b"), key="k", request_hash=b"1")) == [b"b"]


def test_nothing_crosses_workspaces(store: Store) -> None:
    add(store, new(memory("a", "here", fingerprint=b"1")))
    add(store, new(memory("a", "there", workspace="w", fingerprint=b"2")), workspace="w")
    change(store, "a", workspace="w", importance=1.0)
    store.write_now(lambda tx: note_accesses(tx, "w", ["a"], AT))
    store.write_now(lambda tx: purge_memories(tx, "v", ["a"]))

    assert everything(store)["a"] == memory("a", "here", fingerprint=b"1")
    assert everything(store, "w")["a"].importance == 1.0
    assert store.read_now(lambda tx: get_memory(tx, "v", "a")) is None
    store.write_now(lambda tx: purge_memories(tx, "w", ["a"]))
    assert_in_step(store)
    assert_in_step(store, "w")


def test_a_file_again_changes_nothing_even_if_the_memory_was_used_since(store: Store) -> None:
    one = memory("a", fingerprint=b"1")
    assert put(store, one) == [True]
    store.write_now(lambda tx: note_accesses(tx, "default", ["a"], AT + 1))

    assert put(store, one) == [False]
    assert everything(store)["a"].access_count == 1
    assert put(store, replace(one, text="new", fingerprint=b"2")) == [True]
    assert everything(store)["a"].text == "new"


def test_a_memory_of_equal_fields_is_unchanged_whatever_it_was_made_from(store: Store) -> None:
    put(store, memory("a", fingerprint=b"1"))

    assert put(store, memory("a", fingerprint=b"2", state_at=5)) == [False]
    assert put(store, memory("a", fingerprint=b"2", importance=0.7)) == [True]


def test_of_an_id_that_comes_twice_the_last_is_kept(store: Store) -> None:
    assert put(store, memory("a", "one"), memory("a", "two"), memory("a", "two")) == [
        True,
        True,
        False,
    ]
    assert everything(store)["a"].text == "two"
    assert_in_step(store)


def test_a_change_is_refused_where_there_is_nothing_to_change(store: Store) -> None:
    add(store, new(memory("a")))
    assert isinstance(change(store, "b", importance=1.0), NotFound)
    change(store, "a", state="deleted")
    assert isinstance(change(store, "a", state="deleted"), NotFound)
    back = change(store, "a", states=("deleted",), state="active")
    assert isinstance(back, Memory)
    assert_in_step(store)


def test_a_changed_text_is_counted_anew(store: Store) -> None:
    add(store, new(memory("a")))
    after = change(store, "a", text="more words")

    assert isinstance(after, Memory)
    assert after.tokens == len("more words")
    assert everything(store) == {"a": after}


def test_several_changes_of_a_memory_build_on_each_other(store: Store) -> None:
    add(store, new(memory("a")))
    one_more = Change(id="a", apply=lambda one: replace(one, access_count=one.access_count + 1))
    store.write_now(lambda tx: change_memories(tx, "default", [one_more, one_more]))

    assert everything(store)["a"].access_count == 2


def test_an_access_counts_once_and_never_moves_back(store: Store) -> None:
    add(store, new(memory("a"), memory("b", last_accessed_at=AT + 9)))
    store.write_now(lambda tx: note_accesses(tx, "default", ["a", "b", "a"], AT + 5))

    found = everything(store)
    assert [found[id_].access_count for id_ in "ab"] == [1, 1]
    assert [found[id_].last_accessed_at for id_ in "ab"] == [AT + 5, AT + 9]


def listed(store: Store, **wanted: Any) -> list[str]:
    found = store.read_now(lambda tx: list_memories(tx, "default", **{"limit": 100, **wanted}))
    return [one.id for one in found]


def test_lists_are_newest_first_and_filtered(store: Store) -> None:
    add(
        store,
        new(
            memory("a", created_at=1, project="p", agent="x/y"),
            memory("b", created_at=3, scope="global"),
            memory("B", created_at=3, state="archived"),
            memory("c", created_at=2, state="deleted", agent="x/z"),
        ),
    )
    assert listed(store) == ["b", "B", "a"]
    assert listed(store, states=("deleted",)) == ["c"]
    assert listed(store, project="p") == ["a"]
    assert listed(store, project="") == ["b", "B"]
    assert listed(store, agents=["x/y"]) == ["a"]
    assert listed(store, agents=[None]) == ["b", "B"]
    assert listed(store, agents=["x/y", None]) == ["b", "B", "a"]
    assert listed(store, agents=[]) == []
    assert listed(store, scopes=["global"]) == ["b"]
    assert listed(store, scopes=[None]) == ["B", "a"]
    assert listed(store, since=2) == ["b", "B"]
    assert listed(store, until=3) == ["a"]
    assert listed(store, limit=1) == ["b"]
    assert listed(store, before=(3, "b"), limit=1) == ["B"]
    assert listed(store, before=(3, "B")) == ["a"]


def test_ids_and_fingerprints_are_of_what_is_not_deleted(store: Store) -> None:
    deleted: State = "deleted"
    add(
        store,
        new(
            memory("a", project="p", fingerprint=b"1"),
            memory("b", fingerprint=b"2", state="archived"),
            memory("c", fingerprint=b"3", state=deleted),
        ),
    )
    assert store.read_now(lambda tx: fingerprints_of(tx, "default", "abcd")) == {
        "a": b"1",
        "b": b"2",
    }
    assert store.read_now(lambda tx: ids_in(tx, "default", ["p"])) == ["a"]
    assert store.read_now(lambda tx: ids_in(tx, "default", ["", "p"])) == ["a", "b"]
    assert store.read_now(lambda tx: get_memories(tx, "default", "abc")).keys() == {"a", "b"}


def test_many_memories_of_one_request_are_kept(store: Store) -> None:
    many = [memory(f"m{number:04}", f"text {number % 7}") for number in range(1_300)]
    add(store, new(*many))

    assert everything(store) == {one.id: one for one in many}
    assert_in_step(store)


async def write(store: Store, handler: Any, payload: Any) -> Any:
    """The answer, or the refusal, of one payload among others that wait."""
    try:
        return await store.write("default", handler, payload)
    except DomainError as error:
        return error


@pytest.mark.anyio
@pytest.mark.parametrize("turn", range(4))
async def test_of_replicas_that_give_an_id_at_once_one_wins(
    database_url: str, open_store: Callable[[str], Store], turn: int
) -> None:
    stores = [open_store(database_url) for _ in range(3)]
    answers: list[Any] = []

    async def give(store: Store, number: int) -> None:
        one = memory("a", f"text {number}", fingerprint=bytes([number]))
        shared = memory(f"b{number}", "the same text")
        answers.append(await write(store, add_memories, new(one, shared)))

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(give, stores[number % 3], number)

    assert Counter(map(type, answers)) == {bytes: 1, IdMismatch: 5}
    assert len(everything(stores[0])) == 2
    assert_in_step(stores[0])


@pytest.mark.anyio
async def test_of_replicas_that_use_a_key_at_once_one_answers_for_all(
    database_url: str, open_store: Callable[[str], Store]
) -> None:
    stores = [open_store(database_url) for _ in range(3)]
    answers: list[Any] = []

    async def give(store: Store, number: int) -> None:
        item = new(memory(f"m{number}"), key="k", request_hash=b"1", answer=b"%d" % number)
        answers.append(await write(store, add_memories, item))

    async with anyio.create_task_group() as group:
        for number in range(9):
            group.start_soon(give, stores[number % 3], number)

    assert len(set(answers)) == 1
    assert len(everything(stores[0])) == 1
    assert_in_step(stores[0])


@pytest.mark.anyio
async def test_a_text_that_comes_while_it_goes_is_kept(
    database_url: str, open_store: Callable[[str], Store]
) -> None:
    stores = [open_store(database_url) for _ in range(2)]
    add(stores[0], new(*(memory(f"old{turn}", f"text {turn}") for turn in range(20))))

    async def come(turn: int) -> None:
        await write(stores[0], add_memories, new(memory(f"new{turn}", f"text {turn}")))

    async def go(turn: int) -> None:
        to = Change(
            id=f"old{turn}",
            apply=lambda one: replace(one, text="other"),
            texts=texts_of(["other"], length),
        )
        await write(stores[1], change_memories, to)

    for turn in range(20):
        async with anyio.create_task_group() as group:
            group.start_soon(come, turn)
            group.start_soon(go, turn)

    assert len(everything(stores[0])) == 40
    assert_in_step(stores[0])


def test_tokens_are_kept_for_each_encoding(store: Store) -> None:
    add(store, new(memory("a")))
    content = content_of("red apples")
    store.write_now(lambda tx: put_counts(tx, "default", "o200k_base", {content: 2}))

    def counts(encoding: str) -> dict[bytes, int]:
        return store.read_now(lambda tx: counts_of(tx, "default", [content, b"?"], encoding))

    assert counts("o200k_base") == {content: 2}
    assert counts("cl100k_base") == {content: 10}
    assert counts("p50k_base") == {}
    assert store.read_now(lambda tx: words_of(tx, "default", [content, b"?"])) == {
        content: "red appl"
    }
    store.write_now(lambda tx: purge_memories(tx, "default", ["a"]))
    assert counts("o200k_base") == {}


def test_an_embedding_is_kept_in_32_bits() -> None:
    assert float32([0.5, 0.1]) == (0.5, 0.10000000149011612)
