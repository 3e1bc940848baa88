"""Prove that readiness names what is not there, and nothing else."""

import pytest

from app.flows.readiness import check
from app.presets.loader import shipped
from app.store.database import Store
from app.store.shelf import PolicyShelf


@pytest.fixture
def shelf() -> PolicyShelf:
    """The shipped policy."""
    return PolicyShelf(shipped())


async def test_all_is_well(store: Store, shelf: PolicyShelf) -> None:
    ready = await check(store, shelf)
    assert ready.ready
    assert set(ready.checks.values()) == {"ok"}


async def test_a_writer_that_stopped_is_named(store: Store, shelf: PolicyShelf) -> None:
    store.close()
    ready = await check(store, shelf)
    assert not ready.ready
    assert [name for name, state in ready.checks.items() if state != "ok"] == ["writer"]


async def test_a_schema_that_is_behind_is_named(bare_database_url: str, shelf: PolicyShelf) -> None:
    store = Store(bare_database_url)
    store.start()
    try:
        ready = await check(store, shelf)
    finally:
        store.close()
    assert not ready.ready
    assert [name for name, state in ready.checks.items() if state != "ok"] == ["migrations"]


async def test_a_database_that_is_away_is_named(shelf: PolicyShelf) -> None:
    store = Store("postgresql://127.0.0.1:1/nobody")
    store.start()
    try:
        ready = await check(store, shelf)
    finally:
        store.close()
    assert not ready.ready
    assert ready.checks["database"] != "ok"
    assert ready.checks["migrations"] == "unknown"
    assert ready.checks["writer"] == "ok"
