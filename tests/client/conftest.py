"""Run the real service for the client, and keep what the client keeps out of the user's home."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.client.proxy import Proxy, proxied
from tests.running import Served, served


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _nobodys_address(_plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is told no address does not find the service of whoever runs the tests."""
    monkeypatch.setenv("MEMBUDGET_URL", "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def shared_service(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The service as a process, for tests that do no harm to it; each has its own workspace."""
    folder = tmp_path_factory.mktemp("shared")
    database = folder / "membudget.db"
    shutil.copyfile(_sqlite_template, database)
    with served(f"sqlite:///{database}", folder) as process:
        yield process


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start the service as a process on a database; it is stopped when the test ends."""
    with ExitStack() as open_:

        def start(database_url: str, **settings: str) -> Served:
            return open_.enter_context(served(database_url, tmp_path, **settings))

        yield start


@pytest.fixture
def proxy(shared_service: Served) -> Iterator[Proxy]:
    """A proxy before the shared service."""
    with proxied(shared_service.url) as found:
        yield found


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which client: every such test runs with both."""
    found: str = request.param
    return found


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> str:
    """A workspace of the test's own."""
    return f"ws-{abs(hash(request.node.nodeid)) % 10**12}"
