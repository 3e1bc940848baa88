"""Prove that loads raise the right alerts once, and that a run ends in one usage event."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.data import vectors
from tests.running import Running, running

LEVELS = ["info", "warning", "critical"]


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Clients of every instance that may serve one database: two on PostgreSQL, one on SQLite."""
    async with AsyncExitStack() as stack:
        count = 2 if database_url.startswith("postgresql") else 1
        instances = [await stack.enter_async_context(running(database_url)) for _ in range(count)]
        yield [instance.client for instance in instances]


async def open_(client: httpx.AsyncClient, **body: Any) -> str:
    """The id of a fresh allocation."""
    response = await client.post("/allocate", json=body)
    assert response.status_code == 201, response.text
    id_: str = response.json()["id"]
    return id_


async def load(client: httpx.AsyncClient, id_: str, *loads: dict[str, Any]) -> dict[str, Any]:
    """How an allocation stands after loads."""
    response = await client.post(f"/allocations/{id_}/loads", json={"loads": loads})
    assert response.status_code == 200, response.text
    status: dict[str, Any] = response.json()
    return status


def some(tokens: int, scope: str = "global", **more: str) -> dict[str, Any]:
    """A load."""
    return {"scope": scope, "tokens": tokens, **more}


def levels(status: dict[str, Any]) -> list[str]:
    """The levels of an allocation's alerts."""
    return [alert["level"] for alert in status["alerts"]]


async def harden(client: httpx.AsyncClient, agent: str, base: int, **more: Any) -> None:
    """Give an agent a profile of its own with hard enforcement, or what `more` says."""
    profile = {
        "description": "",
        "base_budget": base,
        "max_budget": base * 2,
        "scope_weights": {"global": 1},
        "enforcement": "hard",
        **more,
    }
    put = await client.put(f"/profiles/{agent}-profile", json=profile)
    assert put.is_success, put.text
    put = await client.put(f"/agents/helpers/{agent}", json={"profile": f"{agent}-profile"})
    assert put.is_success, put.text


async def test_alerts_fire_as_the_original_fires_them(light_client: httpx.AsyncClient) -> None:
    for record in vectors("A8.monitor"):
        given, out = record["in"], record["out"]
        if given["agent"]:
            body = {"agent": given["agent"], "complexity": given["complexity"]}
        else:
            body = {"max_tokens": given["budget"]}
        id_ = await open_(light_client, **body)

        status: dict[str, Any] = {}
        if given["batched"]:
            status = await load(light_client, id_, *given["loads"])
        else:
            seen = 0
            for one, fired in zip(given["loads"], out["fired_after_each_load"], strict=True):
                status = await load(light_client, id_, one)
                assert levels(status)[seen:] == fired, record["id"]
                seen = len(status["alerts"])

        found = [
            {
                "level": alert["level"],
                "tokens": alert["tokens"],
                "used_pct": round(alert["used_pct"], 4),
            }
            for alert in status["alerts"]
        ]
        assert found == out["alerts"], record["id"]
        assert status["loaded"] == out["loaded"], record["id"]
        assert round(status["used_pct"], 4) == out["used_pct"], record["id"]
        assert status["remaining"] == out["remaining"], record["id"]
        assert status["exceeded"] == out["exceeded"], record["id"]
        used = {scope["name"]: scope["used"] for scope in status["scopes"] if scope["used"]}
        assert used == {name: n for name, n in out["scopes"].items() if n}, record["id"]


async def test_an_alert_advises_the_next_tier_and_its_budget(
    light_client: httpx.AsyncClient,
) -> None:
    id_ = await open_(light_client, agent="dbt-expert", complexity="medium")
    status = await load(light_client, id_, some(20_000))
    info, warning, critical = status["alerts"]
    assert info["bump"] is None
    assert warning["bump"] == critical["bump"] == {"tier": "complex", "tokens": 30_000}
    assert "bump" in warning["message"]
    assert "complex" in critical["message"]


async def test_clients_that_race_raise_each_alert_once(replicas: list[httpx.AsyncClient]) -> None:
    id_ = await open_(replicas[0], agent="dbt-expert", complexity="medium")
    chance = random.Random(7)
    loads = [some(chance.randrange(1, 900), chance.choice(["global", "x"])) for _ in range(100)]
    total = sum(one["tokens"] for one in loads)
    assert total > 20_000
    batches: list[list[dict[str, Any]]] = []
    rest = list(loads)
    while rest:
        size = chance.randrange(1, 4)
        batches.append(rest[:size])
        rest = rest[size:]

    await asyncio.gather(
        *(load(replicas[n % len(replicas)], id_, *batch) for n, batch in enumerate(batches))
    )

    assert len(batches) >= 40
    for client in replicas:
        status = (await client.get(f"/allocations/{id_}")).json()
        assert status["loaded"] == total
        assert levels(status) == LEVELS
        for alert, share in zip(status["alerts"], (0.75, 0.9, 1.0), strict=True):
            assert share * 20_000 <= alert["tokens"] < share * 20_000 + 900


async def test_a_memory_is_counted_once_whoever_reports_it(
    replicas: list[httpx.AsyncClient],
) -> None:
    id_ = await open_(replicas[0], agent="dbt-expert", complexity="medium")
    await asyncio.gather(
        *(
            load(replicas[n % len(replicas)], id_, some(100, memory_id="m1"), some(1))
            for n in range(20)
        )
    )
    status = (await replicas[0].get(f"/allocations/{id_}")).json()
    assert status["loaded"] == 100 + 20


async def test_a_hard_budget_is_never_passed(replicas: list[httpx.AsyncClient]) -> None:
    await harden(replicas[0], "strictly", 1_000)
    id_ = await open_(replicas[0], agent="helpers/strictly", complexity="medium")

    answers = await asyncio.gather(
        *(
            replicas[n % len(replicas)].post(
                f"/allocations/{id_}/loads", json={"loads": [some(20), some(14)]}
            )
            for n in range(64)
        )
    )

    granted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 409]
    status = (await replicas[0].get(f"/allocations/{id_}")).json()
    assert (len(granted), len(refused)) == (1_000 // 34, 64 - 1_000 // 34)
    assert {answer.json()["code"] for answer in refused} == {"budget_exceeded"}
    assert status["loaded"] == 34 * len(granted)
    assert status["exceeded"] is False


async def test_a_refused_load_leaves_no_trace(light_client: httpx.AsyncClient) -> None:
    await harden(light_client, "strictly", 1_000)
    id_ = await open_(light_client, agent="helpers/strictly", complexity="medium")
    path = f"/allocations/{id_}"
    before = (await light_client.get(path)).json()

    loads = await light_client.post(f"{path}/loads", json={"loads": [some(900), some(101)]})
    finish = await light_client.post(f"{path}/finish", json={"loads": [some(1_001)]})

    after = (await light_client.get(path)).json()
    assert (loads.status_code, finish.status_code) == (409, 409)
    assert "Load 1" in loads.json()["detail"]
    moving = {"duration_seconds"}
    assert {k: v for k, v in after.items() if k not in moving} == {
        k: v for k, v in before.items() if k not in moving
    }
    assert (await light_client.get("/usage")).json()["items"] == []
    assert (await load(light_client, id_, some(1_000)))["remaining"] == 0


async def test_an_automatic_bump_raises_the_budget_once_a_tier(
    light_client: httpx.AsyncClient,
) -> None:
    await harden(light_client, "growing", 1_000, enforcement="soft", auto_bump=True)
    id_ = await open_(light_client, agent="helpers/growing", complexity="medium")

    first = await load(light_client, id_, some(1_000))
    last = await load(light_client, id_, some(5_000))

    assert first["budget"]["tokens"] == 1_500
    assert first["bumps"] == [{"tier": "complex", "tokens": 1_500}]
    assert first["exceeded"] is False
    assert last["budget"]["tokens"] == 2_000
    assert [bump["tier"] for bump in last["bumps"]] == ["complex", "multi-system"]
    assert last["exceeded"] is True


async def test_a_run_ends_in_one_event_however_often_it_is_finished(
    replicas: list[httpx.AsyncClient],
) -> None:
    id_ = await open_(replicas[0], agent="dbt-expert", complexity="medium", run_id="r1")
    await load(replicas[0], id_, some(5_000))
    report = {"success": True, "loads": [some(13_000, "agent_patterns")], "input_tokens": 9}

    answers = await asyncio.gather(
        *(
            replicas[n % len(replicas)].post(f"/allocations/{id_}/finish", json=report)
            for n in range(20)
        )
    )
    other = await replicas[0].post(f"/allocations/{id_}/finish", json={"success": False})

    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    events = [answer.json() for answer in answers]
    assert all(event == events[0] for event in events)
    listed = (await replicas[0].get("/usage")).json()["items"]
    assert listed == [events[0]]
    assert (other.status_code, other.json()["code"]) == (409, "already_finished")
    status = (await replicas[-1].get(f"/allocations/{id_}")).json()
    assert (status["state"], status["loaded"]) == ("finished", 18_000)
    overall = (await replicas[-1].get("/usage/analytics")).json()["overall"]
    assert (overall["executions"], overall["tokens"]["used"]) == (1, 18_000)


async def test_the_event_repeats_the_facts_of_the_run(light_client: httpx.AsyncClient) -> None:
    facts = {
        "agent": "dbt-expert",
        "task": "Analyze slow queries",
        "project": "atlas",
        "user": "ada",
        "session_id": "s1",
        "run_id": "r1",
        "model": "gpt-4o",
    }
    id_ = await open_(light_client, **facts)
    await load(light_client, id_, some(29_000), some(2_000, "agent_recent"))
    report = {
        "error": "timed out",
        "needed_tokens": 40_000,
        "input_tokens": 32_000,
        "output_tokens": 50,
        "memories_used": ["m1"],
    }
    event = (await light_client.post(f"/allocations/{id_}/finish", json=report)).json()

    assert {key: event[key] for key in facts} == {**facts, "agent": "specialists/dbt-expert"}
    assert event["allocation_id"] == id_
    assert event["id"].startswith("use_")
    assert (event["budget_tokens"], event["used_tokens"]) == (30_000, 31_000)
    assert (event["exceeded"], event["success"], event["late"]) == (True, False, False)
    assert event["scopes"] == {"global": 29_000, "agent_recent": 2_000}
    assert [alert["level"] for alert in event["alerts"]] == LEVELS
    assert {key: event[key] for key in report if key != "memories_used"} == {
        key: value for key, value in report.items() if key != "memories_used"
    }


async def test_time_runs_out_and_what_comes_after_is_late(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    id_ = await open_(client, agent="dbt-expert", complexity="medium", ttl_seconds=60)
    path = f"/allocations/{id_}"

    clock.pass_(seconds=59)
    assert (await client.get(path)).json()["state"] == "open"
    clock.pass_(seconds=1)
    assert (await client.get(path)).json()["state"] == "expired"
    extended = await client.post(f"{path}/extend", json={"ttl_seconds": 60})
    assert (extended.status_code, extended.json()["code"]) == (409, "allocation_expired")
    assert (await load(client, id_, some(100)))["late"] is True
    clock.pass_(days=3)
    event = (await client.post(f"{path}/finish", json={})).json()

    assert (event["late"], event["used_tokens"], event["success"]) == (True, 100, True)
    status = (await client.get(path)).json()
    assert (status["state"], status["late"]) == ("finished", True)


async def test_extend_gives_time_and_never_takes_it(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    id_ = await open_(client, max_tokens=10, ttl_seconds=60)
    path = f"/allocations/{id_}"
    before = (await client.get(path)).json()["expires_at"]

    shorter = (await client.post(f"{path}/extend", json={"ttl_seconds": 1})).json()
    longer = (await client.post(f"{path}/extend", json={"ttl_seconds": 600})).json()
    clock.pass_(seconds=599)

    assert shorter["expires_at"] == before < longer["expires_at"]
    assert (await client.get(path)).json()["state"] == "open"


async def test_release_ends_it_and_books_nothing(service: Running) -> None:
    client, clock = service.client, service.set_clock()
    id_ = await open_(client, max_tokens=10)
    path = f"/allocations/{id_}"

    clock.pass_(seconds=5)
    released = await client.post(f"{path}/release")
    again = await client.post(f"{path}/release")

    assert released.json()["state"] == again.json()["state"] == "expired"
    assert released.json()["duration_seconds"] == 5
    assert (await client.get("/allocations?state=expired")).json()["items"][0]["id"] == id_
    assert (await client.get("/allocations?state=open")).json()["items"] == []
    assert (await client.get("/usage")).json()["items"] == []


async def test_a_finished_run_takes_no_more(light_client: httpx.AsyncClient) -> None:
    id_ = await open_(light_client, max_tokens=10)
    path = f"/allocations/{id_}"
    await light_client.post(f"{path}/finish", json={})

    for verb, body in (
        ("loads", {"loads": [some(1)]}),
        ("extend", {"ttl_seconds": 60}),
        ("release", None),
    ):
        response = await light_client.post(f"{path}/{verb}", json=body)
        assert response.status_code == 409, verb
        assert response.json()["code"] == "allocation_finished", verb


@pytest.mark.parametrize(
    "id_",
    [
        "alc_nobody_00000",
        "use_x",
        "x",
        "alc_",
        "..",
        "alc_\u00e4\u4e16_dc0vv2d8",
        "alc_%00_dc0vv2d8",
        "alc_%ED%A0%80_dc0vv2d8",
        "x" * 5_000,
    ],
    ids=lambda id_: id_[:20],
)
async def test_an_unknown_allocation_is_not_found(client: httpx.AsyncClient, id_: str) -> None:
    await open_(client, max_tokens=10)  # so that the tag of `default` is known
    path = f"/allocations/{id_}"
    answers = [
        await client.get(path),
        await client.post(f"{path}/loads", json={"loads": [some(1)]}),
        await client.post(f"{path}/extend", json={"ttl_seconds": 5}),
        await client.post(f"{path}/release"),
        await client.post(f"{path}/finish", json={}),
    ]
    assert {answer.status_code for answer in answers} <= {404, 405}
    assert {answer.json()["code"] for answer in answers} <= {"not_found", "method_not_allowed"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"loads": []},
        {"loads": [{"scope": "global"}]},
        {"loads": [{"scope": "global", "tokens": -1}]},
        {"loads": [{"scope": "global", "tokens": 2**63}]},
        {"loads": [{"scope": "", "tokens": 1}]},
        {"loads": [{"scope": "global", "tokens": 1, "x": 1}]},
        {"loads": [{"scope": "global", "tokens": 1}, {"scope": "global", "tokens": "2"}]},
    ],
    ids=str,
)
async def test_loads_that_do_not_fit_change_nothing(
    light_client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    id_ = await open_(light_client, max_tokens=10)
    response = await light_client.post(f"/allocations/{id_}/loads", json=body)
    assert response.status_code == 422
    assert (await light_client.get(f"/allocations/{id_}")).json()["loaded"] == 0


async def test_an_event_that_names_an_open_allocation_finishes_it(
    client: httpx.AsyncClient,
) -> None:
    id_ = await open_(client, agent="dbt-expert", complexity="medium")
    event = {
        "id": "mine-1",
        "agent": "dbt-expert",
        "allocation_id": id_,
        "budget_tokens": 20_000,
        "used_tokens": 7,
    }

    first = await client.post("/usage", json=event)
    again = await client.post("/usage", json=event)
    other = await client.post("/usage", json={**event, "id": "mine-2", "used_tokens": 8})
    finish = await client.post(f"/allocations/{id_}/finish", json={})

    assert first.json() == {"accepted": 1, "duplicates": 0, "ids": ["mine-1"], "alerts": []}
    assert (
        again.json()
        == other.json()
        == {"accepted": 0, "duplicates": 1, "ids": ["mine-1"], "alerts": []}
    )
    assert (finish.status_code, finish.json()["code"]) == (409, "already_finished")
    assert (await client.get(f"/allocations/{id_}")).json()["state"] == "finished"
    assert [one["id"] for one in (await client.get("/usage")).json()["items"]] == ["mine-1"]


async def test_an_event_that_names_a_finished_allocation_is_a_duplicate(
    client: httpx.AsyncClient,
) -> None:
    id_ = await open_(client, agent="dbt-expert", complexity="medium")
    booked = (await client.post(f"/allocations/{id_}/finish", json={})).json()
    event = {"agent": "dbt-expert", "allocation_id": id_, "budget_tokens": 1, "used_tokens": 1}

    response = await client.post("/usage", json=event)

    assert response.json() == {"accepted": 0, "duplicates": 1, "ids": [booked["id"]], "alerts": []}
    assert len((await client.get("/usage")).json()["items"]) == 1


async def test_finishing_and_reporting_at_once_books_one_event(
    replicas: list[httpx.AsyncClient],
) -> None:
    for _ in range(5):
        id_ = await open_(replicas[0], agent="dbt-expert", complexity="medium")
        event = {"agent": "dbt-expert", "allocation_id": id_, "budget_tokens": 1, "used_tokens": 1}
        await asyncio.gather(
            *(
                replicas[n % len(replicas)].post(f"/allocations/{id_}/finish", json={})
                if n % 3
                else replicas[n % len(replicas)].post("/usage", json=event)
                for n in range(12)
            )
        )
    assert len((await replicas[0].get("/usage")).json()["items"]) == 5
    overall = (await replicas[0].get("/usage/analytics")).json()["overall"]
    assert overall["executions"] == 5


async def test_an_event_of_an_unknown_allocation_is_not_found(client: httpx.AsyncClient) -> None:
    id_ = await open_(client, max_tokens=10, workspace="elsewhere")
    event = {"agent": "a", "allocation_id": id_, "budget_tokens": 1, "used_tokens": 1}

    here = await client.post("/usage", json=event)
    nowhere = await client.post("/usage", json=[{**event, "allocation_id": "alc_x_00000"}])

    assert (here.status_code, nowhere.status_code) == (404, 404)
    assert nowhere.json()["errors"][0]["loc"] == ["body", 0, "allocation_id"]
    assert (await client.get("/usage")).json()["items"] == []


async def test_a_release_answers_that_the_allocation_has_expired(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        id_ = await open_(client, max_tokens=100)
        answer = (await client.post(f"/allocations/{id_}/release")).json()
        assert answer["state"] == "expired"


async def test_an_event_that_ends_an_allocation_agrees_with_it(client: httpx.AsyncClient) -> None:
    id_ = await open_(
        client,
        agent="aws-expert",
        complexity="simple",
        user="eve",
        project="p",
        session_id="s",
        model="gpt-4o",
    )
    await load(client, id_, some(2_000))
    event = {
        "agent": "aws-expert",
        "allocation_id": id_,
        "budget_tokens": 17_500,
        "used_tokens": 18_000,
        "scopes": {"global": 5_000, "agent_patterns": 12_000},
        "timestamp": "2020-01-01T00:00:00Z",
    }
    assert (await client.post("/usage", json=event)).json()["accepted"] == 1
    booked = (await client.get("/usage")).json()["items"][0]
    status = (await client.get(f"/allocations/{id_}")).json()

    assert (status["state"], status["loaded"], status["exceeded"]) == ("finished", 18_000, True)
    assert levels(status) == LEVELS == [alert["level"] for alert in booked["alerts"]]
    assert status["finished_at"] >= status["created_at"]
    whose = {name: booked[name] for name in ("user", "project", "session_id", "model")}
    assert whose == {"user": "eve", "project": "p", "session_id": "s", "model": "gpt-4o"}
    assert (booked["complexity"], booked["profile"]) == ("simple", "specialist-broad")
    assert (await client.post("/usage", json=event)).json()["duplicates"] == 1


async def test_an_event_that_ends_an_expired_allocation_is_late(service: Running) -> None:
    id_ = await open_(service.client, max_tokens=100, agent="x", ttl_seconds=1)
    service.set_clock(datetime.now(UTC) + timedelta(minutes=1))
    event = {"agent": "x", "allocation_id": id_, "budget_tokens": 100, "used_tokens": 7}
    assert (await service.client.post("/usage", json=event)).status_code == 201

    booked = (await service.client.get("/usage")).json()["items"][0]
    assert booked["late"]


async def test_rooms_grow_with_a_budget_that_was_raised(light_client: httpx.AsyncClient) -> None:
    await harden(light_client, "raised", 1_000, enforcement="soft", auto_bump=True)
    id_ = await open_(light_client, agent="raised", complexity="simple")
    status = await load(light_client, id_, some(600))

    assert status["budget"]["tokens"] == 1_000
    assert sum(scope["tokens"] for scope in status["scopes"]) == 1_000
