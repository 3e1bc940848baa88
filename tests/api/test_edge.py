"""Prove that every error is a problem document that says what to change, and repeats no input."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import event, make_url

from app.store.database import Tx
from app.store.pacing import TRAFFIC
from tests.running import Running, Wire, running

MARKER = "xyzzy-marker-7731"
FIELDS = {"type", "title", "status", "detail", "instance", "code"}


def assert_problem(response: httpx.Response, status: int, code: str | None = None) -> None:
    """A problem document with all its members."""
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) >= FIELDS
    assert problem["status"] == status
    assert problem["instance"] == response.request.url.path
    assert problem["detail"]
    assert code is None or problem["code"] == code
    assert "Traceback" not in response.text


async def test_a_path_that_is_not_there(light_client: httpx.AsyncClient) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        response = await light_client.request(method, "/nowhere")
        assert_problem(response, 404, "not_found")
    assert_problem(await light_client.get("/allocations/"), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/allocate", {"POST"}),
        ("PUT", "/allocations", {"GET", "DELETE"}),
        ("POST", "/healthz", {"GET"}),
        ("DELETE", "/usage", {"GET", "POST"}),
        ("OPTIONS", "/usage", {"GET", "POST"}),
        ("BREW", "/usage", {"GET", "POST"}),
    ],
)
async def test_a_method_that_a_path_does_not_take(
    light_client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    response = await light_client.request(method, path)
    assert_problem(response, 405, "method_not_allowed")
    named = {name.strip() for name in response.headers["allow"].split(",")}
    assert named - {"HEAD", "OPTIONS"} == allowed


BREAKING = ["a\u009b2Jb", "a\u0085b", "a\u2028b", "a\x1bb", "a\nb"]
UNSEEN = [" ", "   ", "\u202e", "\u200b", "\ufeff", " \u2067 "]
RUN: dict[str, Any] = {"agent": "a", "budget_tokens": 9, "used_tokens": 1}
PROFILE = {"base_budget": 1, "max_budget": 1, "scope_weights": {"global": 1}}
STEP: dict[str, Any] = {
    "type": "io",
    "name": "read",
    "started_at": "2026-11-21T08:00:00Z",
    "duration_seconds": 1,
}


@pytest.mark.parametrize("name", UNSEEN, ids=ascii)
async def test_a_name_that_nobody_sees(light_client: httpx.AsyncClient, name: str) -> None:
    for field in ("agent", "workspace", "project", "user", "run_id", "model", "stage", "id"):
        answer = await light_client.post("/usage", json={**RUN, field: name})
        assert_problem(answer, 422)
        assert "of which something can be seen" in answer.text
    for field in ("agent", "workspace", "user", "model"):
        answer = await light_client.post("/allocate", json={"agent": "a", field: name})
        assert_problem(answer, 422)
    for field in ("type", "name", "run_id", "parent"):
        answer = await light_client.post("/operations", json={**STEP, field: name})
        assert_problem(answer, 422)
    for path in (f"/costs/budgets/{quote(name)}", f"/profiles/{quote(name)}"):
        assert_problem(await light_client.put(path, json={"usd": 1, "window": "day"}), 422)
    answer = await light_client.get("/usage", params={"workspace": name})
    assert_problem(answer, 422)


@pytest.mark.parametrize("name", BREAKING, ids=ascii)
async def test_a_name_that_steers_a_terminal(light_client: httpx.AsyncClient, name: str) -> None:
    for field in ("agent", "workspace", "project", "user", "run_id", "model", "stage", "id"):
        answer = await light_client.post("/usage", json={**RUN, field: name})
        assert_problem(answer, 422)
        assert "without control characters" in answer.text or "one line" in answer.text
    answer = await light_client.post("/keys", json={"name": name, "scopes": ["admin"]})
    assert_problem(answer, 422)
    file = {"profiles": {name: PROFILE}}
    assert_problem(await light_client.post("/config/import", json=file), 422, "invalid_policy")


@pytest.mark.parametrize("name", [".", "..", " .\u200b"], ids=ascii)
async def test_a_name_that_leads_elsewhere_in_a_path(
    light_client: httpx.AsyncClient, name: str
) -> None:
    for field in ("workspace", "project", "id"):
        answer = await light_client.post("/usage", json={**RUN, field: name})
        assert_problem(answer, 422)
        assert "beside dots" in answer.text
    answer = await light_client.post("/memories", json={"text": "a", "id": name})
    assert_problem(answer, 422)
    for file in ({"profiles": {name: PROFILE}}, {"agent_assignments": {f"a/{name}": "x"}}):
        answer = await light_client.post("/config/import", json={"profiles": {}, **file})
        assert_problem(answer, 422, "invalid_policy")
        assert "beside dots" in answer.text


async def test_a_name_may_hold_what_is_unseen(light_client: httpx.AsyncClient) -> None:
    for name in ("شركة\u200fالأولى", "two words", "v1.", ".env", "\u2066a\u2069", "é"):
        answer = await light_client.post("/usage", json={**RUN, "user": name})
        assert answer.status_code == 201


async def test_head_is_no_fault(light_client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/allocations", "/nowhere"):
        response = await light_client.head(path)
        assert response.status_code in (200, 404, 405)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"agent=dbt-expert",
        b"\xff\xfe{}",
        b'{"agent": "\xff"}',
        b'{"agent": "dbt-expert",}',
        b'{"agent": "dbt-expert"} {"x": 1}',
        b'{"agent": "\\ud800"}',
        b'{"agent": "a\\u0000b"}',
        b'{"agent": "x", "task": "a\\u0000b"}',
        b'{"agent": "x", "max_tokens": NaN}',
        b'{"agent": "x", "max_tokens": Infinity}',
        b'{"agent": "x", "max_tokens": 1e999}',
        b'{"agent": "x", "memories": [{"id": "m", "tokens": 1, "metadata": {"a": NaN}}]}',
        b'{"agent": "x", "memories": [{"id": "m", "tokens": 1, "relevance": NaN}]}',
        b'{"agent": "x", "context": {"other": -Infinity}}',
        b'{"agent": "x", "context": {"other": 1e400}}',
        b'{"agent": "x", "context": {"other": [{"deep": -1e400}]}}',
        b'{"agent": "x", "context": {"other": 1' + b"0" * 400 + b".0}}",
        b'{"agent": "x", "memories": [{"id": "m", "tokens": 1, "metadata": {"a": 1e400}}]}',
        b'{"agent": "x", "memories": [{"id": "m", "tokens": 1, "metadata": {"a": [1e400]}}]}',
        b'{"agent": "x", "memories": [{"id": "m", "tokens": 1, "other": {"a": 1e400}}]}',
        b'{"agent": "x", "context": {"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b"[" * 1_000_000,
        b'{"agent": "x", "max_tokens": ' + b"9" * 100_000 + b"}",
        b'{"agent": {"a": {"b": []}}}',
        b'{"agent": "x", "agent": "x"}',
    ],
    ids=lambda raw: repr(raw[:44]),
)
@pytest.mark.parametrize("path", ["/allocate", "/usage"])
async def test_a_body_that_is_no_json_of_ours(
    light_client: httpx.AsyncClient, path: str, raw: bytes
) -> None:
    headers = {"content-type": "application/json"}
    response = await light_client.post(path, content=raw, headers=headers)
    assert_problem(response, 422)
    assert len(response.content) < 3_000


@pytest.mark.parametrize("path", ["/allocate", "/usage", "/allocations/alc_x_00000/loads"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
async def test_a_body_that_is_too_large(sqlite_url: str, path: str, is_chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 100

    async with running(sqlite_url, body_limit_bytes=2_000) as service:
        content = chunks() if is_chunked else b" " * 4_000
        response = await service.client.post(path, content=content)
        assert_problem(response, 413, "body_too_large")
        assert (await service.client.post("/allocate", json={"max_tokens": 1})).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/allocate", {"agent": MARKER, "strict": True, "complexity": MARKER}),
        ("POST", "/allocate", {"agent": "x", "task": [MARKER]}),
        ("POST", "/allocate", {"agent": "x", "max_tokens": MARKER}),
        ("POST", "/allocate", {"agent": "x", "as_of": MARKER}),
        ("POST", "/allocate", {"agent": "x", "project": f"{MARKER}/x"}),
        ("POST", "/allocate", {"agent": "x", "context": {"previous_complexity": MARKER}}),
        ("POST", "/allocate", {"agent": "x", "memories": [{"id": MARKER, "tokens": -1}]}),
        ("POST", "/allocate", {"agent": "x", "memories": [{"id": MARKER}]}),
        ("POST", "/usage", {"agent": MARKER, "task": MARKER, "budget_tokens": -1}),
        ("POST", "/usage", [{"agent": MARKER, "metadata": MARKER}]),
        ("POST", "/usage", {"agent": "x", "timestamp": MARKER}),
        ("POST", "/usage", {"agent": "x", "cost_usd": MARKER}),
        ("POST", "/allocations/alc_x_00000/finish", {"success": MARKER}),
        ("POST", "/complexity", {"text": [MARKER]}),
        ("POST", "/complexity", {"text": "x", "kind": MARKER}),
        ("GET", f"/allocations?state={MARKER}", None),
        ("GET", f"/allocations?since={MARKER}", None),
        ("GET", f"/allocations?cursor={MARKER}", None),
        ("GET", f"/usage/analytics?by={MARKER}", None),
        ("GET", f"/usage/analytics?days={MARKER}", None),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_was_sent_is_not_repeated(
    light_client: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    response = await light_client.request(method, path, json=body)
    assert 400 <= response.status_code < 500
    assert MARKER not in response.text


async def test_a_field_with_an_absurd_name_is_named_briefly(
    light_client: httpx.AsyncClient,
) -> None:
    body = {"agent": "x", **{f"{n}" + "y" * 100_000: 1 for n in range(60)}}
    response = await light_client.post("/allocate", json=body)
    assert_problem(response, 422)
    assert len(response.content) < 20_000


async def test_a_fault_inside_gives_nothing_away(
    light_service: Running, log: list[dict[str, Any]]
) -> None:
    """A row that is no JSON any more is a fault that nobody foresaw."""
    client = light_service.client
    await client.post("/allocate", json={"max_tokens": 1})
    with light_service.house.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE allocations SET monitor = '{secret-row'")
    log.clear()

    response = await client.get("/allocations")
    metrics = (await client.get("/metrics")).text

    assert_problem(response, 500, "internal_error")
    assert "secret-row" not in response.text
    assert [line["event"] for line in log] == ["fault"]
    assert 'route="/allocations",status="500"' in metrics
    assert 'status="0"' not in metrics


async def test_a_client_that_leaves_in_the_middle_is_no_fault(
    light_service: Running, log: list[dict[str, Any]]
) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    log.clear()
    for path in ("/allocate", "/usage", "/allocations/alc_x_00000/loads"):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-length", b"10")],
            "server": ("membudget", 80),
            "client": ("127.0.0.1", 1),
        }
        await light_service.app(scope, receive, send)
    assert (sent, log) == ([], [])


async def test_a_text_about_nul_is_no_nul(light_client: httpx.AsyncClient) -> None:
    task = "Strip \\u0000 from NaN-like strings"
    response = await light_client.post("/allocate", json={"agent": "dbt-expert", "task": task})
    assert response.status_code == 201


async def test_no_request_stays_in_flight(light_client: httpx.AsyncClient) -> None:
    body = {"agent": "dbt-expert"}
    before = TRAFFIC.came
    assert (await light_client.post("/allocate", json=body)).status_code == 201
    assert (await light_client.post("/allocate", json={"agent": 1})).status_code == 422
    assert (await light_client.post("/usage", content=b"{")).status_code == 422
    cancelled = asyncio.create_task(light_client.post("/allocate", json=body))
    for _ in range(1_000):
        if TRAFFIC.came == before + 4:
            break
        await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert not TRAFFIC.wait(0)


async def test_a_store_that_is_closed_answers_without_a_record(light_service: Running) -> None:
    await asyncio.to_thread(light_service.house.store.close)
    event_ = {"agent": "a", "budget_tokens": 1, "used_tokens": 1}

    allocation = await light_service.client.post("/allocate", json={"agent": "dbt-expert"})
    usage = await light_service.client.post("/usage", json=event_)
    ready = await light_service.client.get("/readyz")

    assert allocation.status_code == 200
    assert (allocation.json()["id"], allocation.json()["degraded"]) == (None, True)
    assert_problem(usage, 503, "unavailable")
    assert ready.status_code == 503
    assert ready.json()["checks"]["writer"] != "ok"


async def test_no_pool_is_drawn_from_without_a_database(light_service: Running) -> None:
    client = light_service.client
    pool = (await client.post("/pools", json={"tokens": 100_000})).json()["id"]
    await asyncio.to_thread(light_service.house.store.close)

    drawn = await client.post("/allocate", json={"agent": "dbt-expert", "pool": pool})

    assert_problem(drawn, 503, "unavailable")


EVENT = {"agent": "dbt-expert", "budget_tokens": 10, "used_tokens": 5}
STRICT = {
    "description": "",
    "base_budget": 100,
    "max_budget": 100,
    "scope_weights": {"global": 1},
    "enforcement": "hard",
}


async def prepare(client: httpx.AsyncClient) -> str:
    """Make an agent with a hard budget and one allocation; answers its id."""
    for path, body in (
        ("/profiles/strict", STRICT),
        ("/agents/helpers/strict", {"profile": "strict"}),
    ):
        put = await client.put(path, json=body)
        assert put.is_success, put.text
    response = await client.post("/allocate", json={"agent": "helpers/strict"})
    assert response.status_code == 201
    id_: str = response.json()["id"]
    return id_


async def assert_degraded(client: httpx.AsyncClient, id_: str, status: int, code: str) -> None:
    """Budgets are still answered; what must be recorded is refused and may be tried again."""
    soft = await client.post("/allocate", json={"agent": "dbt-expert", "complexity": "complex"})
    assert soft.status_code == 200, soft.text
    answer = soft.json()
    assert (answer["id"], answer["degraded"], answer["budget"]["tokens"]) == (None, True, 30_000)
    assert answer["degraded_reason"]
    for path, body in (
        ("/allocate", {"agent": "helpers/strict"}),
        ("/usage", EVENT),
        (f"/allocations/{id_}/loads", {"loads": [{"scope": "global", "tokens": 1}]}),
        (f"/allocations/{id_}/finish", {}),
    ):
        refused = await client.post(path, json=body)
        assert_problem(refused, status, code)
        assert int(refused.headers["retry-after"]) >= 1


async def assert_healed(client: httpx.AsyncClient, id_: str) -> None:
    """Everything is recorded again, and nothing was in between."""
    again = await client.post("/allocate", json={"agent": "dbt-expert"})
    assert (again.status_code, again.json()["degraded"]) == (201, False)
    assert (await client.get(f"/allocations/{id_}")).json()["loaded"] == 0
    assert (await client.post("/usage", json=EVENT)).status_code == 201
    assert (await client.get("/usage/analytics")).json()["overall"]["executions"] == 1
    assert len((await client.get("/allocations")).json()["items"]) == 2
    assert (await client.get("/readyz")).status_code == 200


async def test_postgresql_goes_away_and_comes_back(postgresql_url: str) -> None:
    there = make_url(postgresql_url)
    wire = Wire(there.host or "127.0.0.1", there.port or 5432)
    await wire.mend()
    url = there.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    async with running(url, database_admin_url=postgresql_url) as service:
        id_ = await prepare(service.client)
        await wire.cut()

        await assert_degraded(service.client, id_, 503, "unavailable")
        ready = await service.client.get("/readyz")
        health = await service.client.get("/healthz")

        await wire.mend()
        await assert_healed(service.client, id_)
    await wire.cut()
    assert (ready.status_code, health.status_code) == (503, 200)
    assert ready.json()["checks"]["database"] != "ok"


async def test_a_connection_lost_while_nobody_wrote_is_replaced(postgresql_url: str) -> None:
    there = make_url(postgresql_url)
    wire = Wire(there.host or "127.0.0.1", there.port or 5432)
    await wire.mend()
    url = there.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    async with running(url, database_admin_url=postgresql_url) as service:
        id_ = await prepare(service.client)
        await wire.cut()
        await wire.mend()
        await assert_healed(service.client, id_)
    await wire.cut()


class Disk:
    """The disk under a service on SQLite, which a test can fill."""

    def __init__(self, service: Running) -> None:
        self._store = service.house.store
        self._is_full = False
        event.listen(self._store.engine, "checkout", self._limit)

    async def fill(self) -> None:
        """From now on the file may not grow by a page."""
        self._is_full = True
        await self._store.write_alone(lambda tx: self._limit(_driver(tx)))  # it keeps its own

    def empty(self) -> None:
        """Let it grow again."""
        self._is_full = False

    def _limit(self, connection: sqlite3.Connection, *_: object) -> None:
        pages = 1 if self._is_full else 1_000_000_000
        connection.execute(f"PRAGMA max_page_count={pages}").close()


def _driver(tx: Tx) -> sqlite3.Connection:
    connection = tx.connection.connection.driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


async def test_a_full_disk_is_said_and_survived(light_service: Running) -> None:
    client, disk = light_service.client, Disk(light_service)
    id_ = await prepare(client)
    long_ = {**EVENT, "metadata": {"text": "x" * 60_000}}
    memories = [{"id": f"{n}" + "m" * 390, "tokens": 1} for n in range(400)]

    await disk.fill()
    refused = await client.post("/usage", json=[long_] * 20)
    soft = await client.post("/allocate", json={"agent": "dbt-expert", "memories": memories})
    disk.empty()

    assert_problem(refused, 507, "storage_full")
    assert "retry-after" in refused.headers
    assert (soft.status_code, soft.json()["degraded"]) == (200, True)
    await assert_healed(client, id_)


async def test_a_sqlite_file_that_another_program_holds(light_service: Running) -> None:
    engine = light_service.house.store.engine
    event.listen(engine, "checkout", _be_impatient)
    id_ = await prepare(light_service.client)
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await assert_degraded(light_service.client, id_, 503, "unavailable")
        assert (await light_service.client.get(f"/allocations/{id_}")).status_code == 200
        held = await light_service.client.get("/readyz")
        assert held.status_code == 503
        assert held.json()["checks"]["writer"] != "ok"
        other.execute("ROLLBACK")
    assert (await light_service.client.get("/readyz")).status_code == 200
    await assert_healed(light_service.client, id_)


def _be_impatient(connection: sqlite3.Connection, *_: object) -> None:
    connection.execute("PRAGMA busy_timeout=20").close()


async def test_a_queue_that_is_full_says_so(sqlite_url: str) -> None:
    async with running(sqlite_url, write_queue_limit=2) as service:
        event.listen(service.house.store.engine, "checkout", _be_impatient)
        path = str(service.house.store.engine.url.database)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers = await asyncio.gather(
                *(service.client.post("/usage", json=EVENT) for _ in range(20))
            )
            other.execute("ROLLBACK")
        assert {answer.status_code for answer in answers} == {503}
        assert any("waiting" in answer.json()["detail"] for answer in answers)
        assert (await service.client.post("/usage", json=EVENT)).status_code == 201
