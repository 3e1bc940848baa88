"""Applying what is proposed while others write: once, never over a change, back as a whole."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.clock import new_id
from app.core.errors import Conflict
from app.core.lifecycle import DAY_MICROS, archival
from app.core.lifecycle_actions import steps_of
from app.core.memory import Memory
from app.core.windows import micros
from app.flows.lifecycle import Applied, Asked, apply, apply_retention, propose
from app.flows.lifecycle_actions import actions_of, take_back_action
from app.flows.manage_memories import Brought, add, change
from app.gateways.tokens import TokenCounter
from app.presets.loader import shipped
from app.store.database import Store, Tx
from app.store.directory import Directory
from app.store.lifecycle import Plan, Undo, cards, carry_out, take_back
from app.store.memories import EVERY, get_memories
from app.store.shelf import PolicyShelf
from app.store.tables import memory_places, memory_words
from tests.conftest import NOW

pytestmark = pytest.mark.anyio

NOW_MICROS = micros(NOW)
OLD = NOW_MICROS - 400 * DAY_MICROS
TOKENS = TokenCounter()
IDS = [f"m{number}" for number in range(20)]


def memory(id_: str, **fields: Any) -> Memory:
    usual: dict[str, Any] = {
        "workspace": "default",
        "text": f"text of {id_}",
        "created_at": OLD,
        "modified_at": OLD,
        "agent": "roles/a",
    }
    return Memory(id=id_, **{**usual, **fields})


async def keep(store: Store, *memories: Memory) -> None:
    await add(store, TOKENS, Brought(memories=memories, now=NOW_MICROS))


def held(store: Store) -> dict[str, Memory]:
    return store.read_now(lambda tx: get_memories(tx, "default", IDS, states=EVERY))


def searched(store: Store) -> list[list[tuple[Any, ...]]]:
    """The statistics that a search weighs words by."""

    def work(tx: Tx) -> list[list[tuple[Any, ...]]]:
        rows = (tx.connection.execute(select(table)) for table in (memory_places, memory_words))
        return [sorted(tuple(row) for row in found) for found in rows]

    return store.read_now(work)


async def archive(store: Store) -> Applied:
    asked = Asked(kind="archival", workspace="default", project=None, now=NOW_MICROS)
    shelf = PolicyShelf(shipped())
    return await apply(store, shelf, TOKENS, asked, dry_run=False, new_id=new_id)


def plan(store: Store) -> Plan:
    """What archiving would do, decided now."""
    found = store.read_now(lambda tx: cards(tx, "default"))
    steps = steps_of(archival(found, NOW_MICROS), {card.id: card for card in found})
    return Plan(
        action_id=new_id("act", "default"), kind="archival", steps=steps, now=NOW_MICROS, texts={}
    )


async def test_what_is_asked_for_at_once_is_done_once(store: Store) -> None:
    await keep(store, *map(memory, IDS))

    answers = await asyncio.gather(*(archive(store) for _ in range(5)))

    done = [deed.memory_id for answer in answers for deed in answer.deeds]
    assert sorted(done) == sorted(IDS)
    assert {one.state for one in held(store).values()} == {"archived"}
    listed = await actions_of(store, "default", None, None, 10)
    made = [answer.action_id for answer in answers if answer.deeds]
    assert [action.id for action in listed.items] == made
    assert all(answer.action_id is None for answer in answers if not answer.deeds)


async def test_replicas_that_are_asked_at_once_do_it_once(store: Store) -> None:
    await keep(store, *map(memory, IDS))
    other = Store(store.url)
    other.start()
    try:
        answers = await asyncio.gather(*(archive(one) for one in (store, other) * 3))
    finally:
        other.close()

    done = [deed.memory_id for answer in answers for deed in answer.deeds]
    assert sorted(done) == sorted(IDS)


async def test_a_memory_that_changes_before_it_is_done_is_left_alone(store: Store) -> None:
    await keep(store, *map(memory, IDS[:3]))
    decided = plan(store)
    ready = held(store)
    await change(store, TOKENS, ready["m0"], partial(replace, text="new"), "new")
    await change(store, TOKENS, ready["m1"], partial(replace, agent="roles/b"))
    before = held(store)

    action = await store.write("default", carry_out, decided)

    assert [deed.memory_id for deed in action.deeds] == ["m2"]
    after = held(store)
    assert (after["m0"], after["m1"]) == (before["m0"], before["m1"])
    assert after["m2"].state == "archived"


async def test_uses_that_are_noted_meanwhile_stay(store: Store) -> None:
    await keep(store, memory("m0"))
    applied = await archive(store)
    await change(store, TOKENS, held(store)["m0"], partial(replace, access_count=7))

    await take_back_action(store, Directory(), TOKENS, str(applied.action_id), NOW_MICROS)

    assert (held(store)["m0"].state, held(store)["m0"].access_count) == ("active", 7)


async def test_taking_back_at_once_is_taking_back_once(store: Store) -> None:
    await keep(store, *map(memory, IDS))
    before = held(store)
    applied = await archive(store)

    answers = await asyncio.gather(
        *(
            take_back_action(
                store, Directory(), TOKENS, str(applied.action_id), NOW_MICROS + number
            )
            for number in range(5)
        )
    )

    assert len({answer.undone_at for answer in answers}) == 1
    assert held(store) == before


async def test_the_way_back_is_whole_or_none(store: Store) -> None:
    await keep(store, *map(memory, IDS[:3]))
    applied = await archive(store)
    await change(store, TOKENS, held(store)["m1"], partial(replace, state="active"))
    state = held(store)

    wanted = Undo(action_id=str(applied.action_id), now=NOW_MICROS, texts={})
    with pytest.raises(Conflict) as refused:
        await store.write("default", take_back, wanted)

    assert refused.value.extensions == {"memory_ids": ["m1"]}
    assert held(store) == state


async def test_an_action_changes_at_most_so_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.flows.lifecycle.MOST_STEPS", 8)
    await keep(store, *map(memory, IDS))
    answers = [await archive(store) for _ in range(4)]
    assert [(len(answer.deeds), answer.left) for answer in answers] == [
        (8, 12),
        (8, 4),
        (4, 0),
        (0, 0),
    ]


async def test_a_text_comes_back_though_nobody_else_holds_it(store: Store) -> None:
    text = "\n".join(f"A sentence of some length, number {number}." for number in range(100))
    await keep(store, memory("m0", text=text, metadata={"kept": True}))
    before, weighed = held(store), searched(store)
    asked = Asked(kind="summaries", workspace="default", project=None, now=NOW_MICROS)
    shelf = PolicyShelf(shipped())
    applied = await apply(store, shelf, TOKENS, asked, dry_run=False, new_id=new_id)
    assert held(store)["m0"].tokens <= before["m0"].tokens // 4
    assert searched(store) != weighed

    await take_back_action(store, Directory(), TOKENS, str(applied.action_id), NOW_MICROS)

    assert held(store) == before
    assert searched(store) == weighed
    again = await propose(store, shelf, asked)
    assert [one.memory_id for one in again.proposals] == ["m0"]


async def test_answers_under_keys_are_forgotten_with_what_is_past_keeping(store: Store) -> None:
    def brought(id_: str) -> Brought:
        return Brought(
            memories=[memory(id_)], now=NOW_MICROS, idempotency_key="k", request_hash=b"1"
        )

    shelf = PolicyShelf(shipped())
    first = await add(store, TOKENS, brought("m0"))
    soon, later = NOW_MICROS + DAY_MICROS, NOW_MICROS + 91 * DAY_MICROS

    await apply_retention(store, shelf, TOKENS, now=soon, new_id=new_id)
    assert await add(store, TOKENS, brought("m1")) == first

    await apply_retention(store, shelf, TOKENS, now=later, new_id=new_id)
    assert await add(store, TOKENS, brought("m1")) != first


async def test_retention_acts_in_every_workspace(store: Store) -> None:
    for workspace in ("v", "w"):
        expired = memory("m0", workspace=workspace, expires_at=NOW_MICROS)
        await keep(store, expired, memory("m1", workspace=workspace))
    await keep(store, memory("m0", workspace="x", expires_at=NOW_MICROS + 1))
    shelf = PolicyShelf(shipped())

    done = await apply_retention(store, shelf, TOKENS, now=NOW_MICROS, new_id=new_id)
    again = await apply_retention(store, shelf, TOKENS, now=NOW_MICROS, new_id=new_id)
    later = NOW_MICROS + 91 * DAY_MICROS
    last = await apply_retention(store, shelf, TOKENS, now=later, new_id=new_id)

    assert {name: [deed.memory_id for deed in one.deeds] for name, one in done.items()} == {
        "v": ["m0"],
        "w": ["m0"],
    }
    assert again == {}
    assert {name: one.purged for name, one in last.items() if one.purged} == {"v": 1, "w": 1}
