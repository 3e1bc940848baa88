"""Prove what operators see: health, readiness, version, counters, and a log without user text."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app import __version__
from app.store.database import Store
from app.store.engines import make_engine
from app.store.processlock import DatabaseInUse
from app.store.usage import count_all
from tests.running import Running, Served, running, served, stop

MARKER = "xyzzy-marker-7731"


async def test_the_service_says_how_it_is(service: Running) -> None:
    client = service.client
    health = await client.get("/healthz")
    ready = await client.get("/readyz")
    version = await client.get("/version")

    assert health.json() == {"status": "ok"}
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert set(ready.json()["checks"]) >= {"database", "migrations", "writer", "policy"}
    assert version.json()["version"] == __version__


async def test_a_schema_of_another_version_is_not_ready(service: Running) -> None:
    with service.house.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'another'")

    ready = await service.client.get("/readyz")

    assert ready.status_code == 503
    assert "migrate" in ready.json()["checks"]["migrations"]
    assert (await service.client.get("/healthz")).status_code == 200


async def test_counters_name_routes_and_no_values(light_client: httpx.AsyncClient) -> None:
    body = {"max_tokens": 1, "user": MARKER}
    id_ = (await light_client.post("/allocate", json=body)).json()["id"]
    before = await _count(light_client, "/allocations/{id}")
    await light_client.get(f"/allocations/{id_}")
    await light_client.get(f"/{MARKER}")
    await light_client.request(MARKER, "/healthz")

    text = (await light_client.get("/metrics")).text

    assert await _count(light_client, "/allocations/{id}") == before + 1
    assert 'route="/allocate"' in text
    assert 'route="unmatched",status="404"' in text
    assert MARKER not in text
    assert id_ not in text


async def _count(client: httpx.AsyncClient, route: str) -> float:
    wanted = f'membudget_requests_total{{method="GET",route="{route}",status="200"}} '
    for line in (await client.get("/metrics")).text.splitlines():
        if line.startswith(wanted):
            return float(line.removeprefix(wanted))
    return 0.0


def send(process: Served, method: str, path: str, **more: Any) -> httpx.Response:
    """A request to a served process."""
    return httpx.request(method, process.url + path, timeout=20, **more)


def test_no_user_text_comes_into_the_log(database_url: str, serve: Callable[..., Served]) -> None:
    process = serve(database_url, access_log="true")
    body = {
        "agent": MARKER,
        "task": f"Analyze {MARKER}",
        "user": MARKER,
        "project": MARKER,
        "session_id": MARKER,
        "workspace": MARKER,
    }
    usage = {
        "id": MARKER,
        "agent": MARKER,
        "task": MARKER,
        "error": MARKER,
        "budget_tokens": 1,
        "used_tokens": 1,
        "metadata": {MARKER: MARKER},
    }
    key = {"Idempotency-Key": MARKER}
    answers = [
        send(process, "POST", "/allocate", json=body, headers=key),
        send(process, "POST", "/allocate", json={**body, "task": "x"}, headers=key),
        send(process, "POST", "/allocate", json={**body, "complexity": MARKER}),
        send(process, "POST", "/usage", json=usage),
        send(process, "POST", "/usage", json={**usage, "used_tokens": 2}),
        send(process, "POST", "/usage", content=MARKER),
        send(process, "POST", "/complexity", json={"text": MARKER}),
        send(process, "GET", f"/{MARKER}?q={MARKER}"),
        send(process, "GET", f"/allocations/{MARKER}?workspace={MARKER}"),
        send(process, "GET", f"/usage?agent={MARKER}&workspace={MARKER}"),
        send(process, "PUT", f"/profiles/{MARKER}", json={MARKER: MARKER}),
    ]
    break_rows(database_url)
    faults = [
        send(process, "GET", f"/usage?workspace={MARKER}&agent={MARKER}"),
        send(process, "GET", f"/allocations?workspace={MARKER}"),
    ]
    assert stop(process) == 0

    assert {answer.status_code for answer in answers} == {200, 201, 404, 409, 422}
    assert faults[-1].status_code == 500
    lines = [json.loads(line) for line in process.log_lines()]
    assert {"started", "request", "fault", "stopped"} <= {line["event"] for line in lines}
    assert [line for line in process.log_lines() if MARKER in line] == []
    assert all("server" not in answer.headers for answer in (*answers, *faults))


def break_rows(database_url: str) -> None:
    """Make every allocation unreadable, with text of a user in it."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE allocations SET monitor = '{{\"{MARKER}\"'")
    engine.dispose()


def test_a_stop_loses_nothing_and_says_goodbye(
    database_url: str, serve: Callable[..., Served]
) -> None:
    first = serve(database_url)
    event = {"agent": "a", "budget_tokens": 10, "used_tokens": 5}
    with ThreadPoolExecutor(8) as clients:
        posted = [clients.submit(_post_until_it_ends, first, event) for _ in range(8)]
        time.sleep(0.5)
        assert stop(first) == 0
        acknowledged = sum(one.result() for one in posted)

    store = Store(database_url)
    booked = store.read_now(count_all)
    store.close()
    assert acknowledged > 8
    assert booked == acknowledged


def _post_until_it_ends(process: Served, event: dict[str, Any]) -> int:
    acknowledged = 0
    with httpx.Client(base_url=process.url, timeout=20) as client:
        while True:
            try:
                response = client.post("/usage", json=event)
            except httpx.TransportError:
                return acknowledged
            if response.status_code == 503:
                return acknowledged
            assert response.status_code == 201, response.text
            acknowledged += 1


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /allocate HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /allocate HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{",
        b"GET /allocations/%zz%00 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /allocations?cursor=%ed%a0%80 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_what_is_hardly_http_does_no_harm(wire_target: Served, raw: bytes) -> None:
    address = httpx.URL(wire_target.url)
    with socket.create_connection((address.host, address.port or 80), timeout=10) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))

    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:300]
    assert send(wire_target, "GET", "/healthz").status_code == 200
    assert [line for line in wire_target.log_lines() if '"fault"' in line] == []


@pytest.fixture(scope="module")
def wire_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One served process for requests that must not hurt it."""
    folder = tmp_path_factory.mktemp("wire")
    with served(f"sqlite:///{folder / 'wire.db'}", folder) as process:
        yield process


async def test_a_second_instance_on_the_same_file_is_refused(
    light_service: Running, sqlite_url: str
) -> None:
    with pytest.raises(DatabaseInUse, match="http://127"):
        async with running(sqlite_url):
            pass
    assert (await light_service.client.get("/readyz")).status_code == 200
