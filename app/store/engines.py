"""Make engines for both databases, and say in our words when one cannot serve."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import OutcomeUnknown, StorageFull, Unavailable

READERS = 8
PG_WRITERS = 4
BUSY_SECONDS = 2
"""How long a statement waits for a SQLite file that another program has locked."""
CACHE_KB = 32_000
"""What each connection to SQLite may keep of the file."""
WAL_PAGES = 8_000
"""Pages (32 MB) that the write-ahead log holds before they go to their places: a page that many
commits change is then moved once."""
GONE_CLASSES = ("08", "57P", "53", "40001", "40P01", "25006", "55P03")
"""SQLSTATE prefixes of failures that pass: the connection or the server is away, or a deadlock, or
somebody else holds a lock."""
LOST_CLASSES = ("08", "57P")
"""Those after which it is not known what the server still did."""

CONNECT_SECONDS = 3
PROBE_SECONDS = 2
"""How long a server may take to answer a new connection before it counts as silent."""
LOCK_SECONDS = 3
"""How long a statement waits for a row or table that somebody else has locked; writes try twice."""
KEEP_ALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 8_000,
}
"""A machine that is gone without a word is noticed within about ten seconds."""


def make_engine(url: str, *, lock_seconds: int | None = None) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…` with our connection settings.

    `lock_seconds`: how long PostgreSQL lets a statement wait for a lock; None: for ever.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if parsed.get_backend_name() == "postgresql":
        given: dict[str, Any] = {
            "prepare_threshold": None,
            "connect_timeout": CONNECT_SECONDS,
            **KEEP_ALIVE,
        }
        if lock_seconds is not None and "options" not in parsed.query:
            given["options"] = f"-c lock_timeout={lock_seconds}s"
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # they hold what users wrote
            pool_pre_ping=True,
            pool_size=READERS + PG_WRITERS,
            max_overflow=0,
            pool_timeout=10,
            connect_args=given,
        )
    raise ValueError("MEMBUDGET_DATABASE_URL must start with sqlite:/// or postgresql://")


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,  # they hold what users wrote
        pool_size=2 * READERS,  # those that stay open for reading, the writer's, and others
        pool_reset_on_return=None,  # whoever takes one ends what it began
        max_overflow=0,
        connect_args={
            "check_same_thread": False,
            "timeout": BUSY_SECONDS,
            "cached_statements": 256,
        },
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={1000 * BUSY_SECONDS}",
            "temp_store=MEMORY",
            f"cache_size=-{CACHE_KB}",
            f"wal_autocheckpoint={WAL_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def is_silent(engine: Engine) -> bool:
    """Whether a PostgreSQL takes connections and says nothing; one that refuses is not silent."""
    from psycopg import Error, connect  # noqa: PLC0415 (slow to import, and SQLite needs none of it)
    from psycopg.errors import ConnectionTimeout  # noqa: PLC0415 (as above)

    words, named = engine.dialect.create_connect_args(engine.url)
    try:
        connect(*words, **{**named, "connect_timeout": PROBE_SECONDS}).close()
    except ConnectionTimeout:
        return True
    except Error:
        return False
    return False


@contextmanager
def committing() -> Iterator[None]:
    """Say of a commit whose answer was lost that nobody knows what became of it."""
    try:
        yield
    except drivers("OperationalError") as error:
        code = getattr(error, "sqlstate", None) or ""
        is_lost = not code or any(code.startswith(prefix) for prefix in LOST_CLASSES)
        if isinstance(error, sqlite3.Error) or not is_lost:
            raise
        raise OutcomeUnknown(
            "The database was lost while it committed: whether this was stored is not known. "
            "Send it again under the same id or Idempotency-Key; without one, look first."
        ) from error


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words when the database cannot serve."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, (DBAPIError, PoolTimeout, *drivers("Error"))):
            raise
        known = _as_unavailable(error)
        if known is None:
            raise
        raise known from error


def _as_unavailable(error: Exception) -> Unavailable | None:
    """What a client should hear when the database cannot serve; None for a fault of ours."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlstate", None) or ""
    if code == "53100" or "disk is full" in str(origin):
        return StorageFull("The disk is full; free some space, nothing was stored.")
    gone = (
        isinstance(error, PoolTimeout)
        or any(code.startswith(prefix) for prefix in GONE_CLASSES)
        or (isinstance(origin, drivers("OperationalError")) and not code)
    )
    if gone:
        return Unavailable("The database is not answering; nothing was stored, try again shortly.")
    return None


def drivers(*errors: str) -> tuple[type[Exception], ...]:
    """The classes of errors in the drivers that are in use."""
    psycopg = sys.modules.get("psycopg")  # SQLite needs none of it, and it is slow to import
    used = [driver for driver in (sqlite3, psycopg) if driver is not None]
    return tuple(getattr(driver, error) for driver in used for error in errors)
