"""The audit passes the books that the service keeps, and finds every other."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.auditing import NAMED, Audited
from app.core.monitor_data import to_data
from app.core.monitoring import opened
from app.core.terms import terms_of
from app.core.usage import DAY, HOUR, MONTH, UsageEvent, fold, month_start
from app.core.windows import moment
from app.flows.audit import audit
from app.store.appending import append_many
from app.store.cells import add_to_cells
from app.store.database import Store, dumps
from app.store.tables import allocations
from tests.core.policies import profile_policy
from tests.core.runs import BASE, DAY_US, run, runs

uses_database = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
fresh = itertools.count()

EVENTS = [
    run(f"e{number}", used=number, at=BASE + number * DAY_US, scopes={"global": number})
    for number in range(1, 60, 7)
]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A database of the test's own."""
    found = Store(database_url)
    yield found
    found.close()


def book(store: Store, events: Sequence[UsageEvent], workspace: str = "default") -> None:
    store.write_now(lambda tx: append_many(tx, workspace, [events]))


def change(store: Store, statement: str) -> None:
    store.write_now(lambda tx: tx.connection.exec_driver_sql(statement))


def audited(store: Store, *workspaces: str) -> list[Audited]:
    return audit(store, workspaces or None, lambda *_: None)


def faults(store: Store) -> list[str]:
    (found,) = audited(store)
    assert found.faults == len(found.differences)
    return [difference.what for difference in found.differences]


@given(batches=st.lists(st.lists(runs, max_size=5), max_size=4))
@uses_database
def test_books_that_the_service_keeps_are_right(
    store: Store, batches: list[list[UsageEvent]]
) -> None:
    workspace = f"w{next(fresh)}"
    events = [replace(event, workspace=workspace) for batch in batches for event in batch]
    for batch in batches:
        book(store, [replace(event, workspace=workspace) for event in batch], workspace)

    (found,) = audited(store, workspace)

    assert found.differences == []
    assert (found.faults, found.events) == (0, len(events))
    assert found.cells == len(fold(events))


def test_all_workspaces_are_audited_unless_one_is_named(store: Store) -> None:
    for workspace in ("a", "b"):
        book(store, [replace(event, workspace=workspace) for event in EVENTS], workspace)

    assert [(one.workspace, one.events) for one in audited(store)] == [
        ("a", len(EVENTS)),
        ("b", len(EVENTS)),
    ]
    assert [one.workspace for one in audited(store, "b")] == ["b"]


def test_an_empty_database_is_right(store: Store) -> None:
    assert audited(store) == []


@pytest.mark.parametrize("grain", [HOUR, DAY, MONTH])
@pytest.mark.parametrize("column", ["used", "pct_sum", "events", "pct_max"])
def test_a_changed_figure_is_found(sqlite_url: str, grain: int, column: str) -> None:
    store = Store(sqlite_url)
    later = run("later", at=BASE + 200 * DAY_US)
    book(store, EVENTS)
    book(store, [later])  # every hour before it is in its day and month
    cells = [cell for cell in fold(EVENTS) if cell[:2] == ("run", grain)]
    change(
        store,
        f"UPDATE usage_cells SET {column} = {column} + 1 WHERE family = 'run' AND grain = {grain}"
        f" AND start < {month_start(later.at // 1_000_000)}",
    )

    (found,) = audited(store)
    store.close()

    assert found.faults == len(cells)
    assert all(column in difference.kept for difference in found.differences)


def test_a_changed_sketch_is_found_and_a_joined_one_is_not(store: Store) -> None:
    book(store, EVENTS)
    change(
        store,
        "UPDATE usage_cells SET sketch = (SELECT sketch FROM usage_cells WHERE family = 'total'"
        f" AND grain = {MONTH} ORDER BY start LIMIT 1) WHERE family = 'total' AND grain = {DAY}",
    )

    assert all("total of day" in fault for fault in faults(store))
    assert faults(store)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            f"UPDATE usage_cells SET scopes = NULL WHERE grain = {HOUR} AND family = 'run'",
            "scope of hour",
        ),
        (f"DELETE FROM usage_cells WHERE grain = {MONTH} AND family = 'total'", "total of month"),
        ("DELETE FROM usage_events WHERE id = 'e8'", "run of month"),
        ("UPDATE usage_events SET used_tokens = 99 WHERE id = 'e8'", "total of day"),
        (
            f"UPDATE usage_cells SET start = start + 864000000 WHERE grain = {DAY}"
            " AND family = 'total'",
            "total of day",
        ),
    ],
)
def test_what_is_missing_or_too_much_is_found(store: Store, statement: str, found: str) -> None:
    book(store, EVENTS)
    change(store, statement)

    assert any(fault.startswith(found) for fault in faults(store))


def test_cells_of_events_that_do_not_exist_are_found(store: Store) -> None:
    store.write_now(lambda tx: add_to_cells(tx, "default", EVENTS[:1]))

    assert len(faults(store)) == len(fold(EVENTS[:1]))


def test_a_finished_allocation_needs_its_event(store: Store) -> None:
    book(store, EVENTS)
    for id_, finished, event in (
        ("alc_open", None, None),
        ("alc_right", BASE, "e8"),
        ("alc_wrong", BASE, "e9"),
        ("alc_none", BASE, None),
    ):
        allocation(store, id_, finished=finished, event=event)

    (found,) = audited(store)

    assert (found.finished, found.allocations) == (3, 4)
    assert sorted((one.what, one.kept) for one in found.differences) == [
        ("allocation alc_none", "event not named"),
        ("allocation alc_wrong", "event e9"),
    ]


@pytest.mark.parametrize("column", ["scopes", "sketch"])
def test_what_cannot_be_read_is_found(sqlite_url: str, column: str) -> None:
    store = Store(sqlite_url)
    book(store, EVENTS)
    change(
        store,
        f"UPDATE usage_cells SET {column} = CAST(substr({column}, 1, length({column}) - 1) AS BLOB)"
        f" WHERE family = 'run' AND grain = {HOUR} AND start < {EVENTS[1].at // 1_000_000}",
    )

    (found,) = audited(store)
    store.close()

    assert any(
        "run of hour" in one.what and "cannot be read" in one.kept for one in found.differences
    )


def test_further_differences_are_counted(store: Store) -> None:
    events = [run(f"e{number}", at=BASE - number * DAY_US) for number in range(NAMED)]
    book(store, events)
    change(store, "UPDATE usage_cells SET used = used + 1")

    (found,) = audited(store)

    assert found.faults == len(fold(events))
    assert len(found.differences) == NAMED


def allocation(store: Store, id_: str, *, finished: int | None, event: str | None) -> None:
    at = moment(BASE)
    terms = terms_of(profile_policy(100, 1000), "medium", budget=100)
    monitor = opened(terms, budget=100, now=at, ttl_seconds=60)
    if finished is not None:
        monitor = replace(monitor, finished_at=at)
    plain = {
        "id": id_,
        "workspace": "default",
        "finished_at": finished,
        "event_id": event,
        "monitor": dumps(to_data(monitor)),
    }
    row = [
        plain.get(column.name, None if column.nullable else _anything(column.type.python_type))
        for column in allocations.columns
    ]
    store.write_now(lambda tx: tx.insert_many(allocations, [row]))


def _anything(kind: type) -> object:
    return kind()
