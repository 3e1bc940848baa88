"""Prove that whatever is upset, what SQLite has acknowledged is in the books, once."""

from tests.faults.rounds import assert_books_survive


def test_what_was_acknowledged_survives_every_fault() -> None:
    assert_books_survive("sqlite", ["kill", "stop", "freeze", "disk"])
