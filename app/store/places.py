"""Keep the active memories of places at hand, with their words, in step with every commit.

Only on SQLite: there one process has the file to itself, and nobody else changes what is kept.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from itertools import count
from threading import Lock
from typing import TypeVar

from app.core.recall import Found, View
from app.store.lengths import NUMBERS, length_class

MOST_KEPT = 30_000
"""Memories at hand, of all places together, some 2 KB each; the least recently used places go."""

LARGEST = 20_000
"""Memories of a view above which the database is asked: reading them would take half a second."""

WORDS = 25
"""A memory counts as one for each so many words in it: words are most of what it takes."""

OVERHEAD = 100
"""Memories that a place counts besides its own."""

MOST_ASKED = 10_000
"""Places whose requests are counted."""

WORTH = 200
"""Memories of a place for each time it must be asked before it is kept: reading so many of them
costs about what a request saves afterwards."""

Row = tuple[int, Found, str]
"""A memory's number in the text index, what is found of it, and its words."""


class Place:
    """The active memories of a place by their numbers, and what they are looked up by."""

    __slots__ = (
        "by_agent",
        "holding",
        "length",
        "numbers",
        "pinned",
        "rows",
        "since",
        "size",
        "turns",
        "words",
    )

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: dict[int, Found] = {}
        self.words: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        """By id."""
        self.holding: dict[str, set[int]] = {}
        """By word."""
        self.turns: dict[tuple[str, int], tuple[int, ...]] = {}
        """By session and position."""
        self.by_agent: dict[str | None, set[int]] = {}
        self.pinned: set[int] = set()
        self.length = 0
        """Words, repeats included."""
        self.size = 0
        """Memories as they count for what may be kept."""
        self.since = 0
        """The changes to its workspace before it was read."""
        for row in rows:
            self.add(*row)

    def add(self, number: int, found: Found, words: str) -> None:
        """Keep a memory that is not kept."""
        its = words.split()
        self.rows[number] = found
        self.words[number] = words
        self.numbers[found.id] = number
        self.length += len(its)
        self.size += counting_as(1, len(its))
        for word in its:
            self.holding.setdefault(word, set()).add(number)
        if found.session is not None and found.position is not None:
            turn = (found.session, found.position)
            self.turns[turn] = (*self.turns.get(turn, ()), number)
        self.by_agent.setdefault(found.agent, set()).add(number)
        if found.pinned:
            self.pinned.add(number)

    def remove(self, id_: str) -> tuple[bytes, int, str] | None:
        """Keep a memory no more; its content, number and words, if it was kept."""
        number = self.numbers.pop(id_, None)
        if number is None:
            return None
        found, words = self.rows.pop(number), self.words.pop(number)
        its = words.split()
        self.length -= len(its)
        self.size -= counting_as(1, len(its))
        for word in set(its):
            _discard(self.holding, word, number)
        if found.session is not None and found.position is not None:
            turn = (found.session, found.position)
            left = tuple(other for other in self.turns.pop(turn) if other != number)
            if left:
                self.turns[turn] = left
        _discard(self.by_agent, found.agent, number)
        self.pinned.discard(number)
        return found.content, number, words


def counting_as(memories: int, words: int) -> int:
    """How many memories some memories with so many words count as."""
    return max(memories, words // WORDS)


K = TypeVar("K")


def _discard(sets: dict[K, set[int]], key: K, number: int) -> None:
    sets[key].discard(number)
    if not sets[key]:
        del sets[key]


class Places:
    """Places by workspace and project: those that are asked often enough."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Held by whoever looks at a place or changes one."""
        self._places: OrderedDict[tuple[str, str], Place] = OrderedDict()
        self._asked: dict[tuple[str, str], int] = {}
        self._changes: Counter[str] = Counter()
        self._times_forgotten = 0
        self._after = count(NUMBERS // 2)

    def of(self, view: View) -> list[Place] | None:
        """The places of a view, if all are at hand; hold the lock as long as they are used."""
        found = []
        for project in view.projects:
            place = self._places.get((view.workspace, project))
            if place is None:
                return None
            self._places.move_to_end((view.workspace, project))
            found.append(place)
        return found

    def moment(self, workspace: str) -> tuple[int, int]:
        """What is other after every commit that changes a workspace's memories."""
        return self._times_forgotten, self._changes[workspace]

    def due(self, view: View, memories: int, words: int = 0) -> list[str]:
        """The projects of a view of so many memories, asked once more, that are to be kept now.

        They are read at once by whoever is told; if a commit prevents it, they must be asked as
        often again.
        """
        with self.lock:
            if len(self._asked) > MOST_ASKED:
                self._asked.clear()
            key = (view.workspace, view.projects[-1])
            self._asked[key] = asked = self._asked.get(key, 0) + 1
            if counting_as(memories, words) > LARGEST or asked * WORTH < memories:
                return []
            self._asked[key] = 0
            return [one for one in view.projects if (view.workspace, one) not in self._places]

    def keep(self, workspace: str, project: str, place: Place, moment: tuple[int, int]) -> None:
        """Keep a place, unless a commit came between this moment, before its reading, and now."""
        with self.lock:
            if self.moment(workspace) == moment and place.size <= LARGEST:
                place.since = moment[1]
                self._places[workspace, project] = place
                self._trim()

    def change(
        self,
        workspace: str,
        touched: Iterable[str],
        active: Iterable[Found],
        words: Mapping[bytes, str],
    ) -> None:
        """A commit has touched memories: these of them are active now.

        `words` by content; those of a memory whose content stays are known.
        """
        with self.lock:
            self._changes[workspace] += 1
            own = self._of_workspace(workspace)
            if not own:
                return
            known: dict[str, tuple[bytes, int, str]] = {}
            for id_ in touched:
                for place in own.values():
                    was = place.remove(id_)
                    if was is not None:
                        known[id_] = was
            for found in active:
                if found.project in own:
                    content, number, its = known.get(found.id, (b"", 0, ""))
                    if content != found.content or found.content in words:
                        its = words[found.content]
                        its_class = length_class(its.count(" ") + bool(its))
                        number = its_class * NUMBERS + next(self._after)
                    own[found.project].add(number, found, its)
            self._trim()

    def expect(self, workspace: str) -> int:
        """A transaction is about to note accesses; what `note_accesses` wants to know of it."""
        with self.lock:
            self._changes[workspace] += 1
            return self._changes[workspace]

    def note_accesses(self, workspace: str, ids: Iterable[str], at: int, expected: int) -> None:
        """A commit has noted memories as loaded.

        A place that was read since it was expected may have them already: it is kept no more.
        """
        with self.lock:
            self._changes[workspace] += 1
            for project, place in self._of_workspace(workspace).items():
                if place.since >= expected:
                    del self._places[workspace, project]
                    continue
                for id_ in ids:
                    number = place.numbers.get(id_)
                    if number is not None:
                        was = place.rows[number]
                        place.rows[number] = was._replace(
                            access_count=was.access_count + 1,
                            last_accessed_at=max(was.last_accessed_at or at, at),
                        )

    def forget(self) -> None:
        """Keep nothing (when all rows are replaced)."""
        with self.lock:
            self._places.clear()
            self._times_forgotten += 1

    def _of_workspace(self, workspace: str) -> dict[str, Place]:
        return {key[1]: place for key, place in self._places.items() if key[0] == workspace}

    def _trim(self) -> None:
        size = sum(place.size + OVERHEAD for place in self._places.values())
        while size > MOST_KEPT + OVERHEAD:
            _, place = self._places.popitem(last=False)
            size -= place.size + OVERHEAD
