"""Every table that grows is ruled; what is past keeping goes in short batches, nothing else."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import BigInteger, LargeBinary, Table, Text, insert, select
from sqlalchemy import event as listening

from app.clock import new_id
from app.core.keeping import (
    ALLOCATION_DAYS,
    ANSWER_DAYS,
    HEALTH_DAYS,
    KEPT,
    OPERATION_DAY_DAYS,
    OPERATION_DAYS,
    OPERATION_HOUR_DAYS,
    RECORD_DAYS,
    keep_in,
)
from app.core.lifecycle import DAY_MICROS
from app.core.policy_documents import Layer
from app.core.policybook import PolicyBook
from app.core.retention import WAY_BACK_DAYS
from app.core.schedule import Run
from app.core.windows import micros
from app.flows.retention import delete_past_keeping
from app.gateways.tokens import TokenCounter
from app.jobs.retention import retention
from app.presets.loader import shipped
from app.store import retention as store_retention
from app.store.database import SYSTEM, Store, Tx
from app.store.retention import AT_ONCE, TIMES
from app.store.shelf import PolicyShelf
from app.store.tables import job_runs, metadata
from tests.conftest import NOW

NOW_MICROS = micros(NOW)
DAYS = {
    "allocations": ALLOCATION_DAYS,
    "memory_keys": ANSWER_DAYS,
    "memory_actions": WAY_BACK_DAYS,
    "memory_health": HEALTH_DAYS,
    "job_runs": RECORD_DAYS,
    "reports": RECORD_DAYS,
    "recommendations": RECORD_DAYS,
    "cost_totals": RECORD_DAYS,
    "cost_alerts": RECORD_DAYS,
    "operations": OPERATION_DAYS,
    "operation_hours": OPERATION_HOUR_DAYS,
    "operation_days": OPERATION_DAY_DAYS,
    "complexity_feedback": RECORD_DAYS,
    "pools": ALLOCATION_DAYS,
}


@pytest.fixture
def shelf() -> PolicyShelf:
    return PolicyShelf(shipped())


def row(table: Table, number: int, time: int, **fields: Any) -> dict[str, Any]:
    """A row with something in every column that must have something."""
    made: dict[str, Any] = {}
    for column in table.columns:
        if column.name == TIMES[table].name:
            made[column.name] = time
        elif column.name == "job":
            made[column.name] = "weekly"
        elif column.primary_key and isinstance(column.type, BigInteger):
            made[column.name] = number
        elif column.primary_key or column.name == "period":
            made[column.name] = f"id-{number:06}"
        elif not column.nullable:
            kind = column.type
            made[column.name] = (
                "{}" if isinstance(kind, Text) else b"" if isinstance(kind, LargeBinary) else 0
            )
    workspace = SYSTEM if table is job_runs else "default"
    return {**made, "workspace": workspace, **fields}


def put(store: Store, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    def work(tx: Tx) -> None:
        workspaces = metadata.tables["workspaces"]
        known = {"workspace": "default", "tag": "t", "created_at": 0}
        if tx.connection.execute(select(workspaces)).first() is None:
            tx.connection.execute(insert(workspaces), [known])
        tx.connection.execute(insert(table), list(rows))

    store.write_now(work)


def left(store: Store, table: Table) -> list[int]:
    """The moments of the rows that are there, oldest first."""
    query = select(TIMES[table]).order_by(TIMES[table])
    return store.read_now(lambda tx: list(tx.connection.execute(query).scalars()))


def past(table: Table, days: float) -> int:
    return NOW_MICROS - round(days * DAY_MICROS)


def test_every_table_is_ruled_or_does_not_need_it() -> None:
    ruled = {table.name for table in TIMES}
    assert ruled | set(KEPT) == set(metadata.tables)
    assert not ruled & set(KEPT)
    assert ruled == {*DAYS, "usage_events"}  # which go by whole days: test_sealing


@pytest.mark.parametrize("table", [one for one in TIMES if one.name in DAYS], ids=str)
async def test_rows_go_when_they_are_too_old(
    store: Store, shelf: PolicyShelf, table: Table
) -> None:
    days = DAYS[table.name]
    times = [past(table, days + 10), past(table, days) - 1, past(table, days), past(table, 0)]
    put(store, table, [row(table, n, time) for n, time in enumerate(times)])

    removed = await delete_past_keeping(store, shelf, NOW_MICROS)

    assert removed == {table.name: 2}
    assert left(store, table) == times[2:]
    assert await delete_past_keeping(store, shelf, NOW_MICROS) == {}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("allocations", "expires_at", NOW_MICROS + 1),
        ("recommendations", "status", "open"),
        ("job_runs", "job", "*"),
    ],
)
async def test_what_is_still_needed_stays(
    store: Store, shelf: PolicyShelf, name: str, field: str, value: object
) -> None:
    table = metadata.tables[name]
    put(
        store,
        table,
        [row(table, n, past(table, 1000 - n), **{field: value}) for n in range(3)],
    )
    assert await delete_past_keeping(store, shelf, NOW_MICROS) == {}
    assert len(left(store, table)) == 3


@pytest.mark.parametrize(("name", "kind"), [("reports", "kind"), ("job_runs", "job")])
async def test_the_newest_of_a_kind_stays_however_old(
    store: Store, shelf: PolicyShelf, name: str, kind: str
) -> None:
    table = metadata.tables[name]
    times = [past(table, 1000 - n) for n in range(4)]
    rows = [row(table, n, time, **{kind: "weekly"}) for n, time in enumerate(times[:3])]
    rows.append(row(table, 3, times[3], **{kind: "monthly"}))
    put(store, table, rows)
    await delete_past_keeping(store, shelf, NOW_MICROS)
    assert left(store, table) == times[2:]


async def test_batches_are_short_and_others_write_between_them(
    store: Store, shelf: PolicyShelf
) -> None:
    table = metadata.tables["allocations"]
    count = 3 * AT_ONCE + 7
    put(store, table, [row(table, n, past(table, 200)) for n in range(count)])
    deleted: list[int] = []

    def note(_: Any, cursor: Any, statement: str, *__: Any) -> None:
        if statement.startswith("DELETE FROM allocations"):
            deleted.append(cursor.rowcount)

    listening.listen(store.engine, "after_cursor_execute", note)
    order: list[str] = []

    async def others() -> None:
        while True:
            await store.write("default", _nothing, None)
            order.append(f"written after {len(deleted)}")

    writing = asyncio.create_task(others())
    removed = await delete_past_keeping(store, shelf, NOW_MICROS)
    writing.cancel()
    await asyncio.wait({writing})

    assert removed == {"allocations": count}
    assert deleted == [AT_ONCE] * 3 + [7]
    assert AT_ONCE <= 1000
    assert {f"written after {n}" for n in (1, 2, 3)} & set(order)


def _nothing(_: Tx, __: str, payloads: Sequence[None]) -> list[None]:
    return list(payloads)


@pytest.mark.parametrize(("most", "kept"), [(1, 1), (3, 3), (100, 5)])
async def test_a_policy_may_say_how_many_allocations(store: Store, most: int, kept: int) -> None:
    table = metadata.tables["allocations"]
    is_open = {"expires_at": NOW_MICROS + 1}
    rows = [row(table, n, past(table, 10 - n)) for n in range(5)]
    put(store, table, [*rows, row(table, 9, past(table, 20), **is_open)])
    layers = [*shipped_layers(), Layer(workspace="default", document=_history(most))]
    keep = keep_in(PolicyBook.compile(layers, workspace="default", version=1), NOW_MICROS)
    sweeps = store.read_now(lambda tx: store_retention.sweeps_of(tx, "default", keep, NOW_MICROS))
    store.write_now(lambda tx: store_retention.sweep(tx, "default", sweeps))
    assert left(store, table) == sorted(
        [past(table, 20), *(past(table, 10 - n) for n in range(5 - kept, 5))]
    )


def shipped_layers() -> Iterable[Layer]:
    return [Layer(workspace=name, document=document) for name, document in shipped().items()]


def _history(most: int) -> dict[str, Any]:
    return {"performance": {"max_history_size": most}}


async def test_workspaces_rule_their_own_rows_only(store: Store, shelf: PolicyShelf) -> None:
    table = metadata.tables["memory_keys"]
    old = past(table, 10)
    put(store, table, [row(table, 1, old), row(table, 1, old, workspace="unseen")])
    assert await delete_past_keeping(store, shelf, NOW_MICROS) == {"memory_keys": 1}
    query = select(table.c.workspace)
    assert store.read_now(lambda tx: list(tx.connection.execute(query).scalars())) == ["unseen"]


async def test_the_job_says_what_went(store: Store, shelf: PolicyShelf) -> None:
    table = metadata.tables["memory_actions"]
    put(store, table, [row(table, n, past(table, 200)) for n in range(3)])
    run = Run(
        job="retention",
        period="2026-03-14",
        due_at=NOW_MICROS,
        started_at=NOW_MICROS,
        covers=frozenset(),
        is_catching_up=False,
        is_on_demand=False,
    )
    outcome = await retention(store, shelf, TokenCounter(), new_id=new_id)(run)
    assert Counter(outcome["removed"]) == {"memory_actions": 3}
    assert outcome["memories"] == {"deleted": 0, "purged": 0}


async def test_nothing_to_delete_is_nothing_written(store: Store, shelf: PolicyShelf) -> None:
    before = store.commits
    await delete_past_keeping(store, shelf, NOW_MICROS)
    assert store.commits == before
