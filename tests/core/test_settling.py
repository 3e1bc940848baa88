"""What the usage event of a finished allocation says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.core.monitoring import Load, Monitor, Report, finish, opened, record
from app.core.settling import Opened, settle
from app.core.terms import terms_of
from app.core.windows import micros
from tests.core.policies import profile_policy

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
END = NOW + timedelta(seconds=90, microseconds=1)

ALLOCATION = Opened(
    id="alc_01k0000000_7hq2x",
    workspace="legal",
    agent="specialists/dbt-expert",
    project="p",
    user="u",
    session_id="s",
    run_id="r",
    model="m",
    task="Check the joins",
    policy="specialist-narrow",
    complexity="medium",
)


def monitor(budget: int = 100, *, ttl_seconds: float = 3_600) -> Monitor:
    terms = terms_of(profile_policy(budget, 10 * budget), "medium", budget=budget)
    return opened(terms, budget=budget, now=NOW, ttl_seconds=ttl_seconds)


def load(scope: str, tokens: int) -> Load:
    return Load(scope=scope, tokens=tokens)


def test_the_event_holds_what_was_loaded_by_scope_and_what_it_was_for() -> None:
    loaded = record(monitor(), [load("global", 40), load("agent_recent", 20)], NOW)
    report = Report(loads=(load("global", 5),), input_tokens=900, output_tokens=30)

    event = settle(ALLOCATION, finish(loaded, report, END), report, now=END)

    assert (event.id, event.allocation_id) == ("use_01k0000000_7hq2x", ALLOCATION.id)
    assert (event.used_tokens, event.budget_tokens) == (65, 100)
    assert event.scopes == {"global": 45, "agent_recent": 20}
    assert (event.input_tokens, event.output_tokens) == (900, 30)
    assert (event.at, event.duration_seconds) == (micros(END), 90.000001)
    assert event.success is True
    for name in ("workspace", "agent", "project", "user", "session_id", "run_id", "model", "task"):
        assert getattr(event, name) == getattr(ALLOCATION, name)
    assert (event.profile, event.complexity) == ("specialist-narrow", "medium")


def test_a_run_with_an_error_failed_unless_it_says_otherwise() -> None:
    outcomes = {}
    for success in (None, True, False):
        report = Report(success=success, error="TimeoutError: no answer")
        event = settle(ALLOCATION, finish(monitor(), report, END), report, now=END)
        outcomes[success] = event.success
        assert event.error == "TimeoutError: no answer"

    assert outcomes == {None: False, True: True, False: False}


def test_every_alert_that_was_raised_is_in_the_event() -> None:
    loaded = record(monitor(), [load("global", 101)], NOW)
    report = Report(needed_tokens=400, memories_used=("m1",))

    event = settle(ALLOCATION, finish(loaded, report, END), report, now=END)

    assert [alert["level"] for alert in event.alerts] == ["info", "warning", "critical"]
    assert {alert["at"] for alert in event.alerts} == {NOW.isoformat().replace("+00:00", "Z")}
    assert event.exceeded
    assert not event.unmet
    assert event.metadata == {"memories_used": ["m1"]}


def test_demand_beyond_a_budget_that_was_kept_is_unmet() -> None:
    report = Report(needed_tokens=101)

    event = settle(ALLOCATION, finish(monitor(), report, END), report, now=END)

    assert event.unmet
    assert not event.exceeded


def test_a_run_that_ends_after_its_time_is_booked_as_late() -> None:
    report = Report()
    closed = finish(monitor(ttl_seconds=60), report, END)

    assert settle(ALLOCATION, closed, report, now=END).late
    assert not settle(ALLOCATION, finish(monitor(), report, END), report, now=END).late


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    report = Report()
    before = NOW - timedelta(seconds=5)

    event = settle(ALLOCATION, finish(monitor(), report, before), report, now=before)

    assert event.duration_seconds == 0


def test_an_allocation_without_an_agent_is_booked_without_one() -> None:
    report = Report()
    nobody = replace(ALLOCATION, agent=None)

    assert settle(nobody, finish(monitor(), report, END), report, now=END).agent == ""
