"""Prove that a service that is stopped at any stage of its life leaves nothing lost or locked."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.store import migrate
from app.store.appending import append_many
from app.store.database import Store
from app.store.usage import count_all
from tests import forked
from tests.core.runs import run
from tests.data import REPOSITORY

ROWS = 20
SECONDS = 60

STARTING = [
    ("app.commands.serving", "bind", 1),
    ("app.commands.serving", "wait_for_database", 1),
    ("app.commands.serving", "create_app", 1),
    ("app.main", "ProcessLock.__enter__", 1),
    ("app.main", "upgrade", 1),
    ("app.store.migrate", "_config", 1),
    ("app.main", "Store.start", 1),
    ("app.main", "follow", 1),
    ("app.main", "Store.read", 1),
    ("app.main", "keep_time", 1),
    ("gc", "freeze", 1),
    ("uvicorn", "Server.startup", 1),
    ("app.commands.serving", "Server.startup", 1),
    ("uvicorn", "Server.shutdown", 1),
]
MIGRATING = [("alembic.op", "create_table", 1), ("alembic.op", "create_table", 12)]
STOPPING = [("app.main", "Store.close", 1), ("app.main", "ProcessLock.__exit__", 1)]


def environment(database_url: str) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "MEMBUDGET_DATABASE_URL": database_url,
    }


def stopped_at(stage: tuple[str, str, int], database_url: str, folder: Path) -> int:
    """Serve, be stopped at a stage, and answer the exit code; what never gets there is stopped."""
    log = folder / "log"
    with log.open("wb") as stderr:
        process = forked.start(
            ["serve", "--port", "0"],
            environment=environment(database_url),
            folder=folder,
            stderr=stderr,
            stops_at=stage,
        )
    try:
        with process.stdout as said:
            if b"serves" in said.readline():
                process.terminate()
            code = process.wait(SECONDS)
    finally:
        process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()
    return code


def put_rows(database_url: str) -> None:
    store = Store(database_url)
    rows = [run(str(number)) for number in range(ROWS)]
    store.write_now(lambda tx: append_many(tx, "default", [rows]))
    store.close()


def rows_in(database_url: str) -> int:
    migrate.upgrade(database_url)  # the next start would
    store = Store(database_url)
    found = store.read_now(count_all)
    store.close()
    return found


def name_of(stage: tuple[str, str, int]) -> str:
    return "-".join(map(str, stage[1:]))


@pytest.mark.parametrize("stage", [*STARTING, *STOPPING], ids=name_of)
def test_a_stop_at_any_stage_loses_and_locks_nothing(
    stage: tuple[str, str, int], database_url: str, tmp_path: Path
) -> None:
    put_rows(database_url)
    assert stopped_at(stage, database_url, tmp_path) == 0
    assert list(tmp_path.rglob("*.lock")) == []
    assert rows_in(database_url) == ROWS


@pytest.mark.parametrize("stage", MIGRATING, ids=name_of)
def test_a_stop_while_it_migrates_leaves_a_schema_that_goes_on(
    stage: tuple[str, str, int], bare_database_url: str, tmp_path: Path
) -> None:
    assert stopped_at(stage, bare_database_url, tmp_path) == 0
    assert list(tmp_path.rglob("*.lock")) == []
    assert rows_in(bare_database_url) == 0
    put_rows(bare_database_url)


def test_a_stop_while_it_upgrades_books_keeps_them(database_url: str, tmp_path: Path) -> None:
    put_rows(database_url)
    migrate.downgrade(database_url, revision="0002")
    assert stopped_at(("alembic.op", "create_table", 2), database_url, tmp_path) == 0
    assert rows_in(database_url) == ROWS


def test_a_stop_under_writes_keeps_all_that_was_acknowledged(
    database_url: str, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        env=environment(database_url),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
    assert found is not None
    acknowledged = 0
    event = {"agent": "a", "budget_tokens": 10, "used_tokens": 1}
    with httpx.Client(base_url=found[0]) as client:
        for number in range(10_000):
            if number == 30:
                process.terminate()
            try:
                answer = client.post("/usage", json=event)
            except httpx.TransportError:
                break
            acknowledged += answer.status_code == 201
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert acknowledged >= 30
    assert acknowledged <= rows_in(database_url) <= acknowledged + 1
    assert list(tmp_path.rglob("*.lock")) == []
