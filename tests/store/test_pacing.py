"""Turns with Python's lock are short while they should be, and as before afterwards."""

import gc
import sys
from contextlib import ExitStack

import pytest

from app.store.pacing import TURN_SECONDS, YOUNG, short_turns


def test_turns_are_short_until_the_last_block_ends() -> None:
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(short_turns())
    second.enter_context(short_turns())
    first.close()
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
    second.close()
    assert sys.getswitchinterval() == before


def test_looks_for_cycles_are_short_until_the_last_block_ends() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(20_000, 20, 50)
        with short_turns(), short_turns():
            assert gc.get_threshold() == (YOUNG, 20 * 20_000 // YOUNG, 50)
        assert gc.get_threshold() == (20_000, 20, 50)
        gc.set_threshold(700, 10, 10)
        with short_turns():
            assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_turns_are_as_before_after_an_error() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError, match="trouble"), short_turns():
        raise ValueError("trouble")
    assert sys.getswitchinterval() == before
