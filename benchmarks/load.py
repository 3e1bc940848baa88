"""Send prebuilt requests over kept-alive connections as fast as a server answers them.

Run as a process of its own, so that the generator's work is not the server's: a job as JSON on
standard input, the outcome as JSON on standard output.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import uvloop

NUMBER = b"0000000000000000"
"""Stands in a template for a number that no other request has: sixteen hexadecimal digits."""

MOMENT = b"1970-01-01T00:00:00.000000Z"
"""Stands in a template for the moment at which it is sent, as agents tell it."""

PATIENCE_SECONDS = 60


def requests_of(templates: list[bytes], head: bytes, first: int) -> Iterator[bytes]:
    """Requests without end: the templates in turn, each `NUMBER` in them another number and each
    `MOMENT` the present."""
    heads = [head + b"content-length: %d\r\n\r\n" % len(body) for body in templates]
    forms = [body.replace(b"%", b"%%").replace(NUMBER, b"%016x") for body in templates]
    holes = [body.count(NUMBER) for body in templates]
    number = first
    while True:
        for head_of, form, count in zip(heads, forms, holes, strict=True):
            body = form % tuple(range(number, number + count))
            if MOMENT in body:
                body = body.replace(MOMENT, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}".encode())
            yield head_of + body
            number += count


class Connection(asyncio.Protocol):
    """One client that sends its next request when the answer to the last one is whole."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._buffer = b""
        self._sent = 0.0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _length(data, end):
            self._buffer = data
            return
        self._buffer = b""
        self._waits = False
        self._run.answered(data, time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._run.lost(self, in_vain=self._waits)

    def _send(self) -> None:
        request = self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._waits = True
        self._sent = time.perf_counter()
        self._transport.write(request)


def _length(data: bytes, end: int) -> int:
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise ValueError(f"an answer without a length: {data[:200]!r}")
    return int(head[at + 15 :].split(b"\r\n", 1)[0])


class Run:
    """What all connections of a run share: the requests to send and the answers counted."""

    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self._requests = requests
        self._seconds = seconds
        self._deadline = 0.0
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.sample = ""
        self.open: set[Connection] = set()
        self.done = asyncio.Event()

    def begin(self) -> None:
        self._deadline = time.perf_counter() + self._seconds

    def next_request(self) -> bytes | None:
        return next(self._requests) if time.perf_counter() < self._deadline else None

    def answered(self, data: bytes, latency: float) -> None:
        status = data[9:12].decode()
        self.statuses[status] += 1
        self.latencies.append(latency)
        if not status.startswith("2") and not self.sample:
            self.sample = data[:1000].decode(errors="replace")

    def lost(self, connection: Connection, *, in_vain: bool) -> None:
        if in_vain:
            self.statuses["no answer"] += 1
        self.open.discard(connection)
        if not self.open:
            self.done.set()


async def send(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job to its end and say what came of it."""
    head = (
        f"{job['method']} {job['path']} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        "content-type: application/json\r\n"
    ).encode()
    templates = [text.encode() for text in job["templates"]]
    run = Run(requests_of(templates, head, job["first"]), job["seconds"])
    run.begin()
    started = time.perf_counter()
    own = time.process_time()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_give_up)
    for _ in range(job["connections"]):
        connection = Connection(run)
        run.open.add(connection)
        await loop.create_connection(partial(_same, connection), "127.0.0.1", job["port"])
    await asyncio.wait_for(run.done.wait(), job["seconds"] + PATIENCE_SECONDS)
    ranked = sorted(run.latencies)
    return {
        "seconds": time.perf_counter() - started,
        "statuses": dict(run.statuses),
        "p50_ms": 1000 * ranked[len(ranked) // 2] if ranked else None,
        "p99_ms": 1000 * ranked[len(ranked) * 99 // 100] if ranked else None,
        "own_cpu_seconds": time.process_time() - own,
        "sample": run.sample,
    }


def _give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)
    sys.stderr.flush()
    os._exit(1)


def _same(connection: Connection) -> Connection:
    return connection


if __name__ == "__main__":
    print(json.dumps(uvloop.run(send(json.load(sys.stdin)))))
