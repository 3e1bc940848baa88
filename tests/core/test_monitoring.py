"""Laws of following an allocation, and what the original answers to the same loads."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import AlreadyFinished, BudgetExceeded, Conflict
from app.core.monitor_data import from_data, to_data
from app.core.monitoring import (
    AllocationExpired,
    AllocationFinished,
    Load,
    Monitor,
    Report,
    extend,
    finish,
    opened,
    record,
    release,
    status,
)
from app.core.terms import Bump, terms_of
from tests.core.policies import manual_policy, profile_policy
from tests.data import vectors

NOW = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
TTL = 3600

loads = st.builds(
    Load,
    scope=st.sampled_from(("global", "agent_recent", "agent_patterns", "notes")),
    tokens=st.integers(0, 40),
    memory_id=st.sampled_from((None, None, "m1", "m2", "m3")),
)
load_lists = st.lists(loads, max_size=12)
changes = st.fixed_dictionaries(
    {"enforcement": st.sampled_from(("soft", "hard")), "auto_bump": st.booleans()}
)


def start(base: int = 100, tier: str = "medium", **changes: Any) -> Monitor:
    policy = profile_policy(base, base * 10, **changes)
    terms = terms_of(policy, tier, budget=base)
    return opened(terms, budget=base, now=NOW, ttl_seconds=TTL)


def load(tokens: int, scope: str = "global", memory_id: str | None = None) -> Load:
    return Load(scope=scope, tokens=tokens, memory_id=memory_id)


def one_by_one(monitor: Monitor, given: Sequence[Load]) -> Monitor:
    for each in given:
        monitor = record(monitor, [each], NOW)
    return monitor


def levels(monitor: Monitor) -> list[str]:
    return [alert.level for alert in monitor.alerts]


@given(load_lists, st.integers(0, 12), st.booleans())
def test_the_same_alerts_fire_however_loads_are_batched(
    given: list[Load], cut: int, auto_bump: bool
) -> None:
    monitor = start(auto_bump=auto_bump)
    at_once = record(monitor, given, NOW)
    assert record(record(monitor, given[:cut], NOW), given[cut:], NOW) == at_once
    assert one_by_one(monitor, given) == at_once


@given(load_lists)
def test_each_level_is_raised_once_in_order(given: list[Load]) -> None:
    monitor = one_by_one(start(), given)
    expected = [one.level for one in monitor.terms.thresholds if monitor.loaded >= one.share * 100]
    assert levels(monitor) == expected


@given(load_lists, changes)
def test_under_hard_enforcement_nothing_passes_the_budget(
    given: list[Load], changes: dict[str, Any]
) -> None:
    monitor = start(**(changes | {"enforcement": "hard"}))
    for each in given:
        try:
            monitor = record(monitor, [each], NOW)
        except BudgetExceeded:
            continue
        assert monitor.loaded <= monitor.budget


@given(load_lists)
def test_a_hard_refusal_names_the_first_load_that_does_not_fit(given: list[Load]) -> None:
    soft = start()
    too_much = next(
        (at for at in range(len(given)) if record(soft, given[: at + 1], NOW).loaded > 100), None
    )
    hard = start(enforcement="hard")
    if too_much is None:
        assert record(hard, given, NOW).loaded <= 100
    else:
        with pytest.raises(BudgetExceeded) as refusal:
            record(hard, given, NOW)
        assert refusal.value.errors[0]["loc"] == ["body", "loads", too_much]


@given(load_lists, load_lists)
def test_a_memory_counts_once(first: list[Load], second: list[Load]) -> None:
    monitor = record(record(start(), first, NOW), second, NOW)
    seen: set[str] = set()
    expected = 0
    for each in (*first, *second):
        if each.memory_id not in seen:
            expected += each.tokens
        if each.memory_id is not None:
            seen.add(each.memory_id)
    assert monitor.loaded == sum(monitor.scopes.values()) == expected


@given(load_lists, st.booleans(), st.sampled_from(("open", "released", "finished", "late")))
def test_plain_data_brings_back_the_same_monitor(
    given: list[Load], auto_bump: bool, end: str
) -> None:
    monitor = record(start(auto_bump=auto_bump), given, NOW)
    if end == "released":
        monitor = release(monitor, NOW)
    elif end != "open":
        monitor = finish(monitor, Report(error="it broke"), LATER if end == "late" else NOW)
    assert from_data(json.loads(json.dumps(to_data(monitor)))) == monitor


@given(load_lists, st.booleans(), st.none() | st.integers(0, 99))
def test_finishing_twice_with_the_same_report_is_finishing_once(
    given: list[Load], success: bool, needed: int | None
) -> None:
    report = Report(success=success, loads=tuple(given), needed_tokens=needed)
    once = finish(start(), report, NOW)
    assert finish(once, report, LATER) == once
    with pytest.raises(AlreadyFinished):
        finish(once, replace(report, input_tokens=7), NOW)


@pytest.mark.parametrize(
    "record_", [*vectors("A8.monitor", classes=("must",))], ids=lambda r: r["id"]
)
def test_loads_raise_what_the_original_raised(record_: dict[str, Any]) -> None:
    asked, out = record_["in"], record_["out"]
    policy = manual_policy(asked["budget"])
    terms = terms_of(policy, asked["complexity"] or "medium", budget=asked["budget"])
    monitor = opened(terms, budget=asked["budget"], now=NOW, ttl_seconds=TTL)
    given = [load(one["tokens"], one["scope"]) for one in asked["loads"]]

    fired = []
    for each in given:
        before = len(monitor.alerts)
        monitor = record(monitor, [each], NOW)
        fired.append(levels(monitor)[before:])
    stands = status(monitor, NOW)

    assert fired == out["fired_after_each_load"]
    assert len(stands.alerts) == len(out["alerts"])
    for alert, expected in zip(stands.alerts, out["alerts"], strict=True):
        assert (alert.level, alert.tokens) == (expected["level"], expected["tokens"])
        assert alert.used_pct == pytest.approx(expected["used_pct"], abs=1e-4)
    assert stands.used_pct == pytest.approx(out["used_pct"], abs=1e-4)
    for name in ("loaded", "remaining", "exceeded", "scopes"):
        assert getattr(stands, name) == out[name]


def test_alerts_advise_the_next_tier_and_its_budget() -> None:
    monitor = one_by_one(start(20_000), [load(15_000), load(3_000), load(2_000)])
    info, warning, critical = monitor.alerts
    complex_ = Bump(tier="complex", tokens=30_000)
    assert info.bump is None
    assert warning.bump == critical.bump == complex_
    assert "consider a complexity bump" in warning.message
    assert "tier bump recommended" in critical.message
    assert "30,000" in critical.message
    assert monitor.budget == 20_000


def test_there_is_nothing_to_advise_above_the_highest_budget() -> None:
    top = opened(
        terms_of(profile_policy(), "multi-system", budget=40_000),
        budget=40_000,
        now=NOW,
        ttl_seconds=TTL,
    )
    assert [alert.bump for alert in record(top, [load(40_000)], NOW).alerts] == [None] * 3
    assert terms_of(profile_policy(100, 100), "medium", budget=100).ladder == ()
    assert terms_of(manual_policy(100), "simple", budget=100).ladder == ()


def test_auto_bump_raises_the_budget_once_per_tier() -> None:
    monitor = record(start(auto_bump=True), [load(100)], NOW)
    assert (monitor.budget, levels(monitor)) == (150, ["info", "warning", "critical"])
    assert "budget raised to 150 tokens (complex)" in monitor.alerts[-1].message

    monitor = record(monitor, [load(49)], NOW)
    assert (monitor.budget, len(monitor.alerts)) == (150, 3)

    monitor = record(monitor, [load(1)], NOW)
    assert (monitor.budget, levels(monitor)[3:]) == (200, ["critical"])

    monitor = one_by_one(monitor, [load(50), load(50), load(50)])
    assert (monitor.budget, levels(monitor)[4:]) == (200, ["critical"])
    assert monitor.alerts[-1].bump is None
    assert status(monitor, NOW).exceeded
    assert [bump.tier for bump in monitor.bumps] == ["complex", "multi-system"]


def test_auto_bump_makes_room_before_hard_enforcement_refuses() -> None:
    monitor = start(auto_bump=True, enforcement="hard")
    assert record(monitor, [load(180)], NOW).budget == 200
    with pytest.raises(BudgetExceeded):
        record(monitor, [load(201)], NOW)


def test_a_refused_batch_changes_nothing() -> None:
    monitor = record(start(enforcement="hard"), [load(90)], NOW)
    with pytest.raises(BudgetExceeded) as refusal:
        record(monitor, [load(10), load(1)], NOW)
    assert refusal.value.extensions["remaining"] == 0
    assert monitor.loaded == 90
    assert record(monitor, [load(10)], NOW).loaded == 100


def test_a_budget_of_zero_is_unused_or_exceeded() -> None:
    empty = start(0)
    assert status(empty, NOW).used_pct == 0
    assert not status(record(empty, [load(0)], NOW), NOW).exceeded

    used = status(record(empty, [load(1)], NOW), NOW)
    assert (used.used_pct, used.exceeded, used.remaining) == (None, True, 0)
    assert [alert.level for alert in used.alerts] == ["info", "warning", "critical"]


def test_loads_after_the_end_are_refused_and_after_expiry_late() -> None:
    with pytest.raises(AllocationFinished) as refusal:
        record(finish(start(), Report(), NOW), [load(1)], NOW)
    assert refusal.value.code == "allocation_finished"
    assert isinstance(refusal.value, Conflict)

    late = record(start(), [load(1)], LATER)
    stands = status(late, LATER)
    assert (stands.state, stands.loaded, stands.late) == ("expired", 1, True)
    assert record(late, [load(1)], NOW).late
    assert status(finish(start(), Report(), LATER), LATER).late


def test_states_follow_the_time() -> None:
    monitor = start()
    last = NOW + timedelta(seconds=TTL)
    assert status(monitor, last - timedelta(microseconds=1)).state == "open"
    assert status(monitor, last).state == "expired"
    assert status(monitor, LATER).duration_seconds == TTL

    done = finish(monitor, Report(), NOW + timedelta(seconds=30))
    assert (status(done, LATER).state, status(done, LATER).duration_seconds) == ("finished", 30)


def test_extending_adds_time_and_never_takes_any() -> None:
    soon = NOW + timedelta(seconds=10)
    assert extend(start(), TTL, soon).expires_at == soon + timedelta(seconds=TTL)
    assert extend(start(), 1, soon).expires_at == NOW + timedelta(seconds=TTL)
    with pytest.raises(AllocationExpired):
        extend(start(), TTL, LATER)
    with pytest.raises(AllocationFinished):
        extend(finish(start(), Report(), NOW), TTL, NOW)


def test_releasing_ends_the_time_but_not_the_books() -> None:
    released = release(start(), NOW)
    assert release(released, LATER) == released
    assert status(released, NOW).state == "expired"
    assert status(finish(released, Report(), NOW), NOW).late
    with pytest.raises(AllocationExpired):
        extend(released, TTL, NOW)
    with pytest.raises(AllocationFinished):
        release(finish(start(), Report(), NOW), NOW)


def test_a_run_succeeds_unless_it_says_otherwise() -> None:
    assert Report().succeeded
    assert not Report(error="it broke").succeeded
    assert Report(error="a warning", success=True).succeeded
