"""Type what the documents show: their Python under our import line, their shell as commands."""

import ast
import asyncio
import importlib
import inspect
import io
import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import pytest

from tests.data import REPOSITORY

SCRIPTS: dict[str, str] = tomllib.loads(
    (REPOSITORY / "client" / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["scripts"]

_IMPORT = re.compile(
    r"^from (memory_budget_\w+|budget_monitor|prometheus_lib[\w.]*) import", re.MULTILINE
)
_SCRIPT = re.compile(r"^(?:python3? |\./)?scripts/([\w-]+)\.(?:py|sh)")


def typed(snippet: str, **names: Any) -> dict[str, Any]:
    """Run a snippet with its import line changed, `await` and all; answers its names."""
    code = _IMPORT.sub("from membudget import", dedent(snippet))
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    ended = eval(compile(code, "<the document>", "exec", flags), names)
    if inspect.iscoroutine(ended):
        asyncio.run(ended)
    return names


def command(line: str) -> list[str]:
    """A shell line of the documents as the command that it is now."""
    return shlex.split(_SCRIPT.sub(r"\1", line.replace("\\\n", " ")), comments=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs the commands that `[project.scripts]` names, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, line: str, given: str = "") -> Said:
        """Type a line; `given` is its standard input."""
        words = command(line)
        module, _, function = SCRIPTS[words[0]].partition(":")
        self._monkeypatch.setattr(sys, "argv", words)
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            getattr(importlib.import_module(module), function)()
        written = self._capsys.readouterr()
        code = ended.value.code
        return Said(
            code=code if isinstance(code, int) else int(code is not None),
            out=written.out,
            err=written.err,
        )
