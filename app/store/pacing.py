"""Work in short stretches, so that others get the processor and Python's lock in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

from app.store.database import Tx

PAUSE_SECONDS = 0.000_05
OPERATIONS = 10_000
"""Operations of SQLite's machine between two pauses, about half a millisecond. PostgreSQL works in
a process of its own."""


def pause() -> None:
    """Let others go first; to be called every half a millisecond or so."""
    sleep(PAUSE_SECONDS)


@contextmanager
def unhurried(tx: Tx) -> Iterator[None]:
    """While the block lasts, statements pause as they go on."""
    if not tx.is_sqlite:
        yield
        return
    driver = tx.connection.connection.driver_connection
    assert driver is not None
    driver.set_progress_handler(pause, OPERATIONS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
