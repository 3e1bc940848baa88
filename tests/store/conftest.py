"""Open a store on a migrated database of the test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from app.store.database import Store


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url)
    store.start()
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store whose writer runs, on both kinds of database."""
    with opened(database_url) as found:
        yield found


@pytest.fixture
def open_store() -> Iterator[Callable[[str], Store]]:
    """Open as many stores as a test has replicas; they are closed when it ends."""
    with ExitStack() as open_:
        yield lambda url: open_.enter_context(opened(url))
