"""Give each test a database of its own, one event loop, and a moment that stands still."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests.data import absent
from tests.databases import Lender, create, database_name, drop, with_database

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
"""The present of tests that need one."""

DATABASES = ("sqlite", "postgresql")
DEFAULT_POSTGRES = "postgresql://127.0.0.1:5432/postgres"

settings.register_profile(
    "local", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci", settings.get_profile("local"), derandomize=True, database=None, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"


@pytest.fixture
def now() -> datetime:
    """The frozen present."""
    return NOW


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests do not reach the service under test."""
    for name in tuple(os.environ):
        if name.startswith("MEMBUDGET_") and not name.startswith("MEMBUDGET_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty database of the test's own: every such test runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=DATABASES)
def bare_database_url(request: pytest.FixtureRequest) -> str:
    """A database without a single table, for tests of migrations: both kinds."""
    url: str = request.getfixturevalue(f"bare_{request.param}_url")
    return url


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file."""
    path = tmp_path / "membudget.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def bare_sqlite_url(tmp_path: Path) -> str:
    """The name of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'bare.db'}"


@pytest.fixture
def postgresql_url(_postgresql_lender: Lender) -> Iterator[str]:
    """A migrated, empty PostgreSQL database."""
    with _postgresql_lender.lent() as url:
        yield url


@pytest.fixture
def bare_postgresql_url(_postgresql_server: str) -> Iterator[str]:
    """An empty PostgreSQL database."""
    name = database_name()
    create(_postgresql_server, name, template="template0")
    yield with_database(_postgresql_server, name)
    drop(_postgresql_server, name)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    _migrate(f"sqlite:///{path}")
    left = [other.name for other in path.parent.iterdir() if other != path]
    assert left == [], f"the migration left files beside the database: {left}"
    return path


@pytest.fixture(scope="session")
def _postgresql_server() -> str:
    url = os.environ.get("MEMBUDGET_TEST_POSTGRES_URL", DEFAULT_POSTGRES)
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        absent(f"PostgreSQL does not answer; set MEMBUDGET_TEST_POSTGRES_URL: {error}")
    return url


@pytest.fixture(scope="session")
def _postgresql_lender(_postgresql_server: str) -> Iterator[Lender]:
    name = database_name()
    create(_postgresql_server, name, template="template0")
    try:
        _migrate(with_database(_postgresql_server, name))
        with closing(Lender(_postgresql_server, name)) as lender:
            yield lender
    finally:
        drop(_postgresql_server, name)


def _migrate(url: str) -> None:
    # Not at the top: tests of core neither need nor wait for the store.
    from app.store.migrate import upgrade  # noqa: PLC0415

    upgrade(url)
