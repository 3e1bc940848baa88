"""Open the service over HTTP: in this process, and as a process that listens."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from tests.running import Running, Served, running, served


@pytest.fixture(autouse=True)
def log() -> Iterator[list[Any]]:
    """What the service in this process writes to its log."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Running]:
    """The service on a database of its own: every test that asks runs on both kinds."""
    async with running(database_url) as found:
        yield found


@pytest.fixture
async def light_service(sqlite_url: str) -> AsyncIterator[Running]:
    """The service on SQLite, for what no database decides."""
    async with running(sqlite_url) as found:
        yield found


@pytest.fixture
def client(service: Running) -> httpx.AsyncClient:
    """A client of `service`."""
    return service.client


@pytest.fixture
def light_client(light_service: Running) -> httpx.AsyncClient:
    """A client of `light_service`."""
    return light_service.client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start the service as a process on a database; it is stopped when the test ends."""
    with ExitStack() as open_:

        def start(database_url: str, **settings: str) -> Served:
            return open_.enter_context(served(database_url, tmp_path, **settings))

        yield start
