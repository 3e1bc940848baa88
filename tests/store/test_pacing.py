"""Turns with Python's lock are short while they should be, and as before afterwards."""

import sys
from contextlib import ExitStack

import pytest

from app.store.pacing import TURN_SECONDS, short_turns


def test_turns_are_short_until_the_last_block_ends() -> None:
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(short_turns())
    second.enter_context(short_turns())
    first.close()
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
    second.close()
    assert sys.getswitchinterval() == before


def test_turns_are_as_before_after_an_error() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError, match="trouble"), short_turns():
        raise ValueError("trouble")
    assert sys.getswitchinterval() == before
