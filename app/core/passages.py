"""Describe what scoring sees of a memory: its words and the shape of its text."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from app.core.values import value
from app.core.words import stems

SHAPE_CHARACTERS = 4000
"""How much of a long text is looked at for its shape."""
LONGEST_TITLE = 120

_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|since|recently|soon"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|weekend|week|month|year|january|february|march|april|june|july|august|september"
    r"|october|november|december|summer|winter|(?:19|20)\d\d)\b"
)
_NUMBER = re.compile(
    r"\b(?:\d|two|three|four|five|six|seven|eight|nine|ten|once|twice|couple|several|dozen)"
)
_NAME = re.compile(r"[a-z0-9,;:'’\"“(] ?[A-Z][a-z]+|[\"“]\w")
_BRACKETS = re.compile(r"\([^()]*\)")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]?")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a text shows without knowing the question."""

    counts: Mapping[str, int]
    """How often each stem stands in it."""
    length: int
    """Stems, repeats included."""
    title: frozenset[str]
    """Stems of its first line, where that is a title, without what stands in brackets."""
    statement: float
    """The share of it, 0–1, that does not ask."""
    has_time: bool
    has_number: bool
    has_name: bool


class Passage(NamedTuple):
    """A memory as scoring sees it; each question makes hundreds."""

    id: str
    traits: Traits
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    """In its session; the turns before and after have the numbers before and after."""
    created_at: datetime | None = None
    importance: float = 0.5


@value
class Statistics:
    """What is known of the words of a place."""

    memories: int
    length: int
    """Stems in all of them."""
    containing: Mapping[str, int]
    """In how many of them a stem stands; none if it is left out."""


def traits_of(text: str, words: str | None = None) -> Traits:
    """What a text shows. `words`: its stems, joined by spaces, where they are known already."""
    return (_remembered if len(text) <= SHAPE_CHARACTERS else _read)(text, words)


def _read(text: str, words: str | None) -> Traits:
    found = stems(text) if words is None else words.split()
    start = text[:SHAPE_CHARACTERS]
    title, _, body = start.partition("\n")
    lowered = start.lower()
    return Traits(
        counts=dict(Counter(found)),
        length=len(found),
        title=_title(title) if body and len(title) <= LONGEST_TITLE else frozenset(),
        statement=_statement(start),
        has_time=_TIME.search(lowered) is not None,
        has_number=_NUMBER.search(lowered) is not None,
        has_name=_NAME.search(start) is not None,
    )


_remembered = lru_cache(maxsize=16384)(_read)


def statistics_of(passages: Iterable[Passage]) -> Statistics:
    """The statistics of a place that holds these passages and no others."""
    containing: Counter[str] = Counter()
    memories = length = 0
    for passage in passages:
        containing.update(passage.traits.counts.keys())
        memories += 1
        length += passage.traits.length
    return Statistics(memories=memories, length=length, containing=containing)


def _title(line: str) -> frozenset[str]:
    return frozenset(stems(_BRACKETS.sub(" ", line)) or stems(line))


def _statement(text: str) -> float:
    if "?" not in text:
        return 1.0
    asked = sum(len(part) for part in _SENTENCE.findall(text) if part.endswith("?"))
    return 1.0 - min(1.0, asked / max(1, len(text)))
