"""What nobody lets the client read is named: it is neither lost nor taken for deleted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from membudget import Client

WITHOUT_POWERS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Root reads everything; without its powers it does not."""


def typed(*line: str) -> subprocess.CompletedProcess[str]:
    """A command of a user who may read only what its owner lets everybody read."""
    before = WITHOUT_POWERS if os.geteuid() == 0 else ()
    return subprocess.run(
        [*before, sys.executable, "-m", "membudget", *line],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def closed(path: Path) -> Path:
    path.chmod(0)
    return path


@pytest.mark.parametrize("what", ["patterns", "patterns/one.md"])
def test_a_tree_that_cannot_be_read_whole_replaces_nothing(
    service: str, desk: Path, what: str
) -> None:
    tree = desk / "tree"
    (tree / "patterns").mkdir(parents=True)
    for name in ("one", "two"):
        (tree / "patterns" / f"{name}.md").write_text(f"# {name}\n\nwhat {what} says\n")
    home = f"unreadable-{len(what)}"
    assert typed("import", str(tree), "--workspace", home, "--replace").returncode == 0
    hidden = closed(tree / what)
    try:
        again = typed("import", str(tree), "--workspace", home, "--replace")
    finally:
        hidden.chmod(0o755)
    assert again.returncode == 1
    assert f"{hidden} cannot be read (Permission denied)" in again.stderr
    with Client(service, workspace=home) as client:
        assert len(list(client.memories.list())) == 2


@pytest.mark.parametrize("what", ["specialists", "patterns"])
def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_loaded(
    service: str, desk: Path, what: str
) -> None:
    root = desk / ".claude" / "memory"
    for folder in ("patterns", "recent", "specialists/dbt-expert/patterns"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "a.md").write_text(f"# what stands in {folder}\n")
    hidden = closed(root / what)
    try:
        done = typed("load", "--agent", "dbt-expert", "--json")
    finally:
        hidden.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert f"eft out {Path('.claude', 'memory', what)}" in done.stderr
    assert json.loads(done.stdout)["loaded_count"] == 2
