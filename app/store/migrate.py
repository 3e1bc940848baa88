"""Bring the schema to this version, once, however many replicas start."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.store.engines import make_engine

LOCK = 0x6D656D62
"""Key of PostgreSQL's advisory lock: "memb"."""


def upgrade(url: str, *, revision: str = "head") -> None:
    """Migrate up to `revision` under a lock; a database that is there already is not touched."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, *, revision: str) -> None:
    """Migrate down to `revision` ("base" leaves nothing)."""
    _run(url, lambda config: command.downgrade(config, revision))


def pending(connection: Connection) -> bool:
    """Whether the schema is older (or newer) than this version needs."""
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) != heads


def _run(url: str, act: Callable[[Config], None]) -> None:
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


def _config() -> Config:
    """Alembic's configuration, from the repository or from the installed package."""
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    package = Path(__file__).resolve().parent.parent
    beside = package.parent / "migrations"
    return beside if (beside / "env.py").exists() else package / "migrations"
