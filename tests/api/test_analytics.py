"""Analytics over HTTP equal what anyone can compute from the events, on real runs."""

import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any

import httpx
import pytest

from tests.api.test_usage import RUN, analytics, assert_problem, book
from tests.data import data_dir, vectors
from tests.running import Running, running

START = datetime(2025, 2, 20, 10, 20, 30, 123456, tzinfo=UTC)
TIERS = ("simple", "medium", "complex", "multi-system")
THINNED = 3
"""Every third run of the trace: the whole of it takes half a minute a database."""


@dataclass(frozen=True)
class Fact:
    """A run as the test knows it, apart from the service."""

    sent: dict[str, Any]
    at: datetime
    profile: str

    @property
    def used(self) -> int:
        return int(self.sent["used_tokens"])

    @property
    def budget(self) -> int:
        return int(self.sent["budget_tokens"])

    @property
    def pct(self) -> float:
        return 100 * self.used / self.budget


def facts_of_trace(profiles: Mapping[str, str]) -> list[Fact]:
    path = data_dir() / "traces" / "servegen_m-small.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::THINNED]
    agents = sorted({row["agent"] for row in rows})
    facts = []
    for number, row in enumerate(rows):
        need = int(row["need"])
        budget = 150 * (1 + agents.index(row["agent"]) % 7)
        used = need if number % 9 == 0 else min(need, budget)
        at = START + timedelta(seconds=float(row["ts"]))
        sent = {
            "id": f"run-{number}",
            "agent": row["agent"],
            "timestamp": at.isoformat(),
            "budget_tokens": budget,
            "used_tokens": used,
            "needed_tokens": need,
            "output_tokens": int(row["out"]),
            "complexity": TIERS[number % 4],
            "model": f"model-{number % 3}",
            "user": f"user-{number % 50}",
            "project": f"project-{number % 2}",
            "stage": ("plan", "write")[number % 7 == 0],
            "scopes": {"global": used // 3, "agent_recent": used - used // 3},
        }
        if number % 5 == 0:
            sent["cost_usd"] = str(Decimal(number) / 10**6)
        facts.append(Fact(sent, at, profiles.get(row["agent"], "unknown")))
    return facts


def p95(values: Sequence[float]) -> float:
    return sorted(values)[ceil(0.95 * len(values)) - 1]


def median(values: Sequence[float]) -> float:
    ordered, count = sorted(values), len(values)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2


def assert_tells(found: Mapping[str, Any], facts: Sequence[Fact], pcts: Sequence[float]) -> None:
    """The figures are those of the facts: counts and sums exactly, order statistics to 1 %."""
    assert found["executions"] == len(facts)
    used_pct = found["used_pct"]
    assert used_pct["avg"] == pytest.approx(sum(pcts) / len(pcts), rel=1e-6)
    assert used_pct["min"] == pytest.approx(min(pcts), rel=1e-6)
    assert used_pct["max"] == pytest.approx(max(pcts), rel=1e-6)
    assert used_pct["median"] == pytest.approx(median(pcts), rel=0.01)
    assert used_pct["p95"] == pytest.approx(p95(pcts), rel=0.01)
    exceeded = sum(fact.used > fact.budget for fact in facts)
    unmet = sum(fact.used <= fact.budget < fact.sent["needed_tokens"] for fact in facts)
    assert (found["exceeded"], found["unmet"]) == (exceeded, unmet)
    assert found["exceedance_rate"] == pytest.approx(exceeded / len(facts))
    assert found["unmet_rate"] == pytest.approx(unmet / len(facts))
    assert found["tokens"]["budget"] == sum(fact.budget for fact in facts)


def assert_whole(found: Mapping[str, Any], facts: Sequence[Fact]) -> None:
    """`assert_tells` for groups of whole runs."""
    assert_tells(found, facts, [fact.pct for fact in facts])
    assert found["tokens"]["used"] == sum(fact.used for fact in facts)
    assert found["tokens"]["output"] == sum(fact.sent["output_tokens"] for fact in facts)
    costs = [Decimal(fact.sent["cost_usd"]) for fact in facts if "cost_usd" in fact.sent]
    if costs:
        assert Decimal(found["cost_usd"]) == sum(costs)
    else:
        assert found["cost_usd"] is None


def assert_parts(found: Mapping[str, Any], facts: Sequence[Fact]) -> None:
    """The breakdown by complexity, and the share of each scope."""
    tiers = grouped(facts, lambda fact: str(fact.sent["complexity"]))
    assert set(found["by_complexity"]) == set(tiers)
    for tier, own in tiers.items():
        assert found["by_complexity"][tier]["executions"] == len(own)
        average = sum(fact.pct for fact in own) / len(own)
        assert found["by_complexity"][tier]["avg_used_pct"] == pytest.approx(average, rel=1e-6)
    tokens = {
        scope: sum(fact.sent["scopes"][scope] for fact in facts)
        for scope in ("global", "agent_recent")
    }
    assert found["scope_share"] == pytest.approx(
        {scope: count / sum(tokens.values()) for scope, count in tokens.items()}
    )


def grouped(facts: Iterable[Fact], key: Callable[[Fact], str]) -> dict[str, list[Fact]]:
    groups: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[key(fact)].append(fact)
    return dict(groups)


KEYS: dict[str, Callable[[Fact], str]] = {
    "agent": lambda fact: str(fact.sent["agent"]),
    "complexity": lambda fact: str(fact.sent["complexity"]),
    "profile": lambda fact: fact.profile,
    "model": lambda fact: str(fact.sent["model"]),
    "user": lambda fact: str(fact.sent["user"]),
    "project": lambda fact: str(fact.sent["project"]),
    "stage": lambda fact: str(fact.sent["stage"]),
    "day": lambda fact: fact.at.strftime("%Y-%m-%d"),
    "hour": lambda fact: fact.at.strftime("%Y-%m-%dT%H:00:00Z"),
}

WINDOWS = {
    "ever": (None, None),
    "odd seconds": (
        START + timedelta(days=1, hours=3, minutes=17, seconds=42.5),
        START + timedelta(days=9, hours=5, minutes=2, seconds=3),
    ),
    "inside an hour": (
        datetime(2025, 2, 24, 13, 1, 7, tzinfo=UTC),
        datetime(2025, 2, 24, 13, 52, 59, 5, tzinfo=UTC),
    ),
    "a day of UTC": (
        datetime(2025, 2, 28, tzinfo=UTC),
        datetime(2025, 3, 1, tzinfo=UTC),
    ),
    "over a month's end": (datetime(2025, 2, 27, 5, 45, tzinfo=UTC), None),
    "an hour of UTC": (
        datetime(2025, 3, 1, 14, tzinfo=UTC),
        datetime(2025, 3, 1, 15, tzinfo=UTC),
    ),
}


async def test_analytics_of_a_real_trace_equal_an_independent_computation(
    client: httpx.AsyncClient,
) -> None:
    profiles = await assign_profiles(client)
    facts = facts_of_trace(profiles)
    await deliver_shuffled(client, facts)

    for name, (since, until) in WINDOWS.items():
        asked = {
            **({"since": since.isoformat()} if since else {}),
            **({"until": until.isoformat()} if until else {}),
        }
        own = [
            fact
            for fact in facts
            if (since is None or fact.at >= since) and (until is None or fact.at < until)
        ]
        assert own, name
        for by, key in KEYS.items():
            await assert_answers(client, own, by=by, key=key, asked=asked)
        await assert_scopes(client, own, asked)
        agent = own[0].sent["agent"]
        theirs = [fact for fact in own if fact.sent["agent"] == agent]
        for by in ("agent", "complexity", "model", "day", "hour"):
            narrowed = {**asked, "agent": agent}
            await assert_answers(client, theirs, by=by, key=KEYS[by], asked=narrowed)
        await assert_scopes(client, theirs, {**asked, "agent": agent.partition("/")[2]})


async def assign_profiles(client: httpx.AsyncClient) -> dict[str, str]:
    """Give some agents of the trace a profile; the others have none."""
    names = [profile["name"] for profile in (await client.get("/profiles")).json()["items"]]
    profiles = {}
    for number in range(0, 40, 3):
        agent = f"m-small/chunk-{number}"
        profile = names[number % len(names)]
        answer = await client.put(f"/agents/{agent}", json={"profile": profile})
        assert answer.is_success, answer.text
        profiles[agent] = profile
    return profiles


async def deliver_shuffled(client: httpx.AsyncClient, facts: Sequence[Fact]) -> None:
    """Send runs in any order, a tenth of them again; each answer is in the books at once."""
    chance = Random(20_250_220)
    sent = [fact.sent for fact in facts]
    sent += chance.sample(sent, len(sent) // 10)
    chance.shuffle(sent)
    accepted = 0
    for first in range(0, len(sent), 1_000):
        batch = sent[first : first + 1_000]
        receipt = await book(client, *batch)
        assert receipt["accepted"] + receipt["duplicates"] == len(batch)
        accepted += receipt["accepted"]
        assert (await analytics(client))["overall"]["events"] == accepted
    assert accepted == len(facts)


async def assert_answers(
    client: httpx.AsyncClient,
    facts: Sequence[Fact],
    *,
    by: str,
    key: Callable[[Fact], str],
    asked: Mapping[str, str],
) -> None:
    found = await analytics(client, by=by, **asked)
    assert_whole(found["overall"], facts)
    assert_parts(found["overall"], facts)
    groups = {group["key"]: group for group in found["groups"]}
    wanted = grouped(facts, key)
    assert set(groups) == set(wanted)
    for name, own in wanted.items():
        assert_whole(groups[name], own)
        if by == "agent":
            assert_parts(groups[name], own)


async def assert_scopes(
    client: httpx.AsyncClient, facts: Sequence[Fact], asked: Mapping[str, str]
) -> None:
    """A scope's used per cent is its share of the runs' budgets."""
    found = await analytics(client, by="scope", **asked)
    groups = {group["key"]: group for group in found["groups"]}
    assert set(groups) == {"global", "agent_recent"}
    for scope, group in groups.items():
        pcts = [100 * fact.sent["scopes"][scope] / fact.budget for fact in facts]
        assert_tells(group, facts, pcts)
        assert group["tokens"]["used"] == sum(fact.sent["scopes"][scope] for fact in facts)


def a11_records() -> list[Any]:
    records = list(vectors("A11.analytics"))
    events = {record["id"]: record["in"]["events"] for record in records}
    for record in records:
        if record["in"]["same_events_as"]:
            record["in"]["events"] = events[record["in"]["same_events_as"]]
    return [pytest.param(record, id=record["id"]) for record in records]


@pytest.mark.parametrize("record", a11_records())
async def test_answers_are_those_of_the_original(
    light_client: httpx.AsyncClient, record: dict[str, Any]
) -> None:
    given, out = record["in"], record["out"]
    now = datetime.now(UTC)
    await book(
        light_client,
        *(
            {
                "agent": event["agent"],
                "complexity": event["complexity"],
                "budget_tokens": event["budget"],
                "used_tokens": sum(event["scopes"].values()),
                "scopes": event["scopes"],
                "timestamp": (now - timedelta(days=event["age_days"])).isoformat(),
            }
            for event in given["events"]
        ),
    )

    found = await analytics(light_client, **({"days": given["days"]} if given["days"] else {}))

    assert_equals_original(found["overall"], out["overall"])
    groups = {group["key"]: group for group in found["groups"]}
    assert set(groups) == set(out["groups"])
    for key, wanted in out["groups"].items():
        assert_equals_original(groups[key], wanted)
        assert groups[key]["scope_share"] == pytest.approx(wanted["scope_share_pooled"], rel=1e-6)
        tiers = groups[key]["by_complexity"]
        assert set(tiers) == set(wanted["by_complexity"])
        for tier, figures in wanted["by_complexity"].items():
            assert tiers[tier] == pytest.approx(figures, rel=1e-6)


def assert_equals_original(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    assert found["executions"] == wanted["executions"]
    assert found["exceeded"] == wanted["exceeded"]
    assert found["exceedance_rate"] == pytest.approx(wanted["exceedance_rate"], rel=1e-6)
    for name in ("avg", "min", "max"):
        assert found["used_pct"][name] == pytest.approx(wanted[name], rel=1e-6)
    assert found["used_pct"]["median"] == pytest.approx(wanted["median"], rel=0.01)


@pytest.mark.parametrize("record", list(vectors("B6.statistics")), ids=lambda one: one["id"])
async def test_allocations_are_summed_up_as_in_the_original(
    light_client: httpx.AsyncClient, record: dict[str, Any]
) -> None:
    given, out = record["in"], record["out"]
    workspace = given["config"]["workspace_id"]
    answer = await light_client.put(f"/workspaces/{workspace}", json=given["config"])
    assert answer.is_success, answer.text
    now = datetime.now(UTC)
    for run in given["runs"]:
        memories = [
            {
                **{name: value for name, value in memory.items() if name != "age_hours"},
                "created_at": (now - timedelta(hours=memory["age_hours"])).isoformat(),
            }
            for memory in run["memories"]
        ]
        asked = {"workspace": workspace, "complexity": run["complexity"], "memories": memories}
        answer = await light_client.post("/allocate", json=asked)
        assert answer.status_code == 201, answer.text

    found = (
        await light_client.get(
            "/allocations/statistics", params={"workspace": workspace, "hours": given["hours"]}
        )
    ).json()

    assert found["count"] == out["allocations"]
    assert found["averages"]["tokens_allocated"] == pytest.approx(out["avg_tokens"], abs=0.006)
    assert found["averages"]["memories_selected"] == pytest.approx(out["avg_memories"], abs=0.006)
    assert found["complexity"] == out["complexity"]
    for tier, wanted in out["tiers"].items():
        scope = found["scopes"][tier]
        assert scope["avg_utilization_pct"] == pytest.approx(
            wanted["avg_utilization_pct"],
            abs=0.006,  # the original rounds each run
        )
        assert scope["avg_selected"] == pytest.approx(wanted["avg_memories_selected"], abs=1e-3)
        assert scope["avg_tokens"] == pytest.approx(wanted["avg_tokens_used"], abs=1e-3)


async def test_days_are_those_of_the_configured_zone(database_url: str) -> None:
    async with running(database_url, timezone="Asia/Kathmandu") as service:
        client = service.client
        for at in ("2026-03-01T18:14:59Z", "2026-03-01T18:15:00Z", "2026-03-02T18:14:59.999Z"):
            await book(client, {**RUN, "timestamp": at})

        found = await analytics(client, by="day")
        cut = await analytics(client, by="day", since="2026-03-02T00:00:00Z")

    assert [(group["key"], group["executions"]) for group in found["groups"]] == [
        ("2026-03-01", 1),
        ("2026-03-02", 2),
    ]
    assert [(group["key"], group["executions"]) for group in cut["groups"]] == [("2026-03-02", 1)]


async def test_a_window_of_days_ends_now_and_forgets_what_is_older(service: Running) -> None:
    clock = service.set_clock(datetime(2026, 3, 14, 15, 9, 26, 5, tzinfo=UTC))
    for hours in (0, 1, 23, 24, 25, 48):
        await book(service.client, {**RUN, "timestamp": (clock.at - hours * HOUR).isoformat()})

    async def executions(days: float) -> int:
        found = await analytics(service.client, days=days)
        return int(found["overall"]["executions"])

    assert [await executions(days) for days in (0.5, 1, 2, 7)] == [2, 4, 6, 6]
    clock.pass_(hours=1, seconds=1)
    assert [await executions(days) for days in (0.5, 1, 2, 7)] == [2, 2, 5, 6]


HOUR = timedelta(hours=1)


async def test_an_acknowledged_event_is_in_the_next_answer(client: httpx.AsyncClient) -> None:
    for number in range(1, 12):
        await book(client, {**RUN, "model": "m"})
        for asked in ({}, {"days": 1}, {"by": "model"}, {"by": "hour"}, {"agent": "dbt-expert"}):
            found = await analytics(client, **asked)
            assert found["overall"]["executions"] == number, asked
            assert found["groups"][0]["executions"] == number, asked


async def test_the_last_days_hold_what_a_clock_ahead_of_ours_has_booked(
    client: httpx.AsyncClient,
) -> None:
    ahead = datetime.now(UTC) + timedelta(minutes=5)
    await book(client, {**RUN, "timestamp": ahead.isoformat()})
    costs = (await client.get("/costs/breakdown", params={"days": 1, "by": "agent"})).json()

    assert (await analytics(client, days=1))["overall"]["executions"] == 1
    assert costs["calls"] == 1


async def test_late_events_reach_windows_that_were_answered_before(
    client: httpx.AsyncClient,
) -> None:
    window = {"since": "2026-01-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    for day in (10, 40, 11):
        await book(client, {**RUN, "timestamp": f"2026-0{1 + day // 30}-{day % 30 + 1}T05:06:07Z"})
        before = await analytics(client, **window)
        assert await analytics(client, **window) == before

    assert before["overall"]["executions"] == 3


async def test_an_agent_called_unknown_is_counted_with_those_without_a_name(
    client: httpx.AsyncClient,
) -> None:
    await book(client, {**RUN, "agent": "unknown"})
    allocation = (await client.post("/allocate", json={"workspace": "default"})).json()["id"]
    await client.post(f"/allocations/{allocation}/finish", json={})

    found = await analytics(client)

    assert [(group["key"], group["executions"]) for group in found["groups"]] == [("unknown", 2)]


async def test_events_without_a_budget_count_in_tokens_and_cost_only(
    client: httpx.AsyncClient,
) -> None:
    await book(client, {**RUN, "budget_tokens": None, "used_tokens": 7, "cost_usd": 0.5})

    overall = (await analytics(client))["overall"]

    assert (overall["executions"], overall["events"], overall["used_pct"]) == (0, 1, None)
    assert (overall["tokens"]["used"], overall["tokens"]["budget"]) == (7, 0)
    assert (overall["cost_usd"], overall["exceeded"]) == ("0.5", 0)


async def test_the_greatest_figures_are_summed_exactly(client: httpx.AsyncClient) -> None:
    most = 10_000_000_000
    await book(client, *[{**RUN, "budget_tokens": most, "used_tokens": most}] * 1_000)
    await book(client, {**RUN, "budget_tokens": 1, "used_tokens": most})

    overall = (await analytics(client))["overall"]

    assert overall["tokens"]["used"] == 1_001 * most
    assert overall["tokens"]["budget"] == 1_000 * most + 1
    assert overall["used_pct"]["max"] == pytest.approx(100.0 * most)


@pytest.mark.parametrize("how", ["parameter", "header"])
async def test_analytics_come_as_a_table_too(light_client: httpx.AsyncClient, how: str) -> None:
    await book(light_client, RUN, {**RUN, "agent": "=cmd()"})

    answer = await light_client.get(
        "/usage/analytics",
        params={"format": "csv"} if how == "parameter" else {},
        headers={"accept": "text/csv"} if how == "header" else {},
    )

    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["key"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert set(rows) == {"(all)", "specialists/dbt-expert", "'=cmd()"}
    assert rows["(all)"]["executions"] == "2"
    assert float(rows["(all)"]["avg_used_pct"]) == 90.0


async def test_an_empty_window_is_answered_with_nothing(light_client: httpx.AsyncClient) -> None:
    await book(light_client, RUN)

    window = {"since": "2001-01-01T00:00:00Z", "until": "2001-01-02T00:00:00Z"}
    found = await analytics(light_client, **window)

    assert (found["overall"]["executions"], found["groups"]) == (0, [])
    assert found["window"]["since"].startswith("2001-01-01T00:00:00")


@pytest.mark.parametrize(
    "query", ["by=week", "days=0", "days=-1", "days=nan", "days=x", "format=xml", "until=soon"]
)
async def test_questions_that_cannot_be_answered_are_refused(
    light_client: httpx.AsyncClient, query: str
) -> None:
    assert_problem(await light_client.get(f"/usage/analytics?{query}"), 422)


async def test_more_hours_than_a_page_can_hold_are_refused(light_client: httpx.AsyncClient) -> None:
    await book(light_client, {**RUN, "timestamp": "2001-01-01T00:00:00Z"}, RUN)

    answer = await light_client.get("/usage/analytics", params={"by": "hour"})

    assert_problem(answer, 422, "invalid_request")
    assert json.loads(answer.text)["errors"][0]["loc"] == ["query", "since"]


async def test_a_window_is_said_one_way(light_client: httpx.AsyncClient) -> None:
    answer = await light_client.get("/usage/analytics?days=7&since=2020-01-01T00:00:00Z")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", "days"]
