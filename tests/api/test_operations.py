"""Prove that operations are booked once over HTTP, and that answers about them are right."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.core.keeping import OPERATION_DAYS
from app.flows.retention import delete_past_keeping
from app.store.tables import operation_days, operation_hours, operations
from tests.running import Running

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def client(service: Running) -> httpx.AsyncClient:
    service.set_clock(NOW)
    return service.client


def op(name: str, after: float = 0.0, seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    started = NOW - timedelta(hours=1) + timedelta(seconds=after)
    return {
        "type": "tool_call",
        "name": name,
        "started_at": started.isoformat(),
        "duration_seconds": seconds,
        **more,
    }


async def book(client: httpx.AsyncClient, body: Any) -> dict[str, Any]:
    answer = await client.post("/operations", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answer = await client.get(f"/operations/{path}", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_operations_become_statistics_by_type_and_by_name(client: httpx.AsyncClient) -> None:
    calls = [op("draft", at, at + 1, type="llm_call", success=at != 3) for at in range(4)]
    booked = await book(client, [*calls, op("search", 20, 2)])
    assert (booked["accepted"], booked["duplicates"], len(booked["ids"])) == (5, 0, 5)

    found = await get(client, "statistics")
    assert (found["count"], found["failed"], found["total_seconds"]) == (5, 1, 12)
    call, tool = found["items"]
    assert (call["type"], call["name"], call["count"], call["failed"]) == ("llm_call", None, 4, 1)
    assert (call["total_seconds"], call["min_seconds"], call["max_seconds"]) == (10, 1, 4)
    assert call["p50_seconds"] == pytest.approx(2.5, rel=0.01)
    assert call["p95_seconds"] == pytest.approx(4, rel=0.01)
    assert call["share_pct"] == pytest.approx(100 * 10 / 12)
    assert (tool["type"], tool["average_seconds"]) == ("tool_call", 2)
    assert found["regressions"] == []
    named = await get(client, "statistics", by="name")
    assert [(one["type"], one["name"]) for one in named["items"]] == [
        ("llm_call", "draft"),
        ("tool_call", "search"),
    ]
    assert (await get(client, "statistics", workspace="other"))["items"] == []


async def test_an_operation_counts_once_however_often_it_comes(client: httpx.AsyncClient) -> None:
    with_id = {**op("a"), "id": "mine"}
    first = await book(client, [with_id, op("b"), op("b")])
    again = await book(client, [with_id, op("b"), op("b")])
    assert first["ids"] == again["ids"]
    assert len(set(first["ids"])) == 3
    assert (first["accepted"], again["accepted"], again["duplicates"]) == (3, 0, 3)
    assert (await get(client, "statistics"))["count"] == 3

    other = await client.post("/operations", json=[op("c"), {**with_id, "duration_seconds": 9}])
    assert (other.status_code, other.json()["code"]) == (409, "id_mismatch")
    assert other.json()["errors"][0]["loc"] == ["body", 1, "id"]
    assert (await get(client, "statistics"))["count"] == 3
    elsewhere = await book(client, [{**with_id, "workspace": "w2"}, op("x")])
    assert elsewhere["accepted"] == 2
    assert (await get(client, "statistics", workspace="w2"))["count"] == 1


async def test_operations_that_come_at_once_are_all_counted_once(
    client: httpx.AsyncClient,
) -> None:
    lists = [[op(f"n{at % 7}", at) for at in range(first, first + 12)] for first in range(0, 60, 4)]
    booked = await asyncio.gather(*(book(client, one) for one in lists))
    distinct = {name for one in booked for name in one["ids"]}
    assert sum(one["accepted"] for one in booked) == len(distinct) == 68
    found = await get(client, "statistics")
    assert (found["count"], found["total_seconds"]) == (68, 68)


async def test_bottlenecks_have_a_severity_and_advice(client: httpx.AsyncClient) -> None:
    await book(
        client,
        [
            op("stage", 0, 10, type="stage", run_id="r"),
            op("call", 1, 8, type="llm_call", parent="stage", run_id="r"),
            op("tiny", 9, 0.01, run_id="r"),
        ],
    )
    worst, stage = (await get(client, "bottlenecks"))["items"]
    assert (worst["type"], worst["name"], worst["severity"]) == ("llm_call", "call", "critical")
    assert worst["share_pct"] == pytest.approx(80, abs=0.2)
    assert "context" in worst["advice"]
    assert (stage["name"], stage["severity"], stage["total_seconds"]) == ("stage", "medium", 2)
    (only,) = (await get(client, "bottlenecks", min_pct=50))["items"]
    assert only["name"] == "call"
    assert len((await get(client, "bottlenecks", min_pct=0))["items"]) == 3


async def test_what_could_run_side_by_side(client: httpx.AsyncClient) -> None:
    await book(
        client,
        [
            op("plan", 0, 1, run_id="r"),
            op("search", 1, 4, run_id="r", depends_on=["plan"]),
            op("read", 5, 3, run_id="r", depends_on=["plan"]),
            op("write", 8, 2, run_id="r", depends_on=["search", "read", "nobody"]),
            op("stranger", 0, 50, run_id="other"),
        ],
    )
    found = await get(client, "parallelism", run_id="r")
    assert found["groups"] == [["search", "read"]]
    assert found["critical_path"] == ["plan", "search", "write"]
    assert (found["saving_pct"], found["saving_seconds"]) == (30, 3)
    (ignored,) = found["ignored"]
    assert (ignored["name"], ignored["depends_on"]) == ("write", "nobody")

    short = await get(client, "parallelism", run_id="r", limit="1")
    assert (short["groups"], short["critical_path"]) == ([["search"]], ["plan"])
    totals = ("groups_total", "critical_total", "ignored_total")
    assert [short[name] for name in totals] == [found[name] for name in totals] == [2, 3, 1]

    missing = await client.get("/operations/parallelism", params={"run_id": "none"})
    assert missing.status_code == 404
    assert (await client.get("/operations/parallelism")).status_code == 422


async def test_a_circle_is_booked_and_answered_by_the_rule(client: httpx.AsyncClient) -> None:
    await book(
        client,
        [
            op("a", 0, 1, run_id="r", depends_on=["b"]),
            op("b", 1, 1, run_id="r", depends_on=["a"], parent="c"),
            op("c", 2, 1, run_id="r", parent="b"),
        ],
    )
    found = await get(client, "parallelism", run_id="r")
    assert found["critical_path"][:1] == ["a"]
    assert [one["name"] for one in found["ignored"]] == ["a"]


async def test_what_became_slower_than_the_week_before_is_named(
    service: Running, client: httpx.AsyncClient
) -> None:
    for days, seconds in ((9, 1.0), (1, 2.0)):
        at = NOW - timedelta(days=days)
        calls = [
            {
                **op("draft", seconds=seconds * (1 + number % 7 / 50)),
                "started_at": (at + timedelta(minutes=number)).isoformat(),
            }
            for number in range(30)
        ]
        await book(client, calls)
    found = await get(client, "statistics", since=(NOW - timedelta(hours=2)).isoformat())
    (slower,) = found["regressions"]
    assert (slower["name"], slower["measure"], slower["count"]) == ("draft", "p50", 30)
    assert slower["slower_pct"] == pytest.approx(100, abs=3)
    assert found["count"] == 0
    assert (await get(client, "statistics"))["count"] == 30


async def test_windows_are_whole_hours_or_days(client: httpx.AsyncClient) -> None:
    await book(client, [op("early", -7200), op("late")])  # at 9:00 and 11:00
    recent = await get(client, "statistics", since="2026-03-14T10:30:00Z")
    assert recent["window"]["since"] == "2026-03-14T10:00:00Z"
    assert recent["count"] == 1
    past = await get(
        client, "statistics", since="2026-03-14T08:59:00Z", until="2026-03-14T09:30:00Z"
    )
    assert (past["count"], past["window"]["until"]) == (1, "2026-03-14T10:00:00Z")
    days = await get(client, "statistics", since="2026-03-01T10:30:00Z")
    assert (days["count"], days["window"]["since"]) == (2, "2026-03-01T00:00:00Z")
    nothing = await get(
        client, "statistics", since="2026-03-20T00:00:00Z", until="2026-03-10T00:00:00Z"
    )
    assert nothing["count"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"duration_seconds": -1},
        {"duration_seconds": 1e300},
        {"duration_seconds": "1"},
        {"duration_seconds": None},
        {"started_at": "yesterday"},
        {"started_at": "2026-03-14T14:00:00Z"},
        {"started_at": "1969-01-01T00:00:00Z"},
        {"started_at": "0001-01-01T00:00:00+14:00"},
        {"type": ""},
        {"type": "a\nb"},
        {"name": "x" * 201},
        {"name": None},
        {"parent": "a"},
        {"depends_on": ["a"]},
        {"depends_on": "b"},
        {"depends_on": [f"b{at}" for at in range(65)]},
        {"run_id": ""},
        {"ended_at": "2026-03-14T11:00:00Z"},
        {"id": "a/b"},
        {"workspace": "*"},
    ],
)
async def test_bad_operations_are_refused_with_nothing_stored(
    light_service: Running, change: dict[str, Any]
) -> None:
    light_service.set_clock(NOW)
    client = light_service.client
    answer = await client.post("/operations", json=[op("b"), {**op("a"), **change}])
    assert answer.status_code == 422, answer.text
    assert "errors" in answer.json()
    assert (await get(client, "statistics"))["count"] == 0


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", "null", "[null]", "7", '[{"type":NaN}]', "[" * 500]
)
async def test_bodies_that_are_no_operations_are_refused(
    light_client: httpx.AsyncClient, body: str
) -> None:
    answer = await light_client.post("/operations", content=body)
    assert answer.status_code == 422, answer.text


async def test_too_many_at_once_are_refused(light_client: httpx.AsyncClient) -> None:
    answer = await light_client.post("/operations", json=[op("a")] * 10_001)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("bottlenecks", {"min_pct": "101"}),
        ("bottlenecks", {"min_pct": "nan"}),
        ("statistics", {"by": "agent"}),
        ("statistics", {"since": "soon"}),
        ("statistics", {"stray": "1"}),
        ("parallelism", {"run_id": "a\nb"}),
        ("parallelism", {"run_id": "a", "limit": "1001"}),
    ],
)
async def test_bad_questions_are_refused(
    light_client: httpx.AsyncClient, path: str, params: dict[str, str]
) -> None:
    assert (await light_client.get(f"/operations/{path}", params=params)).status_code == 422


async def test_a_day_of_many_names_stays_bounded(client: httpx.AsyncClient) -> None:
    for start in range(0, 1_500, 500):
        await book(client, [op(f"n{at}", type=f"t{at % 3}") for at in range(start, start + 500)])
    found = await get(client, "statistics", by="name")
    assert found["count"] == 1_500
    assert len(found["items"]) <= 1_003
    assert sum(one["count"] for one in found["items"] if one["name"] == "(other)") == 500


async def test_old_operations_go_and_are_not_booked_again(
    service: Running, client: httpx.AsyncClient
) -> None:
    old = {**op("a"), "started_at": (NOW - timedelta(days=OPERATION_DAYS + 1)).isoformat()}
    await book(client, [old, op("b")])
    house = service.house
    removed = await delete_past_keeping(house.store, house.shelf, house.now_micros())
    assert (removed["operations"], removed["operation_hours"]) == (1, 1)

    def rows(table: Any) -> int:
        return len(house.store.read_now(lambda tx: tx.connection.execute(select(table)).all()))

    assert (rows(operations), rows(operation_hours), rows(operation_days)) == (1, 1, 2)
    again = await client.post("/operations", json=old)
    assert (again.status_code, again.json()["code"]) == (422, "too_old")
    assert again.json()["errors"][0]["loc"][-1] == "started_at"
    past = await get(client, "statistics", since=(NOW - timedelta(days=40)).isoformat())
    assert past["count"] == 2
