"""The schema can be distributed: every key leads with the workspace, and nothing is per node."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, inspect

from app.store.engines import make_engine
from app.store.tables import TEXT_INDEX_TABLES, metadata

NOT_OURS = {"alembic_version", *TEXT_INDEX_TABLES}


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = make_engine(database_url)
    with engine.connect() as found:
        yield found
    engine.dispose()


def test_every_key_that_is_drawn_leads_with_the_workspace() -> None:
    for table in metadata.tables.values():
        assert [*table.primary_key.columns.keys()][:1] == ["workspace"], table.name
        for index in table.indexes:
            assert next(column.name for column in index.columns) == "workspace", index.name
        assert not table.foreign_keys, table.name


def test_every_key_of_the_database_leads_with_the_workspace(connection: Connection) -> None:
    found = inspect(connection)
    tables = set(found.get_table_names()) - NOT_OURS

    assert tables == set(metadata.tables)
    for table in sorted(tables):
        keys = [found.get_pk_constraint(table)["constrained_columns"]]
        keys += [index["column_names"] for index in found.get_indexes(table)]
        keys += [unique["column_names"] for unique in found.get_unique_constraints(table)]
        assert {key[0] for key in keys} == {"workspace"}, table
        assert found.get_foreign_keys(table) == [], table


def test_the_workspace_is_never_null(connection: Connection) -> None:
    found = inspect(connection)

    for table in metadata.tables:
        columns = {column["name"]: column for column in found.get_columns(table)}
        assert not columns["workspace"]["nullable"], table


def test_nothing_counts_or_fires_inside_the_database(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')"
        query += " OR name = 'sqlite_sequence'"
    else:
        query = (
            "SELECT sequence_name FROM information_schema.sequences"
            " UNION ALL SELECT trigger_name FROM information_schema.triggers"
            " UNION ALL SELECT proname FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'public'"
            " AND (column_default IS NOT NULL OR is_identity = 'YES')"
        )

    assert connection.exec_driver_sql(query).scalars().all() == []


def test_the_rows_that_change_have_room_on_their_page(postgresql_url: str) -> None:
    engine = make_engine(postgresql_url)
    with engine.connect() as connection:
        query = "SELECT relname FROM pg_class WHERE 'fillfactor=70' = ANY (reloptions)"
        found = set(connection.exec_driver_sql(query).scalars())
    engine.dispose()

    assert {"usage_cells", "allocations"} <= found
