"""Laws of the books: each event once, a batch whole or not at all, cells equal to the fold."""

import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import anyio
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as listening

from app.core.errors import IdMismatch
from app.core.usage import TOTAL, UsageEvent, fold, hour_start
from app.store.agents import list_agents, list_workspaces, names_like
from app.store.appending import append_many
from app.store.cell_reading import all_cells, read_mark
from app.store.cells import COMPACT_AFTER, CROWDED
from app.store.database import PG_ROWS, SQLITE_CHUNK, Store, Tx
from app.store.usage import count_all, events_between, first_and_last, list_events
from tests.core.runs import BASE, run, runs

EVER = 2**60
POOL = 12

uses_database = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
fresh = itertools.count()
"""Numbers of workspaces: every example has one of its own."""


def append(
    store: Store, *batches: Sequence[UsageEvent], workspace: str = "default"
) -> list[object]:
    return list(store.write_now(lambda tx: append_many(tx, workspace, batches)))


def stored(store: Store, workspace: str = "default") -> dict[str, UsageEvent]:
    events = store.read_now(lambda tx: events_between(tx, workspace, -EVER, EVER))
    assert len({event.id for event in events}) == len(events)
    return {event.id: event for event in events}


def assert_books_balance(store: Store, workspace: str = "default") -> None:
    """Every cell equals recomputation from the events, and no cell is missing or too many."""
    cells = store.read_now(lambda tx: all_cells(tx, workspace))
    assert cells == fold(stored(store, workspace).values())


def expected(
    known: dict[str, UsageEvent], batch: Sequence[UsageEvent]
) -> tuple[list[bool] | None, dict[str, UsageEvent]]:
    """What appending must answer (None: refused), and the books after it: the plain way."""
    after = dict(known)
    answer = []
    for event in batch:
        if event.id in after and after[event.id].fingerprint != event.fingerprint:
            return None, known
        answer.append(event.id not in after)
        after.setdefault(event.id, event)
    return answer, after


@given(events=st.lists(runs, min_size=1, max_size=12, unique_by=lambda event: event.id))
@uses_database
def test_what_is_appended_is_what_is_read(store: Store, events: list[UsageEvent]) -> None:
    workspace = f"w{next(fresh)}"
    events = [replace(event, workspace=workspace) for event in events]

    append(store, events, workspace=workspace)

    assert stored(store, workspace) == {event.id: event for event in events}
    assert_books_balance(store, workspace)


deliveries = st.lists(
    st.lists(
        st.tuples(st.integers(0, POOL - 1), st.sampled_from((50, 50, 50, 60))),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=6,
)


@given(batches=deliveries, together=st.booleans())
@uses_database
def test_each_event_counts_once_and_a_batch_is_whole_or_nothing(
    store: Store, batches: list[list[tuple[int, int]]], together: bool
) -> None:
    workspace = f"w{next(fresh)}"
    sent = [
        [
            run(
                str(id),
                used=used,
                fingerprint=bytes([used]),
                workspace=workspace,
                at=BASE - id * 3_600_000_000,
                model="m",
                scopes={"global": used},
            )
            for id, used in batch
        ]
        for batch in batches
    ]
    before: dict[str, UsageEvent] = {}

    answers = (
        append(store, *sent, workspace=workspace)
        if together
        else [append(store, batch, workspace=workspace)[0] for batch in sent]
    )

    for batch, answer in zip(sent, answers, strict=True):
        wanted, before = expected(before, batch)
        assert answer == wanted if wanted is not None else isinstance(answer, IdMismatch)
    assert stored(store, workspace) == before
    assert_books_balance(store, workspace)


def test_a_batch_with_a_known_id_and_another_body_is_refused_among_its_neighbours(
    store: Store,
) -> None:
    append(store, [run("known")])
    other = run("known", used=99, fingerprint=b"other")

    first, refused, last = append(
        store, [run("a"), run("known")], [run("b"), run("c"), other], [run("d")]
    )

    assert first == [True, False]
    assert isinstance(refused, IdMismatch)
    assert refused.errors[0]["loc"] == ["body", 2, "id"]
    assert last == [True]
    assert set(stored(store)) == {"known", "a", "d"}
    assert_books_balance(store)


def test_an_id_twice_in_a_batch_counts_once(store: Store) -> None:
    assert append(store, [run("a"), run("b"), run("a")]) == [[True, True, False]]
    assert_books_balance(store)


def test_without_a_digest_the_same_id_is_the_same_event(store: Store) -> None:
    append(store, [run("a", fingerprint=b""), run("b")])

    assert append(store, [run("a", used=1), run("b", used=1, fingerprint=b"")]) == [[False, False]]
    assert {event.used_tokens for event in stored(store).values()} == {50}


def test_workspaces_keep_books_of_their_own(store: Store) -> None:
    append(store, [run("a", workspace="one")], workspace="one")
    append(store, [run("a", workspace="two", used=99, fingerprint=b"?")], workspace="two")

    assert stored(store, "one")["a"].used_tokens == 50
    assert stored(store, "two")["a"].used_tokens == 99
    assert_books_balance(store, "one")
    assert_books_balance(store, "two")
    assert store.read_now(count_all) == 2


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def fail(tx: Tx) -> None:
        append_many(tx, "default", [[run("a")]])
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        store.write_now(fail)

    assert stored(store) == {}
    assert_books_balance(store)
    assert append(store, [run("a")]) == [[True]]  # and nothing was remembered as written
    assert set(store.read_now(list_workspaces)) == {"default"}
    assert set(store.read_now(lambda tx: list_agents(tx, "default"))) == {"specialists/dbt-expert"}


def test_sketches_that_grow_are_compacted_and_stay_true(store: Store) -> None:
    events = [run(str(index), used=1 + index % 90) for index in range(4 * COMPACT_AFTER)]

    for first in range(0, len(events), 90):
        append(store, events[first : first + 90])

    assert_books_balance(store)
    total = fold(events)[min(at for at in fold(events) if at[0] == TOTAL)]
    with store.engine.connect() as connection:
        query = "SELECT length(sketch) FROM usage_cells WHERE family = 'total'"
        lengths = connection.exec_driver_sql(query).scalars().all()
    assert max(lengths) <= 4 * (len(total.sketch) + COMPACT_AFTER)


@given(
    hours=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    size=st.integers(1, 6),
)
@uses_database
def test_days_and_months_take_in_hours_that_are_over_whatever_comes_when(
    store: Store, hours: list[int], size: int
) -> None:
    workspace = f"w{next(fresh)}"
    events = [
        run(str(n), workspace=workspace, at=BASE + hour * 3_600_000_000, scopes={"global": n})
        for n, hour in enumerate(hours)
    ]
    for first in range(0, len(events), size):
        append(store, events[first : first + size], workspace=workspace)

    assert_books_balance(store, workspace)
    mark = store.read_now(lambda tx: read_mark(tx, workspace))
    assert mark == hour_start(max(event.at for event in events) // 1_000_000) - 3600


def test_an_agent_with_more_scopes_than_a_row_packs_has_rows_of_their_own(store: Store) -> None:
    events = [
        run(str(n), scopes={f"scope {n * 8 + each}": each for each in range(8)})
        for n in range(4 * CROWDED // 8)
    ]
    for event in events:
        append(store, [event])

    assert_books_balance(store)
    assert ("default", events[0].agent) in store._notes.crowded


async def test_replicas_that_race_for_the_same_ids_and_cells_agree(
    database_url: str, open_store: Callable[[str], Store]
) -> None:
    replicas = [open_store(database_url)]
    if not replicas[0].is_sqlite:  # a SQLite database has one process
        replicas += [open_store(database_url) for _ in range(2)]
    chance = Random(7)
    accepted: list[str] = []

    async def deliver(store: Store, batch: list[UsageEvent]) -> None:
        answer = await store.write("default", append_many, batch)
        accepted.extend(e.id for e, new in zip(batch, answer, strict=True) if new)

    for wave in range(12):
        async with anyio.create_task_group() as group:
            for size in (1, 1, 1, 5, 20, 40):
                ids = [f"{wave}-{chance.randrange(60)}" for _ in range(size)]
                batch = [
                    run(id, agent=f"t/{id[-1]}", model="m", at=BASE + wave * 1_800_000_000)
                    for id in ids
                ]
                for store in replicas:
                    group.start_soon(deliver, store, batch)

    assert sorted(accepted) == sorted(stored(replicas[0]))
    assert_books_balance(replicas[0])


def test_a_batch_takes_few_statements_whatever_its_size(store: Store) -> None:
    counts = {
        size: count_statements(store, [run(f"{size}-{index}") for index in range(size)])
        for size in (3, 30, PG_ROWS)
    }

    assert max(counts.values()) <= 7, counts


def test_beyond_that_a_statement_carries_many_events(store: Store) -> None:
    append(store, [run("first")])

    count = count_statements(store, [run(str(index)) for index in range(10_000)])

    assert count <= 3 + 10_000 / SQLITE_CHUNK + (0 if store.is_sqlite else 10_000 / PG_ROWS + 4)


def count_statements(store: Store, batch: list[UsageEvent]) -> int:
    """Statements of one append, once workspace and agent are known."""
    append(store, [run(f"{batch[0].id}-before")])
    if store.is_sqlite:
        seen: list[str] = []
        listening.listen(
            store.engine, "before_cursor_execute", lambda *given: seen.append(given[2])
        )
        append(store, batch)
        return sum(not statement.startswith("BEGIN") for statement in seen)

    def traced(tx: Tx) -> int:
        connection = tx.connection.connection.driver_connection
        assert connection is not None
        tx.connection.exec_driver_sql("SELECT 1")  # BEGIN goes with the first statement
        with tempfile.TemporaryFile("w+") as trace:
            connection.pgconn.trace(trace.fileno())
            append_many(tx, "default", [batch])
            connection.pgconn.untrace()
            os.lseek(trace.fileno(), 0, os.SEEK_SET)
            sent = [line.split("\t") for line in trace.read().splitlines()]
        return sum("F" in line and ("Parse" in line or "Query" in line) for line in sent)

    return store.write_now(traced)


def test_events_are_listed_newest_first_and_walked_without_gap_or_repeat(store: Store) -> None:
    events = [run(f"{index:03}", at=BASE - index // 3) for index in range(100)]
    append(store, events)

    seen: list[UsageEvent] = []
    before = None
    for _ in range(100):
        page = store.read_now(
            lambda tx, before=before: list_events(tx, "default", filters={}, before=before, limit=7)
        )
        seen += page
        if not page:
            break
        before = (page[-1].at, page[-1].id)
        append(store, [run(f"new-{len(seen)}", at=BASE + len(seen))])

    assert [event.id for event in seen] == [
        event.id for event in sorted(events, key=lambda e: (e.at, e.id), reverse=True)
    ]


def test_the_first_and_the_last_moment_are_those_of_the_workspace(store: Store) -> None:
    append(store, [run("a", at=BASE - 5), run("b", at=BASE + 5), run("c")])
    append(store, [run("d", at=1, workspace="other")], workspace="other")

    assert store.read_now(lambda tx: first_and_last(tx, "default")) == (BASE - 5, BASE + 5)
    assert store.read_now(lambda tx: first_and_last(tx, "nowhere")) is None


def test_a_bare_name_means_every_type_of_exactly_that_name(store: Store) -> None:
    names = ("t/ab", "u/ab", "ab", "t/AB", "t/xab", "t/a_", "t/a%")
    append(store, [run(name, agent=name) for name in names])

    def found(name: str) -> set[str]:
        return set(store.read_now(lambda tx: names_like(tx, "default", name)))

    assert found("ab") == {"ab", "t/ab", "u/ab"}
    assert found("t/ab") == {"t/ab"}
    assert found("a_") == {"a_", "t/a_"}
    assert found("a%") == {"a%", "t/a%"}
    assert found("%") == {"%"}
