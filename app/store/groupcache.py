"""Remember groups of past pieces of time, as long as nothing is booked into them."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from app.core.analytics import Groups

MAX_GROUPS = 40_000
"""About 60 MB at worst; the least recently used go first."""


class GroupCache:
    """Groups by what they are of; an entry holds only for the version it was read at."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[Hashable, Groups]] = OrderedDict()
        self._groups = 0
        self._lock = Lock()

    def get(self, key: Hashable, version: Hashable, load: Callable[[], Groups]) -> Groups:
        """The groups of `key` at `version`, loaded if they are not at hand. Do not change them."""
        with self._lock:
            held = self._entries.get(key)
            if held is not None and held[0] == version:
                self._entries.move_to_end(key)
                return held[1]
        groups = load()
        with self._lock:
            self._drop(key)
            self._entries[key] = (version, groups)
            self._groups += len(groups) + 1
            while self._groups > MAX_GROUPS and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))
        return groups

    def _drop(self, key: Hashable) -> None:
        held = self._entries.pop(key, None)
        if held is not None:
            self._groups -= len(held[1]) + 1
