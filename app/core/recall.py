"""Say which memories a request may see, and which of many are worth a closer look."""

from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

from app.core.passages import Statistics, Traits, traits_of
from app.core.values import value

SATURATION = 1.2
"""k1 of BM25."""
LENGTH_PART = 0.75
"""b of BM25: how much of a text's length counts against it."""

MOST_WORDS = 32
"""Words of a question that are searched for by themselves: the rarest."""
MOST_COMMON = 6
"""Commoner words that are searched for beside rarer ones."""
MOST_BESIDE = 12
"""Rarer words that one of them is looked for beside."""

LEAST_HITS, MOST_HITS = 48, 1_000
"""Memories that the text index gives."""
TOKENS_OF_A_HIT = 20
"""One for so many tokens of the budget, or for fewer where memories are shorter."""
TOKENS_OF_A_WORD = 1.5


@value
class Wish:
    """How much a request can use of what it may see."""

    room: int
    """Tokens to fill."""
    least: int = LEAST_HITS
    """Memories that are looked at in any case."""
    now: int
    """Microseconds: what has expired by then cannot be used."""
    embedding: Sequence[float] | None = None
    """Of the question."""


def hits_for(known: Statistics, room: int) -> int:
    """How many memories the text index is asked for where so many tokens are to be filled: more
    than can fit."""
    words = known.length / max(1, known.memories)
    tokens = max(1.0, min(TOKENS_OF_A_HIT, TOKENS_OF_A_WORD * words))
    return int(min(MOST_HITS, max(LEAST_HITS, room / tokens)))


@value
class View:
    """What a request may see of a workspace."""

    workspace: str
    project: str | None = None
    """Memories of this project and of none; None: those of none."""
    agent: str | None = None
    """`type/name`: its own memories and everybody's; None: whosoever they are."""

    @property
    def projects(self) -> tuple[str, ...]:
        """Projects as rows have them."""
        return ("",) if self.project is None else ("", self.project)


class Found(NamedTuple):
    """What is found of an active memory; moments are microseconds since 1970 in UTC."""

    id: str
    content: bytes
    """Digest of its text."""
    project: str
    """"" for none."""
    agent: str | None
    scope: str | None
    path: str | None
    created_at: int
    last_accessed_at: int | None
    access_count: int
    importance: float
    relevance: float | None
    session: str | None
    speaker: str | None
    position: int | None
    pinned: bool
    group: str | None
    expires_at: int | None
    embedding: bytes | None
    """float32, the lowest byte first."""


class KeptText:
    """A text, what it shows, and its tokens by encoding as far as they are known."""

    __slots__ = ("text", "tokens", "traits")

    def __init__(self, text: str, words: str) -> None:
        self.text = text
        self.traits: Traits = traits_of(text, words)
        self.tokens: dict[str, int] = {}


@value
class Prospects:
    """Memories worth a closer look, with their texts and tokens, and words' statistics."""

    statistics: Statistics
    memories: Sequence[Found]
    texts: Sequence[KeptText]
    tokens: Sequence[int] = ()
    """In the encoding of the request."""


def gain(length: float, average: float) -> float:
    """What a word adds, over its rarity, that stands in a text of `length` words where texts have
    `average` (at least 1). The index does not know how often it stands there."""
    norm = SATURATION * (1 - LENGTH_PART + LENGTH_PART * length / average)
    return (SATURATION + 1) / (1 + norm)


def rarity(known: Statistics, word: str) -> float:
    """How surprising a word is: the inverse document frequency of BM25."""
    containing = known.containing.get(word, 0)
    return log(1 + (known.memories - containing + 0.5) / (containing + 0.5))


def searches(known: Statistics, enough: int) -> list[tuple[str, tuple[str, ...]]]:
    """Words to search for, and beside which others: () for a word that counts by itself.

    By themselves count the rarest words, as long as at most `enough` memories hold one, and the
    rarest in any case. Of the others the rarest few count where a rarer word stands, too.
    """
    words = sorted(known.containing, key=lambda word: (known.containing[word], word))[:MOST_WORDS]
    total, alone = 0, 0
    for word in words:
        total += known.containing[word]
        if alone and total > enough:
            break
        alone += 1
    together = range(alone, min(alone + MOST_COMMON, len(words)))
    return [(word, ()) for word in words[:alone]] + [
        (words[at], tuple(words[max(0, at - MOST_BESIDE) : at])) for at in together
    ]


def spans(hits: Iterable[tuple[str, str, int]], reach: int) -> list[tuple[str, str, int, int]]:
    """The stretches (project, session, from, to) of positions within `reach` of hits, each once."""
    found: list[tuple[str, str, int, int]] = []
    for project, session, position in sorted(set(hits)):
        low, high = position - reach, position + reach
        if found and found[-1][:2] == (project, session) and low <= found[-1][3] + 1:
            found[-1] = (project, session, found[-1][2], high)
        else:
            found.append((project, session, low, high))
    return found
