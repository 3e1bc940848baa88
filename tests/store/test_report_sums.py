"""What the database adds up for reports is what the runs come to."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.cover import cover
from app.core.tokens_per_run import Tally
from app.core.usage import RUN, TOTAL, Cell, UsageEvent, fold_hours
from app.core.windows import pieces
from app.store.analytics import Source
from app.store.appending import append_many
from app.store.database import Store
from app.store.groupcache import GroupCache
from app.store.report_sums import Wanted, read_tallies, read_totals, read_whole
from app.store.run_sums import read_scopes, read_sums
from tests.core.runs import BASE, DAY_US, run, runs

HOUR = 3_600_000_000
END = BASE // HOUR * HOUR + HOUR

once = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
windows = st.tuples(st.integers(0, 24 * 75), st.integers(0, 24 * 75)).map(sorted)


def book(store: Store, events: Iterable[UsageEvent]) -> None:
    for event in events:
        (answer,) = store.write_now(lambda tx, its=event: append_many(tx, "default", [[its]]))  # type: ignore[misc]
        assert answer == [True]


def clear(store: Store) -> None:
    for table in ("usage_events", "usage_cells", "usage_marks"):
        store.write_now(lambda tx, its=table: tx.connection.exec_driver_sql(f"DELETE FROM {its}"))  # type: ignore[misc]
    store.forget()


def within(events: Iterable[UsageEvent], since: int, until: int) -> list[UsageEvent]:
    return [event for event in events if since <= event.at < until]


def sums(cell: Cell) -> tuple[int, ...]:
    return (
        *(cell.events, cell.executions, cell.rated, cell.pct_sum, cell.exceeded, cell.unmet),
        *(cell.budget, cell.used, cell.unbudgeted, cell.cost, cell.priced, cell.failed),
    )


def added(events: Iterable[UsageEvent], family: str) -> dict[tuple[str, str, str], Cell]:
    found: defaultdict[tuple[str, str, str], Cell] = defaultdict(Cell)
    for (its, _, _, *name), cell in fold_hours(events).items():
        if its == family:
            found[tuple(name)].add(cell)  # type: ignore[index]
    return dict(found)


def tokens_of(events: Iterable[UsageEvent]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for event in events:
        for scope, count in event.scopes.items():
            if count:
                its = found.setdefault(event.agent, {})
                its[scope] = its.get(scope, 0) + count
    return found


@once
@given(events=st.lists(runs, max_size=8, unique_by=lambda one: one.id), hours=windows)
def test_sums_over_any_window_are_those_of_its_runs(
    store: Store, events: list[UsageEvent], hours: list[int]
) -> None:
    clear(store)
    book(store, events)
    since, until = END - hours[1] * HOUR, END - hours[0] * HOUR
    parts = pieces(since, until, now=until)
    inside = within(events, since, until)

    def read(tx):  # type: ignore[no-untyped-def]
        source = Source(tx, GroupCache(), "default", ())
        agents = sorted({event.agent for event in events})
        return (
            read_sums(source, (since, until)).cells,
            read_scopes(source, cover(since, until)),
            read_totals(source, {"all": parts, "sums": parts}, sketched=("all",)),
            *read_tallies(source, [Wanted(parts=parts)]),
            read_whole(source, parts, agents),
        )

    cells, scopes, totals, tallies, whole = store.read_now(read)
    expected = added(inside, RUN)
    assert {name: sums(cell) for name, cell in cells.items()} == {
        name: sums(cell) for name, cell in expected.items()
    }
    assert whole == expected
    assert totals["all"] == added(inside, TOTAL).get(("", "", ""), Cell())
    assert totals["sums"] == replace(totals["all"], sketch={})
    assert {agent: its for agent, its in scopes.items() if its} == tokens_of(inside)
    used: defaultdict[tuple[str, str], list[UsageEvent]] = defaultdict(list)
    for event in inside:
        if event.budget_tokens is not None:
            used[event.agent, event.complexity or ""].append(event)
    assert {kind: (one.runs, one.used, one.exceeded) for kind, one in tallies.items()} == {
        kind: (len(its), sum(e.used_tokens for e in its), sum(e.exceeded for e in its))
        for kind, its in used.items()
    }


def tallied(store: Store, *wanted: Wanted) -> list[dict[tuple[str, str], Tally]]:
    return store.read_now(lambda tx: read_tallies(Source(tx, GroupCache(), "default", ()), wanted))


@once
@given(
    events=st.lists(runs, max_size=8, unique_by=lambda one: one.id),
    stretches=st.lists(
        st.tuples(windows, st.sets(st.sampled_from(("t/a", "t/b", "c")))), max_size=4
    ),
)
def test_stretches_that_overlap_are_tallied_as_each_is_alone(
    store: Store, events: list[UsageEvent], stretches: list[tuple[list[int], set[str]]]
) -> None:
    clear(store)
    book(store, events)
    wanted = [
        Wanted(
            parts=pieces(END - hours[1] * HOUR, END - hours[0] * HOUR, now=END),
            agents=frozenset(agents),
        )
        for hours, agents in stretches
    ]
    together = tallied(store, *wanted)
    for one, found in zip(wanted, together, strict=True):
        (alone,) = tallied(store, one)
        assert found.keys() == alone.keys()
        for kind, tally in found.items():
            assert tally.squares == pytest.approx(alone[kind].squares)
            assert replace(tally, squares=0) == replace(alone[kind], squares=0)


@once
@given(
    events=st.lists(runs, max_size=8, unique_by=lambda one: one.id),
    hours=st.integers(0, 24 * 75),
)
def test_sums_and_scopes_to_the_end_of_the_books_are_those_of_their_runs(
    store: Store, events: list[UsageEvent], hours: int
) -> None:
    clear(store)
    book(store, events)
    window = END - hours * HOUR, END
    inside = within(events, *window)

    def read(tx):  # type: ignore[no-untyped-def]
        source = Source(tx, GroupCache(), "default", ())
        found = read_sums(source, window, is_last=True).cells
        return found, read_scopes(source, cover(*window, is_last=True))

    cells, scopes = store.read_now(read)
    assert {name: sums(cell) for name, cell in cells.items()} == {
        name: sums(cell) for name, cell in added(inside, RUN).items()
    }
    assert {agent: its for agent, its in scopes.items() if its} == tokens_of(inside)


def test_each_day_is_a_draw_of_its_own(store: Store) -> None:
    day = BASE // DAY_US * DAY_US
    events = [
        run(f"{ago}-{number}", used=tokens, at=day - ago * DAY_US + number, complexity="simple")
        for ago, used in ((5, (10, 30)), (4, (50,)), (40, (1,)))
        for number, tokens in enumerate(used)
    ]
    book(store, events)
    parts = pieces(day - 31 * DAY_US, day, now=day)
    ((found,),) = (its.values() for its in tallied(store, Wanted(parts=parts)))
    assert (found.runs, found.used) == (3, 90)
    assert (found.days, found.squares) == (2, pytest.approx(40**2 / 2 + 50**2))


def test_agents_can_be_chosen(store: Store) -> None:
    book(store, [run("1", agent="a"), run("2", agent="b"), run("3", agent="c")])
    parts = pieces(END - DAY_US, END, now=END)
    (found,) = tallied(store, Wanted(parts=parts, agents=frozenset("ac")))
    assert sorted(found) == [("a", ""), ("c", "")]


@pytest.mark.parametrize("agents", [1, 255, 256, 257, 600])
def test_sums_of_many_agents_are_those_of_their_runs(store: Store, agents: int) -> None:
    """Rows are counted before they are added up: as many as there are, and none of elsewhere."""
    other = replace(run("other", at=BASE), workspace="another")
    store.write_now(lambda tx: append_many(tx, "another", [[other]]))
    events = [
        run(f"{agent} {day}", agent=f"t/{agent:03}", at=BASE - day * DAY_US)
        for agent in range(agents)
        for day in range(3)
    ]
    store.write_now(lambda tx: append_many(tx, "default", [events]))
    for since, until in ((0, 3), (1, 3), (0, 1), (1, 2)):
        window = END - until * DAY_US, END - since * DAY_US
        parts = pieces(*window, now=END)

        def read(tx):  # type: ignore[no-untyped-def]
            source = Source(tx, GroupCache(), "default", ())
            return read_sums(source, window).cells, read_tallies(source, [Wanted(parts=parts)])[0]  # noqa: B023

        cells, tallies = store.read_now(read)
        inside = within(events, *window)
        assert {name: sums(cell) for name, cell in cells.items()} == {
            name: sums(cell) for name, cell in added(inside, RUN).items()
        }
        assert sum(one.runs for one in tallies.values()) == len(inside)
