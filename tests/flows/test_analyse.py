"""Analytics equal those of the events of the window, wherever it begins and ends."""

import asyncio
import itertools
from collections import defaultdict
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.core.analytics import (
    BYS,
    Analytics,
    CellName,
    Group,
    Groups,
    add_scopes,
    describe,
    describe_all,
    group_dimension,
    group_runs,
)
from app.core.errors import InvalidRequest
from app.core.questions import MAX_SPANS, Question
from app.core.usage import RUN, Cell, UsageEvent, fold_hours
from app.core.windows import moment
from app.flows.analyse import analyse
from app.store.appending import append_many
from app.store.database import Store
from app.store.groupcache import GroupCache
from tests.core.runs import BASE, DAY_US, run, runs

NOW = BASE + 60_000_000
ZONES = ("UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe")
AGENTS = {None: ("t/a", "t/b", "c"), "t/a": ("t/a",), "a": ("t/a",), "c": ("c",), "x": ()}
HOUR_US = 3_600_000_000

fresh = itertools.count()
"""Numbers of workspaces: every example has one of its own."""

moments = st.integers(BASE - 75 * DAY_US, BASE + DAY_US)
edges = st.one_of(
    st.none(),
    moments,
    moments.map(lambda at: at // HOUR_US * HOUR_US),
    moments.map(lambda at: at // DAY_US * DAY_US),
    st.just(NOW),
)
unique_runs = st.lists(runs, max_size=10, unique_by=lambda event: event.id)


def ask(store: Store, cache: GroupCache, workspace: str, by: str, **facts: object) -> Analytics:
    given: dict[str, object] = {
        "agent": None,
        "since": None,
        "until": None,
        "now": NOW,
        "zone": ZoneInfo("UTC"),
        **facts,
    }
    question = Question(workspace=workspace, by=by, **given)  # type: ignore[arg-type]
    return asyncio.run(analyse(store, cache, question))


def cells(events: list[UsageEvent], family: str) -> dict[CellName, Cell]:
    found: dict[CellName, Cell] = {}
    for (its, _, _, agent, key, key2), cell in fold_hours(events).items():
        if its == family:
            found.setdefault((agent, key, key2), Cell()).add(cell)
    return found


def groups_of(events: list[UsageEvent], by: str, zone: ZoneInfo) -> Groups:
    """The groups of events that are all in memory."""
    if by in ("agent", "complexity", "profile", ""):
        groups = group_runs(cells(events, RUN), by)
        if by in ("agent", ""):
            add_scopes(groups, cells(events, "scope"), by)
        return {key or "unknown" if by else "": group for key, group in groups.items()}
    if by not in ("day", "hour"):
        return group_dimension(cells(events, by))
    spans: defaultdict[str, list[UsageEvent]] = defaultdict(list)
    for event in events:
        local = moment(event.at).astimezone(zone)
        key = moment(event.at).strftime("%Y-%m-%dT%H:00:00Z")
        spans[local.date().isoformat() if by == "day" else key].append(event)
    return {key: group_runs(cells(own, RUN), "")[""] for key, own in spans.items()}


def assert_answers(found: Analytics, events: list[UsageEvent], *, by: str, zone: ZoneInfo) -> None:
    assert found.overall == describe(groups_of(events, "", zone).get("", Group()))
    assert found.groups == describe_all(groups_of(events, by, zone), parts=by == "agent")


@given(
    earlier=unique_runs,
    later=unique_runs,
    since=edges,
    until=edges,
    by=st.sampled_from(BYS),
    agent=st.sampled_from(tuple(AGENTS)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    now=st.sampled_from((NOW, BASE - 60_000_000)) | moments,
)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_answers_are_those_of_the_events_in_the_window_then_and_after_more_were_booked(
    store: Store,
    earlier: list[UsageEvent],
    later: list[UsageEvent],
    since: int | None,
    until: int | None,
    by: str,
    agent: str | None,
    zone: ZoneInfo,
    now: int,
) -> None:
    workspace, cache = f"w{next(fresh)}", GroupCache()
    booked: dict[str, UsageEvent] = {}
    for number, batch in enumerate((earlier, later)):
        own = [replace(e, id=f"{number}-{e.id}", workspace=workspace) for e in batch]
        store.write_now(lambda tx, own=own: append_many(tx, workspace, [own]))
        booked.update((event.id, event) for event in own)

        asked = {"agent": agent, "since": since, "until": until, "zone": zone, "now": now}
        found = ask(store, cache, workspace, by, **asked)

        wanted = [
            event
            for event in booked.values()
            if event.agent in AGENTS[agent]
            and (since is None or event.at >= since)
            and (until is None or event.at < until)
        ]
        assert_answers(found, wanted, by=by, zone=zone)


MINUTE_US = 60_000_000
HOUR_OF_BASE = BASE // HOUR_US * HOUR_US
DAY_OF_BASE = BASE // DAY_US * DAY_US


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (HOUR_OF_BASE, HOUR_OF_BASE + HOUR_US),
        (HOUR_OF_BASE - 3 * HOUR_US, HOUR_OF_BASE + HOUR_US),
        (DAY_OF_BASE, DAY_OF_BASE + DAY_US),
        (BASE // MINUTE_US * MINUTE_US, BASE // MINUTE_US * MINUTE_US + 5 * MINUTE_US),
        (HOUR_OF_BASE + MINUTE_US, BASE + 1),
        (BASE, BASE + 1),
        (BASE - 40 * DAY_US, BASE + 40 * DAY_US),
        (BASE - 40 * DAY_US, BASE + 90 * DAY_US),
    ],
)
def test_what_was_answered_before_hides_nothing_that_is_booked_later(
    store: Store, since: int, until: int
) -> None:
    cache = GroupCache()
    around = [run("before", at=BASE - 60 * DAY_US), run("after", at=BASE + 100 * DAY_US)]
    store.write_now(lambda tx: append_many(tx, "default", [around]))
    for number in range(1, 4):
        event = run(str(number), model="m")
        store.write_now(lambda tx, event=event: append_many(tx, "default", [[event]]))
        for by in ("agent", "model", "day", "hour"):
            now = BASE + 90 * DAY_US
            found = ask(store, cache, "default", by, since=since, until=until, now=now)
            assert found.overall.executions == number
            assert [group.executions for group in found.groups] == [number]


@pytest.mark.parametrize("by", ["agent", "model", "day", "hour"])
def test_an_event_after_now_does_not_make_the_open_hour_be_read_from_events(
    store: Store, by: str
) -> None:
    events = [run("first", at=BASE - 2 * DAY_US), *(run(f"{n}", at=BASE + n) for n in range(1, 4))]
    late = run("ahead", at=NOW + 1_000_000)
    store.write_now(lambda tx: append_many(tx, "default", [[*events, late]]))
    with store.engine.begin() as connection:  # so that only cells know of them
        connection.exec_driver_sql("DELETE FROM usage_events WHERE id IN ('1', '2', '3')")

    found = ask(store, GroupCache(), "default", by)

    assert found.overall.executions == 5


def test_the_answer_repeats_the_window_that_was_asked_for(store: Store) -> None:
    found = ask(store, GroupCache(), "default", "agent", since=BASE, until=None)

    assert (found.window.since, found.window.until, found.by) == (moment(BASE), None, "agent")
    assert found.overall.events == 0


def test_hours_long_after_the_last_event_are_not_counted_as_groups(store: Store) -> None:
    events = [run("a"), run("b", at=BASE - HOUR_US)]
    store.write_now(lambda tx: append_many(tx, "default", [events]))

    found = ask(store, GroupCache(), "default", "hour", now=BASE + MAX_SPANS * 2 * HOUR_US)

    assert [group.executions for group in found.groups] == [1, 1]


def test_a_window_of_more_hours_than_an_answer_spans_is_refused(store: Store) -> None:
    events = [run("a"), run("b", at=BASE - (MAX_SPANS + 1) * HOUR_US)]
    store.write_now(lambda tx: append_many(tx, "default", [events]))

    with pytest.raises(InvalidRequest, match="The window spans more than 10,000 hours"):
        ask(store, GroupCache(), "default", "hour")
    assert ask(store, GroupCache(), "default", "day").overall.executions == 2
