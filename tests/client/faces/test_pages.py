"""Type what our pages for users of the client show, and run the examples."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from membudget import Client
from membudget.allocator_types import WorkspaceConfig, as_entry
from tests.client.faces.typing_in import SCRIPTS, Shell
from tests.data import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = (
    "../client/README.md",
    "claude-code.md",
    "costs.md",
    "speed-and-context.md",
    "migrating-from-scoped-budgets.md",
    "migrating-from-the-allocator.md",
    "migrating-from-the-cost-tracker.md",
    "cookbook.md",
)
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`(?P<line>[^`]+)`")


def blocks(page: str, kind: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [found["body"] for found in FENCE.finditer(text) if found["kind"] == kind]


@pytest.fixture
def stage(service: str, tree: Path, desk: Path) -> Path:
    """The working folder that the pages suppose."""
    with Client(service) as client:
        client.usage_import(tree.parent / "cache" / "budget-usage.jsonl")
        client.track(agent="specialists/dbt-expert", budget_tokens=20_000, used_tokens=15_000)
    (desk / "configs").mkdir()
    (desk / "configs" / "memory-budget.yaml").write_text(
        json.dumps({"development": as_entry(WorkspaceConfig("development"))})
    )
    (desk / "budget-profiles.json").write_bytes((tree / "budget-profiles.json").read_bytes())
    return desk


PYTHON = [(page, at) for page in PAGES for at in range(len(blocks(page, "python")))]
SHELL = [
    (page, line)
    for page in PAGES
    for body in blocks(page, "bash")
    if "curl" not in body  # lines of HTTP are typed by the tests of their page
    for line in body.splitlines()
]


@pytest.mark.parametrize(("page", "at"), PYTHON)
def test_python_of_a_page_runs(stage: Path, page: str, at: int) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks(page, "python")[at], page, "exec"), names)


def test_no_page_that_shows_the_client_is_left_out() -> None:
    shown = {
        path.name
        for path in DOCS.glob("*.md")
        if re.search(r"^(from membudget\b|import membudget\b|membudget )", path.read_text(), re.M)
    }
    assert len(shown) > 4
    assert shown <= {*PAGES}


@pytest.mark.parametrize(("page", "line"), SHELL)
def test_shell_lines_of_a_page_run(stage: Path, shell: Shell, page: str, line: str) -> None:
    given, _, piped = line.rpartition(" | ")
    words = shlex.split(given)
    assert words[:1] in ([], ["echo"])
    said = shell(re.split(r"\s(?:>|\|\|)\s", piped)[0], " ".join(words[1:]))
    assert said.code == 0, said.err


def rows(page: str) -> Iterator[str]:
    """Our lines in the tables of a page."""
    for line in (DOCS / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("| `") and line.count(" | ") == 1:
            yield from (found["line"] for found in CODE.finditer(line.split(" | ")[1]))


@pytest.mark.parametrize(
    ("page", "line"),
    [
        (page, row)
        for page in PAGES
        for row in rows(page)
        if row.split()[0] in SCRIPTS and " " in row
    ],
)
def test_lines_that_a_table_promises_run(stage: Path, shell: Shell, page: str, line: str) -> None:
    said = shell(line)
    assert said.code == 0, said.err


def test_imports_that_a_table_promises_work() -> None:
    lines = [row for page in PAGES for row in rows(page) if row.startswith("from membudget")]
    assert lines
    for line in lines:
        exec(line, {})


@pytest.mark.parametrize("name", ["agent_loop.py", "memory_budget_example.py"])
@pytest.mark.parametrize("place", ["service", "away"])
def test_an_example_runs_with_and_without_the_service(
    place: str, name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(place)
    found = subprocess.run(
        [sys.executable, str(DOCS / "examples" / name)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "",
            "PYTHONPATH": ":".join(sys.path),
            "MEMBUDGET_URL": url,
            "MEMBUDGET_SPOOL": str(tmp_path / "spool"),
        },
    )
    assert found.returncode == 0, found.stderr
    if name == "agent_loop.py":
        assert "simple: 10,000 tokens" in found.stdout
        assert "multi-system: 40,000 tokens" in found.stdout
        if place == "service":
            assert re.search(r"\d+ runs used [\d.]+ % of their budgets", found.stdout)
        else:
            assert "decided here from the policy that ships" in found.stdout
    else:
        for part in ("QUERY COMPLEXITY", "BUDGET ALLOCATION", "SCORING", "STATISTICS"):
            assert part in found.stdout
        assert "3 allocations" in found.stdout
