"""Run the documents: every code block and shell line of theirs, as it stands there.

Other tests quote the same lines and say what they must come to; that no line is left out is said
here, too.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from membudget import (
    ExecutionStrategy,
    ExecutionTask,
    ScopedMemoryBudget,
    TaskComplexityDetector,
    WorkspaceConfig,
)
from membudget.allocator_types import as_entry
from tests.client.faces import (
    test_allocator,
    test_budget_profiles,
    test_commands,
    test_scoped_budgets,
    test_shell_lines,
)
from tests.client.faces.items import item
from tests.client.faces.typing_in import Shell, typed
from tests.data import REPOSITORY, absent, data_dir

OURS = ("000", "001", "002", "003")
"""The documents whose lines are quoted in this folder; 004 is quoted beside what it describes."""

BLOCKS = {"000": 17, "001": 7, "002": 2, "003": 9, "004": 3}
"""How many blocks each document has."""
SHOWN = {
    ("000", 1): "what the loader prints: test_scoped_budgets compares it",
    ("000", 6): "what the analysis prints: test_shell_lines compares it",
    ("000", 9): "what the loader prints: test_scoped_budgets compares it",
    ("001", 6): "how far the project had come",
    ("002", 1): "how far the project had come",
    ("003", 0): "a drawing of which file imports which",
}
"""Blocks that are nothing to be typed, and what they are."""
NOT_TYPED = {
    "source projects/active/ai-memory-system-improvements/.venv/bin/activate": "no folder of ours",
}
INSTEAD = {
    "tail -f .claude/cache/budget-usage.jsonl | jq .": "membudget export usage",
    "python3 scripts/memory-budget-scoped.py [options]": "memory-budget-scoped --detailed",
}
"""Lines that are typed otherwise: one never ends, the other stands for many."""

ANY = re.compile(r"^[ \t]*```(?P<kind>\w*)[ \t]*\n(?P<body>.*?)^[ \t]*```", re.M | re.S)
FENCE = re.compile(r"^\s*```(?P<kind>python|bash|yaml|json)\n(?P<body>.*?)^\s*```", re.M | re.S)
INLINE = re.compile(r"`((?:\./|python3? )?scripts/[\w-]+\.(?:py|sh) [^`]+)`")
TYPED_ELSEWHERE = ("python examples/memory_budget_example.py",)
"""The example is ours now: tests of our pages run it."""


def quotes(module: ModuleType) -> Iterator[str]:
    """Every text that a module of tests quotes."""
    for held in vars(module).values():
        if isinstance(held, str):
            yield held
        elif isinstance(held, tuple):
            yield from (one for one in held if isinstance(one, str))


def plain(line: str) -> str:
    """A line without its comment and its room."""
    return re.sub(r"\s+", " ", re.sub(r"(^|\s)#.*$", "", line)).strip(" \\")


def lines(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        yield from map(plain, block["body"].splitlines())
    yield from map(plain, INLINE.findall(text))


@pytest.mark.parametrize("document", BLOCKS)
def test_every_block_of_a_document_runs(
    document: str, service: str, tree: Path, desk: Path, shell: Shell
) -> None:
    (path,) = [one for one in sources() if one.name.startswith(document)]
    text = path.read_text(encoding="utf-8")
    blocks = [(found["kind"], found["body"]) for found in ANY.finditer(text)]
    assert len(blocks) == BLOCKS[document]
    names = known(desk)
    for at, (kind, body) in enumerate(blocks):
        if (document, at) in SHOWN:
            assert kind == "", "a block of code is to be run"
        elif kind == "python":
            names.update(typed(body, **names))
        elif kind == "bash":
            for line in commands(body):
                assert type_in(shell, line) == 0, line
        else:
            take_in(shell, tree, kind, body)
    for line in INLINE.findall(text):
        for one in alternatives(line):
            assert type_in(shell, one) == 0, one


def known(desk: Path) -> dict[str, Any]:
    """What the blocks take for granted."""
    (desk / "configs").mkdir()
    (desk / "configs" / "memory-budget.yaml").write_text(
        yaml.safe_dump({"development": as_entry(WorkspaceConfig("development"))})
    )
    return {
        "ScopedMemoryBudget": ScopedMemoryBudget,
        "ExecutionTask": ExecutionTask,
        "ExecutionStrategy": ExecutionStrategy,
        "self": TaskComplexityDetector(),
        "context": {"technologies": ["dbt"]},
        "memories": [item("m1"), item("m2", "rag")],
        "my_function": lambda one, other: one + other,
        "arg1": 1,
        "arg2": 2,
        "long_text": "The harbour lies in fog. " * 400,
    }


def commands(body: str) -> Iterator[str]:
    """The lines of a block that are to be typed."""
    for line in body.replace("\\\n", " ").splitlines():
        typed_ = plain(line)
        if typed_ and typed_ not in NOT_TYPED:
            yield from alternatives(INSTEAD.get(typed_, typed_))


def alternatives(line: str) -> list[str]:
    """A line whose last word is `a|b|c` as one line for each."""
    head, _, words = line.rpartition(" ")
    return [f"{head} {word}" for word in words.split("|")]


def type_in(shell: Shell, line: str) -> int:
    """The exit code of a line of the documents."""
    if line in TYPED_ELSEWHERE:
        example = REPOSITORY / "docs" / line.partition(" ")[2]
        return subprocess.run([sys.executable, example], check=False).returncode
    return shell(line, "List all dbt models\nquit\n" if "--interactive" in line else "").code


def take_in(shell: Shell, tree: Path, kind: str, body: str) -> None:
    """Have the service read a part of a file that a document shows."""
    shown: Mapping[str, Any] = yaml.safe_load(body)
    if kind == "json":
        whole = yaml.safe_load((tree / "budget-profiles.json").read_text())
        for name, profile in shown["profiles"].items():
            whole["profiles"][name] |= profile
        whole["agent_assignments"] |= shown["agent_assignments"]
    else:
        whole = {name: as_entry(WorkspaceConfig(name)) | entry for name, entry in shown.items()}
    file = tree.parent / f"shown.{kind}"
    file.write_text(json.dumps(whole))  # which is YAML, too
    assert shell(f"membudget import {file} --kind policy").code == 0


def sources() -> list[Path]:
    folder = data_dir().parent / "reference"
    if not folder.is_dir():
        absent(f"the source documents are not here (looked in {folder})")
    return sorted(folder.glob("*.txt"))


def test_every_document_is_known() -> None:
    assert {path.name[:3] for path in sources()} == BLOCKS.keys()


def test_every_line_of_the_documents_is_typed_by_a_test() -> None:
    modules = (
        test_allocator,
        test_budget_profiles,
        test_commands,
        test_scoped_budgets,
        test_shell_lines,
    )
    typed = {
        plain(line) for module in modules for quote in quotes(module) for line in quote.splitlines()
    }
    found = {
        (path.name[:3], line)
        for path in sources()
        if path.name[:3] in OURS
        for line in lines(path)
        if line
    }
    assert len(found) > 60
    missing = {
        (name, line)
        for name, line in found
        if line not in typed and line not in TYPED_ELSEWHERE and not line.endswith(" --help")
    }
    assert missing == set()
