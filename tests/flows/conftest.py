"""Open a store on a migrated database of the test's own."""

from collections.abc import Iterator

import pytest

from app.store.database import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store whose writer runs, on both kinds of database."""
    store = Store(database_url)
    store.start()
    yield store
    store.close()
