"""Run the service for a test: in this process, or as a process of its own."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from fastapi import FastAPI

from app.api.dependencies import House
from app.main import create_app
from app.settings import Settings
from tests import forked
from tests.forked import Forked

START_SECONDS = 60
STOP_SECONDS = 20


class Clock:
    """A present that moves only when it is told to."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **time_: float) -> None:
        """Let time go by."""
        self.at += timedelta(**time_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An application that has started, and a client that speaks HTTP to it."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def house(self) -> House:
        house: House = self.app.state.house
        return house

    def set_clock(self, at: datetime | None = None) -> Clock:
        """Stop the clock of the requests that follow."""
        clock = Clock(at or datetime.now(UTC))
        self.app.state.house = replace(self.house, now=clock)
        return clock


@asynccontextmanager
async def running(
    database_url: str, *, reader: Sequence[str] = (), **settings: object
) -> AsyncIterator[Running]:
    """The application on a database; faults inside are answered as a server would answer them."""
    app = create_app(Settings(database_url=database_url, **settings), reader=reader)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://membudget") as client:
            yield Running(app=app, client=client)


@dataclass(slots=True, kw_only=True)
class Served:
    """The service as its users run it: a process that listens."""

    process: Forked
    url: str
    log: Path
    """What it wrote on stderr."""

    def log_lines(self) -> list[str]:
        """Lines of its log so far."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def kill(self) -> None:
        """End it without a warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(database_url: str, folder: Path, **settings: str) -> Served:
    """Start the service on a free port and return once it answers."""
    log = folder / f"served-{time.monotonic_ns()}.log"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MEMBUDGET_")}
    variables = {f"MEMBUDGET_{name.upper()}": value for name, value in settings.items()}
    with log.open("wb") as stderr:
        process = forked.start(
            ["serve", "--port", "0"],
            environment={**kept, "MEMBUDGET_DATABASE_URL": database_url, **variables},
            folder=folder,
            stderr=stderr,
        )
    said = process.stdout.readline().decode()
    found = re.search(r"http://[\d.]+:\d+", said)
    if found is None:
        process.kill()
        process.wait()
        process.stdout.close()
        raise AssertionError(f"it did not start: {said}{log.read_text()[-3000:]}")
    return Served(process=process, url=found[0], log=log)


def stop(served: Served) -> int:
    """Ask the process to end, wait for it, and answer its exit code."""
    served.process.terminate()
    try:
        return served.process.wait(timeout=STOP_SECONDS)
    finally:
        served.process.kill()
        served.process.wait()
        served.process.stdout.close()


@contextmanager
def served(database_url: str, folder: Path, **settings: str) -> Iterator[Served]:
    """The service as a process, for as long as the block lasts."""
    process = start(database_url, folder, **settings)
    try:
        yield process
    finally:
        stop(process)


COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message in which PostgreSQL is told to commit."""


class Wire:
    """A wire between the service and its database that a test can cut, mend and silence."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._speaks = asyncio.Event()
        self._speaks.set()
        self.port = 0
        self.loses = 0
        """How many answers of commits are yet to be lost: their connections end."""

    async def mend(self) -> None:
        """Let connections through, from the same port as before."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection, and take no new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def hush(self) -> None:
        """From now on take connections and words, and answer nothing, as a frozen server does."""
        self._speaks.clear()

    def speak(self) -> None:
        """Go on where it was."""
        self._speaks.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._there)
        losing = asyncio.Event()
        ends = ((reader, there_writer, True), (there_reader, writer, False))
        for source, sink, is_ours in ends:
            self._open.add(sink)
            pump = asyncio.create_task(self._pump(source, sink, is_ours, losing))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        is_ours: bool,
        losing: asyncio.Event,
    ) -> None:
        try:
            with suppress(ConnectionError):
                while chunk := await source.read(1 << 16):
                    await self._speaks.wait()
                    if is_ours and self.loses and chunk.endswith(COMMIT):
                        self.loses -= 1
                        losing.set()
                    elif not is_ours and losing.is_set():
                        break  # the server has answered, and nobody hears it
                    sink.write(chunk)
                    await sink.drain()
        finally:
            self._open.discard(sink)
            sink.transport.abort()
