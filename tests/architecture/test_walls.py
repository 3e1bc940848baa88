"""Hold the walls: imports go down, modules say what they are, functions fit a screen."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import files, name_of, python_files
from tests.data import REPOSITORY

LONGEST_FUNCTION = 90
STOREYS = {"api", "commands", "core", "flows", "gateways", "jobs", "presets", "store"}
ROOMLESS = {"__init__.py", "__main__.py", "main.py", "settings.py", "clock.py", "logs.py"}
ALL_PYTHON = python_files("app", "benchmarks", "client", "docs", "migrations", "tests")
OUR_PYTHON = python_files("app", "client")


def test_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"  # apart: it silences loggers
    checked = subprocess.run(
        [linter, "--no-cache", "--no-logo"], cwd=REPOSITORY, capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_module_of_the_house_has_a_storey() -> None:
    rooms = [path.relative_to(REPOSITORY / "app").parts[0] for path in python_files("app")]
    strangers = sorted(set(rooms) - STOREYS - ROOMLESS)
    assert strangers == []


@pytest.mark.parametrize("path", ALL_PYTHON, ids=name_of)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert docstring, "the module has no docstring"
    sentence = docstring.partition("\n\n")[0]
    assert sentence.endswith((".", ":")) or "\n" not in docstring, sentence
    assert sentence.rstrip(".").count(". ") == 0, sentence


@pytest.mark.parametrize("path", OUR_PYTHON, ids=name_of)
def test_a_function_fits_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    too_long = [
        f"{node.name}: {length} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_packages_have_an_init_file() -> None:
    known = set(files())
    without = {
        name_of(path.parent)
        for path in python_files("app", "client/src")
        if path.parent / "__init__.py" not in known
    }
    assert without == set()
