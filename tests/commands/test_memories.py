"""Memories by command: a tree and lines go in, lines come out, and a dry run keeps nothing."""

import json
from pathlib import Path

from tests.commands.running import run
from tests.data import data_dir
from tests.running import served

LINES = '{"id": "a", "text": "one"}\n{"id": "b", "text": ""}\n\n{"id": "c/d", "text": "x"}\n'


def test_a_tree_goes_in_once_and_comes_out_as_lines(sqlite_url: str, tmp_path: Path) -> None:
    tree = str(data_dir() / "claude-memory" / "claude-memory.tar.gz")
    imported = run("import", tree, tree, database_url=sqlite_url)
    out = tmp_path / "memories.jsonl"
    exported = run("export", "memories", "--output", str(out), database_url=sqlite_url)

    assert (imported.returncode, exported.returncode) == (0, 0)
    assert imported.stdout.splitlines() == [
        f"{tree}: 211 imported, 0 unchanged, 0 refused",
        f"{tree}: 0 imported, 211 unchanged, 0 refused",
    ]
    assert len(out.read_bytes().splitlines()) == 211


def test_lines_that_are_refused_are_named(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    file.write_text(LINES)
    found = run("import", str(file), "--project", "p", "--replace", database_url=sqlite_url)

    assert found.returncode == 1
    first, *named = found.stdout.splitlines()
    assert first == f"{file}: 1 imported, 0 unchanged, 2 refused"
    assert [line.split(": ")[0] for line in named] == [f"{file}:2", f"{file}:4"]


def test_a_dry_run_of_memories_needs_no_database(tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    file.write_text(LINES)
    tree = str(data_dir() / "claude-memory" / "claude-memory.tar.gz")
    found = run("import", "--dry-run", str(file), tree, database_url="sqlite:////nowhere/x.db")

    lines = found.stdout.splitlines()
    assert f"{file}: 1 can be read, 2 would be refused" in lines
    assert f"{tree}: 211 can be read, 0 would be refused" in lines


def test_a_long_file_goes_in_part_by_part(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    texts = [f"{number} " + "word " * 180_000 for number in range(6)]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with served(sqlite_url, tmp_path, upload_limit_bytes="5500000"):
        found = run("import", str(file), database_url=sqlite_url)

    assert found.stdout == f"{file}: 6 imported, 0 unchanged, 0 refused\n", found.stderr
