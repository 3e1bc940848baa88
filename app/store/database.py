"""Open the database: transactions, one writer that commits in groups, many readers."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from threading import Condition, get_ident
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from pydantic_core import to_json
from sqlalchemy import Connection, Table

from app.core.errors import DomainError, Unavailable
from app.core.spending import CostBudget
from app.core.usage import CellId
from app.store.engines import PG_WRITERS, READERS, make_engine, translated
from app.store.groupcommit import GroupCommit

R = TypeVar("R")
P = TypeVar("P")

SYSTEM = "*"
"""The workspace of work and rows that belong to no workspace; nobody can name one so."""

DRAIN_SECONDS = 0.01
"""How often a restore looks whether the writes before it are committed."""

SQLITE_CHUNK = 500
SQLITE_ROWS = 64
"""Rows of one INSERT on SQLite."""
SMALL_INSERT = 16
READ_PATIENCE = 10.0
"""Seconds that a stop waits for reads."""
PG_ROWS = 128
"""Rows of one INSERT on PostgreSQL: few texts of statements, well below its 65,535 parameters."""


@dataclass(slots=True)
class Notes:
    """What this process remembers of its committed writes, to spare itself statements."""

    seen: set[tuple[str, str]] = field(default_factory=set)
    """Workspace and agent pairs that are registered; the agent "" is the workspace itself."""
    appended: dict[str, dict[CellId, int]] = field(default_factory=dict)
    """Entries appended to each cell of a workspace since it was last rewritten."""
    crowded: set[tuple[str, str]] = field(default_factory=set)
    """Workspace and agent pairs that have too many scopes to pack in one row."""
    budgets: dict[str, tuple[int, list[CostBudget]]] = field(default_factory=dict)
    """The budgets in USD of a workspace, and the version of its costs that they are of."""


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: SQLAlchemy for statements, `insert_many` for batches."""

    connection: Connection
    is_sqlite: bool
    notes: Notes
    prepares: bool = False
    """Whether PostgreSQL may keep plans of our statements on its connections."""
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
        mark, most = ("?", SQLITE_ROWS) if self.is_sqlite else ("$", PG_ROWS)
        suffix = f"{tail} RETURNING {returning}" if returning and not self.is_sqlite else tail
        found: list[tuple[Any, ...]] = []
        first = 0
        for count in shares_of(len(rows), most):
            chunk = rows[first : first + count]
            first += count
            sql = _insert_sql(table.name, names, count, mark, suffix)
            values = [value for row in chunk for value in row]
            found += self.fetch(sql, values, returning=returning, prepare=self.prepares)
        return found

    def fetch(
        self,
        sql: str,
        values: Sequence[Any],
        *,
        returning: str = "all",
        prepare: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Rows of a statement in the driver's own words (`?` on SQLite, `$1` on PostgreSQL).

        `prepare`: PostgreSQL plans it once a connection; for statements that come again.
        """
        if self.is_sqlite:
            rows: list[tuple[Any, ...]] = self._driver().execute(sql, values).fetchall()
            return rows
        from psycopg import RawCursor  # noqa: PLC0415 (slow to import, and SQLite needs none of it)
        from psycopg.rows import tuple_row  # noqa: PLC0415 (slow to import, and SQLite needs none of it)

        with RawCursor(self._driver(), row_factory=tuple_row) as cursor:
            cursor.execute(sql, values, prepare=prepare)
            return cursor.fetchall() if returning else []

    def marks(self, count: int, *, first: int = 1) -> str:
        """Place holders for `count` values, the first of them the `first`-th of the statement."""
        if self.is_sqlite:
            return ", ".join("?" * count)
        return ", ".join(f"${first + number}" for number in range(count))

    def _driver(self) -> Any:
        return self.connection.connection.driver_connection


def shares_of(total: int, most: int) -> Iterator[int]:
    """Cut a number of rows into few sizes, so that few statements serve: `most`, its halves down
    to 16, and what is left."""
    size = most
    while total:
        while size > total and size > SMALL_INSERT:
            size //= 2
        size = min(size, total)
        yield size
        total -= size


@lru_cache(maxsize=512)
def _insert_sql(table: str, names: tuple[str, ...], count: int, mark: str, tail: str) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    width = len(names)
    if mark == "?":
        values = ", ".join(["(" + ", ".join("?" * width) + ")"] * count)
    else:
        values = ", ".join(
            "(" + ", ".join(f"${row * width + i + 1}" for i in range(width)) + ")"
            for row in range(count)
        )
    return f"INSERT INTO {table} ({columns}) VALUES {values} {tail}"


class Store:
    """A database and the two ways into it: `read` and `write`.

    Work is synchronous and runs in threads; a write is acknowledged after its commit. `pooled`: a
    pooler stands before the database and hands out its connections by the transaction.
    """

    def __init__(self, url: str, *, queue_limit: int = 50_000, pooled: bool = False) -> None:
        self.url = url
        self.engine = make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._notes = Notes()
        self._prepares = not self.is_sqlite and not pooled
        self._writing: dict[int, Connection] = {}
        """The connection that each of the writer's threads keeps."""
        self.commits = 0
        """Transactions that this process has committed: what tells that anything changed."""
        self._is_replacing = False
        self._readers = anyio.CapacityLimiter(READERS)
        self._reading = 0
        self._idle = Condition()
        """Told when a read ends: a task that was cancelled leaves its thread reading."""
        self._writer = GroupCommit(
            self._commit,
            workers=1 if self.is_sqlite else PG_WRITERS,
            limit=queue_limit,
            whole_house=self.is_sqlite,
        )

    async def read(self, work: Callable[[Tx], R]) -> R:
        """Run `work` in a read transaction that sees one moment."""
        return await self.aside(partial(self._read, work))

    async def aside(self, work: Callable[[], R]) -> R:
        """Run `work` in a reader's thread: it may read by `read_now`, and go on thinking there."""
        return await anyio.to_thread.run_sync(work, limiter=self._readers)

    async def write(
        self,
        workspace: str,
        handler: Callable[[Tx, str, Sequence[P]], Sequence[R | DomainError]],
        payload: P,
        *,
        weight: int = 1,
    ) -> R:
        """Hand a payload to a handler in the next group's transaction; return once committed.

        Errors: the DomainError that the handler answered; Unavailable when the queue is full or
        the database is away, or a backup is being restored.
        """
        if self._is_replacing:
            raise Unavailable("A backup is being restored; nothing was stored, try again shortly.")
        result: R = await self._writer.submit(workspace, handler, payload, weight=weight)
        return result

    async def write_alone(self, work: Callable[[Tx], R]) -> R:
        """Run `work` in a transaction that nobody else's writes share."""
        return await self.write(SYSTEM, _alone, work)

    async def replace(self, work: Callable[[Tx], R]) -> R:
        """Run `work` in a transaction while this process takes no other write.

        Writes that wait are committed first. `forget` belongs into its `on_commit`. Errors:
        Unavailable when another `replace` runs.
        """
        if self._is_replacing:
            raise Unavailable("A backup is being restored; try again shortly.")
        self._is_replacing = True
        try:
            return await anyio.to_thread.run_sync(self._replace, work)
        finally:
            self._is_replacing = False

    def forget(self) -> None:
        """Forget what was remembered of rows that have been replaced."""
        self._notes.seen.clear()
        self._notes.appended.clear()
        self._notes.crowded.clear()
        self._notes.budgets.clear()

    def start(self) -> None:
        """Start the writer's threads."""
        self._writer.start()

    def close(self) -> None:
        """Commit what waits, stop the writer, let reads end, close every connection."""
        self._writer.stop()
        with self._idle:
            self._idle.wait_for(lambda: not self._reading, timeout=READ_PATIENCE)
        for connection in self._writing.values():
            connection.close()
        self._writing.clear()
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
        """`read` for callers that are in a thread, or have no event loop (commands, tests)."""
        return self._read(work)

    def write_now(self, work: Callable[[Tx], R]) -> R:
        """A transaction of its own for callers that have no event loop (commands, tests)."""
        with translated(), self.engine.connect() as connection:
            return self._write_on(connection, work)

    def _replace(self, work: Callable[[Tx], R]) -> R:
        while self._writer.waiting:
            time.sleep(DRAIN_SECONDS)
        return self.write_now(work)

    def _read(self, work: Callable[[Tx], R]) -> R:
        with self._idle:
            self._reading += 1
        try:
            return self._read_on_one(work)
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def _read_on_one(self, work: Callable[[Tx], R]) -> R:
        with translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            else:
                connection.exec_driver_sql("BEGIN")
            try:
                return work(Tx(connection, self.is_sqlite, self._notes, self._prepares))
            finally:
                connection.rollback()

    def _commit(self, work: Callable[[Tx], None]) -> None:
        """Run a group's work on the connection that this writer's thread keeps."""
        with translated():
            thread = get_ident()
            connection = self._writing.get(thread)
            if connection is None:
                connection = self._writing[thread] = self.engine.connect()
            try:
                self._write_on(connection, work)
            except BaseException:
                del self._writing[thread]
                connection.invalidate()
                connection.close()
                raise

    def _write_on(self, connection: Connection, work: Callable[[Tx], R]) -> R:
        tx = Tx(connection, self.is_sqlite, self._notes, self._prepares)
        driver = connection.connection.driver_connection
        assert driver is not None
        if self.is_sqlite:
            driver.execute("BEGIN IMMEDIATE")
        try:
            result = work(tx)
            driver.commit()
        except BaseException:
            driver.rollback()
            raise
        finally:
            connection.rollback()  # SQLAlchemy's idea of the transaction, which is over
        self.commits += 1
        for note in tx.on_commit:
            note()
        return result


def _alone(tx: Tx, _: str, payloads: Sequence[Callable[[Tx], R]]) -> Sequence[R]:
    return [work(tx) for work in payloads]


def dumps(value: object) -> str:
    """Plain data of finite numbers as compact JSON text."""
    return to_json(value).decode()


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
