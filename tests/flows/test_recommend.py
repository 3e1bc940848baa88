"""Recommendations are made of the window's runs, whole, and one of each agent stays open."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.clock import new_id
from app.core.errors import NotFound
from app.core.grants import grant_of
from app.core.impacts import budgets_under, impact_of
from app.core.recommendation_changes import RecommendationNotOpen
from app.core.recommendations import Asked, Recommendation
from app.core.recommending import rule
from app.core.report_advice import todo_of
from app.core.simulation import Runs, replay
from app.core.usage import UsageEvent
from app.flows import usage_report
from app.flows.recommend import MOST_RUNS, Known, recommend
from app.flows.recommendations import (
    apply_recommendation,
    dismiss,
    recommendations_of,
    roll_back,
)
from app.flows.retention import delete_past_keeping
from app.presets.loader import shipped
from app.store import policies
from app.store.appending import append_many
from app.store.database import Store
from app.store.groupcache import GroupCache
from app.store.shelf import PolicyShelf
from tests.core.advice import AGENT, LADDER, evidence_from
from tests.core.runs import BASE, DAY_US, run, runs

HOUR_US = 3_600_000_000
OTHER = "roles/data-architect-role"

fresh = itertools.count()
"""Numbers of workspaces: every example has one of its own."""


@pytest.fixture
def shelf() -> PolicyShelf:
    return PolicyShelf(shipped())


def book(store: Store, workspace: str, *batches: Sequence[UsageEvent]) -> None:
    for batch in batches:
        events = [replace(event, workspace=workspace) for event in batch]
        store.write_now(lambda tx, its=events: append_many(tx, workspace, [its]))  # type: ignore[misc]


def asked(workspace: str = "default", **changes: Any) -> Asked:
    given: dict[str, Any] = {"window_days": 30, "until": BASE, "now": BASE, "period": "2026-03"}
    return Asked(workspace=workspace, **(given | changes))


def made(store: Store, shelf: PolicyShelf, wanted: Asked) -> tuple[Recommendation, ...]:
    return asyncio.run(recommend(store, shelf, GroupCache(), wanted, new_id=new_id))


def listed(store: Store, workspace: str = "default", **filters: Any) -> list[Recommendation]:
    given: dict[str, Any] = {"status": None, "agent": None, "window_days": None}
    ask = recommendations_of(store, workspace, **(given | filters), before=None, limit=1000)
    return list(asyncio.run(ask).items)


def statuses(store: Store, workspace: str = "default") -> dict[tuple[str, str], str]:
    return {(one.period, one.agent): one.status for one in listed(store, workspace)}


def crowd(agent: str = AGENT, *, used: int, count: int = 12, **facts: Any) -> list[UsageEvent]:
    """Runs of one agent, hours apart, all alike."""
    return [
        run(
            f"{agent}-{used}-{number}",
            used=used,
            budget=20_000,
            agent=agent,
            at=BASE - number * HOUR_US,
            **facts,
        )
        for number in range(count)
    ]


unique_runs = st.lists(runs, max_size=12, unique_by=lambda event: event.id)
crowded = st.lists(
    st.builds(
        lambda event, many: replace(event, scopes={f"scope-{n}": n for n in range(many)}),
        runs,
        st.integers(0, 40),
    ),
    max_size=4,
    unique_by=lambda event: event.id,
)


@given(
    earlier=unique_runs,
    later=crowded,
    days=st.integers(1, 80),
    until=st.one_of(
        st.just(BASE),
        st.integers(BASE - 75 * DAY_US, BASE + DAY_US),
        st.integers(BASE - 75 * DAY_US, BASE).map(lambda at: at // DAY_US * DAY_US),
    ),
)
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_evidence_is_that_of_the_windows_events(
    store: Store,
    shelf: PolicyShelf,
    earlier: list[UsageEvent],
    later: list[UsageEvent],
    days: int,
    until: int,
) -> None:
    workspace = f"w{next(fresh)}"
    book(store, workspace, earlier, later)
    events = {event.id: event for event in [*later, *earlier]}.values()
    wanted = asked(workspace, window_days=days, until=until)
    since, end = wanted.window

    found = {one.agent: one for one in made(store, shelf, wanted)}

    inside: dict[str, list[UsageEvent]] = {}
    for event in events:
        if since <= event.at < end:
            inside.setdefault(event.agent, []).append(event)
    with_runs = {
        agent: its
        for agent, its in inside.items()
        if any(event.budget_tokens is not None for event in its)
    }
    assert set(found) == set(with_runs)
    for agent, its in with_runs.items():
        evidence, current = evidence_from(its), grant_of(shelf.book(workspace), agent)
        ruling = rule(evidence, current, LADDER, shelf.book(workspace).tuning)
        one = found[agent]
        assert (one.action, one.proposed, one.reason) == (
            ruling.action,
            ruling.proposed,
            ruling.reason,
        )
        assert one.evidence["executions"] == one.samples == evidence.samples
        assert one.evidence["used_tokens"] == evidence.used
        assert one.evidence["off_scopes"] == list(ruling.off_scopes)
        total = sum(evidence.scopes.values())
        if total:
            assert sum(one.evidence["scope_share"].values()) == pytest.approx(1)


def test_the_window_is_whole_hours_and_holds_the_days_asked_for() -> None:
    since, until = asked(window_days=7).window

    assert since % HOUR_US == until % HOUR_US == 0
    assert until - HOUR_US <= BASE < until
    assert since <= BASE - 7 * DAY_US < since + HOUR_US


def test_impact_replays_every_run_of_the_agents_that_would_move(
    store: Store, shelf: PolicyShelf
) -> None:
    events = [
        run(
            str(number),
            used=16_000 + 1_000 * number,
            budget=20_000,
            needed_tokens=16_000 + 1_000 * number if number < 9 else 60_000,
            cost_nano_usd=10**6 if number % 2 else None,
            at=BASE - number * DAY_US,
        )
        for number in range(12)
    ]
    book(store, "default", events, crowd(OTHER, used=16_000))
    (steady, moving) = made(store, shelf, asked())

    assert (moving.agent, moving.action) == (AGENT, "upgrade")
    assert moving.proposed is not None
    assert moving.proposed.profile == "specialist-broad"
    assert moving.evidence["replayed"] == "runs"
    exactly = replay(
        [
            Runs(
                agent=AGENT,
                budget=20_000,
                used=event.used_tokens,
                needed=event.needed_tokens,
                cost=event.cost_nano_usd,
            )
            for event in events
        ],
        budgets_under(shelf.book("default"), "specialist-broad"),
    )
    assert moving.impact == impact_of(exactly)
    assert moving.impact.tokens_saved == 12 * (20_000 - 35_000)
    assert moving.impact.exceedances_avoided == 7
    assert moving.impact.usd_saved is not None
    assert (steady.agent, steady.evidence["replayed"]) == (OTHER, None)
    assert (steady.impact.tokens_saved, steady.impact.usd_saved) == (0, None)


def test_more_runs_than_are_replayed_one_by_one_are_replayed_as_cells(
    store: Store, shelf: PolicyShelf
) -> None:
    count = MOST_RUNS + 1
    agent = "specialists/aws-expert"
    events = [
        run(
            str(number),
            used=30_000 + number,
            budget=35_000,
            agent=agent,
            complexity="medium",
            at=BASE - number % 700 * HOUR_US,
            cost_nano_usd=1,
        )
        for number in range(count)
    ]
    book(store, "default", *(events[n : n + 5_000] for n in range(0, count, 5_000)))

    (one,) = made(store, shelf, asked())

    assert (one.action, one.evidence["replayed"]) == ("upgrade", "cells")
    assert one.impact.tokens_saved == count * (35_000 - 50_000)
    exceeded = sum(event.used_tokens > 35_000 for event in events)
    would = sum(event.used_tokens > 50_000 for event in events)
    assert one.evidence["exceeded"] == exceeded
    assert one.impact.exceedances_avoided == pytest.approx(exceeded - would, abs=0.02 * count)
    unknown = (one.impact.unmet_avoided, one.impact.used_tokens_saved, one.impact.usd_saved)
    assert unknown == (None, None, None)


def test_runs_that_asked_for_a_budget_of_their_own_keep_it(
    store: Store, shelf: PolicyShelf
) -> None:
    manual = [
        replace(event, profile="manual", allocation_id=f"alc_{event.id}")
        for event in crowd(used=15_000)
    ]
    others = crowd(used=25_000)
    book(store, "default", manual, others)

    (one,) = made(store, shelf, asked())

    assert one.action == "upgrade"
    assert one.impact.tokens_saved == 12 * (20_000 - 35_000)


def test_runs_that_are_kept_no_longer_count_by_their_cells(
    store: Store, shelf: PolicyShelf
) -> None:
    old = [
        replace(event, at=event.at - 20 * DAY_US, id=f"o{event.id}") for event in crowd(used=25_000)
    ]
    book(store, "default", old, crowd(used=24_000))
    (before,) = made(store, shelf, asked())
    asyncio.run(delete_past_keeping(store, shelf, BASE, usage_days=10))

    (after,) = made(store, shelf, asked())

    assert (before.evidence["replayed"], after.evidence["replayed"]) == ("runs", "cells")
    assert (after.samples, after.reason) == (24, before.reason)
    unknown = {"unmet_avoided": None, "used_tokens_saved": None, "usd_saved": None}
    assert after.impact == replace(before.impact, **unknown)


def test_agents_without_a_run_under_a_budget_are_left_out(store: Store, shelf: PolicyShelf) -> None:
    unbudgeted = [replace(event, budget_tokens=None) for event in crowd(OTHER, used=5)]
    nameless = [replace(event, agent="", id=f"x{event.id}") for event in crowd(used=5)]
    book(store, "default", unbudgeted, nameless, crowd(used=15_000))

    assert [one.agent for one in made(store, shelf, asked())] == [AGENT]


def test_an_empty_workspace_has_no_recommendations(store: Store, shelf: PolicyShelf) -> None:
    assert made(store, shelf, asked("nobody")) == ()
    assert listed(store, "nobody") == []


# What becomes of what was recommended before


def test_the_same_period_again_replaces_what_is_open_and_keeps_its_ids(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000))
    (before,) = made(store, shelf, asked())
    book(store, "default", crowd(used=1, count=100))
    (after,) = made(store, shelf, asked(now=BASE + 1))

    assert (before.action, after.action) == ("upgrade", "downgrade")
    assert (after.id, after.created_at) == (before.id, BASE + 1)
    assert listed(store) == [after]


def test_what_was_decided_stays_when_its_period_is_run_again(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000), crowd(OTHER, used=70_000))
    architect, expert = made(store, shelf, asked())
    asyncio.run(dismiss(store, "default", expert.id, BASE))

    again = made(store, shelf, asked(now=BASE + 5))

    assert [one.status for one in again] == ["open", "dismissed"]
    assert [one.id for one in again] == [architect.id, expert.id]
    assert again[1].created_at == BASE


def test_a_later_window_supersedes_what_is_open_and_leaves_what_was_decided(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000), crowd(OTHER, used=70_000))
    _, expert = made(store, shelf, asked())
    asyncio.run(dismiss(store, "default", expert.id, BASE))
    made(store, shelf, asked(period="2026-04", until=BASE + HOUR_US, now=BASE + HOUR_US))

    assert statuses(store) == {
        ("2026-03", OTHER): "superseded",
        ("2026-03", AGENT): "dismissed",
        ("2026-04", OTHER): "open",
        ("2026-04", AGENT): "open",
    }


def test_an_earlier_window_that_is_caught_up_does_not_supersede_a_later_one(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000, count=40))
    (now,) = made(store, shelf, asked(period="2026-03-14T15:09:26.000000Z"))
    (late,) = made(store, shelf, asked(period="2026-03", until=BASE - 10 * HOUR_US, now=BASE + 9))

    assert late.status == "superseded"
    assert [one.id for one in listed(store, status="open")] == [now.id]


def test_agents_that_a_later_run_does_not_see_keep_what_is_open(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000), crowd(OTHER, used=70_000))
    made(store, shelf, asked())
    later = [
        replace(event, at=event.at + 60 * DAY_US, id=f"l{event.id}") for event in crowd(used=9)
    ]
    book(store, "default", later)
    made(store, shelf, asked(period="2026-05", until=BASE + 60 * DAY_US, now=BASE + 60 * DAY_US))

    assert statuses(store) == {
        ("2026-03", OTHER): "open",
        ("2026-03", AGENT): "superseded",
        ("2026-05", AGENT): "open",
    }


def test_workspaces_have_recommendations_of_their_own(store: Store, shelf: PolicyShelf) -> None:
    book(store, "default", crowd(used=25_000))
    book(store, "team", crowd(used=5_000))
    (ours,) = made(store, shelf, asked())
    (theirs,) = made(store, shelf, asked("team"))

    assert (ours.action, theirs.action) == ("upgrade", "downgrade")
    assert listed(store) == [ours]
    assert listed(store, "team") == [theirs]
    with pytest.raises(NotFound):
        asyncio.run(apply_recommendation(store, shelf, "team", ours.id, BASE))
    with pytest.raises(NotFound):
        asyncio.run(dismiss(store, "team", ours.id, BASE))


# Applying


def test_applying_is_a_policy_version_and_rolling_back_another(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "team", crowd(used=25_000))
    (one,) = made(store, shelf, asked("team"))

    applied = asyncio.run(apply_recommendation(store, shelf, "team", one.id, BASE + 1))
    assert (applied.status, applied.decided_at) == ("applied", BASE + 1)
    assert applied.deed is not None
    assert applied.deed.version == shelf.version("team") == 1
    assert shelf.book("team").resolve(agent=AGENT)[0].base == 35_000
    assert shelf.book("default").resolve(agent=AGENT)[0].base == 20_000

    rolled = asyncio.run(roll_back(store, shelf, "team", one.id, BASE + 2))
    assert (rolled.status, rolled.deed) == ("rolled_back", applied.deed)
    assert shelf.version("team") == 2
    assert shelf.book("team").resolve(agent=AGENT)[0].base == 20_000
    sources = store.read_now(lambda tx: policies.list_versions(tx, "team", before=None, limit=9))
    assert [version.source for version in sources] == [
        f"rollback of {one.id}",
        f"recommendation {one.id}",
    ]


MINUTE_US = 60_000_000


def test_what_was_applied_is_not_recommended_on_by_the_runs_from_before_it(
    store: Store, shelf: PolicyShelf
) -> None:
    mixed = [
        *crowd(used=25_000, count=6),
        *(replace(one, at=one.at - 6 * HOUR_US) for one in crowd(used=15_000, count=6)),
    ]
    book(store, "default", mixed, crowd(OTHER, used=70_000))
    other, first = made(store, shelf, asked())
    applied_at = BASE + MINUTE_US
    asyncio.run(apply_recommendation(store, shelf, "default", first.id, applied_at))
    since = [replace(one, at=BASE + 2 * MINUTE_US, id=f"s{one.id}") for one in mixed[:5]]
    book(store, "default", since)

    still, again = made(store, shelf, asked(period="2", now=BASE + 3 * MINUTE_US))

    assert (first.action, again.action, first.is_recommended) == ("upgrade", "upgrade", True)
    assert (again.is_recommended, again.confidence) == (False, 1.0)
    assert "But 12 of the 17 runs are from before the change" in again.reason
    assert again.reason.endswith("2026-03-14 15:10 UTC, so this is shown only.")
    assert todo_of([again]) == ()
    assert (still.is_recommended, still.reason) == (True, other.reason)

    asyncio.run(roll_back(store, shelf, "default", first.id, BASE + 4 * MINUTE_US))
    assert made(store, shelf, asked(period="3"))[1].is_recommended


def test_runs_that_are_all_from_after_the_change_are_recommended_on(
    store: Store, shelf: PolicyShelf
) -> None:
    book(store, "default", crowd(used=25_000))
    (first,) = made(store, shelf, asked())
    asyncio.run(apply_recommendation(store, shelf, "default", first.id, BASE + 1))
    later = [replace(one, at=one.at + 2 * DAY_US, id=f"l{one.id}") for one in crowd(used=70_000)]
    book(store, "default", later)

    def after(days: int) -> Recommendation:
        wanted = asked(period=f"{days}", until=BASE + 2 * DAY_US, window_days=days)
        return made(store, shelf, wanted)[0]

    assert (after(1).is_recommended, after(1).samples) == (True, 12)
    assert (after(3).is_recommended, after(3).samples) == (False, 24)


def test_runs_from_before_a_change_whose_events_are_gone_count_by_their_hours(
    store: Store, shelf: PolicyShelf
) -> None:
    old = [replace(one, at=one.at - 20 * DAY_US, id=f"o{one.id}") for one in crowd(used=25_000)]
    book(store, "default", old)
    (first,) = made(store, shelf, asked())
    asyncio.run(apply_recommendation(store, shelf, "default", first.id, BASE - 20 * DAY_US + 1))
    book(store, "default", crowd(used=70_000))
    asyncio.run(delete_past_keeping(store, shelf, BASE, usage_days=10))

    (again,) = made(store, shelf, asked(period="2"))

    assert not again.is_recommended
    assert "But 12 of the 24 runs are" in again.reason


@contextmanager
def replicas(database_url: str) -> Iterator[list[Store]]:
    """Three on PostgreSQL; SQLite has one process."""
    count = 1 if database_url.startswith("sqlite") else 3
    stores = [Store(database_url) for _ in range(count)]
    for store in stores:
        store.start()
    try:
        yield stores
    finally:
        for store in stores:
            store.close()


def test_of_all_that_apply_at_once_one_does(database_url: str, shelf: PolicyShelf) -> None:
    with replicas(database_url) as stores:
        book(stores[0], "default", crowd(used=25_000))
        (one,) = made(stores[0], shelf, asked())

        async def all_() -> list[Recommendation | BaseException]:
            tries = (
                apply_recommendation(store, shelf, "default", one.id, BASE)
                for store in (stores * 8)[:8]
            )
            return await asyncio.gather(*tries, return_exceptions=True)

        answers = asyncio.run(all_())
        versions = stores[0].read_now(
            lambda tx: policies.list_versions(tx, "default", before=None, limit=9)
        )

    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(answer) for answer in refused] == [RecommendationNotOpen] * 7
    assert len(versions) == 1


def test_runs_of_one_period_at_once_leave_one_of_each_agent(
    database_url: str, shelf: PolicyShelf
) -> None:
    with replicas(database_url) as stores:
        book(stores[0], "default", crowd(used=25_000), crowd(OTHER, used=70_000))

        async def all_() -> list[tuple[Recommendation, ...]]:
            tries = (
                recommend(store, shelf, GroupCache(), asked(), new_id=new_id)
                for store in (stores * 6)[:6]
            )
            return await asyncio.gather(*tries)

        answers = asyncio.run(all_())
        kept = listed(stores[0])

    assert {tuple(one.id for one in answer) for answer in answers} == {
        tuple(one.id for one in sorted(kept, key=lambda one: one.agent))
    }
    assert [one.status for one in kept] == ["open", "open"]


def test_runs_of_several_periods_at_once_leave_one_open_of_each_agent(
    database_url: str, shelf: PolicyShelf
) -> None:
    with replicas(database_url) as stores:
        book(stores[0], "default", crowd(used=25_000), crowd(OTHER, used=70_000))

        async def all_() -> None:
            tries = (
                recommend(
                    store, shelf, GroupCache(), asked(period=f"2026-0{number}"), new_id=new_id
                )
                for number, store in enumerate((stores * 6)[:6], start=1)
            )
            await asyncio.gather(*tries)

        asyncio.run(all_())
        kept = listed(stores[0])

    assert len(kept) == 12
    assert sorted(one.agent for one in kept if one.status == "open") == [OTHER, AGENT]


def test_what_a_report_has_read_makes_the_same_recommendations(
    store: Store, shelf: PolicyShelf
) -> None:
    scopes = {"global": 30_000, "agent_recent": 10}
    book(store, "default", crowd(used=30_000, scopes=scopes) + crowd(OTHER, used=10))
    ask = usage_report.Asked(workspace="default", days=(7, 30), until=BASE, zone=ZoneInfo("UTC"))
    used = asyncio.run(usage_report.usage_for_report(store, GroupCache(), ask))[30]
    known = Known(sums=used.sums.cells, scopes=used.scopes)
    wanted = asked(report=used.sums.window)

    anew = made(store, shelf, wanted)
    again = asyncio.run(recommend(store, shelf, GroupCache(), wanted, new_id=new_id, known=known))
    assert {one.action for one in anew} == {"upgrade", "downgrade"}
    assert [one.since for one in anew] == [used.sums.window[0]] * 2
    assert again == anew
