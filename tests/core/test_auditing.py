"""Laws of the audit: what the service makes is right, and what somebody changed is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.audit_pace import Sweep, from_data, to_data, with_counted
from app.core.auditing import Audited, Closing, check_closing
from app.core.monitoring import Load, Monitor, Report, finish, opened, record
from app.core.settling import Opened, close_with, settle
from app.core.terms import terms_of
from app.core.usage import UsageEvent, fold, measure
from app.core.windows import micros
from tests.core.policies import profile_policy
from tests.core.runs import run, run_lists

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
END = NOW + timedelta(minutes=2)
OPENED = Opened(
    id="alc_01k0000000_7hq2x",
    workspace="legal",
    agent="specialists/dbt-expert",
    project=None,
    user=None,
    session_id=None,
    run_id=None,
    model=None,
    task=None,
    policy="specialist-narrow",
    complexity="medium",
)

loads = st.lists(
    st.builds(Load, scope=st.sampled_from(("global", "notes")), tokens=st.integers(0, 60)),
    max_size=6,
)


def monitor(budget: int = 100, *, auto_bump: bool = False) -> Monitor:
    policy = profile_policy(budget, 10 * budget, auto_bump=auto_bump)
    terms = terms_of(policy, "medium", budget=budget)
    return opened(terms, budget=budget, now=NOW, ttl_seconds=60)


def faults(closing: Closing, *, sealed: int = 0) -> list[tuple[str, str]]:
    found = Audited(workspace="legal")
    check_closing(found, closing, sealed=sealed)
    assert found.faults == len(found.differences)
    return [(one.kept, one.counted) for one in found.differences]


def finished(given: list[Load], *, auto_bump: bool = False) -> Closing:
    report = Report(loads=tuple(given[1:]))
    after = finish(record(monitor(auto_bump=auto_bump), given[:1], NOW), report, END)
    event = settle(OPENED, after, report, now=END)
    return closing_of(after, event)


def closing_of(after: Monitor, event: UsageEvent | None) -> Closing:
    ended = None if after.finished_at is None else micros(after.finished_at)
    return Closing(
        id=OPENED.id,
        monitor=after,
        finished_at=ended,
        event_id=None if event is None else event.id,
        event=event,
    )


@given(loads, st.booleans())
def test_what_the_service_finishes_is_right(given: list[Load], auto_bump: bool) -> None:
    assert faults(finished(given, auto_bump=auto_bump)) == []


@given(loads, st.booleans())
def test_what_is_open_is_right(given: list[Load], auto_bump: bool) -> None:
    after = record(monitor(auto_bump=auto_bump), given, NOW)
    assert faults(closing_of(after, None)) == []


@given(loads, st.integers(0, 500))
def test_what_a_client_books_for_an_allocation_is_right(given: list[Load], used: int) -> None:
    event = run("of the client", used=used, at=micros(END), allocation_id=OPENED.id)
    booked, after = close_with(OPENED, record(monitor(), given, NOW), event)
    assert faults(closing_of(after, booked)) == []


FULL = [Load(scope="global", tokens=80), Load(scope="notes", tokens=30)]


def _without_an_alert(before: Monitor) -> Monitor:
    return replace(before, alerts=before.alerts[1:])


def _with_one_twice(before: Monitor) -> Monitor:
    return replace(before, alerts=(before.alerts[0], *before.alerts))


def _with_a_level_forgotten(before: Monitor) -> Monitor:
    return replace(before, reached=frozenset(), alerts=())


@pytest.mark.parametrize(
    "change",
    [
        _without_an_alert,
        _with_one_twice,
        _with_a_level_forgotten,
        lambda before: replace(before, scopes={"global": 81, "notes": 30}),
        lambda before: replace(before, scopes={"global": 110}),
        lambda before: replace(before, budget=99),
        lambda before: replace(before, finished_at=END + timedelta(seconds=1)),
        lambda before: replace(before, finished_at=None),
    ],
)
def test_an_allocation_that_was_changed_is_told(change) -> None:  # type: ignore[no-untyped-def]
    right = finished(FULL)
    assert right.monitor is not None
    assert len(right.monitor.alerts) > 1
    assert faults(right) == []
    assert faults(replace(right, monitor=change(right.monitor)))


def test_a_finished_allocation_without_an_event_is_told_unless_it_was_let_go() -> None:
    lonely = replace(finished(FULL), event=None)
    assert faults(lonely) == [("event use_01k0000000_7hq2x", "an event that exists")]
    assert faults(lonely, sealed=int(END.timestamp()) + 1) == []


def test_what_cannot_be_read_is_told() -> None:
    assert faults(replace(finished(FULL), monitor=None))


@given(run_lists, run_lists)
def test_cells_differ_exactly_where_they_differ(
    left: list[UsageEvent], right: list[UsageEvent]
) -> None:
    kept, counted = fold(left), fold(right)
    found = Audited(workspace="default")
    found.compare(kept, counted)
    wrong = [at for at in kept.keys() | counted.keys() if kept.get(at) != counted.get(at)]
    assert (found.faults, found.cells) == (len(wrong), len(kept.keys() | counted.keys()))


def test_a_count_that_differs_is_shown() -> None:
    at = ("total", 1, 3600, "", "", "")
    one, two = measure(run("a", used=1)), measure(run("b", used=2))
    found = Audited(workspace="default")
    found.compare({at: one}, {at: two})
    (difference,) = found.differences
    assert difference.what == "total of hour 1970-01-01T01"
    assert "used 1" in difference.kept
    assert "used 2" in difference.counted


places = st.tuples(st.sampled_from(("a", "b")), st.integers(-5, 5))
sweeps = st.builds(
    Sweep,
    after=st.none() | places,
    wrong=st.dictionaries(places, st.integers(1, 9), max_size=4),
    began_at=st.none() | st.integers(0, 10**15),
    swept_at=st.none() | st.integers(0, 10**15),
    looked_at=st.integers(0, 10**15),
)


@given(sweeps)
def test_a_sweep_is_what_was_kept_of_it(sweep: Sweep) -> None:
    assert from_data(to_data(sweep)) == sweep


def test_nothing_kept_is_a_new_sweep() -> None:
    assert from_data(None) == from_data({}) == Sweep()


@given(st.dictionaries(places, st.integers(1, 9)), places, st.integers(0, 9))
def test_a_place_counts_as_it_was_counted_last(
    wrong: dict[tuple[str, int], int], place: tuple[str, int], faults: int
) -> None:
    after = with_counted(wrong, place, faults)
    assert after.get(place, 0) == faults
    assert {other for other in wrong if other != place} == {o for o in after if o != place}
