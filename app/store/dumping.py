"""Turn all tables into lines of JSON, and lines into all tables.

A table is a line `{"table": …, "columns": […]}` and a line for each row: an array, binary columns
in base64. What is derived from memories is made anew: both databases have an index of their own.
"""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import sleep
from typing import Any

from pydantic_core import to_json
from sqlalchemy import LargeBinary, Table, and_, delete, func, select
from sqlalchemy.exc import OperationalError

from app.core.backups import damaged
from app.store import policies
from app.store.database import Tx
from app.store.engines import drivers
from app.store.migrate import current
from app.store.tables import (
    key_changes,
    keys,
    memories,
    memory_places,
    memory_texts,
    memory_words,
    metadata,
)
from app.store.textindex import Indexed, clear_index, index_changes

AT_ONCE = 1_000
"""Rows held at a time."""

DERIVED = (memory_places, memory_words)
"""Made from memories when a backup is restored, as the text index is."""

STAYING = (keys, key_changes)
"""Who is let in is no part of a backup: a restore revives no key that was revoked."""

CARRIED = tuple(t for t in metadata.sorted_tables if t not in (*DERIVED, *STAYING))

REFUSALS = ("IntegrityError", "DataError", "ProgrammingError")
"""What databases say of rows that they cannot keep."""

LOCK_MILLISECONDS = 250
"""How long a restore waits for one table: PostgreSQL looks for deadlocks after a second, and might
end a writer instead."""
LOCK_TRIES = 12
LOCK_PAUSE_SECONDS = 0.05
LOCK_REFUSALS = ("55P03", "40P01")
"""SQLSTATEs: a lock was not had in time, or a deadlock."""

Convert = Callable[[Any], Any]


def schema_of(tx: Tx) -> str:
    """The revision of the tables."""
    return ", ".join(sorted(current(tx.connection)))


def count_rows(tx: Tx) -> dict[str, int]:
    """Rows of each table that a backup carries."""
    return {
        table.name: int(tx.connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in CARRIED
    }


def dump(tx: Tx) -> Iterator[bytes]:
    """The lines of all tables, in bounded memory."""
    for table in CARRIED:
        columns = [column.name for column in table.columns]
        yield to_json({"table": table.name, "columns": columns}) + b"\n"
        query = select(table).execution_options(yield_per=AT_ONCE)
        for row in tx.connection.execute(query):
            yield to_json(tuple(row), bytes_mode="base64") + b"\n"


def read(lines: Iterable[bytes]) -> Iterator[tuple[Table, list[tuple[Any, ...]]]]:
    """Tables and rows in column order, some at a time. Errors: BackupDamaged."""
    table: Table | None = None
    converts: Sequence[tuple[int, Convert]] = ()
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        try:
            entry = json.loads(line)
            if isinstance(entry, list) and table is not None:
                if len(entry) != len(table.columns):
                    raise damaged(f"a row of {table.name} lacks a part")
                for index, convert in converts:
                    if entry[index] is not None:
                        entry[index] = convert(entry[index])
                rows.append(tuple(entry))
            else:
                if table is not None:
                    yield table, rows
                    rows = []
                table, converts = _table_of(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged("it holds a line that is no row") from error
        if len(rows) == AT_ONCE and table is not None:
            yield table, rows
            rows = []
    if table is not None:
        yield table, rows


def _table_of(entry: Any) -> tuple[Table, list[tuple[int, Convert]]]:
    table = metadata.tables[entry["table"]]
    names = [column.name for column in table.columns]
    if table not in CARRIED or entry["columns"] != names:
        raise damaged(f"it has other columns of {table.name}")
    binary = [n for n, column in enumerate(table.columns) if isinstance(column.type, LargeBinary)]
    return table, [(index, base64.urlsafe_b64decode) for index in binary]


def lock(tx: Tx) -> None:
    """Let nobody else write until this transaction ends; readers go on.

    Writers take tables in orders of their own: whoever waits for one of them long may be what they
    wait for, lets go of all, and tries again. Errors: those of the last try.
    """
    if tx.is_sqlite:  # there the transaction has the only writer's lock
        return
    names = ", ".join(sorted(metadata.tables))
    for left in reversed(range(LOCK_TRIES)):
        try:
            with tx.connection.begin_nested():
                tx.connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
                tx.connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")
        except OperationalError as error:
            if left == 0 or getattr(error.orig, "sqlstate", "") not in LOCK_REFUSALS:
                raise
            sleep(LOCK_PAUSE_SECONDS)
        else:
            tx.connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
            return


def replace(tx: Tx, lines: Iterable[bytes]) -> dict[str, int]:
    """Replace all rows of all workspaces by those of lines; answers the rows of each table.

    Errors: BackupDamaged.
    """
    epoch = policies.epoch(tx)
    clear_index(tx)
    for table in (*CARRIED, *DERIVED):
        tx.connection.execute(delete(table))
    refusals: tuple[type[Exception], ...] = (
        OverflowError,
        sqlite3.InterfaceError,
        *drivers(*REFUSALS),
    )
    found = dict.fromkeys((table.name for table in CARRIED), 0)
    try:
        for table, rows in read(lines):
            tx.insert_many(table, rows)
            found[table.name] += len(rows)
    except refusals as error:
        raise damaged("the database refuses its rows") from error
    _derive(tx)
    policies.begin_generation(tx, after=epoch)
    if not tx.is_sqlite:
        tx.connection.exec_driver_sql("ANALYZE")
    return found


def _derive(tx: Tx) -> None:
    """Make the text index and the statistics of words from the memories."""
    table, texts = memories.c, memory_texts.c
    has_text = and_(texts.workspace == table.workspace, texts.content == table.content)
    query = (
        select(table.workspace, table.id, table.project, texts.words)
        .join(memory_texts, has_text)
        .where(table.state == "active")
        .order_by(table.workspace, table.id)
        .execution_options(yield_per=AT_ONCE)
    )
    for part in tx.connection.execute(query).partitions():
        by_workspace: dict[str, list[Indexed]] = {}
        for row in part:
            by_workspace.setdefault(row.workspace, []).append((row.id, row.project, row.words))
        for workspace, added in by_workspace.items():
            index_changes(tx, workspace, added, [])
