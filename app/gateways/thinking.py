"""Do long work beside the event loop, a little at once, and remember some of its results."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

R = TypeVar("R")

AT_ONCE = 2
"""Threads that think at the same time: more of them would only take turns, and keep the event loop
from its own."""

MOST_CHARACTERS = 8_000_000
"""Of results that are remembered, all together."""


class Thinking:
    """A few threads for work that takes longer than a request may hold the event loop."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(AT_ONCE)
        self._found: OrderedDict[bytes, tuple[Any, int]] = OrderedDict()
        self._characters = 0

    async def run(self, work: Callable[[], R]) -> R:
        """What the work answers; it waits while enough others think."""
        return await to_thread.run_sync(work, limiter=self._threads)

    async def run_once(self, key: bytes, work: Callable[[], R], size: Callable[[R], int]) -> R:
        """The same, remembered under the digest of all that it depends on; `size`: of a result, in
        characters. The least recently used go first."""
        kept = self._found.get(key)
        if kept is not None:
            self._found.move_to_end(key)
            found: R = kept[0]
            return found
        made = await self.run(work)
        if key not in self._found and size(made) <= MOST_CHARACTERS // 8:
            self._found[key] = made, size(made)
            self._characters += size(made)
            while self._characters > MOST_CHARACTERS:
                _, (_, gone) = self._found.popitem(last=False)
                self._characters -= gone
        return made
