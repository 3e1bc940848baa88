"""Prove that past allocations are found, counted, carried out and deleted."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.data import vectors
from tests.running import Running

EXPORTS = {"json": "application/json", "jsonl": "application/x-ndjson", "csv": "text/csv"}


async def allocate(client: httpx.AsyncClient, **body: Any) -> str:
    """The id of a fresh allocation."""
    response = await client.post("/allocate", json=body)
    assert response.status_code == 201, response.text
    id_: str = response.json()["id"]
    return id_


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    """The ids that a list answers, in its order."""
    response = await client.get("/allocations", params=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


async def test_filters_answer_what_they_name(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    start = clock.at
    first = await allocate(client, agent="dbt-expert", project="atlas")
    clock.pass_(minutes=10)
    second = await allocate(client, agent="helpers/dbt-expert", ttl_seconds=60)
    clock.pass_(minutes=10)
    third = await allocate(client, agent="aws-expert", project="atlas")
    other = await allocate(client, max_tokens=5, workspace="elsewhere")
    await client.post(f"/allocations/{first}/finish", json={})

    assert await ids(client) == [third, second, first]
    assert await ids(client, workspace="elsewhere") == [other]
    assert await ids(client, project="atlas") == [third, first]
    assert await ids(client, agent="specialists/dbt-expert") == [first]
    assert await ids(client, agent="dbt-expert") == [second, first]
    assert await ids(client, agent="dbt_expert") == []
    assert await ids(client, agent="%") == []
    assert await ids(client, state="finished") == [first]
    assert await ids(client, state="expired") == [second]
    assert await ids(client, state="open") == [third]
    middle = (start + timedelta(minutes=10)).isoformat()
    assert await ids(client, since=middle) == [third, second]
    assert await ids(client, until=middle) == [first]
    assert await ids(client, since=middle, until=middle) == []


async def test_a_walk_is_complete_while_new_ones_arrive(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    made = []
    for number in range(23):
        if number % 3 == 0:
            clock.pass_(seconds=1)  # several share one moment
        made.append(await allocate(client, max_tokens=number))

    walked: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 5, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/allocations", params=query)).json()
        walked += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= 5
        clock.pass_(seconds=1)
        await allocate(client, max_tokens=1)
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert walked == sorted(made, key=lambda id_: (made.index(id_) // 3, id_), reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"cursor": "abc"},
        {"cursor": "%%%"},
        {"state": "lost"},
        {"since": "yesterday"},
        {"since": "99999999999999999999"},
        {"workspace": ""},
        {"workspace": "a/b"},
        {"agent": "a\u0000"},
    ],
    ids=str,
)
async def test_filters_that_mean_nothing_are_refused(
    light_client: httpx.AsyncClient, query: dict[str, Any]
) -> None:
    response = await light_client.get("/allocations", params=query)
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", next(iter(query))]


async def test_statistics_are_those_of_the_original(service: Running) -> None:
    client = service.client
    for number, record in enumerate(vectors("B6.statistics")):
        given, out = record["in"], record["out"]
        workspace = f"stats-{number}"
        put = await client.put(
            f"/workspaces/{workspace}", json={**given["config"], "workspace_id": workspace}
        )
        assert put.is_success, put.text
        now = datetime.now(UTC)
        for run in given["runs"]:
            memories = [
                {
                    **{key: value for key, value in one.items() if key != "age_hours"},
                    "created_at": (now - timedelta(hours=one["age_hours"])).isoformat(),
                }
                for one in run["memories"]
            ]
            body = {"complexity": run["complexity"], "memories": memories, "select": "given"}
            await allocate(client, workspace=workspace, **body)

        query = {"workspace": workspace, "hours": given["hours"]}
        found = (await client.get("/allocations/statistics", params=query)).json()

        assert found["count"] == out["allocations"], record["id"]
        averages = found["averages"]
        assert averages["tokens_allocated"] == pytest.approx(out["avg_tokens"], abs=0.01)
        assert averages["memories_selected"] == pytest.approx(out["avg_memories"], abs=0.01)
        assert averages["processing_ms"] > 0
        assert found["complexity"] == out["complexity"], record["id"]
        for name, tier in out["tiers"].items():
            scope = found["scopes"][name]
            assert (
                scope["avg_utilization_pct"],
                scope["avg_selected"],
                scope["avg_tokens"],
            ) == pytest.approx(
                (
                    tier["avg_utilization_pct"],
                    tier["avg_memories_selected"],
                    tier["avg_tokens_used"],
                ),
                abs=0.01,
            ), record["id"]


async def test_statistics_by_hand(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    await allocate(client, agent="aws-expert", complexity="complex")
    clock.pass_(hours=3)
    memories = [{"id": "m", "tokens": 2_000, "scope": "global"}]
    await allocate(client, agent="dbt-expert", complexity="medium", memories=memories)
    await allocate(client, agent="dbt-expert", complexity="simple")

    everything = (await client.get("/allocations/statistics")).json()
    lately = (await client.get("/allocations/statistics?hours=2")).json()
    nothing = (await client.get("/allocations/statistics?workspace=empty")).json()

    assert (everything["count"], lately["count"], nothing["count"]) == (3, 2, 0)
    assert lately["averages"]["tokens_allocated"] == 1_000
    assert lately["averages"]["memories_selected"] == 0.5
    assert lately["averages"]["budget_tokens"] == 15_000
    assert lately["complexity"] == {"medium": 1, "simple": 1}
    assert lately["scopes"]["global"] == {
        "avg_utilization_pct": 25.0,
        "avg_selected": 0.5,
        "avg_tokens": 1_000.0,
    }
    assert nothing["averages"]["tokens_allocated"] == 0
    assert (nothing["complexity"], nothing["scopes"]) == ({}, {})


@pytest.mark.parametrize("format_", EXPORTS)
async def test_an_export_holds_every_allocation(service: Running, format_: str) -> None:
    client = service.client
    made = [await allocate(client, max_tokens=n, user="=1+1") for n in range(7)]
    await client.post(f"/allocations/{made[0]}/finish", json={})

    response = await client.get("/allocations/export", params={"format": format_})
    none = await client.get("/allocations/export", params={"format": format_, "workspace": "empty"})

    text = response.text
    rows: list[dict[str, Any]]
    if format_ == "json":
        rows = json.loads(text)
        assert none.json() == []
    elif format_ == "jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["user"] for row in rows} == {"'=1+1"}
    assert none.status_code == 200
    assert response.headers["content-type"].split(";")[0] == EXPORTS[format_]
    assert f"allocations.{format_}" in response.headers["content-disposition"]
    assert sorted(row["id"] for row in rows) == sorted(made)
    assert sorted(row["state"] for row in rows) == ["finished", *["open"] * 6]


async def test_deletion_leaves_usage_events(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    old = await allocate(client, agent="dbt-expert", workspace="w")
    event = (await client.post(f"/allocations/{old}/finish", json={})).json()
    kept = await allocate(client, agent="dbt-expert")
    clock.pass_(hours=1)
    until = clock.at.isoformat()
    new = await allocate(client, agent="dbt-expert", workspace="w")

    response = await client.delete("/allocations", params={"workspace": "w", "until": until})

    assert (response.status_code, response.content) == (204, b"")
    assert await ids(client, workspace="w") == [new]
    assert await ids(client) == [kept]
    assert (await client.get(f"/allocations/{old}")).status_code == 404
    listed = (await client.get("/usage", params={"workspace": "w"})).json()["items"]
    assert [one["id"] for one in listed] == [event["id"]]
    overall = (await client.get("/usage/analytics", params={"workspace": "w"})).json()["overall"]
    assert overall["executions"] == 1


@pytest.mark.parametrize("query", [{}, {"until": ""}, {"until": "soon"}], ids=str)
async def test_deletion_without_a_time_is_refused(
    light_client: httpx.AsyncClient, query: dict[str, str]
) -> None:
    id_ = await allocate(light_client, max_tokens=1)
    response = await light_client.delete("/allocations", params=query)
    assert response.status_code == 422
    assert await ids(light_client) == [id_]


async def test_deletion_leaves_open_allocations(client: httpx.AsyncClient) -> None:
    id_ = (await client.post("/allocate", json={"max_tokens": 9})).json()["id"]
    assert (await client.delete("/allocations?until=2100-01-01T00:00:00Z")).status_code == 204

    assert (await client.post(f"/allocations/{id_}/finish", json={})).status_code == 200
    assert (await client.delete("/allocations?until=2100-01-01T00:00:00Z")).status_code == 204
    assert (await client.get(f"/allocations/{id_}")).status_code == 404
