"""Read a question: its words, whom and when it names, and what shape its answer has."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from app.core import dates
from app.core.values import value
from app.core.words import STOP_WORDS, query_words

READ_CHARACTERS = 4000
"""A longer task is read at both of its ends."""

FRAMING = frozenset(
    query_words(
        "accord answer conversation currently describe discuss explain far find give happen kind"
        " know like list long lot make many mention much name number often please question refer"
        " remember say share sort tell talk take thing think time type use want way"
    )
)
"""Words by which one asks, rather than what one asks for."""

FRAMING_WEIGHT = 0.3

_WHEN = re.compile(
    r"\b(when|how long|how often|what (?:date|day|month|time|year)|which (?:date|day|month|year))\b"
)
_MANY = re.compile(
    r"\b(how (?:many|much|old|long|often|far|big|tall)|what (?:number|percentage|age|price))\b"
)
_NAME = re.compile(r"\b(who|whom|whose|where|which|named?|called|title)\b")
_LATEST = re.compile(
    r"\b(latest|newest|most recent|recent(?:ly)?|current(?:ly)?|nowadays|these days|now|so far)\b"
)
_WORD = re.compile(r"\w+")
_CAPITALISED = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][a-z]{2,}")


@value
class Question:
    """What a question asks for."""

    words: Mapping[str, float]
    """Its stems, each with how much it counts, 0–1."""
    dated: frozenset[str]
    """Those of them that only say when."""
    spans: tuple[dates.Span, ...]
    said: frozenset[str]
    """All it says in words that carry a meaning, whole and in lower case."""
    names: frozenset[str]
    """Those of them that are capitalised inside a sentence: who may be meant."""
    wants_time: bool
    wants_number: bool
    wants_name: bool
    wants_latest: bool


@lru_cache(maxsize=64)
def read(text: str, as_of: datetime) -> Question:
    """What the text asks for when it is asked at `as_of`."""
    if len(text) > READ_CHARACTERS:
        text = text[: READ_CHARACTERS // 2] + " " + text[-READ_CHARACTERS // 2 :]
    lowered = text.lower()
    spans, rest = dates.named(text, as_of)
    words = query_words(text)
    said = frozenset(_WORD.findall(rest)) - STOP_WORDS
    timeless = frozenset(query_words(rest))
    return Question(
        words={word: FRAMING_WEIGHT if word in FRAMING else 1.0 for word in words},
        dated=frozenset(words) - timeless,
        spans=spans,
        said=said,
        names=said.intersection(name.lower() for name in _CAPITALISED.findall(text)),
        wants_time=_WHEN.search(lowered) is not None,
        wants_number=_MANY.search(lowered) is not None,
        wants_name=_NAME.search(lowered) is not None,
        wants_latest=_LATEST.search(lowered) is not None,
    )
