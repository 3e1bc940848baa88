"""Read places, and find in those at hand what a question may need, as the database would."""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import islice

from app.core.passages import Statistics
from app.core.recall import Found, View, Wish, hits_for, rarity, searches, spans
from app.store.database import Tx
from app.store.lengths import NUMBERS
from app.store.places import Place
from app.store.recall import (
    ENOUGH,
    LOOKED_AT,
    MOST_POSTINGS,
    NEIGHBOURED,
    NEWEST,
    REACH,
    SMALL,
    Recalled,
    gains_for,
    holds_enough,
)

_COLUMNS = ", ".join(f'm."{name}"' for name in Found._fields[:-1])


def read_place(tx: Tx, workspace: str, project: str) -> Place:
    """The active memories of a place, from SQLite."""
    sql = (
        f"SELECT n.number, t.words, {_COLUMNS}, NULL FROM memories m"
        " JOIN memory_numbers n ON n.workspace = m.workspace AND n.id = m.id"
        " JOIN memory_texts t ON t.workspace = m.workspace AND t.content = m.content"
        " WHERE m.workspace = ? AND m.project = ? AND m.state = 'active'"
    )
    rows = tx.fetch(sql, (workspace, project))
    return Place((number, Found._make(found), words) for number, words, *found in rows)


def recall_kept(
    places: Sequence[Place],
    view: View,
    words: Iterable[str],
    wish: Wish,
    *,
    ranges: Iterable[tuple[int, int]] = (),
) -> Recalled:
    """What `recall` answers, from the places of a view: one that is asked without an embedding."""
    known = Statistics(
        memories=sum(len(place.rows) for place in places),
        length=sum(place.length for place in places),
        containing={
            word: held
            for word in words
            if (held := sum(len(place.holding.get(word, ())) for place in places))
        },
    )
    seen = _Seen(places, view.agent)
    if known.memories <= SMALL or seen.count() <= SMALL:
        return Recalled(statistics=known, memories=list(seen.all()))
    hits = max(wish.least, hits_for(known, wish.room))
    best = _hits(seen, known, hits, wish.now)
    found = {one.id: one for one in best}
    others = [_neighbours(seen, best[:NEIGHBOURED]), _newest(seen.pinned(), NEWEST)]
    for since, until in ranges:
        made = (one for one in seen.all() if since <= one.created_at < until)
        others.append(_newest(made, NEWEST))
    if view.agent is not None:
        others.append(_newest(seen.of(view.agent), NEWEST))
    if not best:
        others += [_newest(_everybodys(place, view.agent), hits) for place in places]
    for more in others:
        found.update((one.id, one) for one in more)
    return Recalled(statistics=known, memories=list(found.values()))


class _Seen:
    """What of some places an agent may see: its own memories and everybody's."""

    def __init__(self, places: Sequence[Place], agent: str | None) -> None:
        self.places = places
        self._agent = agent
        self._whose = None if agent is None else frozenset({agent, None})

    def at(self, number: int) -> Found | None:
        """A memory by its number, if it may be seen."""
        for place in self.places:
            found = place.rows.get(number)
            if found is not None:
                return found if self._whose is None or found.agent in self._whose else None
        return None

    def count(self) -> int:
        """How many memories may be seen."""
        if self._whose is None:
            return sum(len(place.rows) for place in self.places)
        return sum(len(place.by_agent.get(who, ())) for place in self.places for who in self._whose)

    def all(self) -> Iterator[Found]:
        """Every memory that may be seen."""
        for place in self.places:
            if self._whose is None:
                yield from place.rows.values()
            else:
                for who in self._whose:
                    yield from (place.rows[number] for number in place.by_agent.get(who, ()))

    def of(self, agent: str) -> Iterator[Found]:
        """The memories of an agent."""
        for place in self.places:
            yield from (place.rows[number] for number in place.by_agent.get(agent, ()))

    def pinned(self) -> Iterator[Found]:
        """The pinned memories that may be seen."""
        numbers = (number for place in self.places for number in place.pinned)
        return (found for number in numbers if (found := self.at(number)) is not None)


def _hits(seen: _Seen, known: Statistics, wanted: int, now: int) -> list[Found]:
    """The best memories by BM25, best first."""
    scores: dict[int, float] = {}
    gains = gains_for(known)
    for word, beside in searches(known, ENOUGH):
        surprise = rarity(known, word)
        for number in _holding(seen.places, word, beside):
            scores[number] = scores.get(number, 0.0) + surprise * gains[number // NUMBERS]
    ranked = iter(sorted(sorted(scores), key=scores.__getitem__, reverse=True)[:LOOKED_AT])
    found: list[Found] = []
    while numbers := list(islice(ranked, wanted)):
        found += [one for number in numbers if (one := seen.at(number)) is not None]
        if holds_enough(found, wanted, now):
            break
    return found


def _holding(places: Sequence[Place], word: str, beside: Sequence[str]) -> Sequence[int]:
    """The numbers of memories with a word, and any of the others where there are some."""
    numbers: list[int] = []
    for place in places:
        holding = place.holding.get(word, set())
        if beside and holding:
            others = (place.holding.get(other, set()) for other in beside)
            holding = holding.intersection(set().union(*others))
        numbers += holding
    return numbers if len(numbers) <= MOST_POSTINGS else sorted(numbers)[:MOST_POSTINGS]


def _neighbours(seen: _Seen, hits: Sequence[Found]) -> Iterator[Found]:
    """Memories that stand beside hits in their session."""
    at = [
        (one.project, one.session, one.position)
        for one in hits
        if one.session is not None and one.position is not None
    ]
    for project, session, low, high in spans(at, REACH):
        for place in seen.places:
            for position in range(low, high + 1):
                for number in place.turns.get((session, position), ()):
                    found = seen.at(number)
                    if found is not None and found.project == project:
                        yield found


def _everybodys(place: Place, agent: str | None) -> Iterator[Found]:
    """What is shown of a place where nothing is found: to an agent, what is everybody's."""
    numbers = place.rows if agent is None else place.by_agent.get(None, ())
    return (place.rows[number] for number in numbers)


def _newest(memories: Iterable[Found], count: int) -> list[Found]:
    return nlargest(count, memories, key=lambda one: one.created_at)
