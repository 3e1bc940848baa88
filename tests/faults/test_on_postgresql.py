"""Prove that whatever is upset, what PostgreSQL has acknowledged is in the books, once."""

import sys

from tests.data import REPOSITORY, absent
from tests.faults.rounds import assert_books_survive

sys.path.insert(0, str(REPOSITORY / "benchmarks"))
from upsets import postgres_bin

FAULTS = "kill stop freeze crash restart cut commit silence disk".split()


def test_what_was_acknowledged_survives_every_fault() -> None:
    try:
        postgres_bin()
    except RuntimeError as error:
        absent(str(error))
    assert_books_survive("postgresql", FAULTS)
