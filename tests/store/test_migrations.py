"""Migrations make the tables that the code draws, up, down and up again, on both databases."""

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from app.core.usage import fold
from app.store import migrate
from app.store.appending import append_many
from app.store.cell_reading import all_cells
from app.store.database import Store
from app.store.engines import make_engine
from app.store.tables import TEXT_INDEX_TABLES, metadata
from app.store.usage import count_all
from tests.core.runs import BASE, run
from tests.data import REPOSITORY


def tables_of(url: str) -> set[str]:
    engine = make_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def is_drawn(_: object, name: str | None, kind: str, *__: object) -> bool:
    return not (kind == "table" and name in TEXT_INDEX_TABLES)


def test_migrations_make_what_the_tables_say(database_url: str) -> None:
    engine = make_engine(database_url)
    try:
        with engine.connect() as connection:
            opts = {"compare_type": True, "include_object": is_drawn}
            context = MigrationContext.configure(connection, opts=opts)
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_a_migrated_database_owes_nothing(database_url: str) -> None:
    engine = make_engine(database_url)
    try:
        with engine.connect() as connection:
            assert not migrate.pending(connection)
    finally:
        engine.dispose()


def test_an_empty_database_owes_its_schema(bare_database_url: str) -> None:
    engine = make_engine(bare_database_url)
    try:
        with engine.connect() as connection:
            assert migrate.pending(connection)
    finally:
        engine.dispose()


def test_up_down_and_up_again(bare_database_url: str) -> None:
    migrate.upgrade(bare_database_url)
    first = tables_of(bare_database_url)
    migrate.downgrade(bare_database_url, revision="base")
    assert tables_of(bare_database_url) == set()
    migrate.upgrade(bare_database_url)

    assert tables_of(bare_database_url) == first
    assert first - TEXT_INDEX_TABLES == set(metadata.tables) < first


def test_down_and_up_again_with_books_in_it(database_url: str) -> None:
    store = Store(database_url)
    events = [run(str(number)) for number in range(3)]
    store.write_now(lambda tx: append_many(tx, "default", [events]))
    store.engine.dispose()

    migrate.downgrade(database_url, revision="base")
    migrate.upgrade(database_url)

    answers = store.write_now(lambda tx: append_many(tx, "default", [events]))
    store.engine.dispose()
    assert answers == [[True] * 3]


def test_cells_survive_the_way_down_and_up(database_url: str) -> None:
    hour = 3_600_000_000
    events = [
        run(str(n), at=BASE + n * hour // 3, scopes={"global": n, f"own {n % 3}": 1})
        for n in range(40)
    ]
    store = Store(database_url)
    for first in range(0, len(events), 7):
        store.write_now(lambda tx: append_many(tx, "default", [events[first : first + 7]]))  # noqa: B023 (runs at once)
    store.close()

    migrate.downgrade(database_url, revision="0003")
    migrate.upgrade(database_url)

    store = Store(database_url)
    late = run("late", at=BASE + 13 * hour, scopes={"global": 5})
    store.write_now(lambda tx: append_many(tx, "default", [[late]]))
    cells = store.read_now(lambda tx: all_cells(tx, "default"))
    store.close()
    assert cells == fold([*events, late])


def test_migrating_again_leaves_the_books_alone(database_url: str) -> None:
    store = Store(database_url)
    store.write_now(lambda tx: append_many(tx, "default", [[run("a")]]))

    migrate.upgrade(database_url)

    assert store.read_now(count_all) == 1
    store.engine.dispose()


def test_replicas_that_start_together_migrate_once(bare_database_url: str) -> None:
    code = "import sys; from app.store.migrate import upgrade; upgrade(sys.argv[1])"
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", code, bare_database_url],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    complaints = [replica.communicate(timeout=60)[1] for replica in replicas]

    assert [replica.returncode for replica in replicas] == [0] * 4, complaints
    assert tables_of(bare_database_url) - TEXT_INDEX_TABLES == set(metadata.tables)
