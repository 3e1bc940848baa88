"""Hold the quotes complete: no code block or shell line of the documents is left untyped."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.client.faces import (
    test_allocator,
    test_budget_profiles,
    test_commands,
    test_scoped_budgets,
    test_shell_lines,
)
from tests.data import absent, data_dir

OURS = ("000", "001", "002", "003")
"""The documents about budgets and allocation; 004 is quoted beside what it describes."""

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


def documents() -> list[Path]:
    folder = data_dir().parent / "reference"
    if not folder.is_dir():
        absent(f"the source documents are not here (looked in {folder})")
    return [path for path in sorted(folder.glob("*.txt")) if path.name[:3] in OURS]


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
    found = {(path.name[:3], line) for path in documents() for line in lines(path) if line}
    assert len(found) > 60
    missing = {
        (name, line)
        for name, line in found
        if line not in typed and line not in TYPED_ELSEWHERE and not line.endswith(" --help")
    }
    assert missing == set()
