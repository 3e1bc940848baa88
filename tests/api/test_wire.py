"""Prove that what comes over the wire, or does not come, hurts nobody: real sockets throughout."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.commands import wire
from app.commands.service import Inner
from app.commands.serving import configure
from tests.running import Running

HOST = b"host: x\r\n"
CLOSE = b"connection: close\r\n"
Address = tuple[str, int]


@asynccontextmanager
async def listening(service: Running) -> AsyncIterator[tuple[Address, Inner]]:
    """The service on a port, in this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = asyncio.Event()
        server = Inner(configure(service.app, shutdown_seconds=1), started.set)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await started.wait()
        try:
            yield listener.getsockname(), server
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def address(light_service: Running) -> AsyncIterator[Address]:
    async with listening(light_service) as (found, _):
        yield found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service without patience, so that tests need none."""
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(wire, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(wire, "WATCH_SECONDS", 0.1)


async def say(address: Address, *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything that is answered until the service closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something of uvicorn's that tells nobody."""
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came about")


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    head = b"POST %s HTTP/1.1\r\n" % path.encode() + HOST + CLOSE
    head += b"content-length: %d\r\n" % len(body) + b"".join(one + b"\r\n" for one in headers)
    return head + b"\r\n" + body


def problem_in(answer: bytes) -> tuple[int, str]:
    """Status and code of an answer that is a problem document."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower(), answer[:300]
    problem = json.loads(body)
    assert problem["detail"]
    assert int(answer.split()[1]) == problem["status"]
    return problem["status"], problem["code"]


NO_HTTP = [
    b"GARBAGE\r\n\r\n",
    b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n"
    b"0\r\n\r\nX",
    b"POST /usage HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n"
    b"0\r\n\r\nX",
    b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: 6\r\ncontent-length: 5\r\n\r\n{}",
    b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: +6\r\n\r\n{}",
    b"POST /usage HTTP/1.1\r\n" + HOST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST /usage HTTP/1.1\r\n"
    + HOST
    + b"transfer-encoding: chunked\r\n\r\n"
    + b"f" * 19
    + b"\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"host: y\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"x : a\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"x: a\r\n b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"x: a\x00b\r\n\r\n",
]


@pytest.mark.parametrize("raw", NO_HTTP, ids=lambda raw: repr(raw[-44:]))
async def test_what_is_no_http_is_400_and_the_end(address: Address, raw: bytes) -> None:
    assert problem_in(await say(address, raw)) == (400, "bad_request")


async def test_who_speaks_the_older_http_may_leave_out_the_host(address: Address) -> None:
    assert (await say(address, b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_the_log_counts_what_is_no_http(
    address: Address, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.LOG, "filters", [wire.Seldom()])
    for _ in range(20):
        await say(address, b"GARBAGE\r\n\r\n")
    assert caplog.messages == ["Invalid HTTP request received."]
    monkeypatch.setattr(wire, "LOG_SECONDS", 0.01)
    wire.LOG.warning("another")
    await asyncio.sleep(0.05)
    wire.LOG.warning("another")
    assert caplog.messages[1:] == ["another", "another"]


def test_the_log_says_how_often_it_was_silent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.LOG, "filters", [wire.Seldom()])
    monkeypatch.setattr(wire, "LOG_SECONDS", 0.5)
    for _ in range(3):
        wire.LOG.warning("no HTTP")
    time.sleep(0.6)
    wire.LOG.warning("no HTTP")
    assert caplog.messages == ["no HTTP", "no HTTP (2 more since the last line)"]


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"x: " + b"a" * 70_000 + b"\r\n\r\n",),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"x: a\r\n" * 201 + b"\r\n",),
        (b"GET /healthz HTTP/1.1\r\n" + HOST, *[b"x: " + b"a" * 9_000 + b"\r\n"] * 20),
        (b"GET /healthz HTTP/1.1\r\n" + HOST, *[b"x: " + b"a" * 9_000 + b"\r\n"] * 8, b"\r\n"),
    ],
    ids=["one large", "a long path", "many", "without an end", "in pieces"],
)
async def test_a_head_has_bounds(address: Address, parts: tuple[bytes, ...]) -> None:
    answer = await say(address, *parts, pause=0.01)
    assert answer == b"" or problem_in(answer) == (431, "header_too_large")
    fine = b"GET /healthz HTTP/1.1\r\n" + HOST + CLOSE + b"x: a\r\n" * 150 + b"\r\n"
    assert (await say(address, fine)).startswith(b"HTTP/1.1 200")


CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
WHOLE = b"11\r\n" + b'{"max_tokens": 1}' + b"\r\n0\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [(b"0\r\n", b"x: a\r\n"), (b"0\r\nx: ", b"a"), (b"2;", b"a"), (WHOLE, b"x: a\r\n")],
    ids=["trailers", "one trailer", "a chunk's extension", "trailers after a good body"],
)
async def test_what_stands_beside_a_body_has_bounds(
    address: Address, begins: bytes, goes_on: bytes
) -> None:
    head = b"POST /allocate HTTP/1.1\r\n" + HOST + CHUNKED
    many = goes_on * (16_384 // len(goes_on))
    answer = await say(address, head + begins, *[many] * 6, pause=0.01)
    assert answer == b"" or problem_in(answer) == (431, "header_too_large")


async def test_trailers_are_not_kept(light_service: Running) -> None:
    head = b"POST /allocate HTTP/1.1\r\n" + HOST + CLOSE + CHUNKED
    async with listening(light_service) as (address, server):
        _, writer = await asyncio.open_connection(*address)
        writer.write(head + WHOLE + b"x: a\r\n" * 1_000)
        await until(lambda: any(one.cycle for one in server.server_state.connections))
        (connection,) = server.server_state.connections
        kept = list(connection.headers)
        writer.close()
        answer = await say(address, head + WHOLE + b"x: a\r\n\r\n")
    assert (b"x", b"a") not in kept
    assert answer.startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("length", [10**18 - 1, 2**63, 2**64 - 1])
async def test_a_length_beyond_all_bounds_is_refused_at_once(address: Address, length: int) -> None:
    declared = b"content-length: %d\r\n\r\n" % length
    for path in (b"/usage", b"/usage/import"):
        answer = await say(address, b"POST " + path + b" HTTP/1.1\r\n" + HOST + declared)
        assert problem_in(answer) == (413, "body_too_large")


async def test_zeros_before_a_length_mean_nothing(address: Address) -> None:
    body = b'{"max_tokens": 1}'
    for zeros in (1, 30, 6_000):
        raw = post("/allocate", body).replace(b"length: ", b"length: " + b"0" * zeros)
        assert (await say(address, raw)).startswith(b"HTTP/1.1 201")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HT",
        b"GET /healthz HTTP/1.1\r\n" + HOST,
        b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: 100\r\n\r\n{",
        b"POST /allocate HTTP/1.1\r\n" + HOST + b"content-length: 100\r\n\r\n",
        b"POST /usage/import HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\nff\r\n{",
    ],
    ids=lambda raw: repr(raw[:30]),
)
async def test_a_client_that_does_not_finish_is_dropped(address: Address, raw: bytes) -> None:
    assert problem_in(await say(address, raw)) == (408, "too_slow")


@pytest.mark.usefixtures("hasty")
async def test_a_client_that_drips_is_dropped(address: Address) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: 100000\r\n\r\n")
    reading = asyncio.create_task(reader.readuntil(b"}"))
    while not reading.done():
        writer.write(b" ")
        await asyncio.sleep(0.05)
    writer.close()
    assert problem_in(reading.result()) == (408, "too_slow")


@pytest.mark.usefixtures("hasty")
async def test_who_is_slow_and_goes_on_is_served(address: Address) -> None:
    body = b'{"max_tokens": 1}' + b" " * 20_000
    whole = post("/allocate", body)
    parts = [whole[at : at + 2_000] for at in range(0, len(whole), 2_000)]
    assert (await say(address, *parts, pause=0.05)).startswith(b"HTTP/1.1 201")


async def test_an_answer_nobody_takes_is_dropped(
    light_service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "UNTAKEN_SECONDS", 0.3)
    event = {"agent": "a", "task": "x" * 5_000, "budget_tokens": 2, "used_tokens": 1}
    for _ in range(4):
        await light_service.client.post("/usage", json=[event] * 1_000)
    loop = asyncio.get_running_loop()
    async with listening(light_service) as (address, server):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            await loop.sock_connect(client, address)
            await loop.sock_sendall(client, b"GET /usage/export HTTP/1.1\r\n" + HOST + b"\r\n")
            async with asyncio.timeout(60):
                await until(lambda: bool(server.server_state.connections))
                await until(lambda: not server.server_state.connections)  # nobody has read
                taken = 0
                with suppress(ConnectionError):
                    while part := await loop.sock_recv(client, 1 << 20):
                        taken += len(part)
    assert 0 < taken < 15_000_000


async def test_bodies_come_uncompressed(address: Address) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    for path in ("/usage", "/allocate", "/memories", "/config/import"):
        answer = await say(address, post(path, bomb, b"content-encoding: gzip"))
        assert problem_in(answer) == (415, "unsupported_media_type")
    plain = post("/allocate", b'{"max_tokens": 1}', b"content-encoding: identity")
    assert (await say(address, plain)).startswith(b"HTTP/1.1 201")


ODD = """/memories/a%2fb /memories/a%00b /allocations/%0a%0d /../../etc/passwd /%2e%2e/x
    /reports/%F0%9F%92%A9
    /workspaces/%ff /agents/a%2f..%2fb/c""".split()


@pytest.mark.parametrize("path", [*ODD, "/profiles/" + "a" * 5_000], ids=lambda path: path[:30])
async def test_odd_paths_are_404s(address: Address, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\n".encode() + HOST + CLOSE + b"\r\n"
    assert problem_in(await say(address, raw))[0] == 404


async def test_strangers_cost_nobody_else_anything(address: Address) -> None:
    """Five hundred clients that never finish, and one that does."""
    held = [await asyncio.open_connection(*address) for _ in range(500)]
    for _, writer in held:
        writer.write(b"POST /usage HTTP/1.1\r\n" + HOST + b"content-length: 9\r\n\r\n{")
    fine = b"GET /healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    assert (await say(address, fine)).startswith(b"HTTP/1.1 200")
    for _, writer in held:
        writer.close()
