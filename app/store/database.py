"""Open the database: transactions, one writer that commits in groups, many readers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from threading import Condition, get_ident
from typing import TypeVar

import anyio
import anyio.to_thread
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.core.errors import DomainError, StorageFull, Unavailable
from app.store.engines import (
    LOCK_SECONDS,
    PG_WRITERS,
    READERS,
    committing,
    drivers,
    is_silent,
    make_engine,
    translated,
)
from app.store.groupcommit import GroupCommit
from app.store.pacing import pausing
from app.store.places import Places
from app.store.pulse import Pulse
from app.store.transactions import PG_ROWS, SQLITE_CHUNK, Notes, Tx, in_chunks
from app.store.usage_rows import dumps

__all__ = ["PG_ROWS", "SQLITE_CHUNK", "SYSTEM", "Notes", "Store", "Tx", "dumps", "in_chunks"]

R = TypeVar("R")
P = TypeVar("P")

SYSTEM = "*"
"""The workspace of work and rows that belong to no workspace; nobody can name one so."""

DRAIN_SECONDS = 0.01
"""How often a restore looks whether the writes before it are committed."""

READ_PATIENCE = 10.0
"""Seconds that a stop waits for reads."""


class Store:
    """A database and the two ways into it: `read` and `write`.

    Work is synchronous and runs in threads; a write is acknowledged after its commit. `pooled`: a
    pooler stands before the database and hands out its connections by the transaction.
    """

    def __init__(self, url: str, *, queue_limit: int = 50_000, pooled: bool = False) -> None:
        self.url = url
        self.engine = make_engine(url, lock_seconds=None if pooled else LOCK_SECONDS)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.places = Places() if self.is_sqlite else None
        self._pulse = (
            None if self.is_sqlite else Pulse(self.engine, partial(is_silent, self.engine))
        )
        self._notes = Notes(places=self.places)
        self._prepares = not self.is_sqlite and not pooled
        self._writing: dict[int, Connection] = {}
        """The connection that each of the writer's threads keeps."""
        self.commits = 0
        """Transactions that this process has committed, or may have: what tells that anything
        changed."""
        self.full: str | None = None
        """Why the last write was refused, if the disk was full; one that fits clears it."""
        self.is_refusing = False
        """Whether the database did not take the last write; one that it takes clears it."""
        self.queue_limit = queue_limit
        """How much may wait for its commit."""
        self._is_replacing = False
        self._readers = anyio.CapacityLimiter(READERS)
        self._resting: list[Connection] = []
        """Open connections to SQLite that nobody reads on; the last one used is taken first."""
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
        if self._pulse is not None:
            self._pulse.require()
        return await anyio.to_thread.run_sync(work, limiter=self._readers)

    async def write(
        self,
        workspace: str,
        handler: Callable[[Tx, str, Sequence[P]], Sequence[R | DomainError]],
        payload: P,
        *,
        weight: int = 1,
        repeats: bool = False,
    ) -> R:
        """Hand a payload to a handler in the next group's transaction; return once committed.

        `repeats`: the handler may be given the same payload twice, and books it once; a commit
        whose answer was lost is then tried again. Errors: the DomainError that the handler
        answered; Unavailable when the queue is full or the database is away, or a backup is being
        restored; OutcomeUnknown when the database was lost in a commit.
        """
        if self._is_replacing:
            raise Unavailable("A backup is being restored; nothing was stored, try again shortly.")
        if self._pulse is not None:
            self._pulse.require()
        result: R = await self._writer.submit(
            workspace, handler, payload, weight=weight, repeats=repeats
        )
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
        if self.places is not None:
            self.places.forget()
        self._notes.budgets.clear()

    def start(self) -> None:
        """Start the writer's threads, and the watch over PostgreSQL."""
        if self._pulse is not None:
            self._pulse.start()
        self._writer.start()

    def close(self) -> None:
        """Commit what waits, stop the writer, let reads end, close every connection."""
        self._writer.stop()
        with self._idle:
            self._idle.wait_for(lambda: not self._reading, timeout=READ_PATIENCE)
        for connection in self._writing.values():
            connection.close()
        self._writing.clear()
        while self._resting:
            self._resting.pop().close()
        self.engine.dispose()
        if self._pulse is not None:
            self._pulse.stop()

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
        with self._served(), self.engine.connect() as connection:
            return self._write_on(connection, work)

    @contextmanager
    def _served(self) -> Iterator[None]:
        """Translate errors, and let nobody wait for a server that is silent."""
        with translated(), nullcontext() if self._pulse is None else self._pulse.watching():
            yield

    def _replace(self, work: Callable[[Tx], R]) -> R:
        while self._writer.waiting:
            time.sleep(DRAIN_SECONDS)
        return self.write_now(work)

    def _read(self, work: Callable[[Tx], R]) -> R:
        with self._idle:
            self._reading += 1
        try:
            with self._served():
                return (self._read_file if self.is_sqlite else self._read_server)(work)
        finally:
            with self._idle:
                self._reading -= 1
                self._idle.notify_all()

    def _read_server(self, work: Callable[[Tx], R]) -> R:
        with self.engine.connect() as connection:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            try:
                return work(Tx(connection, self.is_sqlite, self._notes, self._prepares))
            finally:
                connection.rollback()

    def _read_file(self, work: Callable[[Tx], R]) -> R:
        """Read on a connection that stays open: taking one from the engine's pool and giving it
        back costs as much as some statements."""
        try:
            connection = self._resting.pop()
        except IndexError:
            connection = self.engine.connect()
        driver = connection.connection.driver_connection
        assert driver is not None
        try:
            driver.execute("BEGIN")
            with pausing(driver):
                return work(Tx(connection, self.is_sqlite, self._notes))
        finally:
            connection.rollback()  # SQLAlchemy's idea of the transaction, if it has one
            driver.rollback()
            if len(self._resting) < READERS:
                self._resting.append(connection)
            else:
                connection.close()

    def _commit(self, work: Callable[[Tx], None]) -> None:
        """Run a group's work on the connection that this writer's thread keeps."""
        try:
            self._commit_here(work)
        except StorageFull as error:
            self.full = error.detail
            raise
        except Unavailable:
            self.is_refusing = True
            raise
        self.full, self.is_refusing = None, False

    def _commit_here(self, work: Callable[[Tx], None]) -> None:
        with self._served():
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
            try:
                with committing():
                    driver.commit()
            finally:
                self.commits += 1
        except BaseException:
            for one in (driver, connection):
                with suppress(DBAPIError, *drivers("Error")):  # it is lost, and what failed is told
                    one.rollback()
            raise
        connection.rollback()  # SQLAlchemy's idea of the transaction, which is over
        for note in tx.on_commit:
            note()
        return result


def _alone(tx: Tx, _: str, payloads: Sequence[Callable[[Tx], R]]) -> Sequence[R]:
    return [work(tx) for work in payloads]
