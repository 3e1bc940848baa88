"""Backups are made, listed and restored by commands, from one database to another."""

import json
import re
from pathlib import Path

import pytest

from tests.commands.running import run
from tests.running import served

BACKUP = re.compile(r"bak_[0-9a-z]+_[0-9a-z]{8}")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "usage.jsonl"
    line = {
        "timestamp": "2025-10-01T10:00:00",
        "agent": "specialists/dbt-expert",
        "task": "task",
        "complexity": "simple",
        "budget_allocated": 1000,
        "tokens_loaded": 10,
        "scope_breakdown": {"global": 10},
    }
    path.write_text(json.dumps(line) + "\n")
    return path


def test_books_move_from_one_database_to_another(
    sqlite_url: str, bare_postgresql_url: str, log: Path, tmp_path: Path
) -> None:
    folder = str(tmp_path / "kept")
    run("import", str(log), database_url=sqlite_url).check_returncode()
    exported = run("export", "usage", database_url=sqlite_url).stdout

    made = run("backup", "create", database_url=sqlite_url, backup_dir=folder)
    found = BACKUP.search(made.stdout)
    assert found, made.stderr
    words = ("backup", "restore", found[0])
    tried = run(*words, "--dry-run", database_url=bare_postgresql_url, backup_dir=folder)
    assert "can be restored" in tried.stdout, tried.stderr
    done = run(*words, database_url=bare_postgresql_url, backup_dir=folder)

    assert done.returncode == 0, done.stderr
    assert exported
    assert run("export", "usage", database_url=bare_postgresql_url).stdout == exported
    run("audit", database_url=bare_postgresql_url).check_returncode()
    listed = run("backup", "list", database_url=sqlite_url, backup_dir=folder)
    ids = BACKUP.findall(listed.stdout)
    assert len(ids) == 2  # with the safety backup
    assert ids[1] == found[0]
    assert "damaged" not in listed.stdout


def test_a_command_asks_the_service_that_holds_the_file(sqlite_url: str, tmp_path: Path) -> None:
    with served(sqlite_url, tmp_path):
        made = run("backup", "create", database_url=sqlite_url)
    assert made.returncode == 0, made.stderr
    assert [path.name for path in (tmp_path / "membudget-backups").glob("bak_*")] != []


def test_an_unknown_backup_is_one_line(sqlite_url: str) -> None:
    said = run("backup", "restore", "bak_unknown", database_url=sqlite_url)
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert "No backup of this id" in said.stderr


def test_an_address_that_is_no_redis_is_one_line(sqlite_url: str) -> None:
    said = run("backup", "list", database_url=sqlite_url, redis_url="http://x")
    assert said.returncode == 2
    assert "MEMBUDGET_REDIS_URL" in said.stderr
