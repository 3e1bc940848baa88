"""Serve the service as its users do, and point the originals' names at it."""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from membudget import _service
from tests.client.faces.typing_in import Shell
from tests.data import data_dir
from tests.running import served


@pytest.fixture(scope="module")
def address(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of the module's own, listening."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copyfile(_sqlite_template, folder / "membudget.db")
    with served(f"sqlite:///{folder / 'membudget.db'}", folder) as running:
        yield running.url


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, with a spool that is nobody else's."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MEMBUDGET_SPOOL", str(tmp_path / "spool"))
    _service.forget()
    yield folder
    _service.forget()


@pytest.fixture
def service(address: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The service, as the environment names it."""
    monkeypatch.setenv("MEMBUDGET_URL", address)
    return address


@pytest.fixture
def away(desk: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nobody answers."""
    monkeypatch.setenv("MEMBUDGET_URL", "http://127.0.0.1:9")
    return "http://127.0.0.1:9"


@pytest.fixture(params=["service", "away"])
def where(request: pytest.FixtureRequest) -> str:
    """A service is at the address, or nobody is."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def home(request: pytest.FixtureRequest) -> str:
    """A workspace of the test's own."""
    return f"ws-{abs(hash(request.node.nodeid)) % 10**12}"


@pytest.fixture
def tree(desk: Path) -> Path:
    """The real memory tree, usage log and profiles in the working folder."""
    archive = data_dir() / "claude-memory" / "claude-memory.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(desk, filter="data")
    return desk / ".claude" / "memory"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Where commands are typed."""
    return Shell(monkeypatch, capsys)
