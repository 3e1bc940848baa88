"""Lend PostgreSQL databases to tests: each is empty when it is lent, and emptied afterwards."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

SHAPE = """
SELECT 'column', table_name, column_name, data_type, is_nullable, column_default
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef, '', ''
  FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint', conrelid::text, conname, pg_get_constraintdef(oid), '', ''
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'object', relkind::text, relname, '', '', ''
  FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 't'
UNION ALL SELECT 'routine', proname, prosrc, '', '', ''
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::text, tgname, tgenabled::text, '', '' FROM pg_trigger
UNION ALL SELECT 'setting', setdatabase::text, setrole::text, setconfig::text, '', ''
  FROM pg_db_role_setting
  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'version', version_num, '', '', '', '' FROM alembic_version
ORDER BY 1, 2, 3, 4
"""
"""What a test may have changed besides rows; relations keep their numbers in a copy."""
MOST_BYTES = 32 << 20
"""A larger database is dropped: emptying it would take longer than making one."""

_numbers = itertools.count()


class Lender:
    """Databases like a template. Making and dropping one takes ten times as long as emptying it."""

    def __init__(self, server: str, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        self._all: set[str] = set()
        with psycopg.connect(with_database(server, template)) as connection:
            self._shape = connection.execute(SHAPE).fetchall()
        tables = [row[2] for row in self._shape if row[:2] == ("object", "r")]
        self._emptying = sql.SQL("; ").join(
            sql.SQL("DELETE FROM {}").format(sql.Identifier(table))
            for table in tables
            if table != "alembic_version"
        )

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of an empty database that nobody else has until the block ends."""
        name = self._free.pop() if self._free else self._made()
        yield with_database(self._server, name)
        if self._is_as_new(name):
            self._free.append(name)
        else:
            self._all.discard(name)
            drop(self._server, name)

    def close(self) -> None:
        """Drop what was made."""
        for name in self._all:
            drop(self._server, name)

    def _made(self) -> str:
        name = database_name()
        create(self._server, name, template=self._template)
        self._all.add(name)
        return name

    def _is_as_new(self, name: str) -> bool:
        """Empty a database; false where that would take long or not bring back the template."""
        address = with_database(self._server, name)
        with psycopg.connect(address, autocommit=True) as connection:
            _see_that_it_was_left(connection)
            (size,) = _row(connection, "SELECT pg_database_size(current_database())")
            if size > MOST_BYTES or connection.execute(SHAPE).fetchall() != self._shape:
                return False
            connection.execute(self._emptying)
        return True


def with_database(server: str, name: str) -> str:
    """The server's address with another database; works for a URL with or without a query."""
    head, _, query = server.partition("?")
    scheme, _, rest = head.partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}://{host}/{name}" + (f"?{query}" if query else "")


def database_name() -> str:
    """A name that no other test process has."""
    return f"membudget_test_{os.getpid()}_{next(_numbers)}"


def create(server: str, name: str, *, template: str) -> None:
    """Copy a template."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
    _execute(server, statement.format(sql.Identifier(name), sql.Identifier(template)))


def drop(server: str, name: str) -> None:
    """Drop a database; fail if someone still holds a connection to it five seconds later."""
    try:
        _execute(server, sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        pytest.fail("a connection to the database was left open", pytrace=False)


def _see_that_it_was_left(connection: psycopg.Connection) -> None:
    """Wait up to five seconds, as DROP DATABASE does, until nobody else is connected."""
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    for _ in range(250):
        if _row(connection, others) == (0,):
            return
        connection.execute("SELECT pg_sleep(0.02)")
    pytest.fail("a connection to the database was left open", pytrace=False)


def _row(connection: psycopg.Connection, query: str) -> tuple[Any, ...]:
    found = connection.execute(query).fetchone()
    assert found is not None
    return found


def _execute(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        connection.execute(statement)
