"""Score how much a memory is worth to a task: relevance, importance and freshness."""

import re
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.core.memory import Candidate
from app.core.profiles import ScoreWeights

SECONDS_PER_HOUR = 3600

FEW_WORDS = 48  # above this, cutting a text into words beats looking for each word in it

STOP_WORDS = frozenset(
    "a about all an and any are as at be by can do does for from how i if in into is it its me my"
    " of on or our out over please should so that the their them then there these this those to"
    " us was we were what when where which who why will with would you your".split()
)

_WORD = re.compile(r"\w+")


Part = tuple[str, float, float]
"""What a part of a score is called, its value (0–1), and its weight."""


class Score(NamedTuple):
    """How much a memory is worth, and why; each selection makes dozens."""

    total: float
    """0–1: the sum of value × weight over the parts, held between these."""
    relevance: float
    importance: float
    freshness: float
    parts: tuple[Part, ...] = ()


class Scorer:
    """The score of candidates for one task at one time, under one policy's weights."""

    __slots__ = ("_freshness", "_half_life", "_importance", "_now", "_relevance", "_words")

    def __init__(
        self, *, task: str | None, weights: ScoreWeights, half_life_hours: Decimal, now: datetime
    ) -> None:
        self._words = distinct_words(task or "")
        self._relevance = float(weights.relevance)
        self._importance = float(weights.importance)
        self._freshness = float(weights.freshness)
        self._half_life = float(half_life_hours)
        self._now = now

    def score(self, candidate: Candidate) -> Score:
        """Weighted sum of the parts, held between 0 and 1."""
        relevance = candidate.relevance
        if relevance is None:
            relevance = overlap(self._words, candidate.text)
        fresh = freshness(candidate.created_at, self._now, half_life_hours=self._half_life)
        total = (
            self._relevance * relevance
            + self._importance * candidate.importance
            + self._freshness * fresh
        )
        return Score(
            total=min(1.0, max(0.0, total)),
            relevance=relevance,
            importance=candidate.importance,
            freshness=fresh,
            parts=(
                ("relevance", relevance, self._relevance),
                ("importance", candidate.importance, self._importance),
                ("freshness", fresh, self._freshness),
            ),
        )


def freshness(created_at: datetime | None, now: datetime, *, half_life_hours: float) -> float:
    """Half after each half-life; 1 for the future and for what carries no time."""
    if created_at is None or created_at >= now:
        return 1.0
    hours = (now - created_at).total_seconds() / SECONDS_PER_HOUR
    result: float = 0.5 ** (hours / half_life_hours)
    return result


def distinct_words(text: str) -> frozenset[str]:
    """The words of a text in lower case, without those that carry no subject."""
    return frozenset(_WORD.findall(text.lower())) - STOP_WORDS


def overlap(words: frozenset[str], text: str | None) -> float:
    """The share of `words` that stand in the text as whole words, whatever their case."""
    if not words or not text:
        return 0.0
    lowered = text.lower()
    if len(words) > FEW_WORDS:
        found = len(words.intersection(_WORD.findall(lowered)))
    else:
        found = sum(_stands_in(word, lowered) for word in words)
    return found / len(words)


def _stands_in(word: str, text: str) -> bool:
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not (at and _joins(text[at - 1])) and not (end < len(text) and _joins(text[end])):
            return True
        at = text.find(word, at + 1)
    return False


def _joins(character: str) -> bool:
    return character.isalnum() or character == "_"
