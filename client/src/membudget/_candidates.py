"""Read memories that may be loaded from what callers send, as the service reads them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from membudget import _core, _tokens
from membudget.errors import InvalidRequest

TEXTS = ("text", "memory", "content")
"""What memory servers call the text."""
KNOWN = frozenset(
    (
        *TEXTS,
        *("id", "tokens", "scope", "tier", "created_at", "last_accessed_at", "access_count"),
        *("relevance", "score", "importance", "session", "speaker", "position", "pinned", "group"),
        *("expires_at", "embedding", "metadata"),
    )
)


def read_candidates(
    memories: Sequence[Mapping[str, Any]], model: str | None
) -> list["_core.memory.Candidate"]:
    """Candidates with their tokens: as given, else counted here. Errors: InvalidRequest."""
    texts = [_text(one) for one in memories]
    uncounted = [at for at, one in enumerate(memories) if one.get("tokens") is None]
    for at in uncounted:
        if texts[at] is None:
            raise InvalidRequest(
                f"Memory {at} needs a text to count, or its tokens.", code="invalid_request"
            )
    counts = _tokens.count_many([texts[at] or "" for at in uncounted], model)
    counted = dict(zip(uncounted, counts, strict=True))
    return [
        _candidate(one, texts[at], counted.get(at, one.get("tokens") or 0))
        for at, one in enumerate(memories)
    ]


def _candidate(given: Mapping[str, Any], text: str | None, tokens: int) -> "_core.memory.Candidate":
    relevance, score = given.get("relevance"), given.get("score")
    if relevance is None and score is not None:
        relevance = min(max(float(score), 0.0), 1.0)
    importance = given.get("importance")
    rest = {key: held for key, held in given.items() if key not in KNOWN}
    return _core.memory.Candidate(
        id=str(given.get("id")),
        tokens=int(tokens),
        scope=given.get("scope") or given.get("tier"),
        text=text,
        created_at=moment(given.get("created_at")),
        last_accessed_at=moment(given.get("last_accessed_at")),
        access_count=given.get("access_count") or 0,
        relevance=relevance,
        importance=_core.memory.DEFAULT_IMPORTANCE if importance is None else importance,
        pinned=bool(given.get("pinned")),
        group=given.get("group"),
        expires_at=moment(given.get("expires_at")),
        embedding=given.get("embedding"),
        session=given.get("session"),
        speaker=given.get("speaker"),
        position=given.get("position"),
        metadata={**rest, **(given.get("metadata") or {})},
    )


def _text(given: Mapping[str, Any]) -> str | None:
    return next((given[key] for key in TEXTS if given.get(key) is not None), None)


def moment(at: datetime | str | None) -> datetime | None:
    """A time as callers give it; without a zone it is UTC. Errors: InvalidRequest."""
    if at is None:
        return None
    try:
        found = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        raise InvalidRequest("A time must be RFC 3339, such as 2026-11-21T08:00:00Z.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
