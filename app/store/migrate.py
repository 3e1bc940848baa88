"""Bring the schema to this version, once, however many replicas start."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from app.store.engines import make_engine

if TYPE_CHECKING:  # a database that is up to date needs none of it
    from alembic.config import Config

LOCK = 0x6D656D62
"""Key of PostgreSQL's advisory lock: "memb"."""

VERSIONS = "alembic_version"
"""Where alembic notes which revisions a database is at."""


def upgrade(url: str, *, revision: str = "head") -> None:
    """Migrate up to `revision` under a lock; a database that is there already is not touched."""
    if revision == "head" and _is_current(url):
        return

    def act(config: "Config") -> None:
        from alembic import command  # noqa: PLC0415 (slow to import, and seldom needed)

        command.upgrade(config, revision)

    _run(url, act)


def downgrade(url: str, *, revision: str) -> None:
    """Migrate down to `revision` ("base" leaves nothing)."""

    def act(config: "Config") -> None:
        from alembic import command  # noqa: PLC0415 (slow to import, and seldom needed)

        command.downgrade(config, revision)

    _run(url, act)


def pending(connection: Connection) -> bool:
    """Whether the schema is older (or newer) than this version needs."""
    return current(connection) != heads()


def current(connection: Connection) -> set[str]:
    """The revisions that the database is at; none where it is empty."""
    if not inspect(connection).has_table(VERSIONS):
        return set()
    return set(connection.exec_driver_sql(f"SELECT version_num FROM {VERSIONS}").scalars())


def heads() -> set[str]:
    """The revisions that no migration of ours follows on."""
    texts = [path.read_text() for path in (_scripts() / "versions").glob("*.py")]
    followed = {name for text in texts for name in _FOLLOWS.findall(text)}
    return {name for text in texts for name in _REVISION.findall(text)} - followed


_REVISION = re.compile(r'^revision\b[^=]*= "(\w+)"', re.MULTILINE)
_FOLLOWS = re.compile(r'^down_revision\b[^=]*= "(\w+)"', re.MULTILINE)


def _is_current(url: str) -> bool:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return not pending(connection)
    finally:
        engine.dispose()


def _run(url: str, act: Callable[["Config"], None]) -> None:
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
                connection.commit()
            else:
                connection.exec_driver_sql("PRAGMA busy_timeout=60000")  # others migrate it now
                connection.rollback()
            try:
                config = _config()
                config.attributes["connection"] = connection
                act(config)
                connection.commit()
            finally:
                if engine.dialect.name == "postgresql":
                    connection.rollback()
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")
                    connection.commit()
    finally:
        engine.dispose()


def _config() -> "Config":
    """Alembic's configuration, from the repository or from the installed package."""
    from alembic.config import Config  # noqa: PLC0415 (slow to import, and seldom needed)

    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "migrations"
    return beside if (beside / "env.py").exists() else package / "migrations"
