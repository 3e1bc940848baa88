"""Hold what a release carries: licence, changelog, one version, nothing of somebody's machine."""

import hashlib
import os
import re
import subprocess
import tomllib

import pytest
import yaml

import app
import membudget
from tests.architecture.tree import files, name_of, texts
from tests.data import REPOSITORY

APACHE_2_0 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of the licence's text as its authors publish it."""

# In pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.$}~-])/" + r"(?:work|root|home/\w+|Users/\w+)/")
REGISTRIES = re.compile(r"python" + r"hosted\.org|pypi\.org/" + r"simple|registry\.np" + r"mjs")
SECRETS = re.compile(r"BEGIN [A-Z ]*PRIVATE " + r"KEY|\bmb_[0-9A-Za-z]{40,}")


def version() -> str:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    found: str = tomllib.loads(text)["project"]["version"]
    return found


def test_the_licence_is_apache_2_0_word_for_word() -> None:
    assert hashlib.sha256((REPOSITORY / "LICENSE").read_bytes()).hexdigest() == APACHE_2_0


def test_there_is_one_version() -> None:
    client = tomllib.loads((REPOSITORY / "client/pyproject.toml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    assert app.__version__ == version()
    assert membudget.__version__ == client["project"]["version"]
    assert compose["services"]["membudget"]["image"] == f"membudget-server:{version()}"


def test_the_changelog_has_the_version() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version())} ", changelog, re.MULTILINE)


def test_the_client_is_typed_and_light() -> None:
    assert (REPOSITORY / "client/src/membudget/py.typed").is_file()
    client = tomllib.loads((REPOSITORY / "client/pyproject.toml").read_text(encoding="utf-8"))
    names = {re.split(r"[<>=\[ ]", line)[0] for line in client["project"]["dependencies"]}
    assert names <= {"anyio", "httpx", "rich", "typer"}


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRIES, SECRETS], ids=lambda p: p.pattern)
def test_files_hold_nothing_of_a_machine(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name_of(path)}: {match[0]}"
        for path, text in texts()
        if (match := pattern.search(text)) and "vectors" not in path.parts
    ]
    assert found == []


def test_files_are_small() -> None:
    big = [name_of(path) for path in files() if path.stat().st_size > 4 * 1024 * 1024]
    assert big == []


def test_the_ci_script_can_be_run() -> None:
    script = REPOSITORY / ".ci/run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert "export MEMBUDGET_TEST_REQUIRE_ALL=1" in text
    for step in ("uv run pytest", "uv run ruff check", "uv run mypy", "uv run lint-imports"):
        assert step in text
    subprocess.run(["bash", "-n", script], check=True)
