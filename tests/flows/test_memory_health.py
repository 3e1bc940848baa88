"""Health is told and noted: once a day, the last look counts, never at the cost of the answer."""

import pytest

from app.core.lifecycle import DAY_MICROS
from app.core.memory import Memory
from app.core.windows import micros
from app.flows.manage_memories import Brought, add
from app.flows.memory_health import memory_health
from app.gateways.tokens import TokenCounter
from app.presets.loader import shipped
from app.store.database import Store
from app.store.memory_health import history
from app.store.shelf import PolicyShelf
from tests.conftest import NOW

pytestmark = pytest.mark.anyio

NOW_MICROS = micros(NOW)
SHELF = PolicyShelf(shipped())
TOKENS = TokenCounter()


async def keep(store: Store, id_: str) -> None:
    memory = Memory(id=id_, workspace="w", text=id_, created_at=NOW_MICROS, modified_at=NOW_MICROS)
    await add(store, TOKENS, Brought(memories=[memory], now=NOW_MICROS))


def noted(store: Store) -> list[int]:
    days = store.read_now(lambda tx: history(tx, "w", since=0))
    return [day.of(None).everybodys.files for day in days]


async def test_the_last_look_of_a_day_stands(store: Store) -> None:
    for number in range(4):
        await keep(store, f"memory {number}")
        await memory_health(store, SHELF, "w", None, NOW_MICROS + number // 2 * DAY_MICROS)
    assert noted(store) == [2, 4]


async def test_health_is_told_while_nothing_can_be_written(store: Store) -> None:
    await keep(store, "memory")
    reader = Store(store.url)  # its writer is not started
    try:
        found = await memory_health(reader, SHELF, "w", None, NOW_MICROS)
    finally:
        reader.close()
    assert (found.figures.total.files, len(found.history)) == (1, 1)
    assert noted(store) == []


async def test_a_workspace_of_nothing_has_no_history(store: Store) -> None:
    found = await memory_health(store, SHELF, "w", None, NOW_MICROS)
    assert (found.history, noted(store)) == ([], [])
