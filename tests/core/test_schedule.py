"""Laws of the schedule, and what it says on awkward days in six zones, worked out by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.job_runs import run_on_demand
from app.core.schedule import (
    MOST_CAUGHT_UP,
    RULES,
    Key,
    State,
    asked_about,
    due_between,
    next_due,
    owed,
    scheduled_run,
    slot_of,
    what_is_due,
)
from app.core.windows import micros, moment

NEW_YORK, BERLIN, SYDNEY = "America/New_York", "Europe/Berlin", "Australia/Sydney"
LORD_HOWE, KATHMANDU = "Australia/Lord_Howe", "Asia/Kathmandu"
ZONES = (NEW_YORK, BERLIN, SYDNEY, LORD_HOWE, KATHMANDU, "UTC")
ODD_ZONES = ("Pacific/Apia", "America/Havana", "Antarctica/Troll", "Africa/Casablanca")
"""A day that never was, clocks that change at midnight, by two hours, and for one month."""

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR


def at(text: str) -> int:
    """Microseconds of a moment in UTC such as `2026-03-08 10:00`."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def shown(moment_: int) -> str:
    return moment(moment_).strftime("%Y-%m-%d %H:%M")


NEXT = [
    # New York: clocks go forward on 8 March 2026, back on 1 November, a Sunday and a 1st
    (NEW_YORK, "daily", "2026-03-07 09:59", "2026-03-07 10:00", "2026-03-07"),
    (NEW_YORK, "daily", "2026-03-07 10:00", "2026-03-08 09:00", "2026-03-08"),
    (NEW_YORK, "weekly", "2026-03-07 12:00", "2026-03-08 10:00", "2026-W10"),
    (NEW_YORK, "weekly", "2026-03-01 11:00", "2026-03-08 10:00", "2026-W10"),
    (NEW_YORK, "monthly", "2026-03-01 12:00", "2026-04-01 11:00", "2026-04"),
    (NEW_YORK, "daily", "2026-10-31 09:00", "2026-11-01 10:00", "2026-11-01"),
    (NEW_YORK, "daily", "2026-10-30 09:00", "2026-10-31 09:00", "2026-10-31"),
    (NEW_YORK, "weekly", "2026-10-25 10:00", "2026-11-01 11:00", "2026-W44"),
    (NEW_YORK, "monthly", "2026-10-01 11:00", "2026-11-01 12:00", "2026-11"),
    # Berlin: 29 March and 25 October 2026, both Sundays
    (BERLIN, "daily", "2026-03-28 03:59", "2026-03-28 04:00", "2026-03-28"),
    (BERLIN, "daily", "2026-03-28 04:00", "2026-03-29 03:00", "2026-03-29"),
    (BERLIN, "weekly", "2026-03-28 12:00", "2026-03-29 04:00", "2026-W13"),
    (BERLIN, "monthly", "2026-03-01 06:00", "2026-04-01 05:00", "2026-04"),
    (BERLIN, "daily", "2026-10-24 03:00", "2026-10-25 04:00", "2026-10-25"),
    (BERLIN, "weekly", "2026-10-18 04:00", "2026-10-25 05:00", "2026-W43"),
    (BERLIN, "retention", "2026-10-24 02:00", "2026-10-25 03:00", "2026-10-25"),
    (BERLIN, "retention", "2026-03-28 03:00", "2026-03-29 02:00", "2026-03-29"),
    # Sydney: back on 5 April, forward on 4 October 2026; its mornings are UTC's evenings before
    (SYDNEY, "daily", "2026-04-02 18:00", "2026-04-03 18:00", "2026-04-04"),
    (SYDNEY, "daily", "2026-04-03 18:00", "2026-04-04 19:00", "2026-04-05"),
    (SYDNEY, "weekly", "2026-04-04 12:00", "2026-04-04 20:00", "2026-W14"),
    (SYDNEY, "daily", "2026-10-01 19:00", "2026-10-02 19:00", "2026-10-03"),
    (SYDNEY, "daily", "2026-10-02 19:00", "2026-10-03 18:00", "2026-10-04"),
    (SYDNEY, "weekly", "2026-10-03 12:00", "2026-10-03 19:00", "2026-W40"),
    (SYDNEY, "monthly", "2026-03-31 19:59", "2026-03-31 20:00", "2026-04"),
    # Lord Howe: the same days, by half an hour
    (LORD_HOWE, "daily", "2026-04-02 18:00", "2026-04-03 18:00", "2026-04-04"),
    (LORD_HOWE, "daily", "2026-04-03 18:00", "2026-04-04 18:30", "2026-04-05"),
    (LORD_HOWE, "weekly", "2026-03-28 19:00", "2026-04-04 19:30", "2026-W14"),
    (LORD_HOWE, "daily", "2026-10-02 18:30", "2026-10-03 18:00", "2026-10-04"),
    (LORD_HOWE, "weekly", "2026-09-26 19:30", "2026-10-03 19:00", "2026-W40"),
    (LORD_HOWE, "monthly", "2026-04-01 00:00", "2026-04-30 20:30", "2026-05"),
    # Kathmandu: a quarter to
    (KATHMANDU, "daily", "2026-11-20 23:14", "2026-11-20 23:15", "2026-11-21"),
    (KATHMANDU, "weekly", "2026-11-21 23:15", "2026-11-22 00:15", "2026-W47"),
    (KATHMANDU, "monthly", "2026-11-22 00:00", "2026-12-01 01:15", "2026-12"),
    (KATHMANDU, "daily", "2028-02-28 12:00", "2028-02-28 23:15", "2028-02-29"),
    # 29 February, week 53, the 31st
    ("UTC", "daily", "2028-02-28 05:00", "2028-02-29 05:00", "2028-02-29"),
    ("UTC", "daily", "2028-02-29 05:00", "2028-03-01 05:00", "2028-03-01"),
    ("UTC", "daily", "2027-02-28 05:00", "2027-03-01 05:00", "2027-03-01"),
    ("UTC", "monthly", "2028-02-01 07:00", "2028-03-01 07:00", "2028-03"),
    ("UTC", "weekly", "2026-12-27 06:00", "2027-01-03 06:00", "2026-W53"),
    ("UTC", "weekly", "2027-01-03 06:00", "2027-01-10 06:00", "2027-W01"),
    ("UTC", "weekly", "2027-12-26 06:00", "2028-01-02 06:00", "2027-W52"),
    ("UTC", "monthly", "2026-01-31 23:59", "2026-02-01 07:00", "2026-02"),
    ("UTC", "monthly", "2026-12-31 12:00", "2027-01-01 07:00", "2027-01"),
    ("UTC", "daily", "2026-12-31 05:00", "2027-01-01 05:00", "2027-01-01"),
    (NEW_YORK, "weekly", "2026-12-27 11:00", "2027-01-03 11:00", "2026-W53"),
    (SYDNEY, "weekly", "2026-12-26 19:00", "2027-01-02 19:00", "2026-W53"),
]


@pytest.mark.parametrize(("zone", "job", "after", "due", "period"), NEXT)
def test_the_next_period_is_due_at_its_civil_time(
    zone: str, job: str, after: str, due: str, period: str
) -> None:
    slot = next_due(job, ZoneInfo(zone), at(after))
    assert slot is not None
    assert (shown(slot.due_at), slot.period) == (due, period)


CAUGHT_UP = [
    # zone, first start or last sign of life, now, what is run (those it includes in brackets)
    ("UTC", "2026-11-21 08:00", "2026-11-21 08:01", ""),
    ("UTC", "2026-11-21 04:30", "2026-11-21 05:00", "daily 2026-11-21"),
    ("UTC", "2026-11-21 05:00", "2026-11-21 05:00", ""),
    # a Sunday: normal running is below; at once after a week away, the weekly has the daily in it
    (
        "UTC",
        "2026-11-15 12:00",
        "2026-11-22 08:00",
        "retention 2026-11-22, weekly 2026-W47 (daily 2026-11-22)",
    ),
    ("UTC", "2026-11-21 12:00", "2026-11-22 05:30", "retention 2026-11-22, daily 2026-11-22"),
    # a Sunday the 1st at 08:00 after a week away: one weekly, one monthly, no daily of its own
    (
        "UTC",
        "2026-10-25 12:00",
        "2026-11-01 08:00",
        "retention 2026-11-01, weekly 2026-W44 (daily 2026-11-01), monthly 2026-11",
    ),
    (
        NEW_YORK,
        "2026-10-25 12:00",
        "2026-11-01 13:00",
        "retention 2026-11-01, weekly 2026-W44 (daily 2026-11-01), monthly 2026-11",
    ),
    (
        NEW_YORK,
        "2026-10-25 12:00",
        "2026-11-01 11:59",
        "retention 2026-11-01, weekly 2026-W44 (daily 2026-11-01)",
    ),
    # the 1st on another day: the monthly has the daily in it
    (
        BERLIN,
        "2026-11-30 12:00",
        "2026-12-01 06:00",
        "retention 2026-12-01, monthly 2026-12 (daily 2026-12-01)",
    ),
    (BERLIN, "2026-11-30 12:00", "2026-12-01 05:59", "retention 2026-12-01, daily 2026-12-01"),
    # away over both days on which clocks change
    (
        BERLIN,
        "2026-03-28 12:00",
        "2026-03-30 12:00",
        "weekly 2026-W13 (daily 2026-03-29), retention 2026-03-30, daily 2026-03-30",
    ),
    (
        BERLIN,
        "2026-10-24 12:00",
        "2026-10-26 12:00",
        "weekly 2026-W43 (daily 2026-10-25), retention 2026-10-26, daily 2026-10-26",
    ),
    (
        SYDNEY,
        "2026-04-03 19:00",
        "2026-04-05 19:00",
        "weekly 2026-W14 (daily 2026-04-05), retention 2026-04-06, daily 2026-04-06",
    ),
    (
        LORD_HOWE,
        "2026-10-03 00:00",
        "2026-10-03 18:30",
        "retention 2026-10-04, daily 2026-10-04",
    ),
    (
        LORD_HOWE,
        "2026-10-03 00:00",
        "2026-10-03 19:00",
        "retention 2026-10-04, weekly 2026-W40 (daily 2026-10-04)",
    ),
    (
        NEW_YORK,
        "2026-03-07 12:00",
        "2026-03-09 08:30",
        "weekly 2026-W10 (daily 2026-03-08), retention 2026-03-09",
    ),
    # weeks and months away: each week and month, oldest first, and the last day
    (
        "UTC",
        "2026-10-30 12:00",
        "2026-11-25 12:00",
        "weekly 2026-W44 (daily 2026-11-01), monthly 2026-11, weekly 2026-W45 (daily 2026-11-08),"
        " weekly 2026-W46 (daily 2026-11-15), weekly 2026-W47 (daily 2026-11-22),"
        " retention 2026-11-25, daily 2026-11-25",
    ),
    (
        KATHMANDU,
        "2026-12-31 12:00",
        "2027-01-04 12:00",
        "monthly 2027-01 (daily 2027-01-01), weekly 2026-W53 (daily 2027-01-03),"
        " retention 2027-01-04, daily 2027-01-04",
    ),
    (
        "UTC",
        "2028-02-28 12:00",
        "2028-03-01 12:00",
        "retention 2028-03-01, monthly 2028-03 (daily 2028-03-01)",
    ),
    ("UTC", "2026-12-30 12:00", "2026-12-31 12:00", "retention 2026-12-31, daily 2026-12-31"),
    # the clock went back: nothing is owed for what is yet to come
    ("UTC", "2026-11-21 12:00", "2026-11-20 12:00", ""),
]


def told(now: int, since: int, zone: str, states: Mapping[Key, State] = {}) -> str:
    """What is due, in words."""
    words = []
    for due in what_is_due(now, since, states, ZoneInfo(zone)):
        included = ", ".join(f"{one.job} {one.period}" for one in due.includes)
        words.append(f"{due.slot.job} {due.slot.period}" + (f" ({included})" if included else ""))
    return ", ".join(words)


@pytest.mark.parametrize(("zone", "since", "now", "expected"), CAUGHT_UP)
def test_what_was_missed_is_caught_up(zone: str, since: str, now: str, expected: str) -> None:
    assert told(at(now), at(since), zone) == expected


def test_there_are_sixty_cases_in_six_zones() -> None:
    cases = [*NEXT, *CAUGHT_UP]
    assert len(cases) >= 60
    assert {case[0] for case in cases} == set(ZONES)


def test_in_normal_running_nothing_is_done_again() -> None:
    done: dict[Key, State] = {("retention", "2026-11-01"): "done", ("daily", "2026-11-01"): "done"}
    since = at("2026-10-31 12:00")
    (weekly,) = what_is_due(at("2026-11-01 06:00"), since, done, ZoneInfo("UTC"))
    assert (weekly.slot.job, weekly.covers, weekly.includes) == ("weekly", frozenset(), ())
    done["weekly", "2026-W44"] = "done"
    (monthly,) = what_is_due(at("2026-11-01 07:00"), since, done, ZoneInfo("UTC"))
    assert (monthly.slot.job, monthly.covers, monthly.includes) == ("monthly", frozenset(), ())


@pytest.mark.parametrize(
    ("states", "now", "due", "covers"),
    [
        # the 1st is no Sunday: the week's part is the monthly's own, the day's is done
        ({("daily", "2026-12-01"): "done"}, "2026-12-01 07:00", "monthly", {"weekly"}),
        ({("daily", "2026-12-01"): "failed"}, "2026-12-01 07:00", "monthly", {"weekly", "daily"}),
        ({}, "2026-12-01 07:00", "monthly", {"weekly", "daily"}),
        ({("daily", "2026-12-01"): "waiting"}, "2026-12-01 07:00", "monthly", {"weekly", "daily"}),
    ],
)
def test_a_run_does_what_was_not_done_today(
    states: dict[Key, State], now: str, due: str, covers: set[str]
) -> None:
    states = {("retention", "2026-12-01"): "done", **states}
    (found,) = what_is_due(at(now), at("2026-11-30 12:00"), states, ZoneInfo("UTC"))
    assert (found.slot.job, found.covers) == (due, covers)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        # it waits for the daily that somebody is running, and takes one that waits to itself
        ({("daily", "2026-11-01"): "running"}, ""),
        (
            {("daily", "2026-11-01"): "waiting"},
            "weekly 2026-W44 (daily 2026-11-01), monthly 2026-11",
        ),
        ({("daily", "2026-11-01"): "failed"}, "weekly 2026-W44, monthly 2026-11"),
        # the monthly waits for the weekly of its day, whatever it waits for; the daily is in it
        ({("weekly", "2026-W44"): "running"}, ""),
        ({("weekly", "2026-W44"): "waiting"}, ""),
        ({("weekly", "2026-W44"): "failed"}, "monthly 2026-11 (daily 2026-11-01)"),
        (
            {("weekly", "2026-W44"): "failed", ("monthly", "2026-11"): "failed"},
            "daily 2026-11-01",
        ),
        ({("monthly", "2026-11"): "running"}, "weekly 2026-W44 (daily 2026-11-01)"),
    ],
)
def test_what_would_do_the_same_work_waits(states: dict[Key, State], expected: str) -> None:
    states = {("retention", "2026-11-01"): "done", **states}
    assert told(at("2026-11-01 08:00"), at("2026-10-31 12:00"), "UTC", states) == expected


def test_a_later_week_waits_for_the_one_before() -> None:
    states: dict[Key, State] = {("weekly", "2026-W45"): "running"}
    found = told(at("2026-11-25 03:00"), at("2026-11-02 12:00"), "UTC", states)
    assert found == "retention 2026-11-24, daily 2026-11-24"


def test_on_demand_everything_below_is_done_too() -> None:
    now = at("2026-11-21 08:15")
    covers = {job: run_on_demand(job, now).covers for job in (*RULES, "backup")}
    assert covers == {
        "daily": frozenset(),
        "weekly": {"daily"},
        "monthly": {"daily", "weekly"},
        "retention": frozenset(),
        "backup": frozenset(),
    }
    assert run_on_demand("daily", now).period == "2026-11-21T08:15:00.000000Z"
    assert not run_on_demand("daily", now).is_catching_up


def test_a_run_that_begins_late_is_catching_up() -> None:
    (due,) = what_is_due(at("2026-11-21 05:00"), at("2026-11-21 04:30"), {}, ZoneInfo("UTC"))
    assert not scheduled_run(due, at("2026-11-21 05:15")).is_catching_up
    assert scheduled_run(due, at("2026-11-21 05:15") + 1).is_catching_up
    assert not scheduled_run(due, at("2026-11-21 05:15")).is_on_demand


@pytest.mark.parametrize("zone", [*ZONES, *ODD_ZONES])
def test_years_away_are_forty_periods(zone: str) -> None:
    slots = owed(at("2026-11-21 12:00"), at("2019-01-01 00:00"), ZoneInfo(zone))
    assert len(slots) == MOST_CAUGHT_UP
    assert {slot.job for slot in slots} == set(RULES)
    assert [slot.due_at for slot in slots] == sorted(slot.due_at for slot in slots)
    assert slots[0].due_at > at("2026-11-21 12:00") - 365 * DAY  # rows are kept for longer


def test_a_day_that_never_was_has_its_time_moved() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    never, after = (
        slot_of("daily", date(2011, 12, 30), apia),
        slot_of("daily", date(2011, 12, 31), apia),
    )
    assert shown(never.due_at) == shown(after.due_at) == "2011-12-30 15:00"


@pytest.mark.parametrize("now", [-(2**62), -1, 0, 2**62])
def test_a_clock_beyond_the_calendar_is_survived(now: int) -> None:
    assert isinstance(told(now, -(2**62), "UTC"), str)
    for job in RULES:
        next_due(job, ZoneInfo("Asia/Kathmandu"), now)


moments = st.integers(at("2024-01-01 00:00"), at("2031-01-01 00:00"))
zones = st.sampled_from([*ZONES, *ODD_ZONES]).map(ZoneInfo)
jobs = st.sampled_from(sorted(RULES))


@given(job=jobs, zone=zones, after=moments)
def test_the_next_is_the_first_after(job: str, zone: ZoneInfo, after: int) -> None:
    slot = next_due(job, zone, after)
    assert slot is not None
    assert slot.due_at > after
    assert due_between(job, zone, after, slot.due_at - 1) == []
    local = moment(slot.due_at).astimezone(zone)
    assert (local.date(), local.hour) == (slot.day, RULES[job].hour)
    assert RULES[job].weekday in (None, slot.day.weekday())
    assert RULES[job].day in (None, slot.day.day)


@given(job=jobs, zone=zones, after=moments, days=st.integers(0, 800), cut=st.integers(0, 800))
def test_a_stretch_cut_in_two_has_the_same_periods(
    job: str, zone: ZoneInfo, after: int, days: int, cut: int
) -> None:
    until, middle = after + days * DAY, after + min(cut, days) * DAY
    whole = due_between(job, zone, after, until)
    parts = due_between(job, zone, after, middle) + due_between(job, zone, middle, until)
    assert whole == parts
    assert len({slot.period for slot in whole}) == len(whole)


@given(zone=zones, since=moments, days=st.integers(0, 3000))
def test_nothing_is_owed_before_the_start_or_for_the_future(
    zone: ZoneInfo, since: int, days: int
) -> None:
    now = since + days * DAY
    slots = owed(now, since, zone)
    assert all(since < slot.due_at <= now for slot in slots)
    assert len(slots) <= MOST_CAUGHT_UP
    for job, rule in RULES.items():
        mine = [slot for slot in slots if slot.job == job]
        every = due_between(job, zone, since, now)
        assert mine == (every[len(every) - len(mine) :] if rule.catches_up else every[-1:])


def run_all(now: int, since: int, states: dict[Key, State], zone: ZoneInfo) -> list[Key]:
    """Run what is due, one after the other, as a runner does; the runs of their own."""
    runs = []
    while due := what_is_due(now, since, states, zone):
        first = due[0]
        runs.append(first.slot.key)
        for one in (first.slot, *first.includes):
            assert states.get(one.key) not in ("done", "failed"), "it was done before"
            states[one.key] = "done"
    return runs


@given(
    zone=zones,
    since=moments,
    steps=st.lists(st.integers(-40 * DAY, 90 * DAY) | st.integers(-DAY, 2 * DAY), max_size=12),
)
def test_however_the_clock_jumps_each_period_is_done_once(
    zone: ZoneInfo, since: int, steps: list[int]
) -> None:
    states: dict[Key, State] = {}
    now, runs = since, []
    for step in steps:
        now += step
        runs += run_all(now, since, states, zone)
        assert run_all(now, since, states, zone) == []
        assert states.keys() >= {slot.key for slot in owed(now, since, zone)}
    assert len(set(runs)) == len(runs)


@given(zone=zones, since=moments, days=st.integers(0, 100), failing=st.sets(st.integers(0, 60)))
def test_the_list_is_what_happens_when_it_is_run(
    zone: ZoneInfo, since: int, days: int, failing: set[int]
) -> None:
    now = since + days * DAY
    keys = sorted(asked_about(owed(now, since, zone), zone))
    states: dict[Key, State] = {key: "failed" for n, key in enumerate(keys) if n in failing}
    listed = [due.slot.key for due in what_is_due(now, since, states, zone)]
    assert run_all(now, since, dict(states), zone) == listed


@given(
    zone=zones,
    since=moments,
    days=st.integers(1, 100),
    known=st.lists(st.sampled_from(["done", "failed", "running", "waiting", None]), max_size=80),
)
def test_no_part_of_a_day_is_done_twice(
    zone: ZoneInfo, since: int, days: int, known: list[State | None]
) -> None:
    now = since + days * DAY
    slots = owed(now, since, zone)
    keys = sorted(asked_about(slots, zone))
    states = {key: state for key, state in zip(keys, known, strict=False) if state is not None}
    days_cared_for = [
        day
        for day in {slot.day for slot in slots}
        if states.get(slot_of("daily", day, zone).key) in ("done", "running")
    ]
    for due in what_is_due(now, since, states, zone):
        assert states.get(due.slot.key) is None
        if "daily" in (due.slot.job, *due.covers):
            days_cared_for.append(due.slot.day)
    assert len(set(days_cared_for)) == len(days_cared_for)


def test_a_week_has_one_label_wherever_it_is_due() -> None:
    labels = {slot_of("weekly", date(2026, 11, 22), ZoneInfo(zone)).period for zone in ZONES}
    assert labels == {"2026-W47"}
