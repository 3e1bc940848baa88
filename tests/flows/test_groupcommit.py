"""Writes that share a commit: acknowledged after it, whole or not at all, none hurt by another."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from sqlalchemy import select, text

from app.core.errors import Conflict, Unavailable
from app.store.appending import append_many
from app.store.database import Store, Tx
from app.store.groupcommit import GroupCommit
from app.store.tables import agents
from app.store.usage import events_between
from tests.core.runs import run

EVER = 2**60


def note(tx: Tx, workspace: str, names: Sequence[str]) -> list[str | Conflict]:
    """Write each name once; refuse `no`, and break the transaction for `bad`."""
    answers: list[str | Conflict] = []
    for name in names:
        if name == "no":
            answers.append(Conflict("This name is not taken."))
            continue
        if name == "bad":
            tx.connection.execute(text("INSERT INTO agents (workspace) VALUES (NULL)"))
        tx.insert_many(agents, [(workspace, name, 0)])
        answers.append(name)
    return answers


class Gate:
    """A handler that waits inside its transaction until it is let through."""

    def __init__(self) -> None:
        self.is_in = threading.Event()
        self.open = threading.Event()

    def __call__(self, tx: Tx, workspace: str, payloads: Sequence[Any]) -> list[Any]:
        self.is_in.set()
        assert self.open.wait(30)
        return list(payloads)


def noted(store: Store, workspace: str = "default") -> set[str]:
    query = select(agents.c.name).where(agents.c.workspace == workspace)
    return set(store.read_now(lambda tx: tx.connection.execute(query).scalars().all()))


async def outcomes(store: Store, names: Sequence[str], workspace: str = "default") -> list[Any]:
    writes = (store.write(workspace, note, name) for name in names)
    return await asyncio.gather(*writes, return_exceptions=True)


async def behind(store: Store, gate: Gate, workspace: str = "default") -> "asyncio.Task[Any]":
    """A write that holds the workspace's writer until the gate is opened."""
    first = asyncio.create_task(store.write(workspace, gate, "first"))
    await anyio.to_thread.run_sync(gate.is_in.wait, 30)
    return first


async def test_a_write_is_acknowledged_after_its_commit(store: Store) -> None:
    assert await store.write("default", note, "a") == "a"
    assert noted(store) == {"a"}


def test_a_commit_of_sqlite_waits_for_the_disk(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    ((level,),) = store.write_now(lambda tx: tx.fetch("PRAGMA synchronous", []))
    store.close()

    assert level == 2, "FULL"


async def test_writes_that_wait_share_a_commit_and_keep_their_order(store: Store) -> None:
    groups: list[list[int]] = []

    def remember(tx: Tx, workspace: str, payloads: Sequence[int]) -> list[int]:
        groups.append(list(payloads))
        return list(payloads)

    gate = Gate()
    first = await behind(store, gate)
    waiting = [asyncio.create_task(store.write("default", remember, n)) for n in range(50)]
    await asyncio.sleep(0.05)
    gate.open.set()

    assert await asyncio.gather(*waiting) == list(range(50))
    assert await first == "first"
    assert groups == [list(range(50))]


async def test_a_refused_write_leaves_those_beside_it_alone(store: Store) -> None:
    gate = Gate()
    first = await behind(store, gate)
    waiting = asyncio.create_task(outcomes(store, ["a", "no", "b"]))
    await asyncio.sleep(0.05)
    gate.open.set()
    await first

    one, refused, other = await waiting

    assert (one, other) == ("a", "b")
    assert isinstance(refused, Conflict)
    assert noted(store) == {"a", "b"}


async def test_a_group_that_fails_as_a_whole_is_tried_one_by_one(store: Store) -> None:
    gate = Gate()
    first = await behind(store, gate)
    waiting = asyncio.create_task(outcomes(store, ["a", "bad", "b", "no"]))
    await asyncio.sleep(0.05)
    gate.open.set()
    await first

    one, broken, other, refused = await waiting

    assert (one, other) == ("a", "b")
    assert isinstance(broken, Exception)
    assert not isinstance(broken, Conflict)
    assert isinstance(refused, Conflict)
    assert noted(store) == {"a", "b"}
    assert store.is_writing


async def test_a_full_queue_refuses_at_once_and_takes_again_when_it_is_emptied(
    database_url: str,
) -> None:
    store = Store(database_url, queue_limit=3)
    store.start()
    gate = Gate()
    try:
        first = await behind(store, gate)
        waiting = [asyncio.create_task(store.write("default", note, n)) for n in ("a", "b")]
        await asyncio.sleep(0.05)

        with pytest.raises(Unavailable):
            await store.write("default", note, "c")
        gate.open.set()
        await asyncio.gather(first, *waiting)

        assert await store.write("default", note, "d") == "d"
        assert noted(store) == {"a", "b", "d"}
        assert store.waiting == 0
    finally:
        gate.open.set()
        await anyio.to_thread.run_sync(store.close)


async def test_a_batch_larger_than_the_queue_is_taken_when_nobody_waits(database_url: str) -> None:
    store = Store(database_url, queue_limit=3)
    store.start()
    try:
        assert await store.write("default", note, "a", weight=100) == "a"
    finally:
        await anyio.to_thread.run_sync(store.close)


async def test_a_stop_commits_what_waits_and_takes_nothing_more(database_url: str) -> None:
    store = Store(database_url)
    store.start()
    gate = Gate()
    first = await behind(store, gate)
    waiting = asyncio.create_task(outcomes(store, [f"n{number}" for number in range(200)]))
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(anyio.to_thread.run_sync(store.close))
    await asyncio.sleep(0.05)

    with pytest.raises(Unavailable):
        await store.write("default", note, "late")
    gate.open.set()
    await closing

    assert await first == "first"
    assert await waiting == [f"n{number}" for number in range(200)]
    assert not store.is_writing
    again = Store(database_url)
    assert noted(again) == {f"n{number}" for number in range(200)}
    again.engine.dispose()


async def test_a_client_that_goes_away_takes_nothing_back(store: Store) -> None:
    gate = Gate()
    first = await behind(store, gate)
    gone = asyncio.create_task(store.write("default", note, "a"))
    await asyncio.sleep(0.05)
    gone.cancel()
    gate.open.set()
    await first

    assert await store.write("default", note, "b") == "b"
    assert noted(store) == {"a", "b"}


async def test_a_workspace_does_not_wait_for_another_on_postgresql(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    store.start()
    gate = Gate()
    try:
        first = await behind(store, gate, "slow")

        with anyio.fail_after(20):
            assert await store.write("quick", note, "a") == "a"
        assert not first.done()
        gate.open.set()
        await first
    finally:
        gate.open.set()
        await anyio.to_thread.run_sync(store.close)


async def test_many_workspaces_are_all_written(store: Store) -> None:
    names = [f"w{number}" for number in range(30)]

    found = await asyncio.gather(*(outcomes(store, ["a", "no", "b"], name) for name in names))

    assert all([one, other] == ["a", "b"] for one, _, other in found)
    assert all(noted(store, name) == {"a", "b"} for name in names)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_write_that_loses_a_race_to_another_replica_is_answered_all_the_same(
    postgresql_url: str, count: int
) -> None:
    ours, theirs = Store(postgresql_url), Store(postgresql_url)
    ours.start()
    is_in, leave = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        append_many(tx, "default", [[run("contested")]])
        is_in.set()
        assert leave.wait(30)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, theirs.write_now, hold)
            await anyio.to_thread.run_sync(is_in.wait, 30)
            ids = ["contested", "a", "b"][:count]
            writes = [
                asyncio.create_task(ours.write("default", append_many, [run(id)])) for id in ids
            ]
            await asyncio.sleep(0.3)
            leave.set()
            answers = await asyncio.gather(*writes, return_exceptions=True)

        assert answers == [[False], [True], [True]][:count]
        stored = ours.read_now(lambda tx: events_between(tx, "default", -EVER, EVER))
        assert sorted(event.id for event in stored) == sorted(ids)
    finally:
        leave.set()
        await anyio.to_thread.run_sync(ours.close)
        theirs.engine.dispose()


async def test_a_wake_that_comes_after_its_write_was_taken_leaves_nothing_behind() -> None:
    """A worker may take a write in the moment before the loop tells the workers of it."""
    group = GroupCommit(lambda work: None, workers=0, limit=9, whole_house=True)
    group._threads.append(threading.current_thread())  # we play the worker, step by step
    handed_in = [group.submit("w", note, name, weight=1) for name in ("x", "y", "z")]
    handed_in[0].send(None)
    await asyncio.sleep(0)
    first = group._take()
    handed_in[1].send(None)
    await asyncio.sleep(0)
    group._release(first, 1)
    handed_in[2].send(None)
    second = group._take()
    group._release(second, 2)
    await asyncio.sleep(0)

    assert [item.payload for items in (first, second) for item in items["w"]] == ["x", "y", "z"]
    assert group._take() == {}
    assert group.waiting == 0
    for one in handed_in:
        one.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_nobody_waits_for_a_worker_that_has_failed() -> None:
    def fail(_: object) -> None:
        raise SystemExit

    group = GroupCommit(fail, workers=1, limit=9, whole_house=True)
    group.start()
    lost = asyncio.create_task(group.submit("w", note, "a", weight=1))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(lost, 5)
    with pytest.raises(Unavailable):
        await group.submit("w", note, "b", weight=1)
    assert not group.is_running
    await anyio.to_thread.run_sync(group.stop)  # the thread has ended when the test ends
