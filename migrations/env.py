"""Run migrations on the connection that is given, or on the address in the environment."""

import os

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.sql.schema import SchemaItem

from app.store.engines import make_engine
from app.store.tables import TEXT_INDEX_TABLES, metadata

DEFAULT_URL = "sqlite:///membudget.db"


def address() -> str:
    """`alembic -x url=…`, else the administrator's address, else the service's."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    return (
        given
        or os.environ.get("MEMBUDGET_DATABASE_ADMIN_URL")
        or os.environ.get("MEMBUDGET_DATABASE_URL")
        or DEFAULT_URL
    )


def is_drawn(
    _: SchemaItem, name: str | None, kind: str, reflected: bool, __: SchemaItem | None
) -> bool:
    """Whether `tables.py` has to know an object that is compared with it."""
    return not (kind == "table" and reflected and name in TEXT_INDEX_TABLES)


def run_on(connection: Connection) -> None:
    """Run what is asked for in one transaction; whoever gave the connection commits."""
    if connection.dialect.name == "sqlite":
        # Our SQLite connections leave BEGIN to us; without it each statement would be final.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        include_object=is_drawn,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_alone() -> None:
    """Open the database, run what is asked for, commit."""
    engine = make_engine(address())
    try:
        with engine.connect() as connection:
            run_on(connection)
            connection.commit()
    finally:
        engine.dispose()


def run_as_text() -> None:
    """Print the statements instead of running them (`alembic upgrade head --sql`)."""
    context.configure(
        dialect_name="postgresql" if address().startswith("postgresql") else "sqlite",
        target_metadata=metadata,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_as_text()
elif (connection := context.config.attributes.get("connection")) is not None:
    run_on(connection)
else:
    run_alone()
