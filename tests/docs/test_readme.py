"""Type what the README types, against the service as it is served, and compare the answers."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.data import REPOSITORY
from tests.running import served
from tests.transcripts import session_lines, write_lines

README = REPOSITORY / "README.md"
THERE = "http://127.0.0.1:8000"
PATIENCE = 300

FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"(?:\w+=\$\()?(?:curl|membudget-server) ")
OWN_DATA = re.compile(
    r"uv run membudget-server import ~/\.claude/projects.+"
    r"uv run membudget-server report --html (?P<page>[\w.]+)"
)
PASSING = {
    "id", "created_at", "expires_at", "allocation_id", "timestamp", "at",
    "duration_seconds", "avg_duration_seconds", "since", "until",
}  # fmt: skip
"""Members that are another thing on every run: it is enough that they are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command of the README, and the answer that it shows below."""

    command: str
    kind: str | None
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What came of a step."""

    step: Step
    code: int
    said: str


def steps() -> Iterator[Step]:
    fences = [(match["kind"], match["body"]) for match in FENCE.finditer(README.read_text("utf-8"))]
    for (kind, body), (next_kind, next_body) in zip(fences, [*fences[1:], ("", "")], strict=True):
        if kind == "bash":
            answered = next_kind in ("json", "text")
            yield Step(
                command=body,
                kind=next_kind if answered else None,
                shown=next_body if answered else "",
            )


STEPS = list(steps())


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> list[Typed]:
    """Every step in its order, in one shell, in a folder that has what a clone has."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "docs").symlink_to(REPOSITORY / "docs")
    with served("sqlite:///membudget.db", folder) as service:
        script = "set -o pipefail\n" + "".join(
            f"{step.command.replace(THERE, service.url)}printf '\\36%s\\35' $?\n" for step in STEPS
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env={
                **{name: v for name, v in os.environ.items() if not name.startswith("MEMBUDGET_")},
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.stderr.strip() == ""
    parts = [part.split("\36") for part in done.stdout.split("\35")[:-1]]
    return [
        Typed(step=step, code=int(code), said=said)
        for step, (said, code) in zip(STEPS, parts, strict=True)
    ]


def differences(shown: Any, came: Any, where: str = "") -> list[str]:
    """Where an answer is not what is shown of it."""
    if isinstance(shown, dict) and isinstance(came, dict):
        found = []
        for key, value in shown.items():
            here = f"{where}.{key}"
            if key not in came:
                found.append(f"{here} is not in the answer")
            elif key not in PASSING or not _is_name(value, key):
                found += differences(value, came[key], here)
        return found
    if isinstance(shown, list) and isinstance(came, list) and len(shown) == len(came):
        pairs = enumerate(zip(shown, came, strict=True))
        return [one for at, (a, b) in pairs for one in differences(a, b, f"{where}[{at}]")]
    same = shown == came and type(shown) is type(came)
    return [] if same else [f"{where}: shown {shown!r}, came {came!r}"]


def _is_name(value: Any, key: str) -> bool:
    """Whether a value is one of ours: the ids of candidates are the reader's own."""
    return key != "id" or bool(re.match(r"(?:alc|use)_\w{20}", str(value)))


def test_every_shell_block_is_one_that_this_test_types() -> None:
    assert [step.command for step in STEPS if not TYPED.match(step.command)] == []
    assert len(STEPS) >= 9
    assert sum(step.kind == "json" for step in STEPS) >= 6


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_step_answers_what_is_shown(typed: list[Typed], number: int) -> None:
    one = typed[number]
    assert one.code == 0, one.said
    if one.step.kind == "json":
        assert differences(json.loads(one.step.shown), json.loads(one.said)) == []
    if one.step.kind == "text":
        said = {" ".join(line.split()) for line in one.said.splitlines()}
        assert {" ".join(line.split()) for line in one.step.shown.splitlines()} <= said


def test_the_answer_that_is_called_whole_is_whole(typed: list[Typed]) -> None:
    first = next(one for one in typed if one.step.kind == "json")
    assert "The answer, whole" in README.read_text("utf-8")
    assert json.loads(first.step.shown).keys() == json.loads(first.said).keys()


@pytest.mark.parametrize("page", ["README.md", "docs/your-own-data.md"])
def test_a_transcript_cut_in_a_line_keeps_nobody_from_the_report(page: str, tmp_path: Path) -> None:
    typed = OWN_DATA.search((REPOSITORY / page).read_text("utf-8"))
    assert typed is not None
    write_lines(
        tmp_path / ".claude" / "projects" / "p" / "one.jsonl", session_lines(), end='\n{"ty'
    )
    done = subprocess.run(
        ["bash", "-c", typed[0].replace("uv run ", "")],
        cwd=tmp_path,
        env={
            **{name: v for name, v in os.environ.items() if not name.startswith("MEMBUDGET_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "3 calls imported, 0 duplicates, 1 refused" in done.stdout
    assert "claude-code" in (tmp_path / typed["page"]).read_text("utf-8")


def test_differences_are_seen() -> None:
    shown = {"id": "alc_01m7y0bzgkzqedc6b270sn", "budget": {"tokens": 3}, "items": [1]}
    assert differences(shown, {**shown, "id": "alc_another"}) == []
    assert differences(shown, {**shown, "budget": {"tokens": 4}})
    assert differences(shown, {**shown, "items": [1, 2]})
    assert differences(shown, {"id": shown["id"], "budget": shown["budget"]})
