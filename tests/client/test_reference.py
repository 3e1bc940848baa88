"""Hold the client's reference true: every public name is in it, as the code and its words are."""

import re

import pytest

import membudget
from docs.client_reference import ORIGINALS, client_page, root_names
from tests.data import REPOSITORY

PAGE = REPOSITORY / "docs" / "client-api.md"


def test_the_page_is_what_the_code_says() -> None:
    same = PAGE.read_text(encoding="utf-8") == client_page()
    assert same, "docs/client-api.md is out of date; run: uv run python docs/regenerate.py"


@pytest.mark.parametrize("name", sorted(set(membudget.__all__) - {"__version__"}))
def test_every_name_of_the_root_is_described(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^#### `{name}(?:\(.+\))?` · root\n\n(?P<text>.*)$", page, re.MULTILINE)
    assert found
    assert found["text"], "it has no docstring"


def test_the_names_are_those_that_the_package_answers() -> None:
    assert root_names().keys() == set(membudget.__all__) - {"__version__"}


def test_every_module_of_the_originals_names_is_there() -> None:
    homes = {home for home in root_names().values() if not home.startswith("_")}
    page = PAGE.read_text(encoding="utf-8")
    assert ORIGINALS
    assert [home for home in homes if f"### `membudget.{home}" not in page] == []
