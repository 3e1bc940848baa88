"""Totals of budgets in USD equal their events, whoever spends at the same time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import BudgetExceeded
from app.core.spending import (
    DEFAULT_THRESHOLDS,
    CostBudget,
    CostWindow,
    Slot,
    Subject,
    SubjectKind,
    period,
)
from app.core.usage import UsageEvent
from app.core.windows import DAY_S, MICROS, micros
from app.store.appending import append_many
from app.store.booking import Delivery, book
from app.store.cost_alerts import list_alerts
from app.store.cost_budgets import delete_budget, put_budget, read_totals
from app.store.database import Store
from app.store.usage import events_between
from tests.core.runs import run

NOW = micros(datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC))
EVER = 2**60


def budget(
    limit: int,
    name: str = "b",
    *,
    window: CostWindow = "day",
    hard: bool = False,
    subject: Subject | None = None,
    zone: str = "UTC",
) -> CostBudget:
    return CostBudget(
        name=name,
        limit=limit,
        window=window,
        thresholds=DEFAULT_THRESHOLDS,
        is_hard=hard,
        subject=subject or Subject(kind="workspace", name="default"),
        zone=ZoneInfo(zone),
    )


def make(store: Store, one: CostBudget, *, now: int = NOW) -> bool:
    return store.write_now(lambda tx: put_budget(tx, "default", one, now=now))


def add(store: Store, *events: UsageEvent) -> None:
    store.write_now(lambda tx: append_many(tx, "default", [events]))


def totals(store: Store, name: str = "b") -> list[int]:
    found = store.read_now(lambda tx: read_totals(tx, "default", name))
    return sorted(found.values())


def alerts(store: Store) -> list[tuple[str, str]]:
    found = store.read_now(
        lambda tx: list_alerts(
            tx, "default", budget=None, since=None, until=None, before=None, limit=1000
        )
    )
    return sorted((one.slot.budget, one.level) for _, one in found)


def spent(store: Store) -> int:
    events = store.read_now(lambda tx: events_between(tx, "default", -EVER, EVER))
    return sum(event.cost_nano_usd or 0 for event in events)


def costing(id_: str, cost: int, *, at: int = NOW, **more: object) -> UsageEvent:
    return run(id_, at=at, cost_nano_usd=cost, **more)


async def test_a_hard_budget_holds_against_many_spenders_on_two_replicas(
    database_url: str, open_store: Callable[[str], Store]
) -> None:
    first = open_store(database_url)
    stores = [first] if first.is_sqlite else [first, open_store(database_url)]
    make(first, budget(6_000, hard=True))

    async def spend(spender: int) -> int:
        store = stores[spender % len(stores)]
        events = [costing(f"{spender}-{n}", 7 + spender) for n in range(3)]
        try:
            await store.write("default", book, Delivery(events=events, enforced=True))
        except BudgetExceeded:
            return 0
        return sum(event.cost_nano_usd or 0 for event in events)

    took = await asyncio.gather(*(spend(number) for number in range(64)))

    assert sum(took) == spent(first)
    assert totals(first) == [sum(took)]
    assert 6_000 - 3 * (7 + 63) < sum(took) <= 6_000
    assert alerts(first).count(("b", "info")) == 1


def test_making_a_budget_counts_what_its_window_has_spent_and_no_more(store: Store) -> None:
    add(
        store,
        costing("yesterday", 1_000, at=NOW - DAY_S * MICROS),
        costing("this morning", 200, at=NOW - 6 * 3600 * MICROS),
        costing("now", 60),
    )
    make(store, budget(400))
    make(store, budget(10_000, "month", window="month"))
    assert totals(store) == [260]
    assert totals(store, "month") == [1_260]
    assert alerts(store) == [("b", "info"), ("b", "warning")]
    add(store, costing("more", 140))
    assert totals(store) == [400]
    assert alerts(store) == [
        ("b", "budget_exceeded"),
        ("b", "critical"),
        ("b", "info"),
        ("b", "warning"),
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject(kind="project", name="p"), 3),
        (Subject(kind="user", name="u"), 5),
        (Subject(kind="agent", name="specialists/dbt-expert"), 15),
        (Subject(kind="agent", name="dbt-expert"), 15),
        (Subject(kind="run", name="r"), 9),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_budget_counts_its_subject_whether_made_before_or_after(
    store: Store, subject: Subject, expected: int, is_late: bool
) -> None:
    one = budget(1_000, subject=subject)
    if not is_late:
        make(store, one)
    agent = "specialists/dbt-expert"
    add(
        store,
        costing("a", 1, agent=agent, project="p", user="u", run_id="r"),
        costing("b", 2, agent=agent, project="p", user="v"),
        costing("c", 4, agent=agent, user="u"),
        costing("d", 8, agent=agent, run_id="r"),
        costing("e", 16, agent="roles/dbt"),
    )
    if is_late:
        make(store, one)
    assert totals(store) == [expected]


def test_events_of_an_earlier_window_count_there_with_all_that_was_there(store: Store) -> None:
    before = NOW - 3 * DAY_S * MICROS
    add(store, costing("old", 100, at=before))
    make(store, budget(1_000))
    add(store, costing("late", 23, at=before + 1))
    assert totals(store) == [0, 123]


def test_runs_stand_each_by_itself_with_all_that_they_have_spent(store: Store) -> None:
    long_ago = NOW - 20 * DAY_S * MICROS
    add(store, costing("a", 30, run_id="x"), costing("b", 5, run_id="y"), costing("c", 99))
    add(store, costing("old", 10, run_id="x", at=long_ago))
    make(store, budget(50, window="run", hard=True))
    assert totals(store) == []
    delivery = Delivery(events=[costing("d", 11, run_id="x")], enforced=True)
    answer = store.write_now(lambda tx: book(tx, "default", [delivery])[0])
    assert isinstance(answer, BudgetExceeded)
    assert alerts(store) == [("b", "critical"), ("b", "info"), ("b", "warning")]
    add(store, costing("e", 11, run_id="y"))
    assert totals(store) == [16, 40]


@pytest.mark.parametrize("kind", ["agent", "project", "user", "run"])
def test_a_run_counts_what_the_subject_of_its_budget_spends(
    store: Store, kind: SubjectKind
) -> None:
    name = "specialists/dbt-expert" if kind == "agent" else "x"
    field = "run_id" if kind == "run" else kind
    mine = {"agent": "specialists/dbt-expert", "project": "x", "user": "x", "run_id": "x"}
    others = {"agent": "a/b", "project": "p", "user": "u", "run_id": "y"}
    add(
        store,
        costing("a", 4, **mine),
        costing("b", 8, **{**mine, field: others[field]}),
        costing("c", 16, **{**others, "run_id": "x"}),
    )
    make(store, budget(50, window="run", subject=Subject(kind=kind, name=name)))
    add(store, costing("d", 1, **mine))
    assert totals(store) == [21 if kind == "run" else 5]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("window", ["day", "week", "month"])
def test_a_window_is_counted_to_the_nano_wherever_its_ends_lie(
    store: Store, window: CostWindow, zone: str
) -> None:
    one = budget(10**6, window=window, zone=zone)
    start, end = period(window, NOW, one.zone)
    moments = [start - 1, start, start + 1, (start + NOW) // 2, NOW, end - 1, end]
    events = [costing(f"e{n}", 10**n, at=at) for n, at in enumerate(moments)]
    for event in events:  # hours are over between them, and roll up
        add(store, event)
    make(store, one)
    assert totals(store) == [111_110]


def test_a_refused_list_leaves_nothing_and_those_beside_it_stay(store: Store) -> None:
    make(store, budget(100, hard=True))
    deliveries = [
        Delivery(events=[costing("a", 60)], enforced=True),
        Delivery(events=[costing("b", 10), costing("c", 40)], enforced=True),
        Delivery(events=[costing("c", 40)], enforced=True),
        Delivery(events=[costing("a", 60)], enforced=True),
    ]
    answers = store.write_now(lambda tx: book(tx, "default", deliveries))
    assert isinstance(answers[1], BudgetExceeded)
    assert [
        [one.is_new for one in answer]
        for answer in answers
        if not isinstance(answer, BudgetExceeded)
    ] == [[True], [True], [False]]
    assert spent(store) == 100
    assert totals(store) == [100]


def test_another_limit_keeps_the_total_and_raises_what_is_due_then(store: Store) -> None:
    make(store, budget(1_000))
    add(store, costing("a", 100))
    assert alerts(store) == []
    assert not make(store, budget(300))
    assert totals(store) == [100]
    assert alerts(store) == [("b", "info")]
    make(store, budget(300, subject=Subject(kind="user", name="nobody")))
    assert totals(store) == [0]
    assert alerts(store) == []


def test_a_budget_that_is_taken_away_counts_no_more(store: Store) -> None:
    make(store, budget(10, hard=True))
    add(store, costing("a", 10))
    assert store.write_now(lambda tx: delete_budget(tx, "default", "b", now=NOW))
    assert not store.write_now(lambda tx: delete_budget(tx, "default", "b", now=NOW))
    delivery = Delivery(events=[costing("b", 10)], enforced=True)
    answer = store.write_now(lambda tx: book(tx, "default", [delivery])[0])
    assert not isinstance(answer, BudgetExceeded)
    assert totals(store) == []


def test_replicas_see_a_new_budget_with_their_next_booking(
    postgresql_url: str, open_store: Callable[[str], Store]
) -> None:
    here, there = open_store(postgresql_url), open_store(postgresql_url)
    add(there, costing("a", 50))
    make(here, budget(60, hard=True))
    delivery = Delivery(events=[costing("b", 11)], enforced=True)
    answer = there.write_now(lambda tx: book(tx, "default", [delivery])[0])
    assert isinstance(answer, BudgetExceeded)


def test_days_are_those_of_the_budgets_zone(store: Store) -> None:
    zone = "Pacific/Auckland"  # 15:09 UTC is the next day there
    make(store, budget(100, zone=zone))
    add(store, costing("a", 1), costing("b", 2, at=NOW - 12 * 3600 * MICROS))
    found = store.read_now(lambda tx: read_totals(tx, "default", "b"))
    midnight = micros(datetime(2026, 3, 15, tzinfo=ZoneInfo(zone)))
    assert found[Slot(budget="b", start=midnight)] == 1
    assert sorted(found.values()) == [1, 2]


def test_alerts_are_noted_on_the_event_that_raised_them(store: Store) -> None:
    make(store, budget(100))
    add(store, costing("a", 20), replace(costing("b", 40), at=NOW + 1))
    events = store.read_now(lambda tx: events_between(tx, "default", -EVER, EVER))
    noted = {event.id: [alert["level"] for alert in event.alerts] for event in events}
    assert noted == {"a": [], "b": ["info", "warning"]}
