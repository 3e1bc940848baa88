"""Open the database: transactions, one writer that commits in groups, many readers."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.core.errors import StorageFull, Unavailable
from app.store.groupcommit import GroupCommit, Handler

R = TypeVar("R")
P = TypeVar("P")

READERS = 8
PG_WRITERS = 4
SQLITE_CHUNK = 500
PG_PARAMETERS = 60_000
"""PostgreSQL takes at most 65,535 parameters in one statement."""

GONE_CLASSES = ("08", "57P", "53", "40001", "40P01", "25006")
"""SQLSTATE prefixes of failures that pass: the connection or the server is away, or a deadlock."""


@dataclass(slots=True)
class Notes:
    """What this process remembers of its committed writes, to spare itself statements."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    """Workspace and agent pairs that are registered; the agent "" is the workspace itself."""
    appended: dict[Any, int] = field(default_factory=dict)
    """Sketch entries appended to each cell since this process last rewrote it."""


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: SQLAlchemy for statements, `insert_many` for batches."""

    connection: Connection
    is_sqlite: bool
    notes: Notes
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    """What to note once the transaction is committed."""

    def insert_many(
        self, table: Table, rows: Sequence[Sequence[Any]], *, tail: str = "", returning: str = ""
    ) -> list[tuple[Any, ...]]:
        """Insert rows given in column order; `tail` is an ON CONFLICT clause.

        `returning` names a column (PostgreSQL only; SQLite has one writer and needs no answer).
        """
        if not rows:
            return []
        names = tuple(column.name for column in table.columns)
        if self.is_sqlite:
            sql = _insert_sql(table.name, names, 1, "?", tail)
            self.connection.exec_driver_sql(sql, [tuple(row) for row in rows])
            return []
        found: list[tuple[Any, ...]] = []
        step = PG_PARAMETERS // len(names)
        suffix = f"{tail} RETURNING {returning}" if returning else tail
        with psycopg.RawCursor(self._driver(), row_factory=tuple_row) as cursor:
            for first in range(0, len(rows), step):
                chunk = rows[first : first + step]
                sql = _insert_sql(table.name, names, len(chunk), "$", suffix)
                cursor.execute(sql, [value for row in chunk for value in row])
                if returning:
                    found.extend(cursor.fetchall())
        return found

    def _driver(self) -> Any:
        return self.connection.connection.driver_connection


@lru_cache(maxsize=512)
def _insert_sql(table: str, names: tuple[str, ...], count: int, mark: str, tail: str) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    width = len(names)
    if mark == "?":
        values = "(" + ", ".join("?" * width) + ")"
    else:
        values = ", ".join(
            "(" + ", ".join(f"${row * width + i + 1}" for i in range(width)) + ")"
            for row in range(count)
        )
    return f"INSERT INTO {table} ({columns}) VALUES {values} {tail}"


class Store:
    """A database and the two ways into it: `read` and `write`.

    Work is synchronous and runs in threads; a write is acknowledged after its commit.
    """

    def __init__(self, url: str, *, queue_limit: int = 50_000) -> None:
        self.url = url
        self.engine = make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._notes = Notes()
        self._readers = anyio.CapacityLimiter(READERS)
        self._writer = GroupCommit(
            self._commit,
            workers=1 if self.is_sqlite else PG_WRITERS,
            limit=queue_limit,
            whole_house=self.is_sqlite,
        )

    async def read(self, work: Callable[[Tx], R]) -> R:
        """Run `work` in a read transaction that sees one moment."""
        return await anyio.to_thread.run_sync(self._read, work, limiter=self._readers)

    async def write(
        self, workspace: str, handler: Handler[P, R], payload: P, *, weight: int = 1
    ) -> R:
        """Hand a payload to a handler in the next group's transaction; return once committed.

        Errors: the DomainError that the handler answered; Unavailable when the queue is full or
        the database is away.
        """
        return await self._writer.submit(workspace, handler, payload, weight=weight)

    async def write_alone(self, work: Callable[[Tx], R]) -> R:
        """Run `work` in a transaction that nobody else's writes share."""
        return await self.write("*", _alone, work)  # type: ignore[arg-type]  # R of the payload

    def start(self) -> None:
        """Start the writer's threads."""
        self._writer.start()

    def close(self) -> None:
        """Commit what waits, stop the writer, close every connection."""
        self._writer.stop()
        self.engine.dispose()

    @property
    def is_writing(self) -> bool:
        """Whether the writer's threads run."""
        return self._writer.is_running

    @property
    def waiting(self) -> int:
        """Writes that wait for their commit."""
        return self._writer.waiting

    def read_now(self, work: Callable[[Tx], R]) -> R:
        """`read` for callers that have no event loop (commands, tests)."""
        return self._read(work)

    def write_now(self, work: Callable[[Tx], R]) -> R:
        """A transaction of its own for callers that have no event loop (commands, tests)."""
        with self._translated(), self.engine.connect() as connection:
            tx = Tx(connection, self.is_sqlite, self._notes)
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            result = work(tx)
            connection.commit()
            for note in tx.on_commit:
                note()
            return result

    def _read(self, work: Callable[[Tx], R]) -> R:
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            else:
                connection.exec_driver_sql("BEGIN")
            try:
                return work(Tx(connection, self.is_sqlite, self._notes))
            finally:
                connection.rollback()

    def _commit(self, work: Callable[[Tx], None]) -> None:
        self.write_now(work)

    @contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except DBAPIError as error:
            known = _as_unavailable(error)
            if known is None:
                raise
            raise known from error


def _alone(tx: Tx, _: str, payloads: list[Callable[[Tx], Any]]) -> list[Any]:
    return [work(tx) for work in payloads]


def make_engine(url: str) -> Engine:
    """An engine for `sqlite:///…` or `postgresql://…` with our connection settings."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=READERS + PG_WRITERS,
            max_overflow=0,
            pool_timeout=10,
            connect_args={"prepare_threshold": None, "connect_timeout": 5},
        )
    raise ValueError("MEMBUDGET_DATABASE_URL must start with sqlite:/// or postgresql://")


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=READERS + 1,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": 10, "cached_statements": 256},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "temp_store=MEMORY",
            "cache_size=-32000",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def _as_unavailable(error: DBAPIError) -> Unavailable | None:
    """What a client should hear when the database cannot serve; None for a fault of ours."""
    origin = error.orig
    code = getattr(origin, "sqlstate", None) or ""
    if code == "53100" or "disk is full" in str(origin):
        return StorageFull("The disk is full; free some space, nothing was stored.")
    gone = (
        error.connection_invalidated
        or any(code.startswith(prefix) for prefix in GONE_CLASSES)
        or (isinstance(error, OperationalError) and not code)
    )
    if gone:
        return Unavailable("The database is not answering; try again shortly, nothing was lost.")
    return None


def dumps(value: object) -> str:
    """Plain data as compact JSON text; NaN and infinities are refused."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def ping(tx: Tx) -> None:
    """Ask the database for a sign of life."""
    tx.connection.execute(text("SELECT 1"))


def in_chunks(values: Iterable[R], size: int = SQLITE_CHUNK) -> Iterable[list[R]]:
    """Values in lists of at most `size`: statements with IN (…) stay within limits."""
    chunk: list[R] = []
    for value in values:
        chunk.append(value)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
