"""Booking usage: once, all or nothing, in the order given, and acknowledged after the commit."""

import asyncio
from dataclasses import replace

import pytest

from app.core.errors import IdMismatch, NotFound
from app.core.usage import fold
from app.flows.record_usage import record_usage
from app.store.cell_reading import all_cells
from app.store.database import Store
from app.store.usage import events_between
from tests.core.runs import run

EVER = 2**60


def ids(store: Store, workspace: str = "default") -> list[str]:
    events = store.read_now(lambda tx: events_between(tx, workspace, -EVER, EVER))
    assert store.read_now(lambda tx: all_cells(tx, workspace)) == fold(events)
    return sorted(event.id for event in events)


async def test_a_receipt_names_every_event_in_the_order_given(store: Store) -> None:
    receipt = await record_usage(store, [run("b"), run("a"), run("b")])

    assert (receipt.accepted, receipt.duplicates, receipt.ids) == (2, 1, ["b", "a", "b"])
    assert ids(store) == ["a", "b"]


async def test_a_list_of_several_workspaces_keeps_its_order(store: Store) -> None:
    events = [run(str(n), workspace=("x", "y", "default")[n % 3]) for n in range(7)]

    receipt = await record_usage(store, events)

    assert receipt.ids == [str(number) for number in range(7)]
    assert (ids(store, "x"), ids(store, "y")) == (["0", "3", "6"], ["1", "4"])


async def test_a_refused_list_of_several_workspaces_stores_nothing_and_names_its_index(
    store: Store,
) -> None:
    await record_usage(store, [run("a", workspace="y")])
    other = run("a", workspace="y", used=1, fingerprint=b"other")

    with pytest.raises(IdMismatch) as refused:
        await record_usage(store, [run("b", workspace="x"), run("c", workspace="z"), other])

    assert refused.value.errors[0]["loc"] == ["body", 2, "id"]
    assert ids(store, "x") == ids(store, "z") == []
    assert ids(store, "y") == ["a"]


async def test_an_unknown_allocation_refuses_the_list(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        await record_usage(store, [run("a"), run("b", allocation_id="alc_x")])

    assert refused.value.errors[0]["loc"] == ["body", 1, "allocation_id"]
    assert ids(store) == []


async def test_lists_that_come_at_once_hurt_none_beside_them(store: Store) -> None:
    await record_usage(store, [run("known")])
    lists = [[run(f"{number}-{n}") for n in range(3)] for number in range(20)]
    for number in (3, 11):
        lists[number].append(run("known", fingerprint=b"other"))
    for number in (5, 6):
        lists[number].append(replace(run(f"{number}-x"), allocation_id="alc_x"))

    answers = await asyncio.gather(
        *(record_usage(store, events) for events in lists), return_exceptions=True
    )

    refused = [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert refused == [3, 5, 6, 11]
    assert all(isinstance(answers[number], IdMismatch | NotFound) for number in refused)
    kept = [e.id for n, events in enumerate(lists) if n not in refused for e in events]
    assert ids(store) == sorted(["known", *kept])
