"""Remember groups of pieces of time as long as nothing is booked into them, and open hours."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from threading import Lock

from app.core.analytics import CellName, Groups
from app.core.usage import Cell

MAX_GROUPS = 40_000
"""About 60 MB at worst; the least recently used go first."""

MAX_HOURS = 32
"""Hours whose cells are kept, over all workspaces."""

MAX_CELLS = 20_000
"""Cells of an hour above which it is read anew each time; about 20 MB."""

HourCells = Mapping[str, tuple[int, Mapping[str, Mapping[CellName, Cell]]]]
"""By agent: how many events it had, and its cells by family."""


class GroupCache:
    """Groups by what they are of; an entry holds only for the version it was read at."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[Hashable, Groups]] = OrderedDict()
        self._hours: OrderedDict[Hashable, HourCells] = OrderedDict()
        self._groups = 0
        self._times_forgotten = 0
        self._lock = Lock()

    def forget(self) -> None:
        """Forget everything (when all rows are replaced)."""
        with self._lock:
            self._entries.clear()
            self._hours.clear()
            self._groups = 0
            self._times_forgotten += 1

    def get(self, key: Hashable, version: Hashable, load: Callable[[], Groups]) -> Groups:
        """The groups of `key` at `version`, loaded if they are not at hand. Do not change them."""
        with self._lock:
            held = self._entries.get(key)
            if held is not None and held[0] == version:
                self._entries.move_to_end(key)
                return held[1]
            times = self._times_forgotten
        groups = load()
        with self._lock:
            if times != self._times_forgotten:
                return groups
            self._drop(key)
            self._entries[key] = (version, groups)
            self._groups += len(groups) + 1
            while self._groups > MAX_GROUPS and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))
        return groups

    def hour(self, key: Hashable, load: Callable[[HourCells], HourCells]) -> HourCells:
        """The cells of an hour: `load` is given what is known of it, and answers what holds now.

        Do not change either. An agent's cells hold for the number of events that it had then.
        """
        with self._lock:
            held = self._hours.get(key, {})
            times = self._times_forgotten
        cells = load(held)
        size = sum(len(part) for _, families in cells.values() for part in families.values())
        with self._lock:
            if times == self._times_forgotten and size <= MAX_CELLS:
                self._hours[key] = cells
                self._hours.move_to_end(key)
                while len(self._hours) > MAX_HOURS:
                    self._hours.popitem(last=False)
        return cells

    def _drop(self, key: Hashable) -> None:
        held = self._entries.pop(key, None)
        if held is not None:
            self._groups -= len(held[1]) + 1
