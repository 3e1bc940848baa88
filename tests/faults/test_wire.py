"""Prove what happens when PostgreSQL's answers are lost, or do not come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from tests.running import Running, Wire, running

pytestmark = pytest.mark.anyio

EVENT = {"agent": "dbt-expert", "budget_tokens": 10, "used_tokens": 5}
CUT_SECONDS = 60


def assert_unknown(answer: httpx.Response) -> None:
    """A problem that says that nobody knows, and when to ask again."""
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown"), answer.text
    assert int(answer.headers["retry-after"]) >= 1


@asynccontextmanager
async def behind_a_wire(postgresql_url: str) -> AsyncIterator[tuple[Running, Wire]]:
    """The service, and the wire through which it reaches its database."""
    there = make_url(postgresql_url)
    wire = Wire(there.host or "127.0.0.1", there.port or 5432)
    await wire.mend()
    url = there.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    ending = asyncio.create_task(cut_later(wire))
    async with running(url, database_admin_url=postgresql_url, scheduler="off") as service:
        yield service, wire
    ending.cancel()
    await wire.cut()


async def cut_later(wire: Wire) -> None:
    """Let a service that would wait for ever go on, so that its test fails and does not hang."""
    await asyncio.sleep(CUT_SECONDS)
    await wire.cut()


async def test_a_commit_whose_answer_is_lost_counts_once(postgresql_url: str) -> None:
    async with behind_a_wire(postgresql_url) as (service, wire):
        client = service.client
        opened = (await client.post("/allocate", json={"agent": "dbt-expert"})).json()["id"]
        answers = []
        for path, body in (
            ("/usage", EVENT),
            ("/usage", [EVENT, EVENT]),
            ("/allocate", {"agent": "dbt-expert"}),
            (f"/allocations/{opened}/finish", {"loads": [{"scope": "global", "tokens": 7}]}),
        ):
            wire.loses = 1
            answers.append(await client.post(path, json=body))
            assert wire.loses == 0
        listed = (await client.get("/allocations")).json()["items"]
        events = (await client.get("/usage")).json()["items"]
        analytics = (await client.get("/usage/analytics")).json()

    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]
    assert answers[2].json()["degraded"] is False
    assert {one["id"] for one in listed} == {opened, answers[2].json()["id"]}
    assert len(listed) == 2
    assert (len(events), analytics["overall"]["executions"]) == (4, 4)


async def test_of_loads_whose_commit_is_lost_nobody_claims_to_know(postgresql_url: str) -> None:
    loads = {"loads": [{"scope": "global", "tokens": 7}]}
    async with behind_a_wire(postgresql_url) as (service, wire):
        client = service.client
        id_ = (await client.post("/allocate", json={"agent": "dbt-expert"})).json()["id"]
        wire.loses = 1
        unknown = await client.post(f"/allocations/{id_}/loads", json=loads)
        stands = (await client.get(f"/allocations/{id_}")).json()

    assert_unknown(unknown)
    assert "not known" in unknown.json()["detail"]
    assert stands["loaded"] == 7, "it was booked, and not a second time"


async def test_a_commit_lost_again_and_again_is_not_claimed(postgresql_url: str) -> None:
    event_ = {**EVENT, "id": "mine"}
    async with behind_a_wire(postgresql_url) as (service, wire):
        wire.loses = 2
        unknown = await service.client.post("/usage", json=event_)
        again = await service.client.post("/usage", json=event_)

    assert_unknown(unknown)
    assert again.json()["duplicates"] == 1


async def test_nobody_waits_for_a_postgresql_that_is_frozen(postgresql_url: str) -> None:
    async with behind_a_wire(postgresql_url) as (service, wire):
        client = service.client
        before = (await client.post("/usage", json=EVENT)).json()["ids"]
        wire.hush()
        with anyio.fail_after(40):  # it would be for ever
            refused = await asyncio.gather(
                *(client.post("/usage", json=EVENT) for _ in range(20)),
                *(client.get("/usage") for _ in range(20)),
            )
            soft = await client.post("/allocate", json={"agent": "dbt-expert"})
            ready = await client.get("/readyz")
        wire.speak()
        with anyio.fail_after(40):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 (it polls)
                await asyncio.sleep(0.1)
        after = (await client.post("/usage", json=EVENT)).json()["ids"]
        booked = [one["id"] for one in (await client.get("/usage")).json()["items"]]

    assert sorted(booked) == sorted(before + after), "nothing that was refused was booked"
    assert {answer.status_code for answer in refused} == {503}
    assert (soft.status_code, soft.json()["degraded"]) == (200, True)
    assert ready.status_code == 503
    assert ready.json()["checks"]["database"] != "ok"


async def test_a_stop_does_not_wait_for_a_postgresql_that_is_frozen(postgresql_url: str) -> None:
    with anyio.fail_after(60):
        async with behind_a_wire(postgresql_url) as (service, wire):
            wire.hush()
            asking = asyncio.create_task(service.client.post("/usage", json=EVENT))
            await asyncio.sleep(0.1)
        assert (await asking).status_code == 503


async def test_a_lock_that_somebody_holds_is_not_waited_for(postgresql_url: str) -> None:
    async with running(postgresql_url, scheduler="off") as service:
        with psycopg.connect(postgresql_url) as other:
            other.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
            with anyio.fail_after(60):
                refused, unread = await asyncio.gather(
                    service.client.post("/usage", json=EVENT), service.client.get("/usage")
                )
            other.rollback()
        again = await service.client.post("/usage", json=EVENT)
        booked = (await service.client.get("/usage")).json()["items"]

    assert [one.json()["code"] for one in (refused, unread)] == ["unavailable"] * 2
    assert (again.status_code, len(booked)) == (201, 1)
