"""Turn patterns of a tree into candidates of a request."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Any

from membudget._tree import Pattern

MOST_SENT = 9_000
MOST_BYTES = 8_000_000
"""Of candidates' texts in one request, far more than any budget holds."""
LONGEST_KEY = 180


def sendable(found: Sequence[Pattern]) -> list[Pattern]:
    """The best patterns, as many as a request may hold."""
    ranked = sorted(found, key=lambda one: -one.relevance_score)
    sizes = accumulate(len(one.content.encode()) for one in ranked)
    return [one for one, size in zip(ranked, sizes, strict=True) if size <= MOST_BYTES][:MOST_SENT]


def key(pattern: Pattern) -> str:
    """What names a pattern in requests: its path, or a digest of a very long one."""
    path = pattern.path.as_posix()
    if len(path) <= LONGEST_KEY and path.isprintable():
        return path
    return sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


def candidate(pattern: Pattern, *, pinned: bool = False) -> dict[str, Any]:
    """A pattern as a candidate of a request."""
    return {
        "id": key(pattern),
        "text": pattern.content,
        "scope": pattern.room,
        "relevance": pattern.relevance_score,
        "pinned": pinned,
    }
