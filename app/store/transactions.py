"""Speak to the database within one transaction: statements, batches, and lists that stay short."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Connection, Table

from app.core.spending import CostBudget
from app.core.usage import CellId
from app.store.places import Places

R = TypeVar("R")

SQLITE_CHUNK = 500
SQLITE_ROWS = 64
"""Rows of one INSERT on SQLite."""
SMALL_INSERT = 16
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
    places: Places | None = None
    """Places at hand; None on PostgreSQL, where other replicas write, too."""


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
        names = _names(table)
        mark, most = "$", PG_ROWS
        if self.is_sqlite:
            mark, most = "?", SQLITE_ROWS
            names, rows = _given(names, rows)
        suffix = f"{tail} RETURNING {returning}" if returning and not self.is_sqlite else tail
        found: list[tuple[Any, ...]] = []
        first = 0
        for count in shares_of(len(rows), most):
            chunk = rows[first : first + count]
            first += count
            sql = _insert_sql(table.name, names, count, mark, suffix)
            values = list(chain.from_iterable(chunk))
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

    def stream(self, sql: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
        """The rows of `fetch`; on SQLite each is looked for when it is asked for."""
        if self.is_sqlite:
            rows: Iterable[tuple[Any, ...]] = self._driver().execute(sql, values)
            return rows
        return self.fetch(sql, values)

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


def _given(
    names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> tuple[tuple[str, ...], list[Sequence[Any]]]:
    """The columns that any row has a value for, and the rows of these alone: our tables have no
    defaults but NULL, and binding one costs sqlite3 more than a text, as bool and bytes do."""
    given: list[str] = []
    columns: list[Sequence[Any]] = []
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        if values[0] is None and values.count(None) == len(values):
            continue
        plain = _PLAIN.get(type(values[0]))
        given.append(name)
        columns.append([None if one is None else plain(one) for one in values] if plain else values)
    return tuple(given), list(zip(*columns, strict=True))


_PLAIN: dict[type, Callable[[Any], Any]] = {bool: int, bytes: bytearray}
"""What sqlite3 binds at once in place of what it asks its adapters about."""


@lru_cache(maxsize=64)
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


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
