"""The jobs leave one report for each workspace and period, with figures that others can reckon."""

import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from app.core.reports import Report
from app.core.schedule import Run, covered_on_demand, period_of
from app.core.windows import micros, moment
from app.flows.reports import reports_of
from app.jobs.reporting import KINDS
from app.store.reports import Wanted, find_report
from tests.data import data_dir
from tests.running import Running, running
from tests.trees import packed, vector_tree

pytestmark = pytest.mark.anyio

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2025, 11, 1, 7, 0, tzinfo=UTC)
"""A first of the month, a week and a half after the real log's last run."""


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Running]:
    async with running(database_url, scheduler="off") as found:
        found.set_clock(NOW)
        yield found


def real_log() -> bytes:
    with tarfile.open(data_dir() / "claude-memory" / "claude-memory.tar.gz") as tree:
        file = tree.extractfile(".claude/cache/budget-usage.jsonl")
        assert file is not None
        return file.read()


async def bring_real_data(service: Running) -> None:
    gzip, lines = {"content-type": "application/gzip"}, {"content-type": "application/x-ndjson"}
    tree = packed(vector_tree(NOW))
    for path, content, headers in (
        ("/memories/import", tree, gzip),
        ("/usage/import", real_log(), lines),
    ):
        answer = await service.client.post(path, content=content, headers=headers)
        assert answer.status_code == 200, answer.text


def run_of(job: str, at: datetime = NOW, **more: Any) -> Run:
    given: dict[str, Any] = {
        "job": job,
        "period": period_of(job, at.date()),
        "due_at": micros(at),
        "started_at": micros(at),
        "covers": covered_on_demand(job),
        "is_catching_up": False,
        "is_on_demand": False,
    }
    return Run(**(given | more))


async def carry_out(service: Running, run: Run) -> list[Report]:
    """The reports that a run leaves in the default workspace."""
    await service.house.jobs.handlers[run.job](run)
    return [
        report
        for kind in KINDS[run.job]
        if (report := await there(service, kind, run.period)) is not None
    ]


async def there(service: Running, kind: Any, period: str) -> Report | None:
    return await service.house.store.read(lambda tx: find_report(tx, "default", kind, period))


async def kept(service: Running, workspace: str = "default") -> int:
    wanted = Wanted(workspace=workspace)
    return len((await reports_of(service.house.store, wanted, None, 1000)).items)


def figures(report: Report, key: str) -> dict[str, Any]:
    (section,) = (one for one in report.sections if one.key == key)
    return {one.label: one.value for one in section.figures}


async def use(service: Running, agent: str, days_ago: float, **facts: Any) -> None:
    at = (NOW - timedelta(days=days_ago)).isoformat()
    run = {"agent": agent, "timestamp": at, "budget_tokens": 100, "used_tokens": 50, **facts}
    answer = await service.client.post("/usage", json=run)
    assert answer.status_code == 201, answer.text


# On real data


async def test_the_daily_report_has_the_health_of_the_real_tree(service: Running) -> None:
    await bring_real_data(service)
    (report,) = await carry_out(service, run_of("daily"))
    told = (await service.client.get("/memories/health")).json()
    found = figures(report, "health")
    assert found["Status"] == "HEALTHY"
    assert found["Global: every agent loads it"] == told["global"]["tokens"] == 49_914
    assert found["Agents' own"] == told["agents"]["tokens"]
    promoted = (await service.client.get("/memories/lifecycle/promotions")).json()
    assert figures(report, "promotions")["Proposals"] == promoted["total"] > 0
    assert [one.key for one in report.sections if one.key != "commands"] == [
        "glance",
        "health",
        "promotions",
    ]


async def test_the_monthly_reports_agree_with_what_the_service_answers(service: Running) -> None:
    await bring_real_data(service)
    monthly, whole = await carry_out(service, run_of("monthly"))

    used = figures(whole, "usage")
    assert used["Runs with a budget"] == 3
    assert used["Used of the budget, average"] == pytest.approx(
        (90.0 + 98.12 + 40.94) / 3, abs=1e-9
    )
    window = {"since": moment(whole.since).isoformat(), "until": moment(whole.until).isoformat()}
    told = (await service.client.get("/usage/analytics", params=window)).json()["overall"]
    assert used["Tokens used"] == told["tokens"]["used"]
    for kind in ("duplicates", "archival"):
        listed = (await service.client.get(f"/memories/lifecycle/{kind}")).json()
        assert figures(monthly, kind)["Proposals"] == listed["total"] > 0
    applied = await service.client.post("/memories/lifecycle/archival/apply", json={})
    cards = {one["memory_id"] for one in applied.json()["changes"]}
    assert figures(monthly, "archival")["Proposals"] == len(cards)
    advised = (await service.client.get("/recommendations")).json()["items"]
    assert {one["agent"]: one["action"] for one in advised} == {
        "specialists/dbt-expert": "defer",
        "roles/data-architect-role": "defer",
    }
    assert figures(monthly, "recommendations")["Too few runs"] == 2
    outcomes = next(one for one in whole.sections if one.key == "outcomes")
    assert outcomes.data is not None
    verdicts = {one["key"]: one["verdict"] for one in outcomes.data["outcomes"]}
    assert verdicts.pop("assigned") == "met"
    assert set(verdicts.values()) == {"not enough yet"}


async def test_the_weeks_figures_are_those_of_the_week_before_it_was_due(service: Running) -> None:
    for days, tokens in ((-0.01, 1), (0.01, 10), (6.99, 200), (7.01, 3_000), (13.9, 4), (14.1, 7)):
        await use(service, "t/a", days, used_tokens=tokens, budget_tokens=10_000)
    (report,) = await carry_out(service, run_of("weekly"))
    assert figures(report, "usage")["Tokens used"] == 210
    (section,) = (one for one in report.sections if one.key == "usage")
    compared = {row[0]: row[1:3] for row in section.tables[0].rows}
    assert compared["Tokens used"] == ("210", "3,004")


async def test_a_run_that_is_caught_up_is_about_the_time_it_was_due(service: Running) -> None:
    await use(service, "t/a", 20)
    await use(service, "t/a", 1)
    await service.client.post("/memories", json={"text": "a memory"})
    late = run_of("weekly", NOW - timedelta(days=14), started_at=micros(NOW), is_catching_up=True)
    (report,) = await carry_out(service, late)
    assert figures(report, "usage")["Runs with a budget"] == 1
    assert report.until == micros(NOW - timedelta(days=14))
    (health,) = (one for one in report.sections if one.key == "health")
    assert "This run was late: these are the figures of 2025-11-01 07:00 UTC" in health.text


# Each once


@pytest.mark.parametrize(("job", "left"), [("daily", 1), ("weekly", 1), ("monthly", 2)])
async def test_the_same_run_twice_leaves_its_reports_once(
    service: Running, job: str, left: int
) -> None:
    await use(service, "t/a", 1)
    before = await carry_out(service, run_of(job))
    assert await kept(service) == left
    await use(service, "t/a", 2)
    assert await carry_out(service, run_of(job)) == before
    assert await kept(service) == left


async def test_a_run_taken_over_halfway_finishes_what_is_missing(service: Running) -> None:
    await use(service, "t/a", 1)
    monthly, whole = await carry_out(service, run_of("monthly"))
    await service.house.store.write_alone(
        lambda tx: (
            tx.connection.exec_driver_sql(
                "DELETE FROM reports WHERE kind = 'comprehensive'"  # as if it had been killed there
            ).rowcount
        )
    )
    again_monthly, again_whole = await carry_out(service, run_of("monthly"))
    assert again_monthly == monthly
    assert replace(again_whole, id=whole.id) == whole


async def test_every_workspace_gets_its_own_report(service: Running) -> None:
    await use(service, "t/a", 1, workspace="one")
    await use(service, "t/b", 1, workspace="two")
    done = await service.house.jobs.handlers["daily"](run_of("daily"))
    assert (done["workspaces"], done["reports"]) == (2, 2)
    assert [await kept(service, name) for name in ("one", "two", "default")] == [1, 1, 0]


async def test_a_workspace_that_fails_does_not_keep_the_others_from_their_reports(
    service: Running,
) -> None:
    for workspace in ("one", "three", "two"):
        await use(service, "t/a", 1, workspace=workspace, scopes={"global": 50})
    broken = "UPDATE usage_cells SET scopes = {} WHERE workspace = 'two'"
    mended = "UPDATE usage_cells SET scopes = NULL WHERE workspace = 'two'"

    async def change(sql: str) -> None:
        await service.house.store.write_alone(
            lambda tx: (
                tx.connection.exec_driver_sql(
                    sql.format("x'ff'" if tx.is_sqlite else "'\\xff'::bytea")
                ).rowcount
            )
        )

    await change(broken.replace("two", "one"))
    await change(broken)
    weekly = service.house.jobs.handlers["weekly"]
    with capture_logs() as lines, pytest.raises(ValueError, match="packed scopes"):
        await weekly(run_of("weekly"))

    assert [await kept(service, name) for name in ("one", "three", "two")] == [0, 1, 0]
    failed = [one for one in lines if one["event"] == "reports_failed"]
    assert [one["workspace"] for one in failed] == ["one", "two"]
    assert {one["kind"] for one in failed} == {"ValueError"}
    await change(mended.replace("two", "one"))
    await change(mended)
    assert (await weekly(run_of("weekly")))["reports"] == 3
    assert [await kept(service, name) for name in ("one", "three", "two")] == [1, 1, 1]


async def test_consecutive_weeks_meet_where_hours_begin_at_a_quarter(database_url: str) -> None:
    async with running(database_url, scheduler="off", timezone="Asia/Kathmandu") as service:
        due = datetime(2025, 10, 26, 0, 15, tzinfo=UTC)  # a Sunday, 06:00 in Kathmandu
        service.set_clock(due + timedelta(days=8))
        for minutes, tokens in ((-20, 1), (5, 20), (30, 300), (60, 4_000)):
            at = (due + timedelta(minutes=minutes)).isoformat()
            await use(service, "t/a", 0, timestamp=at, used_tokens=tokens, budget_tokens=10_000)
        (first,) = await carry_out(service, run_of("weekly", due))
        (then,) = await carry_out(service, run_of("weekly", due + timedelta(days=7)))
        asked = run_of("weekly", due, is_on_demand=True, period="asked")
        (on_demand,) = await carry_out(service, asked)
    told = [figures(one, "usage")["Tokens used"] for one in (first, then, on_demand)]
    assert told == [1, 4_320, 321]


async def test_runs_that_named_no_agent_and_odd_names_are_reported(service: Running) -> None:
    for agent in ("specialists/dbt-expert", "a|b", "Ünïcode <b>", "x" * 150):
        for _ in range(3):
            await use(service, agent, 1, agent_type="y" * 150)
    for _ in range(12):
        answer = await service.client.post("/allocate", json={"workspace": "default"})
        finished = await service.client.post(f"/allocations/{answer.json()['id']}/finish", json={})
        assert finished.status_code == 200, finished.text
    service.set_clock(NOW + timedelta(hours=1))
    for job in ("daily", "weekly", "monthly"):
        done = await service.house.jobs.handlers[job](run_of(job, NOW + timedelta(hours=1)))
        assert done["reports"] >= 1


async def test_runs_of_other_years_and_absurd_budgets_spoil_no_report(service: Running) -> None:
    for years in (40, 3):
        await use(service, "t/a", 365 * years, used_tokens=7_000)
    ahead = {"agent": "t/a", "timestamp": (NOW + timedelta(days=900)).isoformat()}
    refused = await service.client.post(
        "/usage", json={**ahead, "budget_tokens": 1, "used_tokens": 1}
    )
    assert refused.status_code == 422
    assert "in the future" in refused.json()["detail"]
    await use(service, "t/a", 1, used_tokens=10, budget_tokens=0)
    await use(service, "t/b", 1, used_tokens=10**10, budget_tokens=1)
    await use(service, "t/b", 2, used_tokens=0, budget_tokens=10**10)

    monthly, whole = await carry_out(service, run_of("monthly"))

    assert figures(whole, "usage")["Runs with a budget"] == 3
    assert figures(whole, "usage")["Tokens used"] == 10**10 + 10
    assert figures(monthly, "recommendations")["Too few runs"] == 2
    for report in (monthly, whole):
        for kind in ("application/json", "text/html", "text/markdown"):
            shown = await service.client.get(f"/reports/{report.id}", headers={"accept": kind})
            assert shown.status_code == 200, shown.text


async def test_a_service_without_rows_has_nothing_to_report(service: Running) -> None:
    for job in ("daily", "weekly", "monthly"):
        done = await service.house.jobs.handlers[job](run_of(job))
        assert (done["workspaces"], done["reports"]) == (0, 0)


# What one run does for another


async def test_the_day_is_not_looked_at_again_where_it_had_its_own_run(service: Running) -> None:
    sunday = datetime(2025, 11, 2, 6, 0, tzinfo=UTC)
    await service.client.post("/memories", json={"text": "the first"})
    await carry_out(service, run_of("daily", sunday.replace(hour=5)))
    await service.client.post("/memories", json={"text": "the second, after the daily run"})
    (alone,) = await carry_out(service, run_of("weekly", sunday, covers=frozenset()))
    assert figures(alone, "health")["Both together"] == 2
    again = run_of("weekly", sunday, covers=frozenset({"daily"}), period="on demand")
    (whole,) = await carry_out(service, again)
    assert figures(whole, "health")["Both together"] > 2
    assert figures(alone, "glance")["Memory health"] == "HEALTHY"


async def test_the_week_is_not_done_again_where_it_had_its_own_run(service: Running) -> None:
    first = datetime(2026, 2, 1, 6, 0, tzinfo=UTC)  # a Sunday
    text = {"text": "the same words"}
    await service.client.post(
        "/memories", json=[{**text, "agent": "a/b"}, {**text, "agent": "c/d"}]
    )
    await carry_out(service, run_of("weekly", first))
    await service.client.post("/memories", json={**text, "agent": "e/f"})
    at_seven = first.replace(hour=7)
    monthly, _ = await carry_out(service, run_of("monthly", at_seven, covers=frozenset({"daily"})))
    (section,) = (one for one in monthly.sections if one.key == "duplicates")
    assert [row[5] for row in section.tables[0].rows] == ["same content in 2 memories"]
    all_of_it = run_of("monthly", at_seven, period="on demand")
    monthly, _ = await carry_out(service, all_of_it)
    (section,) = (one for one in monthly.sections if one.key == "duplicates")
    assert [row[5] for row in section.tables[0].rows] == ["same content in 3 memories"]


async def test_the_day_is_that_of_the_zone(database_url: str) -> None:
    async with running(database_url, scheduler="off", timezone="Australia/Sydney") as service:
        await use(service, "t/a", 1)
        due = datetime(2025, 10, 31, 20, 0, tzinfo=UTC)  # 1 November, 07:00 in Sydney
        monthly, whole = await carry_out(service, run_of("monthly", due, period="2025-11"))
        assert monthly.title == "Monthly report, 1 November 2025"
        assert whole.title == "Comprehensive report, 1 November 2025"


# Outcomes over a history


async def test_outcomes_are_measured_over_a_history_with_a_change(service: Running) -> None:
    clock = service.set_clock(NOW - timedelta(days=40))
    answer = await service.client.put("/profiles/big", json=profile(40_000))
    assert answer.status_code == 201, answer.text
    await service.client.put("/agents/t/a", json={"profile": "big"})
    clock.at = NOW - timedelta(days=20)
    await service.client.put("/agents/t/a", json={"profile": "specialist-narrow"})
    clock.at = NOW
    events = []
    for day in range(70):
        for number in range(4):
            is_old = day >= 20
            at = NOW - timedelta(days=day + 0.5, minutes=number)
            events.append(
                {
                    "agent": "t/a",
                    "timestamp": at.isoformat(),
                    "complexity": "medium",
                    "budget_tokens": 40_000 if is_old else 20_000,
                    "used_tokens": (24_000 if is_old else 12_000) + 10 * number,
                    "duration_seconds": 4.0 if is_old else 2.0 + 0.01 * number,
                    "success": True,
                }
            )
    assert (await service.client.post("/usage", json=events)).status_code == 201

    _, whole = await carry_out(service, run_of("monthly"))
    outcomes = next(one for one in whole.sections if one.key == "outcomes")
    assert outcomes.data is not None
    found = {one["key"]: one for one in outcomes.data["outcomes"]}
    assert found["context_tuned"]["verdict"] == "met"
    assert found["context_tuned"]["figure"] == pytest.approx(-50, abs=0.1)
    assert found["context"]["verdict"] in ("met", "open")  # a third of the window is older
    assert found["exceedance"]["measured"].startswith("0.0")
    assert found["exceedance"]["basis"].startswith("0 of 80 runs of 1 agent")
    assert found["speed"]["verdict"] == "met"
    assert found["success"]["verdict"] == "met"
    assert found["assigned"]["verdict"] == "met"
    assert found["accuracy"]["basis"].startswith("1 of 1 agents")
    ready = next(one for one in whole.sections if one.key == "enforcement")
    assert ready.data == {"ready": ["t/a"]}


async def test_alerts_that_were_due_are_counted(service: Running) -> None:
    for used in (5_000, 16_000, 19_000, 25_000):  # of 20,000: no, one, two and three thresholds
        opened = (await service.client.post("/allocate", json={"agent": "dbt-expert"})).json()
        load = {"loads": [{"scope": "global", "tokens": used}]}
        await service.client.post(f"/allocations/{opened['id']}/finish", json=load)
    soon = run_of("monthly", NOW + timedelta(minutes=1), is_on_demand=True)
    _, whole = await carry_out(service, soon)
    outcomes = next(one for one in whole.sections if one.key == "outcomes")
    assert outcomes.data is not None
    (alerts,) = (one for one in outcomes.data["outcomes"] if one["key"] == "alerts")
    assert (alerts["verdict"], alerts["measured"]) == ("met", "6 of 6")
    assert figures(whole, "allocations")["Allocations"] == 4


def profile(base: int) -> dict[str, Any]:
    return {
        "description": "made for a test",
        "base_budget": base,
        "max_budget": 4 * base,
        "scope_weights": {"global": 1},
    }
