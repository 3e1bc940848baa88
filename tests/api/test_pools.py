"""Pools over HTTP: drawn whole or not at all, settled, handed on, and back when time is over."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.running import Clock, Running, running

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def clock(service: Running) -> Clock:
    return service.set_clock(NOW)


async def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def pool(client: httpx.AsyncClient, tokens: int = 1_000, **more: Any) -> str:
    made = await ok(await client.post("/pools", json={"tokens": tokens, **more}), 201)
    id_: str = made["id"]
    return id_


async def stands(client: httpx.AsyncClient, id_: str) -> dict[str, Any]:
    return await ok(await client.get(f"/pools/{id_}"))


async def ask(client: httpx.AsyncClient, id_: str, tokens: int, **more: Any) -> httpx.Response:
    return await client.post("/allocate", json={"max_tokens": tokens, "pool": id_, **more})


async def draw(client: httpx.AsyncClient, id_: str, tokens: int, **more: Any) -> str:
    made = await ok(await ask(client, id_, tokens, **more), 201)
    assert made["pool"] == id_
    allocation: str = made["id"]
    return allocation


async def finish(client: httpx.AsyncClient, id_: str, used: int) -> dict[str, Any]:
    loads = {"loads": [{"scope": "global", "tokens": used}]}
    return await ok(await client.post(f"/allocations/{id_}/finish", json=loads))


@pytest.mark.usefixtures("clock")
async def test_a_pool_is_drawn_used_and_settled(client: httpx.AsyncClient) -> None:
    id_ = await pool(client, name="nightly")
    first = await draw(client, id_, 600)
    found = await stands(client, id_)
    assert (found["capacity"], found["held"], found["used"]) == (1_000, 600, 0)
    assert (found["available"], found["reservations"]) == (400, 1)
    assert (found["name"], found["state"], found["workspace"]) == ("nightly", "open", "default")

    refused = (await ask(client, id_, 401)).json()
    assert (refused["status"], refused["code"]) == (409, "budget_exceeded")
    assert (refused["available"], refused["pool"]) == (400, id_)
    assert (await ask(client, id_, 400)).status_code == 201

    for _ in range(2):  # the same report is the same event
        await finish(client, first, 250)
    found = await stands(client, id_)
    assert (found["used"], found["held"], found["available"]) == (250, 400, 350)


async def test_reservations_come_back_extended_released_or_by_time(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    id_ = await pool(client)
    short = await draw(client, id_, 100, ttl_seconds=60)
    long = await draw(client, id_, 200, ttl_seconds=60)
    given_up = await draw(client, id_, 300, ttl_seconds=60)
    await ok(await client.post(f"/allocations/{long}/extend", json={"ttl_seconds": 600}))
    await ok(await client.post(f"/allocations/{given_up}/release"))
    assert (await stands(client, id_))["held"] == 300
    clock.pass_(seconds=60)
    assert (await stands(client, id_))["held"] == 200
    clock.pass_(seconds=540)
    assert (await stands(client, id_))["available"] == 1_000

    event = await finish(client, short, 80)
    assert event["late"]
    found = await stands(client, id_)
    assert (found["used"], found["late"], found["available"]) == (80, 80, 920)
    clock.pass_(days=1)
    assert (await stands(client, id_))["state"] == "closed"
    assert (await ask(client, id_, 1)).json()["code"] == "pool_closed"


async def test_children_take_and_give_back_and_the_last_word_is_kept(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    id_ = await pool(client, reserve_pct=10)
    child = await pool(client, 500, parent=id_, ttl_seconds=60)
    assert (await stands(client, id_))["available"] == 400
    worker = await draw(client, child, 500)
    assert (await ask(client, id_, 401)).status_code == 409
    await ok(await ask(client, id_, 400), 201)
    last = await draw(client, id_, 100, last_word=True)
    await finish(client, worker, 300)
    clock.pass_(seconds=60)
    found = await stands(client, id_)
    assert (found["given"], found["available"], found["reserve"]) == (300, 200, 0)
    await finish(client, last, 100)
    over = await client.post("/pools", json={"tokens": 201, "parent": id_})
    assert (over.status_code, over.json()["available"]) == (409, 200)


async def test_what_is_left_is_handed_on(client: httpx.AsyncClient) -> None:
    one, other = await pool(client), await pool(client)
    child = await pool(client, 300, parent=one)
    await draw(client, one, 600)
    moved = await ok(await client.post(f"/pools/{one}/transfer", json={"to": other, "tokens": 100}))
    assert (moved["source"]["capacity"], moved["target"]["capacity"]) == (900, 1_100)
    assert (await client.post(f"/pools/{one}/transfer", json={"to": other, "tokens": 1})).json()[
        "available"
    ] == 0
    await ok(await client.post(f"/pools/{child}/transfer", json={"to": one, "tokens": 250}))
    assert (await stands(client, one))["available"] == 250
    for target in ("pool_nobody", id_of_another_workspace := await pool(client, workspace="w")):
        answer = await client.post(f"/pools/{one}/transfer", json={"to": target, "tokens": 1})
        assert answer.status_code == 404, id_of_another_workspace


async def test_the_same_key_makes_one_pool_and_one_reservation(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    made = [await client.post("/pools", json={"tokens": 10}, headers=key) for _ in range(2)]
    assert made[0].json() == made[1].json()
    other = await client.post("/pools", json={"tokens": 11}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    id_ = made[0].json()["id"]
    body = {"max_tokens": 6, "pool": id_}
    for _ in range(2):
        await ok(await client.post("/allocate", json=body, headers=key), 201)
    assert (await stands(client, id_))["held"] == 6


async def test_an_event_that_names_its_allocation_settles_it(client: httpx.AsyncClient) -> None:
    id_ = await pool(client)
    allocation = await draw(client, id_, 500)
    event = {"agent": "a", "budget_tokens": 500, "used_tokens": 410, "allocation_id": allocation}
    for _ in range(2):
        await ok(await client.post("/usage", json=event), 201)
    found = await stands(client, id_)
    assert (found["used"], found["held"]) == (410, 0)


async def test_many_agents_never_draw_more_than_there_is(client: httpx.AsyncClient) -> None:
    id_ = await pool(client, 1_000)
    answers = await asyncio.gather(*(ask(client, id_, 70) for _ in range(64)))
    assert sorted({answer.status_code for answer in answers}) == [201, 409]
    assert sum(answer.status_code == 201 for answer in answers) == 14
    assert (await stands(client, id_))["held"] == 980


async def test_pools_outlive_the_process(database_url: str) -> None:
    async with running(database_url) as first:
        id_ = await pool(first.client)
        allocation = await draw(first.client, id_, 600)
    async with running(database_url) as second:
        assert (await stands(second.client, id_))["held"] == 600
        await finish(second.client, allocation, 10)
        assert (await stands(second.client, id_))["available"] == 990


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tokens": -1},
        {"tokens": "7"},
        {"tokens": 1.5},
        {"tokens": 10**11},
        {"tokens": 1, "reserve_pct": 101},
        {"tokens": 1, "reserve_pct": -1},
        {"tokens": 1, "ttl_seconds": 0},
        {"tokens": 1, "ttl_seconds": 1e9},
        {"tokens": 1, "stray": 1},
        {"usd": "5"},
        {"usd": "5", "tokens": 1},
    ],
)
async def test_bad_pools_are_refused(light_client: httpx.AsyncClient, body: Any) -> None:
    answer = await light_client.post("/pools", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_what_is_no_pool_is_not_found(light_client: httpx.AsyncClient) -> None:
    stranger = "pool_01m7y0bzgkzqedc6b270sn_dc0vv2d8"
    for answer in (
        await light_client.get(f"/pools/{stranger}"),
        await light_client.get("/pools/a%00b"),
        await light_client.post(f"/pools/{stranger}/transfer", json={"to": "x", "tokens": 1}),
        await light_client.post("/pools", json={"tokens": 1, "parent": stranger}),
        await ask(light_client, stranger, 1),
    ):
        assert answer.status_code == 404, answer.text
    lone = await light_client.post("/allocate", json={"max_tokens": 1, "last_word": True})
    assert lone.status_code == 422
    id_ = await pool(light_client)
    nothing = await light_client.post(f"/pools/{id_}/transfer", json={"to": id_, "tokens": 0})
    assert nothing.status_code == 422
