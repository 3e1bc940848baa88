"""Work in short stretches, so that others get the processor and Python's lock in between."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import sleep

from app.store.database import Tx
from app.store.engines import CACHE_KB

PAUSE_SECONDS = 0.000_05
OPERATIONS = 40_000
"""Operations of SQLite's machine between two pauses, about a millisecond, without Python's lock.
PostgreSQL works in a process of its own."""

TURN_SECONDS = 0.000_05
"""How long a thread that thinks keeps Python's lock from one that waits, while a job runs; Python's
own 5 ms are waited for at each of the steps of a request, and a request has about ten."""

SCAN_KB = 1_000
"""What a connection keeps of the file while it scans: pages that are read once cost more when they
are given memory of their own than when they are read again."""

YOUNG = 2_000
"""New values after which cycles are looked for among them, while a job runs: a look keeps Python's
lock, a quarter of a millisecond then, five where it waits for 20,000."""

_before: list[tuple[float, tuple[int, int, int]]] = []
"""How long turns were, and when cycles were looked for, at the beginning of each block."""
_lock = Lock()


def pause() -> None:
    """Let others go first; to be called every half a millisecond or so."""
    sleep(PAUSE_SECONDS)


@contextmanager
def short_turns() -> Iterator[None]:
    """While the block lasts, threads of this process wait for Python's lock a short time only.

    Blocks may overlap: the last one to end puts back what was before the first.
    """
    with _lock:
        _before.append((sys.getswitchinterval(), gc.get_threshold()))
        seconds, (young, middle, old) = _before[0]
        sys.setswitchinterval(min(seconds, TURN_SECONDS))
        if young > YOUNG:  # as often as before among older values
            gc.set_threshold(YOUNG, middle * young // YOUNG, old)
    try:
        yield
    finally:
        with _lock:
            seconds, thresholds = _before[0]
            _before.pop()
            if not _before:
                sys.setswitchinterval(seconds)
                gc.set_threshold(*thresholds)


@contextmanager
def unhurried(tx: Tx) -> Iterator[None]:
    """While the block lasts, statements pause as they go on, and keep little of what they read."""
    if not tx.is_sqlite:
        yield
        return
    driver = tx.connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA cache_size=-{SCAN_KB}")
    driver.set_progress_handler(pause, OPERATIONS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
        driver.execute(f"PRAGMA cache_size=-{CACHE_KB}")
