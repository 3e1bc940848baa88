"""Hold the page of guarantees to the tests and scripts that it names."""

import re

import pytest

from docs.regenerate import DOCS
from tests.data import REPOSITORY

PAGE = (DOCS / "guarantees.md").read_text(encoding="utf-8")
PROOF = re.compile(r"`((?:tests|benchmarks)/[\w./]+)[ `]")


def rows() -> list[tuple[str, str]]:
    """What is promised, and what is said to show it."""
    found = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    return [row for row in found if row[0] != "promise" and not row[0].startswith("--")]


def test_every_promise_names_what_shows_it() -> None:
    assert len(rows()) > 30
    assert [promise for promise, shown in rows() if not PROOF.search(shown)] == []


@pytest.mark.parametrize("path", sorted(set(PROOF.findall(PAGE))))
def test_what_shows_it_is_there(path: str) -> None:
    assert (REPOSITORY / path).exists()
