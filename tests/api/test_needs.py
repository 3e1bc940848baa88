"""What agents need is answered over HTTP as data, as a page and as Markdown."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import NOW
from tests.running import Running


async def book(client: httpx.AsyncClient, count: int, **more: Any) -> None:
    """Runs of an agent."""
    events = [
        {"agent": "a", "budget_tokens": None, "used_tokens": 30_000, "timestamp": NOW.isoformat()}
        | more
        for _ in range(count)
    ]
    answer = await client.post("/usage", json=events)
    assert answer.status_code == 201, answer.text


def agents(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Figures by agent."""
    section = next(one for one in report["sections"] if one["key"] == "agents")
    return {one["agent"]: one for one in section["data"]["agents"]}


@pytest.mark.anyio
async def test_needs_are_those_of_the_runs(service: Running, client: httpx.AsyncClient) -> None:
    service.set_clock(NOW)
    await book(client, 12, cost_usd="0.5")
    await book(client, 1, used_tokens=70_000, needed_tokens=90_000, cost_usd="0.7")
    await book(client, 20, agent="specialists/dbt-expert", budget_tokens=20_000, used_tokens=1)
    await book(client, 3, agent="rare")
    report = (await client.get("/reports/needs")).json()
    assert report["kind"] == "needs"
    assert report["id"].startswith("rpt_")
    found = agents(report)
    assert set(found) == {"a", "specialists/dbt-expert", "rare"}
    one = found["a"]
    assert one["tokens"] == {
        "median": pytest.approx(30_000, rel=0.01),
        "p95": 90_000,
        "max": 90_000,
        "total": 430_000,
        "output": 0,
        "cached": 0,
    }
    assert (one["profile"], one["own_base"], one["cost_usd"]) == (None, 90_000, "6.7")
    assert found["rare"]["runs_missing"] == 7
    assert found["specialists/dbt-expert"]["profile"] == "specialist-narrow"
    assert found["specialists/dbt-expert"]["assigned"] is True
    assert report["todo"][0]["title"].startswith("a needs more than any profile")


@pytest.mark.anyio
async def test_needs_follow_the_policy_that_is_in_force(
    service: Running, client: httpx.AsyncClient
) -> None:
    service.set_clock(NOW)
    await book(client, 20, used_tokens=190_000)
    profile = {
        "description": "large",
        "base_budget": 200_000,
        "max_budget": 400_000,
        "scope_weights": {"global": 1.0},
    }
    assert (await client.put("/profiles/large", json=profile)).status_code == 201
    report = (await client.get("/reports/needs")).json()
    assert agents(report)["a"]["profile"] == "large"
    assert (await client.put("/agents/a", json={"profile": "large"})).status_code == 201
    report = (await client.get("/reports/needs")).json()
    assert (report["todo"], agents(report)["a"]["assigned"]) == ([], True)


@pytest.mark.anyio
async def test_needs_are_of_the_window_and_the_workspace(
    service: Running, client: httpx.AsyncClient
) -> None:
    service.set_clock(NOW)
    await book(client, 4)
    await book(client, 3, timestamp=(NOW - timedelta(days=40)).isoformat())
    await book(client, 2, workspace="other")

    async def runs(**params: Any) -> int:
        found = agents((await client.get("/reports/needs", params=params)).json())
        return sum(one["runs"] for one in found.values())

    assert await runs() == 7
    assert await runs(days=30) == 4
    assert await runs(workspace="other") == 2
    assert await runs(workspace="nobody") == 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accept", "media", "begins"),
    [
        (None, "application/json", "{"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html", "<!doctype html>"),
        ("text/markdown", "text/markdown", "# What your agents need"),
    ],
)
async def test_needs_come_as_asked_for(
    light_client: httpx.AsyncClient, accept: str | None, media: str, begins: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = await light_client.get("/reports/needs", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    assert answer.text.startswith(begins)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query", ["days=0", "days=-1", "days=nan", "days=x", "workspace=a/b", "x=1"]
)
async def test_bad_questions_say_what_to_change(
    light_client: httpx.AsyncClient, query: str
) -> None:
    answer = await light_client.get(f"/reports/needs?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
