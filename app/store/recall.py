"""Fetch the memories that a question may need: all of a small place, the likely ones of a large."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from app.core.embeddings import FLOAT_BYTES, most_compared, nearest
from app.core.passages import Statistics
from app.core.recall import Found, View, Wish, gain, hits_for, rarity, searches, spans
from app.core.values import value
from app.store.database import Tx, in_chunks
from app.store.lengths import NUMBERS, length_class, length_in
from app.store.textindex import place_of

SMALL = 700
"""Memories that are all looked at; of more, those that the text index finds."""
ENOUGH = 1_500
"""Memories holding rarer words above which a word counts only beside these."""
MOST_POSTINGS = 5_000
"""Memories read of one word on SQLite, the shorter first."""
NEIGHBOURED = 12
"""Best hits whose neighbours in their session are looked at, too."""
REACH = 2
"""How many positions away a neighbour is."""
NEWEST = 200
"""Memories added at most because of their time, of their agent, of a pin."""
LOOKED_AT = 1_600
"""Hits that are looked at where those of other agents are hidden."""

_LONGEST = length_class(10**7)


@value
class Recalled:
    """Memories worth a closer look, and what their places know of the question's words."""

    statistics: Statistics
    memories: list[Found]


class _Query:
    """A statement's values in the order of their marks; its columns are those of `Found`."""

    def __init__(self, tx: Tx, view: View, *, embeddings: bool) -> None:
        self.tx = tx
        self.view = view
        self.values: list[Any] = []
        names = [f'm."{name}"' for name in Found._fields]
        self.columns = ", ".join(names if embeddings else [*names[:-1], "NULL"])
        self._embeddings = embeddings

    def again(self) -> "_Query":
        """Another statement about the same view."""
        return _Query(self.tx, self.view, embeddings=self._embeddings)

    def marks(self, *values: object) -> str:
        """Place holders for values."""
        first = len(self.values) + 1
        self.values += values
        return self.tx.marks(len(values), first=first)

    def rows(self, rows: Sequence[Sequence[object]], *kinds: str) -> str:
        """Rows of place holders; PostgreSQL has to be told of what kinds they are."""
        first = len(self.values) + 1
        self.values += (value for row in rows for value in row)
        if self.tx.is_sqlite:
            return ", ".join([f"({', '.join('?' * len(kinds))})"] * len(rows))
        return ", ".join(
            f"({', '.join(f'CAST(${at + n} AS {kind})' for n, kind in enumerate(kinds))})"
            for at in range(first, first + len(rows) * len(kinds), len(kinds))
        )

    def place(self, row: str = "m") -> str:
        """The condition that a row is of the view's places."""
        condition = f"{row}.workspace = {self.marks(self.view.workspace)}"
        return f"{condition} AND {row}.project IN ({self.marks(*self.view.projects)})"

    def visible(self) -> str:
        """The condition that a memory of these places is active and the agent may see it."""
        agent = self.view.agent
        theirs = "" if agent is None else f"(m.agent IS NULL OR m.agent = {self.marks(agent)}) AND "
        return f"{theirs}m.state = 'active'"

    def match(self, word: str, beside: Sequence[str] = ()) -> str:
        """What the index is asked for: memories of the places with a word, and any of others."""
        quote, any_, all_ = ('"', " OR ", " AND ") if self.tx.is_sqlite else ("'", " | ", " & ")
        places = [place_of(self.view.workspace, project) for project in self.view.projects]
        options = (
            any_.join(f"{quote}{place}{one}{quote}" for one in words for place in places)
            for words in ([word], beside)
            if words
        )
        return all_.join(f"({option})" for option in options)

    def fetch(self, rest: str) -> list[Found]:
        """The rows `m` of a statement from `FROM` on."""
        rows = self.tx.fetch(f"SELECT {self.columns} FROM {rest}", self.values)
        return list(map(Found._make, rows))


def recall(
    tx: Tx,
    view: View,
    words: Sequence[str],
    wish: Wish,
    *,
    ranges: Iterable[tuple[int, int]] = (),
) -> Recalled:
    """The active memories of a view that may answer a question of these distinct words.

    All of them where they are at most `SMALL`; else of the best by the index as many as the wish
    can use (equal contents and what has expired are not counted), what may answer beside these, and
    the newest where no memory has a word. `ranges`: stretches of time (since ≤ created_at < until,
    microseconds) that the question names. With an embedding those of memories are fetched, too, and
    so are the memories that are nearest to it.
    """
    known = words_in(tx, view, words)
    query = _Query(tx, view, embeddings=wish.embedding is not None)
    if _is_small(query, known.memories):
        everything = f"memories m WHERE {query.place()} AND {query.visible()}"
        return Recalled(statistics=known, memories=query.fetch(everything))
    hits = max(wish.least, hits_for(known, wish.room))
    best = (_hits if tx.is_sqlite else _vector_hits)(query, known, hits, wish.now)
    found = {one.id: one for one in best}
    others = [_neighbours(query.again(), best[:NEIGHBOURED]), _pinned(query.again())]
    others += [_made_in(query.again(), since, until) for since, until in ranges]
    if wish.embedding is not None:
        others.append(_nearest(query.again(), wish.embedding, hits))
    if view.agent is not None:
        others.append(_own(query.again(), view.agent))
    if not best:
        others += [_newest(query.again(), project, hits) for project in view.projects]
    for more in others:
        found.update((one.id, one) for one in more)
    return Recalled(statistics=known, memories=list(found.values()))


def words_in(tx: Tx, view: View, words: Sequence[str]) -> Statistics:
    """The statistics of words in the places of a view."""
    query = _Query(tx, view, embeddings=False)
    sql = f"SELECT sum(memories), sum(length) FROM memory_places p WHERE {query.place('p')}"
    memories, length = tx.fetch(sql, query.values, prepare=tx.prepares)[0]
    containing: dict[str, int] = {}
    for chunk in in_chunks(words):
        query = query.again()
        sql = (
            f"SELECT word, sum(memories) FROM memory_words w WHERE {query.place('w')}"
            f" AND word IN ({query.marks(*chunk)}) GROUP BY word"
        )
        containing.update((word, int(count)) for word, count in tx.fetch(sql, query.values))
    return Statistics(memories=int(memories or 0), length=int(length or 0), containing=containing)


def _is_small(query: _Query, memories: int) -> bool:
    """Whether a view shows few; an agent sees its own and everybody's part of the places."""
    agent = query.view.agent
    if memories <= SMALL or agent is None:
        return memories <= SMALL
    counting = query.again()
    its = (
        f"SELECT 1 FROM memories m WHERE {counting.place()}"
        f" AND m.agent = {counting.marks(agent)} LIMIT {SMALL + 1}"
    )
    everybodys = (
        f"SELECT 1 FROM memories m WHERE {counting.place()} AND m.agent IS NULL LIMIT {SMALL + 1}"
    )
    sql = f"SELECT (SELECT count(*) FROM ({its}) a) + (SELECT count(*) FROM ({everybodys}) b)"
    return bool(query.tx.fetch(sql, counting.values)[0][0] <= SMALL)


def _hits(query: _Query, known: Statistics, wanted: int, now: int) -> list[Found]:
    """The best memories by BM25, best first, from SQLite's index."""
    tx = query.tx
    scores: dict[int, float] = {}
    sql = f"SELECT rowid FROM memory_index WHERE memory_index MATCH ? LIMIT {MOST_POSTINGS}"
    gains = gains_for(known)
    for word, beside in searches(known, ENOUGH):
        surprise = rarity(known, word)
        for (number,) in tx.fetch(sql, (query.match(word, beside),)):
            scores[number] = scores.get(number, 0.0) + surprise * gains[number // NUMBERS]
    ranked = sorted(sorted(scores), key=scores.__getitem__, reverse=True)[:LOOKED_AT]
    found: list[Found] = []
    for numbers in in_chunks(ranked, wanted):
        looking = query.again()
        rows = tx.fetch(
            f"SELECT n.number, {looking.columns} FROM memory_numbers n CROSS JOIN memories m"
            f" WHERE n.number IN ({looking.marks(*numbers)}) AND m.workspace = +n.workspace"
            f" AND m.id = n.id AND {looking.place()} AND {looking.visible()}",
            looking.values,
        )
        rows.sort(key=lambda row: (-scores[row[0]], row[0]))
        found += [Found._make(row[1:]) for row in rows]
        if holds_enough(found, wanted, now):
            break
    return found


def holds_enough(found: Sequence[Found], wanted: int, now: int) -> bool:
    """Whether so many of them could be selected: one of equal contents, none that has expired."""
    alive = {one.content for one in found if one.expires_at is None or one.expires_at > now}
    return len(alive) >= wanted


def _vector_hits(query: _Query, known: Statistics, wanted: int, now: int) -> list[Found]:
    """The same from PostgreSQL's index, which does the sums."""
    found: list[Found] = []
    first = wanted if query.view.agent is None else LOOKED_AT
    for ranked, most in ((first, wanted), (LOOKED_AT, LOOKED_AT)):
        found = _ranked_by_vectors(query.again(), known, ranked, most)
        if len(found) < most or holds_enough(found, wanted, now):
            break
    return found


def _ranked_by_vectors(query: _Query, known: Statistics, ranked: int, most: int) -> list[Found]:
    """At most so many memories of those that the index ranks first, the best first.

    The sums are done before memories are looked up: without statistics of its own PostgreSQL might
    begin at the other end, and match every memory of a place by itself.
    """
    looked_for = searches(known, ENOUGH)
    if not looked_for:
        return []
    marks = query.marks
    gains = f"({marks(gains_for(known))}::float8[])[v.length + 1]"
    sums = []
    for word, _ in looked_for:
        held = f"v.terms @@ {marks(query.match(word))}::tsquery"
        surprise = f"{marks(rarity(known, word))}::float8"
        sums.append(f"CASE WHEN {held} THEN {surprise} * {gains} ELSE 0 END")
    match = " | ".join(f"({query.match(word, beside)})" for word, beside in looked_for)
    best = (
        f"(SELECT v.id, {' + '.join(sums)} AS score FROM memory_vectors v"
        f" WHERE v.workspace = {marks(query.view.workspace)} AND v.terms @@ {marks(match)}::tsquery"
        f" ORDER BY score DESC, v.id LIMIT {marks(ranked)}) best"
    )
    return query.fetch(
        f"{best} JOIN memories m ON m.id = best.id WHERE {query.place()} AND {query.visible()}"
        f" ORDER BY best.score DESC, m.id LIMIT {marks(most)}"
    )


def gains_for(known: Statistics) -> list[float]:
    """What a word adds, over its rarity, by class of length of the memory it stands in."""
    return _gains(max(1.0, known.length / max(1, known.memories)))


@lru_cache(maxsize=256)
def _gains(average: float) -> list[float]:
    return [gain(length_in(each), average) for each in range(_LONGEST + 1)]


def _neighbours(query: _Query, hits: Iterable[Found]) -> list[Found]:
    """Memories that stand beside hits in their session."""
    places = (
        (one.project, one.session, one.position)
        for one in hits
        if one.session is not None and one.position is not None
    )
    around = spans(places, REACH)
    if not around:
        return []
    near = (
        "(WITH near (project, session, low, high) AS"
        f" (VALUES {query.rows(around, 'text', 'text', 'bigint', 'bigint')})"
        " SELECT * FROM near) near"
    )
    return query.fetch(
        f"{near} CROSS JOIN memories m WHERE m.workspace = {query.marks(query.view.workspace)}"
        " AND m.project = near.project AND m.session = near.session"
        f" AND m.position BETWEEN near.low AND near.high AND {query.visible()}"
    )


def _nearest(query: _Query, embedding: Sequence[float], wanted: int) -> list[Found]:
    """The memories whose embeddings are nearest, of the newest that have one so long."""
    width = query.marks(FLOAT_BYTES * len(embedding))
    rows = query.tx.fetch(
        f"SELECT m.id, m.embedding FROM memories m WHERE length(m.embedding) = {width}"
        f" AND {query.place()} AND {query.visible()}"
        f" ORDER BY m.created_at DESC, m.id LIMIT {query.marks(most_compared())}",
        query.values,
    )
    best = nearest(embedding, [bytes(row[1]) for row in rows])[:wanted]
    found: list[Found] = []
    for ids in in_chunks([rows[at][0] for at in best]):
        looking = query.again()
        found += looking.fetch(
            f"memories m WHERE m.workspace = {looking.marks(query.view.workspace)}"
            f" AND m.id IN ({looking.marks(*ids)})"
        )
    return found


def _made_in(query: _Query, since: int, until: int) -> list[Found]:
    """The newest memories of a stretch of time."""
    condition = f"{query.place()} AND m.created_at >= {query.marks(since)}"
    condition += f" AND m.created_at < {query.marks(until)} AND {query.visible()}"
    return query.fetch(f"memories m WHERE {condition} ORDER BY m.created_at DESC LIMIT {NEWEST}")


def _newest(query: _Query, project: str, wanted: int) -> list[Found]:
    """The newest memories of a project; to an agent, those that are everybody's."""
    place = f"m.workspace = {query.marks(query.view.workspace)} AND m.project = "
    whose = "" if query.view.agent is None else " AND m.agent IS NULL"
    return query.fetch(
        f"memories m WHERE {place}{query.marks(project)}{whose} AND m.state = 'active'"
        f" ORDER BY m.created_at DESC, m.id LIMIT {query.marks(wanted)}"
    )


def _own(query: _Query, agent: str) -> list[Found]:
    """The newest memories of an agent."""
    condition = f"{query.place()} AND m.agent = {query.marks(agent)} AND m.state = 'active'"
    return query.fetch(f"memories m WHERE {condition} ORDER BY +m.created_at DESC LIMIT {NEWEST}")


def _pinned(query: _Query) -> list[Found]:
    """The newest pinned memories."""
    condition = f"{query.place()} AND m.pinned AND {query.visible()}"
    return query.fetch(f"memories m WHERE {condition} ORDER BY +m.created_at DESC LIMIT {NEWEST}")
