"""Use both clients in the same words: a scenario is written once and runs with each."""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from membudget import AsyncClient, Client

OURS = "membudget."
PARTS = (
    "membudget.cost_parts",
    "membudget.memories",
    "membudget.parts",
    "membudget.speed_parts",
)
AWAITED_PARTS = tuple(name.replace("membudget.", "membudget.async_") for name in PARTS)


class Awaited:
    """An object of the asynchronous client whose methods block, and whose lists are lists."""

    def __init__(self, inner: Any, portal: BlockingPortal) -> None:
        self._inner = inner
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.ismethod(found):
            return self._blocking(found)
        if type(found).__module__ in AWAITED_PARTS:
            return Awaited(found, self._portal)
        return found

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._blocking(self._inner)(*args, **named)

    def _blocking(self, method: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            async def inside() -> Any:
                found = method(*args, **named)
                if inspect.isawaitable(found):
                    return await found
                if hasattr(found, "__aiter__"):
                    return [one async for one in found]
                return found

            found = self._portal.call(inside)
            return self._block(found) if hasattr(found, "__aenter__") else found

        return call

    def _block(self, manager: Any) -> AbstractContextManager[Any]:
        @contextmanager
        def block() -> Iterator[Any]:
            with self._portal.wrap_async_context_manager(manager) as entered:
                yield Awaited(entered, self._portal)

        return block()


class Listed:
    """The client whose calls block, with lists for iterators."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.ismethod(found):
            return self._listing(found)
        if type(found).__module__ in PARTS:
            return Listed(found)
        return found

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._listing(self._inner)(*args, **named)

    def _listing(self, method: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            found = method(*args, **named)
            return list(found) if isinstance(found, Iterator) else found

        return call


@contextmanager
def face(kind: str, url: str, **options: Any) -> Iterator[Any]:
    """A client of either kind, closed afterwards."""
    if kind == "sync":
        with Client(url, **options) as client:
            yield Listed(client)
        return
    with start_blocking_portal() as portal:

        async def make() -> AsyncClient:
            return AsyncClient(url, **options)

        client = portal.call(make)
        with portal.wrap_async_context_manager(client):
            yield Awaited(client, portal)
