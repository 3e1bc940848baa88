"""Costs over HTTP: priced or unpriced, never free; held against budgets; looked back at."""

import asyncio
import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.schemas.usage_lines import write_line
from app.core.transcripts import Transcript
from app.flows.audit import audit
from tests.data import data_dir
from tests.running import Running, running
from tests.transcripts import said, usage

CALL: dict[str, Any] = {
    "agent": "specialists/dbt-expert",
    "budget_tokens": None,
    "used_tokens": 1_000,
    "model": "gpt-4o",
    "input_tokens": 1_000,
    "output_tokens": 500,
}
"""Costs 0.0025 + 0.005 USD."""


async def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


async def book(client: httpx.AsyncClient, *events: Mapping[str, Any]) -> dict[str, Any]:
    return await ok(await client.post("/usage", json=list(events)), 201)


async def budget(client: httpx.AsyncClient, name: str, **body: Any) -> dict[str, Any]:
    answer = await client.put(f"/costs/budgets/{name}", json={"window": "day", **body})
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await ok(await client.get("/usage")))["items"]
    return items


async def test_an_estimate_names_its_prices(light_client: httpx.AsyncClient) -> None:
    body = {"model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 500, "cached_tokens": 200}
    found = await ok(await light_client.post("/costs/estimate", json=body))
    assert (found["usd"], found["input_usd"], found["output_usd"]) == (
        "0.00725",
        "0.00225",
        "0.005",
    )
    assert found["unpriced"] is False
    assert "openai/gpt-4o" in found["price_version"]
    again = await ok(
        await light_client.post("/costs/estimate", json={**body, "model": "openai/gpt-4o"})
    )
    assert again["usd"] == found["usd"]


async def test_an_unknown_model_is_unpriced_and_not_free(light_client: httpx.AsyncClient) -> None:
    body = {"model": "nobody-knows", "input_tokens": 1_000, "output_tokens": 500}
    found = await ok(await light_client.post("/costs/estimate", json=body))
    assert found["unpriced"] is True
    assert found["usd"] is found["input_usd"] is found["output_usd"] is None


async def test_events_are_priced_unless_they_say_what_they_cost(
    client: httpx.AsyncClient,
) -> None:
    await book(
        client,
        {**CALL, "id": "priced"},
        {**CALL, "id": "stated", "cost_usd": "0.5"},
        {**CALL, "id": "unknown", "model": "nobody-knows"},
        {**CALL, "id": "batch", "service": "batch", "model": "gpt-4.1"},
    )
    found = {one["id"]: one for one in await listed(client)}
    assert found["priced"]["cost_usd"] == "0.0075"
    assert "gpt-4o" in found["priced"]["price_version"]
    assert (found["stated"]["cost_usd"], found["stated"]["price_version"]) == ("0.5", None)
    assert (found["unknown"]["cost_usd"], found["unknown"]["price_version"]) == (None, None)
    assert found["batch"]["cost_usd"] == "0.003"  # half of 0.002 + 0.004
    overall = await ok(await client.get("/costs/breakdown"))
    assert (overall["total_usd"], overall["calls"], overall["unpriced"]) == ("0.5105", 4, 1)


async def test_a_providers_usage_is_taken_as_it_is(client: httpx.AsyncClient) -> None:
    plain = {name: CALL[name] for name in ("agent", "budget_tokens", "used_tokens")}
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 128_955,
        "cache_creation_input_tokens": 1_253,
        "output_tokens": 10,
    }
    await book(client, {**plain, "model": "claude-sonnet-4-5", "usage": usage})
    (found,) = await listed(client)
    assert found["input_tokens"] == 130_213
    assert (found["cached_tokens"], found["cache_write_tokens"]) == (128_955, 1_253)
    # 5 × 3 + 128,955 × 0.30 + 1,253 × 3.75 + 10 × 15 per million
    assert found["cost_usd"] == "0.04355025"


async def test_calls_of_imported_logs_cost_what_their_cached_tokens_cost(
    client: httpx.AsyncClient,
) -> None:
    spent = usage(130_213, 10, read=128_955, written=1_253)
    read = Transcript(workspace="default", now=datetime.now(UTC))
    calls = [*read.take(said("msg_01AAAAAAAAAAAAAAAA", 1, spent, model="claude-sonnet-4-5"), 1)]
    (call,) = [*calls, *read.rest(is_over=True)[0]]
    line = write_line(call.event)
    bad = {**line, "id": "bad", "cache_write_tokens": 1_259}
    lines = "\n".join(map(json.dumps, (line, bad)))
    report = await ok(await client.post("/usage/import", content=lines))
    assert report["imported"] == 1
    assert report["refused"][0]["reason"].startswith("cache_write_tokens: with cached_tokens")
    (found,) = await listed(client)
    assert (found["input_tokens"], found["cache_write_tokens"]) == (130_213, 1_253)
    assert found["cost_usd"] == "0.04355025"
    exported = (await client.get("/usage/export")).json()
    assert exported["cache_write_tokens"] == 1_253


async def test_a_finish_is_priced_by_its_allocations_model_and_says_exceeded(
    client: httpx.AsyncClient,
) -> None:
    await budget(client, "tiny", usd="0.001", enforcement="hard")
    made = await ok(await client.post("/allocate", json={"agent": "a", "model": "gpt-4o"}), 201)
    tokens = made["budget"]["tokens"]
    assert Decimal(made["cost"]["usd"]) == Decimal("2.5") * tokens / 1_000_000
    report = {"input_tokens": 1_000, "output_tokens": 500}
    path = f"/allocations/{made['id']}/finish"
    event = await ok(await client.post(path, json=report))
    assert event["cost_usd"] == "0.0075"
    assert [one["level"] for one in event["alerts"]][-1] == "budget_exceeded"
    assert event["alerts"][-1]["budget"] == "tiny"
    assert await ok(await client.post(path, json=report)) == event
    refused(await client.post("/allocate", json={"agent": "a"}), 409, "budget_exceeded")


async def test_a_run_of_five_stages_costs_alerts_and_stops_at_its_limit(
    client: httpx.AsyncClient,
) -> None:
    await budget(
        client,
        "per-run",
        usd="0.03",
        window="run",
        enforcement="hard",
        scope={"agent": "dbt-expert"},
    )
    raised: list[str] = []
    stages = ("plan", "search", "write", "check", "report")
    for stage in stages:
        answer = await client.post("/usage", json={**CALL, "run_id": "r", "stage": stage})
        if answer.status_code == 409:
            break
        raised += [alert["level"] for alert in (await ok(answer, 201))["alerts"]]
    assert stage == "report"
    problem = refused(answer, 409, "budget_exceeded")
    assert (problem["budget"], problem["remaining_usd"]) == ("per-run", "0")
    assert raised == ["info", "warning", "critical", "budget_exceeded"]
    items = (await ok(await client.get("/costs/breakdown?by=stage")))["items"]
    assert {one["key"]: one["usd"] for one in items} == dict.fromkeys(stages[:4], "0.0075")
    history = (await ok(await client.get("/costs/alerts?budget=per-run")))["items"]
    assert sorted(one["level"] for one in history) == sorted(raised)
    assert {one["key"] for one in history} == {"r"}
    assert (await client.post("/usage", json={**CALL, "run_id": "s"})).status_code == 201
    for run_id, status in (("r", 409), ("s", 201)):
        asked = {"agent": "dbt-expert", "run_id": run_id}
        assert (await client.post("/allocate", json=asked)).status_code == status


async def test_real_agent_loops_cost_what_their_calls_cost_and_stop_at_their_limit(
    client: httpx.AsyncClient,
) -> None:
    """2,454 calls of gpt-4o: what a call knew already was cached."""
    with gzip.open(data_dir() / "traces" / "tau_airline.csv.gz", "rt") as lines:
        calls = [
            {k: float(v) for k, v in row.items() if k in NUMBERS} for row in csv.DictReader(lines)
        ]
    costs = [
        _gpt_4o(int(c["need"]), min(int(c["known"]), int(c["need"])), int(c["out"])) for c in calls
    ]
    limit = Decimal("0.05")
    await budget(client, "loops", usd=str(limit), window="run")
    events = [
        {
            "agent": "airline",
            "budget_tokens": None,
            "used_tokens": int(one["need"]),
            "model": "gpt-4o",
            "input_tokens": int(one["need"]),
            "cached_tokens": min(int(one["known"]), int(one["need"])),
            "output_tokens": int(one["out"]),
            "run_id": str(one["session"]),
        }
        for one in calls
    ]
    assert (await book(client, *events))["accepted"] == len(events) == 2_454
    found = await ok(await client.get("/costs/breakdown"))
    assert (Decimal(found["total_usd"]), found["unpriced"]) == (sum(costs), 0)
    spent: defaultdict[str, Decimal] = defaultdict(Decimal)
    for event, cost in zip(events, costs, strict=True):
        spent[event["run_id"]] += cost
    assert len(spent) > 10
    over = {run for run, usd in spent.items() if usd >= limit}
    history = (await ok(await client.get("/costs/alerts?limit=1000")))["items"]
    assert {one["key"] for one in history if one["level"] == "budget_exceeded"} == over
    for run in (min(over), min(spent.keys() - over)):
        stands = await ok(await client.get(f"/costs/budgets/loops/check?run_id={run}"))
        assert (Decimal(stands["used_usd"]), stands["allowed"]) == (spent[run], run not in over)


NUMBERS = ("need", "out", "known", "session")


def _gpt_4o(sent: int, cached: int, made: int) -> Decimal:
    """By hand: 2.50, 1.25 and 10 USD a million."""
    return (Decimal("2.5") * (sent - cached) + Decimal("1.25") * cached + 10 * made) / 1_000_000


async def test_many_spenders_do_not_pass_a_hard_budget_by_a_nano(client: httpx.AsyncClient) -> None:
    await budget(client, "hard", usd="0.1000000005", enforcement="hard")
    answers = await asyncio.gather(*(client.post("/usage", json=CALL) for _ in range(64)))
    taken = [answer for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} == {201, 409}
    assert len(taken) == 13  # of 0.0075
    status = (await ok(await client.get("/costs/budgets/hard")))["status"]
    assert status["used_usd"] == "0.0975"
    assert (await ok(await client.get("/costs/breakdown")))["total_usd"] == "0.0975"
    levels = [one["level"] for one in (await ok(await client.get("/costs/alerts")))["items"]]
    assert sorted(levels) == ["critical", "info", "warning"]


async def test_a_refused_list_leaves_nothing(client: httpx.AsyncClient) -> None:
    await budget(client, "hard", usd="0.008", enforcement="hard")
    answer = await client.post("/usage", json=[{**CALL, "id": "a"}, {**CALL, "id": "b"}])
    refused(answer, 409, "budget_exceeded")
    assert await listed(client) == []
    await book(client, {**CALL, "id": "b"})
    assert (await ok(await client.get("/costs/budgets/hard")))["status"]["used_usd"] == "0.0075"


async def test_the_tightest_budget_that_applies_binds(client: httpx.AsyncClient) -> None:
    await budget(client, "all", usd="10", window="month")
    await budget(client, "ann", usd="0.02", scope={"user": "ann"})
    await book(client, {**CALL, "user": "ann"})
    found = await ok(await client.get("/costs/budgets/all/check?usd=0.5"))
    assert (found["allowed"], found["binding"], found["used_usd"]) == (True, "all", "0.0075")
    found = await ok(await client.get("/costs/budgets/all/check?usd=0.5&user=ann"))
    assert (found["allowed"], found["binding"]) == (False, "ann")
    assert (found["limit_usd"], found["remaining_usd"]) == ("0.02", "0.0125")
    assert found["level"] == "budget_exceeded"
    found = await ok(await client.get("/costs/budgets/ann/check?usd=0.0125"))
    assert (found["allowed"], found["binding"]) == (True, "ann")
    assert {one["name"] for one in found["budgets"]} == {"all", "ann"}
    assert datetime.fromisoformat(found["resets_at"]) > datetime.now(UTC)


async def test_what_get_gives_put_takes(client: httpx.AsyncClient) -> None:
    made = await budget(
        client, "b", usd=1.5, window="week", thresholds=[0.5, 1], timezone="Europe/Berlin"
    )
    assert made["thresholds"] == {
        "info": 0.5,
        "warning": None,
        "critical": None,
        "budget_exceeded": 1.0,
    }
    assert await ok(await client.put("/costs/budgets/b", json=made)) == made
    assert (await ok(await client.get("/costs/budgets")))["items"] == [made]
    assert (await client.delete("/costs/budgets/b")).status_code == 204
    refused(await client.get("/costs/budgets/b"), 404, "not_found")
    refused(await client.delete("/costs/budgets/b"), 404, "not_found")
    refused(await client.get("/costs/budgets/b/check"), 404, "not_found")


async def test_a_breakdown_by_day_that_begins_on_the_last_day_of_all_is_empty(
    client: httpx.AsyncClient,
) -> None:
    await book(client, CALL)
    for since in ("9999-12-31", "9999-12-31T23:59:59Z"):
        found = await ok(await client.get(f"/costs/breakdown?by=day&since={since}"))
        assert (found["items"], found["calls"]) == ([], 0), since


async def test_the_items_of_a_breakdown_sum_to_its_total(client: httpx.AsyncClient) -> None:
    await book(
        client,
        {**CALL, "user": "ann", "stage": "plan"},
        {**CALL, "user": "bob", "model": "gpt-4o-mini"},
        {**CALL, "agent": "other", "stage": "plan", "model": None, "cost_usd": "0.25"},
        {**CALL, "agent": "other", "model": None},
    )
    for by in ("stage", "model", "agent", "user", "project", "day"):
        found = await ok(await client.get(f"/costs/breakdown?by={by}"))
        items = found["items"]
        assert sum(Decimal(one["usd"]) for one in items) == Decimal(found["total_usd"]), by
        assert sum(one["calls"] for one in items) == found["calls"] == 4, by
        assert sum(one["unpriced"] for one in items) == found["unpriced"] == 1, by
    assert (await ok(await client.get("/costs/breakdown?agent=other")))["total_usd"] == "0.25"
    csv = await client.get("/costs/breakdown?by=model&format=csv")
    assert csv.text.splitlines()[0].startswith("key,usd")


async def test_a_workspaces_own_prices_hold_from_their_day(client: httpx.AsyncClient) -> None:
    body = {
        "quality": "high",
        "prices": [
            {"input": "1", "output": "2", "effective_from": "2026-01-01"},
            {"input": "10", "output": "20", "effective_from": "2026-02-01T00:00:00+01:00"},
        ],
    }
    made = await ok(await client.put("/costs/prices/acme/llm-1", json=body), 201)
    assert await ok(await client.get("/costs/prices/acme/llm-1")) == made
    event = {**CALL, "model": "Acme/LLM-1"}
    await book(
        client,
        {**event, "id": "before", "timestamp": "2025-12-31T23:59:59Z"},
        {**event, "id": "first", "timestamp": "2026-01-31T22:59:59Z"},
        {**event, "id": "second", "timestamp": "2026-01-31T23:00:00Z"},
        {**event, "id": "elsewhere", "workspace": "team", "timestamp": "2026-01-31T23:00:00Z"},
    )
    costs = {one["id"]: one["cost_usd"] for one in await listed(client)}
    assert costs == {"before": None, "first": "0.002", "second": "0.02"}
    other = (await ok(await client.get("/usage?workspace=team")))["items"]
    assert other[0]["cost_usd"] == "0.02"  # `default`'s prices hold where a workspace has none
    assert other[0]["price_version"] == made["version"]
    assert (await client.delete("/costs/prices/acme/llm-1")).status_code == 204
    refused(await client.delete("/costs/prices/acme/llm-1"), 404, "not_found")


async def test_own_prices_have_steps_and_services(light_client: httpx.AsyncClient) -> None:
    body = {
        "input": "1",
        "output": "2",
        "cached": "0.1",
        "per_request": "0.5",
        "tiers": [{"above": 1_000, "input": "3"}],
        "services": {"batch": {"input": "0.5"}},
    }
    made = await ok(await light_client.put("/costs/prices/m", json=body), 201)
    taken = {**made["prices"][0], "quality": None}
    await ok(await light_client.put("/costs/prices/m", json=taken))

    async def cost(**call: Any) -> str:
        answer = await light_client.post("/costs/estimate", json={"model": "m", **call})
        usd: str = (await ok(answer))["usd"]
        return usd

    assert await cost(input_tokens=1_000) == "0.501"
    assert await cost(input_tokens=1_001) == "0.503003"
    assert await cost(input_tokens=1_000, cached_tokens=1_000, output_tokens=1) == "0.500102"
    assert await cost(input_tokens=1_000, service="batch") == "0.5005"


async def test_a_prediction_of_declared_stages(light_client: httpx.AsyncClient) -> None:
    stages = [
        {"stage": "write", "model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 500},
        {"stage": "check", "model": "gpt-4o", "input_tokens": 1_000, "output_tokens": 0},
    ]
    body = {"current_usd": "1.5", "remaining": stages}
    found = await ok(await light_client.post("/costs/predict", json=body))
    assert (found["total_usd"], found["lower"], found["upper"]) == ("1.51", "1.51", "1.51")
    assert [one["usd"] for one in found["remaining"]] == ["0.0075", "0.0025"]
    stages[1]["model"] = "nobody-knows"
    found = await ok(await light_client.post("/costs/predict", json=body))
    assert (found["total_usd"], found["lower"], found["upper"]) == (None, "1.5075", None)
    assert found["unpriced"] == ["nobody-knows"]


async def test_a_prediction_from_earlier_runs(client: httpx.AsyncClient) -> None:
    cost = {"plan": 1, "write": 10, "check": 3}
    await book(
        client,
        *(
            {**CALL, "run_id": f"r{n}", "stage": stage, "cost_usd": usd + n}
            for n in range(10)
            for stage, usd in cost.items()
        ),
        {**CALL, "run_id": "now", "stage": "plan", "cost_usd": 7},
    )
    found = await ok(await client.post("/costs/predict", json={"run_id": "now"}))
    # the rest of run n was 13 + 2 n: 13 to 31, in the middle 22
    assert (found["current_usd"], found["total_usd"], found["samples"]) == ("7", "29", 10)
    assert (found["lower"], found["upper"]) == ("22", "38")
    assert {one["stage"] for one in found["remaining"]} == {"write", "check"}
    refused(await client.post("/costs/predict", json={"run_id": "?"}), 422, "invalid_request")


async def test_the_cheapest_model_that_is_good_enough(client: httpx.AsyncClient) -> None:
    call = {"input_tokens": 100_000, "output_tokens": 1_000}
    chosen = {}
    for quality in ("low", "medium", "high"):
        body = {**call, "quality": quality}
        found = await ok(await client.post("/costs/recommend-model", json=body))
        chosen[quality] = Decimal(found["usd"])
        assert all(one["reason"] for one in found["rejected"])
        cheaper = [one for one in found["rejected"] if Decimal(one["usd"]) < chosen[quality]]
        assert all("grade" in one["reason"] for one in cheaper)
    assert chosen["low"] <= chosen["medium"] <= chosen["high"]

    await client.put("/costs/prices/own", json={"input": 0, "output": 0, "quality": "high"})
    found = await ok(await client.post("/costs/recommend-model", json={**call, "quality": "high"}))
    assert (found["model"], found["usd"]) == ("own", "0")

    await client.delete("/costs/prices/own")
    await budget(client, "b", usd="0.0001")
    body = {**call, "quality": "low", "budget": "b"}
    found = await ok(await client.post("/costs/recommend-model", json=body))
    assert (found["model"], found["budget"], found["remaining_usd"]) == (None, "b", "0.0001")
    body["budget"] = 1  # type: ignore[assignment]
    assert (await ok(await client.post("/costs/recommend-model", json=body)))["model"] is not None
    body["budget"] = "unknown"
    refused(await client.post("/costs/recommend-model", json=body), 404, "not_found")


@pytest.mark.parametrize("amount", ["NaN", "-NaN", "sNaN123", "Infinity", "-1", -1, "1e99", True])
async def test_no_amount_that_cannot_be_spent_is_taken_for_one(
    light_client: httpx.AsyncClient, amount: Any
) -> None:
    body = {"input_tokens": 1, "output_tokens": 1, "quality": "low", "budget": amount}
    answer = await light_client.post("/costs/recommend-model", json=body)
    problem = refused(answer, 422, "invalid_request")
    assert problem["errors"][0]["loc"][:2] == ["body", "budget"]


@pytest.mark.parametrize("name", ["5", "NaN", "-inf", "1e3", "0.50", "1_000"])
async def test_a_name_that_reads_as_an_amount_is_refused(
    light_client: httpx.AsyncClient, name: str
) -> None:
    answer = await light_client.put(f"/costs/budgets/{name}", json={"usd": 5, "window": "day"})
    assert "number" in refused(answer, 422, "invalid_request")["detail"]


async def test_recommendations_save_money_once_events_are_priced(
    client: httpx.AsyncClient,
) -> None:
    run = {**CALL, "budget_tokens": 20_000, "used_tokens": 5_000, "input_tokens": 5_000}
    await book(client, *({**run, "complexity": "medium"} for _ in range(40)))
    await ok(await client.post("/recommendations/run", json={"window_days": 30}))
    items = (await ok(await client.get("/recommendations")))["items"]
    assert items
    assert all(one["impact"]["usd_saved"] is not None for one in items)


async def test_importing_what_happened_is_not_refused(client: httpx.AsyncClient) -> None:
    await budget(client, "hard", usd="0.001", enforcement="hard")
    line = (
        '{"timestamp": "2026-01-01T00:00:00", "agent": "a", "budget_allocated": 10,'
        ' "tokens_loaded": 5, "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 500}'
    )
    report = await ok(await client.post("/usage/import", content=line))
    assert report["imported"] == 1
    assert (await listed(client))[0]["cost_usd"] == "0.0075"


async def test_budgets_and_prices_outlive_the_process(database_url: str) -> None:

    async with running(database_url) as first:
        await budget(first.client, "b", usd="0.01", enforcement="hard")
        await first.client.put("/costs/prices/m", json={"input": 1})
        await book(first.client, CALL)
    async with running(database_url) as second:
        status = (await ok(await second.client.get("/costs/budgets/b")))["status"]
        assert status["used_usd"] == "0.0075"
        refused(await second.client.post("/usage", json=CALL), 409, "budget_exceeded")
        body = {"model": "m", "input_tokens": 1_000_000}
        assert (await ok(await second.client.post("/costs/estimate", json=body)))["usd"] == "1"


async def test_a_backup_brings_budgets_and_prices_back(database_url: str, tmp_path: Path) -> None:
    async with running(database_url, backup_dir=tmp_path / "backups") as service:
        client = service.client
        await budget(client, "b", usd="0.01", enforcement="hard")
        await client.put("/costs/prices/m", json={"input": 1})
        await book(client, CALL)
        made = await ok(await client.post("/backups"), 201)
        await client.delete("/costs/budgets/b")
        await client.delete("/costs/prices/m")
        await book(client, CALL)
        await ok(await client.post(f"/backups/{made['id']}/restore"))
        refused(await client.post("/usage", json=CALL), 409, "budget_exceeded")
        assert (await ok(await client.get("/costs/prices/m")))["model"] == "m"
        assert len((await ok(await client.get("/costs/alerts")))["items"]) == 3


async def test_a_day_is_over_at_midnight_of_its_zone(service: Running) -> None:
    clock = service.set_clock(datetime(2026, 3, 14, 12, 30, tzinfo=UTC))
    await budget(service.client, "b", usd="0.01", enforcement="hard", timezone="Asia/Kathmandu")
    await book(service.client, CALL)
    refused(await service.client.post("/usage", json=CALL), 409, "budget_exceeded")
    found = await ok(await service.client.get("/costs/budgets/b/check?usd=0.01"))
    assert found["resets_at"] == "2026-03-14T18:15:00Z"
    clock.at = datetime(2026, 3, 14, 18, 15, tzinfo=UTC)
    await book(service.client, CALL)


@pytest.mark.parametrize(
    "body",
    [
        {"usd": "-1"},
        {"usd": "5 EUR"},
        {"usd": "NaN"},
        {"usd": True},
        {"usd": 5, "currency": "EUR"},
        {"usd": 5, "window": "year"},
        {"usd": 5, "thresholds": [0.9, 0.5]},
        {"usd": 5, "thresholds": {"fatal": 1}},
        {"usd": 5, "scope": {"user": "a", "project": "b"}},
        {"usd": 5, "timezone": "Mars/Olympus"},
        {"usd": 5, "timezone": "localtime"},
        {"usd": 5, "name": "another"},
        {},
    ],
)
async def test_a_bad_budget_is_refused(light_client: httpx.AsyncClient, body: Any) -> None:
    answer = await light_client.put("/costs/budgets/b", json={"window": "day", **body})
    assert refused(answer, 422, "invalid_request")["errors"]


@pytest.mark.parametrize(
    "body",
    [
        {"input": -1},
        {"input": "1 USD"},
        {"input": 10_001},
        {"currency": "EUR", "input": 1},
        {},
        {"cached": 1},
        {"input": 1, "prices": [{"input": 1}]},
        {"prices": [{"input": 1}, {"input": 2}]},
        {"input": 1, "effective_from": "soon"},
        {"input": 1, "services": {"turbo": {"input": 1}}},
        {"input": 1, "quality": "best"},
    ],
)
async def test_a_bad_price_is_refused(light_client: httpx.AsyncClient, body: Any) -> None:
    answer = await light_client.put("/costs/prices/m", json=body)
    assert refused(answer, 422, "invalid_request")["errors"]


@pytest.mark.parametrize("model", ["a\nb", "", "m" * 100_000])
async def test_a_bad_model_is_refused(light_client: httpx.AsyncClient, model: str) -> None:
    body = {"model": model, "input_tokens": 1}
    refused(await light_client.post("/costs/estimate", json=body), 422, "invalid_request")
    refused(
        await light_client.post("/usage", json={**CALL, "model": model}), 422, "invalid_request"
    )


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"input_tokens": 1, "cached_tokens": 2},
        {"output_tokens": 1, "reasoning_tokens": 2},
        {"usage": {"tokens": 1}},
        {"usage": {"prompt_tokens": 1}, "input_tokens": 1},
        {"input_tokens": 1, "service": "overnight"},
    ],
)
async def test_counts_that_cannot_be_are_refused(
    light_client: httpx.AsyncClient, counts: Any
) -> None:
    body = {"model": "gpt-4o", **counts}
    refused(await light_client.post("/costs/estimate", json=body), 422, "invalid_request")


async def test_a_bad_usage_names_its_event(light_client: httpx.AsyncClient) -> None:
    plain = {name: CALL[name] for name in ("agent", "budget_tokens", "used_tokens")}
    events = [plain, {**plain, "usage": {"prompt_tokens": "many"}}]
    problem = refused(await light_client.post("/usage", json=events), 422, "invalid_request")
    assert problem["errors"][0]["loc"] == ["body", 1, "usage", "prompt_tokens"]


async def test_an_audit_passes_over_alerts_of_money(database_url: str) -> None:
    async with running(database_url) as service:
        client = service.client
        await budget(client, "small", usd="0.001")
        asked = {"agent": "a", "task": "t", "model": "gpt-4o"}
        allocation = await ok(await client.post("/allocate", json=asked), 201)
        ending = {"input_tokens": 1_000}
        event = await ok(await client.post(f"/allocations/{allocation['id']}/finish", json=ending))
        assert [one["level"] for one in event["alerts"]][-1] == "budget_exceeded"
        (found,) = audit(service.house.store, None, lambda *_: None)
        assert found.allocations == 1
        assert found.faults == 0, found.differences


async def test_what_stands_in_the_query_of_a_body_is_refused(
    light_client: httpx.AsyncClient,
) -> None:
    for path, body in (("/usage", CALL), ("/costs/estimate", {"model": "gpt-4o"})):
        answer = await light_client.post(f"{path}?workspace=elsewhere", json=body)
        assert "in the body" in refused(answer, 422, "invalid_request")["detail"]


@pytest.mark.parametrize(
    "amount", ["１２", " 5 ", "1_000", "", "5 USD", "$5", "0x5", "٣", "1e", "NaN"]
)
async def test_an_amount_is_a_plain_decimal(client: httpx.AsyncClient, amount: str) -> None:
    for method, path, body in (
        ("PUT", "/costs/budgets/b", {"usd": amount, "window": "day"}),
        ("PUT", "/costs/budgets/b", {"usd": 1, "window": "day", "thresholds": [amount]}),
        ("PUT", "/costs/prices/m", {"input": amount}),
        ("POST", "/usage", {**CALL, "cost_usd": amount}),
        ("POST", "/costs/predict", {"current_usd": amount, "remaining": []}),
    ):
        answer = await client.request(method, path, json=body)
        assert refused(answer, 422, "invalid_request")["errors"]
    await budget(client, "b", usd=1)
    answer = await client.get("/costs/budgets/b/check", params={"usd": amount})
    refused(answer, 422, "invalid_request")
    assert (await listed(client)) == []


@pytest.mark.parametrize("amount", ["1.50", "1.5", "15e-1", "+1.5", 1.5, "01.5"])
async def test_an_amount_is_a_number_or_its_digits(
    client: httpx.AsyncClient, amount: str | float
) -> None:
    assert (await budget(client, "b", usd=amount))["usd"] == "1.5"
    await book(client, {**CALL, "cost_usd": amount})
    assert [one["cost_usd"] for one in await listed(client)] == ["1.5"]


@pytest.mark.parametrize("amount", ["１２", " 5 ", "1_000"])
async def test_what_reads_as_a_number_is_no_budgets_name(
    client: httpx.AsyncClient, amount: str
) -> None:
    asked = {"input_tokens": 10, "output_tokens": 10, "quality": "low", "budget": amount}
    answer = await client.post("/costs/recommend-model", json=asked)
    refused(answer, 422, "invalid_request")
    answer = await client.put(f"/costs/budgets/{amount}", json={"usd": 1, "window": "day"})
    refused(answer, 422, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_model_on_two_lines_is_refused_as_a_name(
    client: httpx.AsyncClient, method: str
) -> None:
    answer = await client.request(method, "/costs/prices/gpt%0A4o", json={"input": "1"})
    problem = refused(answer, 422, "invalid_request")
    assert problem["errors"][0]["loc"] == ["path", "model"]
