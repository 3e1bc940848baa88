"""Simulation over HTTP: the record is reproduced, and what is tried is computed as anyone can."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.flows.retention import delete_past_keeping
from tests.api.test_analytics import THINNED, Fact, facts_of_trace, median, p95
from tests.api.test_usage import RUN, analytics, assert_problem, book
from tests.data import data_dir
from tests.running import Clock, Running

DBT = "specialists/dbt-expert"
LINES = {"Accept": "application/x-ndjson"}
TIERS = ("simple", "medium", "complex", "multi-system")
SCOPES = {"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5}
TINY = {"base_budget": 400, "max_budget": 700, "scope_weights": SCOPES}
CLOSE = 1e-6


async def simulate(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.post("/simulate", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def put(client: httpx.AsyncClient, path: str, body: Any, **params: str) -> None:
    answer = await client.put(path, json=body, params=params)
    assert answer.is_success, answer.text


async def run_once(
    client: httpx.AsyncClient, clock: Clock, *, loads: int = 0, minutes: float = 1, **asked: Any
) -> dict[str, Any]:
    """Allocate, load, finish: one run as an agent makes it."""
    answer = await client.post("/allocate", json={"task": "x", **asked})
    assert answer.status_code == 201, answer.text
    allocation: dict[str, Any] = answer.json()
    if loads:
        load = {"loads": [{"scope": "global", "tokens": loads}]}
        await client.post(f"/allocations/{allocation['id']}/loads", json=load)
    clock.pass_(minutes=minutes)
    finished = await client.post(f"/allocations/{allocation['id']}/finish", json={})
    assert finished.status_code == 200, finished.text
    event: dict[str, Any] = finished.json()
    return event


# What is tried, computed apart from the service


@dataclass(frozen=True)
class Tried:
    """A run of the trace as it would have been."""

    fact: Fact
    budget: int
    used: int

    @property
    def needed(self) -> int:
        return max(self.used, int(self.fact.sent["needed_tokens"]))

    @property
    def cost(self) -> Decimal:
        if "cost_usd" not in self.fact.sent:
            return Decimal(0)
        cost = Decimal(self.fact.sent["cost_usd"])
        share = Decimal(self.used) / self.fact.used if self.fact.used else Decimal(1)
        return cost * share


def softly(fact: Fact, budget: int) -> Tried:
    need = int(fact.sent["needed_tokens"])
    was_cut = need > fact.used and need > fact.budget
    used = fact.used
    if was_cut and budget >= need:
        used = need
    elif was_cut and budget > fact.budget:
        unfilled = max(0, fact.budget - fact.used)
        used = max(used, budget - unfilled)
    return Tried(fact, budget, used)


def strictly(fact: Fact, budget: int) -> Tried:
    return Tried(fact, budget, min(softly(fact, budget).used, budget))


def assert_tells(found: dict[str, Any], tried: Sequence[Tried]) -> None:
    count = len(tried)
    pcts = [100 * one.used / one.budget for one in tried]
    exceeded = sum(one.used > one.budget for one in tried)
    unmet = sum(one.used <= one.budget < one.needed for one in tried)
    assert (found["executions"], found["exceeded"], found["unmet"]) == (count, exceeded, unmet)
    assert found["exceedance_rate"] == pytest.approx(exceeded / count)
    assert found["tokens"]["budget"] == sum(one.budget for one in tried)
    assert found["tokens"]["used"] == sum(one.used for one in tried)
    assert found["used_pct"]["avg"] == pytest.approx(sum(pcts) / count, rel=CLOSE, abs=CLOSE)
    assert found["used_pct"]["min"] == pytest.approx(min(pcts), rel=CLOSE, abs=CLOSE)
    assert found["used_pct"]["max"] == pytest.approx(max(pcts), rel=CLOSE, abs=CLOSE)
    assert found["used_pct"]["median"] == pytest.approx(median(pcts), rel=0.01)
    assert found["used_pct"]["p95"] == pytest.approx(p95(pcts), rel=0.01)
    cost = float(sum(one.cost for one in tried))
    assert float(found["cost_usd"] or 0) == pytest.approx(cost, abs=1e-9 * count)


def assert_answers(
    found: dict[str, Any], facts: Sequence[Fact], tried: Sequence[Tried], by: Callable[[Fact], str]
) -> None:
    as_it_was = [Tried(fact, fact.budget, fact.used) for fact in facts]
    assert_tells(found["recorded"], as_it_was)
    assert_tells(found["simulated"], tried)
    assert_differs(found)
    assert set(found["by_agent"]) == {by(fact) for fact in facts}
    for agent, figures in found["by_agent"].items():
        assert_tells(figures["recorded"], [one for one in as_it_was if by(one.fact) == agent])
        assert_tells(figures["simulated"], [one for one in tried if by(one.fact) == agent])
        assert_differs(figures)


def assert_differs(found: dict[str, Any]) -> None:
    """The difference is what was simulated less what was recorded."""
    before, after, difference = found["recorded"], found["simulated"], found["difference"]
    for name in ("exceeded", "exceedance_rate", "unmet", "unmet_rate"):
        assert difference[name] == pytest.approx(after[name] - before[name])
    for name in ("budget", "used"):
        assert difference["tokens"][name] == after["tokens"][name] - before["tokens"][name]
    if before["used_pct"] is None or after["used_pct"] is None:
        assert difference["used_pct"] is None
    else:
        for name, pct in difference["used_pct"].items():
            assert pct == pytest.approx(after["used_pct"][name] - before["used_pct"][name])
    if before["cost_usd"] is None:
        assert difference["cost_usd"] is None
    else:
        moved = Decimal(after["cost_usd"]) - Decimal(before["cost_usd"])
        assert Decimal(difference["cost_usd"]) == moved


MULTIPLIERS = {"simple": 0.5, "medium": 1, "complex": 1.5, "multi-system": 2}


def tiny(fact: Fact, multipliers: dict[str, float] = MULTIPLIERS) -> int:
    return min(int(400 * multipliers[fact.sent["complexity"]]), 700)


async def test_trials_of_a_real_trace_equal_an_independent_computation(
    client: httpx.AsyncClient,
) -> None:
    data_dir()
    facts = facts_of_trace({})
    assert len(facts) > 20_000 // THINNED
    await put(client, "/profiles/tiny", TINY)
    for first in range(0, len(facts), 2_000):
        await book(client, *(fact.sent for fact in facts[first : first + 2_000]))

    def agent_of(fact: Fact) -> str:
        return str(fact.sent["agent"])

    everyone: dict[str, Any] = {"days": 3_650, "profile": "tiny"}
    softly_tried = [softly(fact, tiny(fact)) for fact in facts]
    found = await simulate(client, **everyone)
    assert (found["unbudgeted"], found["kept"]) == (0, {})
    assert_answers(found, facts, softly_tried, agent_of)
    assert any(one.used > one.fact.used for one in softly_tried)
    assert any(one.used > one.budget for one in softly_tried)

    hard = await simulate(client, **everyone, enforcement="hard")
    assert_answers(hard, facts, [strictly(fact, tiny(fact)) for fact in facts], agent_of)
    assert hard["simulated"]["exceeded"] == 0

    agent = agent_of(facts[0])
    own = [fact for fact in facts if agent_of(fact) == agent]
    for name in (agent, agent.partition("/")[2]):
        narrowed = await simulate(client, **everyone, agent=name)
        assert_answers(narrowed, own, [softly(fact, tiny(fact)) for fact in own], agent_of)

    await put(client, f"/agents/{agent}", {"profile": "tiny"})
    multipliers = {"simple": 0.25, "complex": 3}
    narrowed = await simulate(client, days=3_650, agent=agent, multipliers=multipliers)
    tried = [softly(fact, tiny(fact, MULTIPLIERS | multipliers)) for fact in own]
    assert_answers(narrowed, own, tried, agent_of)

    whole = await analytics(client, by="agent")
    groups = {group["key"]: group for group in whole["groups"]}
    assert_same(found["recorded"], whole["overall"])
    for name, figures in found["by_agent"].items():
        assert_same(figures["recorded"], groups[name])


def assert_same(recorded: dict[str, Any], analysed: dict[str, Any]) -> None:
    """What was recorded is what analytics say, but for the scopes."""
    assert recorded["scope_share"] is None
    assert {**analysed, **recorded, "scope_share": analysed["scope_share"]} == analysed
    assert set(analysed) - set(recorded) <= {"key"}


# The policy then in force


async def test_the_policy_then_in_force_reproduces_the_record_through_all_changes(
    service: Running,
) -> None:
    client, clock = service.client, service.set_clock()
    agents = (DBT, "aws-expert", "roles/research-role", "dbt-expret", "nobody-we-know")

    async def runs(**more: Any) -> list[dict[str, Any]]:
        made = [
            await run_once(client, clock, agent=agent, complexity=tier, loads=9_000, **more)
            for agent in agents
            for tier in TIERS
        ]
        made.append(await run_once(client, clock, workspace="default", **more))
        made.append(await run_once(client, clock, agent=DBT, user="ann", **more))
        made.append(await run_once(client, clock, agent=DBT, project="p", **more))
        return made

    booked = await runs()
    clock.pass_(days=1)
    narrow = {"base_budget": 12_345, "max_budget": 20_000, "scope_weights": SCOPES}
    await put(client, "/profiles/specialist-narrow", narrow)
    booked += await runs()
    clock.pass_(days=1)
    await put(client, f"/agents/{DBT}", {"profile": "role-architect"})
    await put(client, "/users/ann", {"profile": "specialist-broad"})
    override = {"max_total_tokens": 777, "overrides_agents": True}
    await put(client, "/workspaces/default/projects/p", override)
    booked += await runs()
    over = (await client.post("/allocate", json={"agent": DBT, "complexity": "medium"})).json()
    clock.pass_(minutes=30)
    tiers = {"simple": 0.3, "medium": 0.9, "complex": 1.1, "multi-system": 1.3}
    answer = await client.post("/config/import", json={"complexity_multipliers": tiers})
    assert answer.is_success, answer.text
    clock.pass_(minutes=20)
    booked.append((await client.post(f"/allocations/{over['id']}/finish", json={})).json())
    booked += await runs()
    clock.pass_(days=1)
    assert (await client.post("/config/versions/1/restore")).is_success
    booked += await runs()
    clock.pass_(hours=1)

    found = await simulate(client, days=30)
    assert found["under"] == "in_force"
    assert found["kept"] == {}
    assert found["simulated"] == found["recorded"]
    assert found["recorded"]["executions"] == len(booked)
    total = sum(event["budget_tokens"] for event in booked)
    assert found["simulated"]["tokens"]["budget"] == total
    assert len({event["budget_tokens"] for event in booked}) > 20
    assert set(found["by_agent"]) == {event["agent"] or "unknown" for event in booked}
    for figures in found["by_agent"].values():
        assert figures["simulated"] == figures["recorded"]

    # the same with the history of policy gone says that it is not simply handed on
    today = await simulate(client, days=30, multipliers={"simple": 0.5})
    assert today["simulated"]["tokens"]["budget"] != total


async def test_budgets_that_no_policy_decided_are_kept_and_counted(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    bumping = {"base_budget": 1_000, "max_budget": 5_000, "scope_weights": SCOPES}
    await put(client, "/profiles/bumping", {**bumping, "auto_bump": True})
    await put(client, "/agents/t/bumped", {"profile": "bumping"})
    clock.pass_(days=1)
    await run_once(client, clock, agent=DBT, max_tokens=4_321)
    await run_once(client, clock, agent=DBT, max_tokens=20_000)  # as the policy would have given
    raised = await run_once(client, clock, agent="t/bumped", complexity="simple", loads=600)
    assert raised["budget_tokens"] == 1_000
    await book(
        client,
        {**RUN, "timestamp": clock.at.isoformat()},
        {**RUN, "timestamp": clock.at.isoformat(), "budget_tokens": 19_999},
        {**RUN, "timestamp": clock.at.isoformat(), "budget_tokens": None},
    )
    clock.pass_(hours=1)

    found = await simulate(client, days=2)
    assert found["kept"] == {"manual": 1, "raised": 1, "reported": 1}
    assert found["unbudgeted"] == 1
    assert found["simulated"] == found["recorded"]
    assert found["recorded"]["executions"] == 5

    tried = await simulate(client, days=2, profile="role-coordinator")
    assert tried["kept"] == {"manual": 2}
    budget = 4_321 + 20_000 + 25_000 + 2 * 50_000
    assert tried["simulated"]["tokens"]["budget"] == budget


async def test_what_a_policy_document_gives_in_a_trial_is_what_it_gives_when_imported(
    service: Running,
) -> None:
    client, clock = service.client, service.set_clock()
    profiles_file = {
        "profiles": {"mine": {**TINY, "description": "ours"}},
        "agent_assignments": {DBT: "mine", "roles/research-role": "specialist-broad"},
        "complexity_multipliers": {"complex": {"multiplier": 1.75, "description": "hard"}},
    }
    allocator_file = {
        "default": {
            "workspace_id": "default",
            "max_total_tokens": 3_000,
            "tier_allocation": {
                f"{tier}_memory_pct": 0.25 for tier in ("working", "project", "long_term", "rag")
            },
        }
    }
    asked: list[dict[str, Any]] = [
        {"agent": agent, "complexity": tier}
        for agent in (DBT, "roles/research-role", "aws-expert", "stranger")
        for tier in TIERS
    ]
    asked.append({"workspace": "default", "complexity": "expert"})
    for one in asked:
        await run_once(client, clock, loads=1_000, **one)
    clock.pass_(minutes=1)
    before = (await client.get("/config")).json()
    for document in (profiles_file, allocator_file):
        found = await simulate(client, days=1, policy=document)
        assert (found["under"], found["kept"]) == ("policy", {})
        assert (await client.get("/config")).json() == before
        assert (await client.post("/config/import", json=document)).is_success
        budgets: Counter[str] = Counter()
        for one in asked:
            allocation = (await client.post("/allocate", json=one)).json()
            name = allocation["agent"]["name"] if allocation["agent"] else "unknown"
            budgets[name] += allocation["budget"]["tokens"]
        assert budgets == {
            name: figures["simulated"]["tokens"]["budget"]
            for name, figures in found["by_agent"].items()
        }
        assert found["difference"]["tokens"]["budget"] != 0
        before = (await client.get("/config")).json()


async def test_workspaces_know_nothing_of_each_other(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    await put(client, "/profiles/theirs", TINY, workspace="legal")
    await put(client, f"/agents/{DBT}", {"profile": "theirs"}, workspace="legal")
    clock.pass_(days=1)
    for workspace, count in (("default", 2), ("legal", 3)):
        for _ in range(count):
            await run_once(client, clock, agent=DBT, complexity="medium", workspace=workspace)
    clock.pass_(hours=1)

    for workspace, count, budget in (("default", 2, 20_000), ("legal", 3, 400), ("none", 0, 0)):
        found = await simulate(client, days=2, workspace=workspace)
        assert found["workspace"] == workspace
        assert found["kept"] == {}
        assert found["recorded"] == found["simulated"]
        assert found["recorded"]["executions"] == count
        assert found["recorded"]["tokens"]["budget"] == count * budget
        assert found["unbudgeted"] == 0
    tried = await simulate(client, days=2, workspace="legal", multipliers={"medium": 0.5})
    assert tried["simulated"]["tokens"]["budget"] == 3 * 200
    answer = await client.post("/simulate", json={"profile": "theirs"})
    assert_problem(answer, 422, "invalid_request")


# Windows, lines, and what is asked wrongly


async def test_only_the_last_days_count_and_an_empty_window_is_all_zeros(service: Running) -> None:
    client, clock = service.client, service.set_clock(datetime(2026, 3, 14, 12, tzinfo=UTC))
    for days in (0, 1, 1.5, 3):
        at = clock.at - timedelta(days=days)
        await book(client, {**RUN, "timestamp": at.isoformat()})
    edges = {1: 1, 2: 2, 3: 3}  # now itself is not in the window, its beginning is
    for days, count in edges.items():
        found = await simulate(client, days=days)
        assert found["recorded"]["executions"] == count
        assert found["window"]["until"] == "2026-03-14T12:00:00Z"
        assert found["window"]["since"] == (clock.at - timedelta(days=days)).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
    clock.pass_(days=30)
    for body in ({"days": 1}, {"days": 3_650, "agent": "nobody"}):
        for trial in ({}, {"profile": "role-architect"}, {"multipliers": {"simple": 1}}):
            found = await simulate(client, **body, **trial)
            for figures in (found["recorded"], found["simulated"]):
                assert figures["executions"] == figures["exceeded"] == figures["unmet"] == 0
                assert figures["used_pct"] is figures["cost_usd"] is None
                assert set(figures["tokens"].values()) == {0}
            assert found["by_agent"] == {}


async def test_runs_whose_events_are_gone_are_said_to_be(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    for days in (2, 20):
        at = (clock.at - timedelta(days=days)).isoformat()
        await book(client, {**RUN, "used_tokens": days, "timestamp": at})
    house = service.house
    await delete_past_keeping(house.store, house.shelf, house.now_micros(), usage_days=10)

    cut, whole = await simulate(client, days=30), await simulate(client, days=5)

    kept = (clock.at - timedelta(days=10)).strftime("%Y-%m-%dT00:00:00Z")
    assert cut["sealed_until"] == cut["window"]["since"] == kept
    assert cut["recorded"]["executions"] == 1
    assert whole["sealed_until"] is None
    assert whole["recorded"]["executions"] == 1


async def test_lines_tell_how_far_it_is_and_end_with_the_same_answer(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    events = [
        {**RUN, "used_tokens": number, "timestamp": (clock.at - timedelta(hours=1)).isoformat()}
        for number in range(4_500)
    ]
    await book(client, *events)
    asked = {"days": 1, "profile": "role-architect"}
    answer = await client.post("/simulate", json=asked, headers=LINES)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *steps, result = map(json.loads, answer.text.splitlines())
    assert [step["done"] for step in steps] == [1_000, 2_000, 3_000, 4_000, 4_500]
    assert {step["of"] for step in steps} == {4_500}
    assert result == await simulate(client, **asked)
    assert result["recorded"]["executions"] == 4_500
    assert result["recorded"]["tokens"]["used"] == sum(range(4_500))


@pytest.mark.parametrize("accept", ["application/json", LINES["Accept"]])
async def test_nothing_more_is_read_once_the_client_has_gone(
    light_service: Running, accept: str
) -> None:
    await book(light_service.client, *([RUN] * 9_000))
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": b'{"days": 3650}', "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/simulate",
        "raw_path": b"/simulate",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"accept", accept.encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await light_service.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    assert b"recorded" not in body
    assert b'"done":8000' not in body


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"days": 0}, ["body", "days"]),
        ({"days": 3_651}, ["body", "days"]),
        ({"days": 1.5}, ["body", "days"]),
        ({"days": "1"}, ["body", "days"]),
        ({"days": None}, ["body", "days"]),
        ({"profile": "specialist-narow"}, ["body", "profile"]),
        ({"profile": ""}, ["body", "profile"]),
        ({"multipliers": {}}, ["body", "multipliers"]),
        ({"multipliers": {"hard": 1}}, ["body", "multipliers", "hard", "[key]"]),
        ({"multipliers": {"simple": -1}}, ["body", "multipliers", "simple"]),
        ({"multipliers": {"simple": 1_001}}, ["body", "multipliers", "simple"]),
        ({"multipliers": {"simple": "1"}}, ["body", "multipliers", "simple"]),
        ({"policy": []}, ["body", "policy"]),
        ({"policy": "profiles: {}"}, ["body", "policy"]),
        ({"profile": "role-architect", "multipliers": {"simple": 1}}, ["body"]),
        ({"profile": "role-architect", "policy": {}}, ["body"]),
        ({"enforcement": "none"}, ["body", "enforcement"]),
        ({"workspace": "a/b"}, ["body", "workspace"]),
        ({"workspace": "*"}, ["body", "workspace"]),
        ({"agent": ""}, ["body", "agent"]),
        ({"dayz": 3}, ["body", "dayz"]),
    ],
)
async def test_a_bad_request_says_what_to_change(
    light_client: httpx.AsyncClient, body: dict[str, Any], where: list[str]
) -> None:
    problem = assert_problem(await light_client.post("/simulate", json=body), 422)
    assert where in [fault["loc"] for fault in problem["errors"]]


async def test_an_unknown_profile_is_told_the_nearest_names(
    light_client: httpx.AsyncClient,
) -> None:
    answer = await light_client.post("/simulate", json={"profile": "specialist-brod"})
    problem = assert_problem(answer, 422, "invalid_request")
    assert "specialist-broad" in problem["detail"]
    assert "brod" not in problem["detail"].replace("specialist-broad", "")
    assert problem["nearest"][0] == "specialist-broad"


BAD_POLICIES: list[dict[str, Any]] = [
    {"profiles": {"x": {"base_budget": -1}}},
    {"profiles": {"x": TINY}, "agent_assignments": {DBT: "y"}},
    {"profiles": {"x": TINY}, "agent_assignments": {DBT: "y", "a": 3}},
    {"profiles": {"x": {**TINY, "mode": "auto"}}},
    {"surprise": 1},
    {"alert_thresholds": {"info": 0.9, "warning": 0.1}},
    {"w": {"workspace_id": "w", "max_total_tokens": 0}},
    {"signals": [{"tier": "simple", "name": "x", "pattern": "(a"}]},
]


@pytest.mark.parametrize("policy", BAD_POLICIES)
async def test_a_bad_policy_has_the_same_faults_as_at_its_import(
    light_client: httpx.AsyncClient, policy: dict[str, Any]
) -> None:
    tried = assert_problem(await light_client.post("/simulate", json={"policy": policy}), 422)
    imported = assert_problem(await light_client.post("/config/import", json=policy), 422)
    for name in ("code", "detail", "errors"):
        assert tried.get(name) == imported.get(name)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"days": NaN}', b'{"days": 1e999}', b"null"])
async def test_a_body_that_is_no_request(light_client: httpx.AsyncClient, body: bytes) -> None:
    answer = await light_client.post(
        "/simulate", content=body, headers={"content-type": "application/json"}
    )
    if body in (b"",):
        assert answer.status_code == 200
    else:
        assert_problem(answer, 422)


async def test_absurd_runs_are_counted_and_break_nothing(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    most = 10_000_000_000
    at = {"timestamp": (clock.at - timedelta(hours=1)).isoformat()}
    await book(
        client,
        {**RUN, **at, "budget_tokens": 0, "used_tokens": 0},
        {**RUN, **at, "budget_tokens": 0, "used_tokens": most, "cost_usd": 100_000},
        {**RUN, **at, "budget_tokens": 1, "used_tokens": 1, "needed_tokens": most, "cost_usd": 9},
        {**RUN, **at, "budget_tokens": most, "used_tokens": 0, "duration_seconds": 31_536_000},
    )
    for trial in ({}, {"multipliers": {"medium": 0}}, {"multipliers": {"medium": 1_000}}):
        for enforcement in ("soft", "hard"):
            found = await simulate(client, days=1, enforcement=enforcement, **trial)
            assert found["simulated"]["executions"] == 4
            assert_differs(found)
