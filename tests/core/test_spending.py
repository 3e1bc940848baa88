"""Laws of budgets in USD: what counts, what is reached once, what is never passed."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.spending import (
    DEFAULT_THRESHOLDS,
    CostAlert,
    CostBudget,
    CostWindow,
    Passed,
    Slot,
    Spender,
    Spent,
    Standing,
    Subject,
    binding,
    covers,
    due,
    period,
    shares_of,
    slot_of,
    spend,
)
from app.core.spending_words import describe
from app.core.usage import UsageEvent
from app.core.windows import micros
from tests.core.runs import run

UTC_ZONE = ZoneInfo("UTC")
WORKSPACE = Subject(kind="workspace", name="default")
NOON = micros(datetime(2026, 3, 14, 12, tzinfo=UTC))


def budget(
    limit: int = 1_000,
    *,
    name: str = "b",
    window: CostWindow = "day",
    hard: bool = False,
    subject: Subject = WORKSPACE,
    zone: ZoneInfo = UTC_ZONE,
) -> CostBudget:
    return CostBudget(
        name=name,
        limit=limit,
        window=window,
        thresholds=DEFAULT_THRESHOLDS,
        is_hard=hard,
        subject=subject,
        zone=zone,
    )


def costing(*costs: int, at: int = NOON, run_id: str | None = None) -> list[UsageEvent]:
    return [run(f"e{n}", at=at, cost_nano_usd=cost, run_id=run_id) for n, cost in enumerate(costs)]


def booked(one: CostBudget, totals: dict[Slot, int], events: list[UsageEvent]) -> Spent:
    found = spend(totals, shares_of([one], events), events, enforced=False)
    assert isinstance(found, Spent)
    return found


def levels(found: Spent) -> list[str]:
    return [alert.level for _, alerts in sorted(found.alerts.items()) for alert in alerts]


costs = st.lists(st.integers(0, 700), max_size=12)


@given(costs, st.integers(0, 12))
def test_the_same_alerts_however_events_are_batched(amounts: list[int], cut: int) -> None:
    one = budget()
    events = costing(*amounts)
    in_one = booked(one, {}, events)
    first = booked(one, {}, events[:cut])
    second = booked(one, dict(first.totals), events[cut:])
    assert levels(in_one) == levels(first) + levels(second)
    assert {**first.totals, **second.totals} == in_one.totals


@given(costs, st.lists(st.integers(0, 12), max_size=3))
def test_a_hard_budget_is_never_passed_and_refuses_no_list_that_fits(
    amounts: list[int], cuts: list[int]
) -> None:
    one = budget(hard=True)
    totals: dict[Slot, int] = {}
    bounds = [0, *sorted(min(cut, len(amounts)) for cut in cuts), len(amounts)]
    for since, until in itertools.pairwise(bounds):
        events = costing(*amounts[since:until])
        before = sum(totals.values())
        found = spend(totals, shares_of([one], events), events, enforced=True)
        fits = before + sum(amounts[since:until]) <= one.limit
        assert isinstance(found, Spent) is fits
        if isinstance(found, Passed):
            assert (found.used, found.asked) == (before, sum(amounts[since:until]))
        else:
            totals.update(found.totals)
        assert sum(totals.values()) <= one.limit


@given(costs)
def test_what_has_happened_is_booked_and_each_event_beyond_says_so(amounts: list[int]) -> None:
    one = budget(hard=True)
    found = booked(one, {}, costing(*amounts))
    assert sum(found.totals.values()) == sum(amounts)
    beyond = [n for n in range(len(amounts)) if amounts[n] and sum(amounts[: n + 1]) > one.limit]
    said = [n for n, its in found.alerts.items() if its[-1].level == "budget_exceeded"]
    assert set(beyond) <= set(said)


def test_the_tightest_of_several_hard_budgets_is_named() -> None:
    wide, narrow = budget(500, name="wide", hard=True), budget(100, name="narrow", hard=True)
    events = costing(600)
    found = spend({}, shares_of([wide, narrow], events), events, enforced=True)
    assert isinstance(found, Passed)
    assert found.budget.name == "narrow"


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        (Subject(kind="workspace", name="w"), True),
        (Subject(kind="agent", name="dbt-expert"), True),
        (Subject(kind="agent", name="specialists/dbt-expert"), True),
        (Subject(kind="agent", name="roles/dbt-expert"), False),
        (Subject(kind="agent", name="expert"), False),
        (Subject(kind="project", name="p"), True),
        (Subject(kind="project", name="q"), False),
        (Subject(kind="user", name="u"), True),
        (Subject(kind="run", name="r"), True),
        (Subject(kind="run", name="s"), False),
    ],
)
def test_who_is_covered(subject: Subject, counts: bool) -> None:
    who = Spender(agent="specialists/dbt-expert", project="p", user="u", run_id="r")
    assert covers(budget(subject=subject), who) is counts


moments = st.integers(0, 4_102_444_800_000_000)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Havana"]
)
windows = st.sampled_from(["day", "week", "month"])


@given(moments, zones, windows)
def test_a_moment_is_in_one_window_and_windows_follow_each_other(
    at: int, zone: str, window: CostWindow
) -> None:
    start, end = period(window, at, ZoneInfo(zone))
    assert start <= at < end
    assert period(window, start, ZoneInfo(zone)) == (start, end)
    assert period(window, end, ZoneInfo(zone))[0] == end


def test_windows_are_civil_ones() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    late = micros(datetime(2026, 3, 31, 22, 30, tzinfo=UTC))  # 1 April, 00:30, a Wednesday
    starts = [period(window, late, berlin)[0] for window in ("day", "week", "month")]
    assert starts == [
        micros(datetime(2026, 4, 1, tzinfo=berlin)),
        micros(datetime(2026, 3, 30, tzinfo=berlin)),
        micros(datetime(2026, 4, 1, tzinfo=berlin)),
    ]


def test_runs_and_events_stand_each_by_itself() -> None:
    per_run = budget(window="run")
    assert slot_of(per_run, NOON, run_id=None) is None
    assert slot_of(per_run, NOON, run_id="a") != slot_of(per_run, NOON, run_id="b")
    per_event = budget(100, window="event", hard=True)
    events = costing(100, 100, 100)
    assert isinstance(spend({}, shares_of([per_event], events), events, enforced=True), Spent)
    dear = costing(100, 101)
    assert isinstance(spend({}, shares_of([per_event], dear), dear, enforced=True), Passed)


def test_what_costs_nothing_counts_nowhere() -> None:
    events = [run("a", cost_nano_usd=0), run("b", cost_nano_usd=None)]
    assert shares_of([budget(0, hard=True)], events) == []


@given(st.integers(0, 2_000))
def test_a_budget_that_is_made_late_raises_what_is_due(used: int) -> None:
    one = budget()
    at_once = [alert.level for alert in due(one, Slot(budget="b", start=0), used, NOON)]
    assert at_once == levels(booked(one, {}, costing(used)))


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=5))
def test_the_binding_budget_has_the_least_left(pairs: list[tuple[int, int]]) -> None:
    standings = [
        Standing(budget=budget(limit, name=f"b{n}"), slot=None, used=used)
        for n, (limit, used) in enumerate(pairs)
    ]
    assert binding(standings).remaining == min(one.remaining for one in standings)


def test_what_is_asked_must_fit_and_what_is_spent_is_spent() -> None:
    def stands(used: int, asked: int) -> bool:
        return Standing(budget=budget(100), slot=None, used=used, asked=asked).holds

    assert stands(60, 40)
    assert not stands(60, 41)
    assert stands(99, 0)
    assert not stands(100, 0)


def test_shares_need_no_rounding() -> None:
    one = budget(3)
    assert Decimal("0.25") * 3 < 1
    assert levels(booked(one, {}, costing(1))) == ["info"]
    assert levels(booked(one, {}, costing(2))) == ["info", "warning"]
    assert levels(booked(one, {}, costing(3))) == ["info", "warning", "critical", "budget_exceeded"]


@pytest.mark.parametrize(
    ("used", "said"), [(500, "50 %"), (833, "83.3 %"), (9_999, "999.9 %"), (2_500_250, "250,025 %")]
)
def test_a_share_is_written_out(used: int, said: str) -> None:
    alert = CostAlert(
        slot=Slot(budget="b", start=0),
        level="warning",
        share=Decimal("0.5"),
        at=NOON,
        used=used,
        limit=1_000,
    )
    assert describe(alert).endswith(f" USD ({said}).")
