"""Answer a search with the memories that are most likely needed, best first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.appraisal import SHORTLIST_LEAST, Aim, shortlist
from app.core.packing import select
from app.core.recall import LEAST_HITS, MOST_HITS, Prospects, Wish
from app.core.scoring import Part
from app.core.values import value
from app.core.windows import micros

DEFAULT_LIMIT = 20


@value
class Sought:
    """A question to the memories of a workspace."""

    query: str
    at: datetime
    """The present of the question."""
    query_embedding: Sequence[float] | None = None
    workspace: str = "default"
    project: str | None = None
    agent: str | None = None
    limit: int = DEFAULT_LIMIT
    max_tokens: int | None = None
    model: str | None = None
    """Whose encoding tokens are counted in."""
    explain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A memory that was found, and why."""

    id: str
    score: float
    """0–1: next to the best one, how likely it is needed."""
    relevance: float
    importance: float
    freshness: float
    tokens: int
    scope: str
    text: str
    project: str | None
    agent: str | None
    path: str | None
    session: str | None
    speaker: str | None
    position: int | None
    created_at: datetime | None
    parts: tuple[Part, ...] | None
    """Name, value and weight of what the score adds up from, where it was asked for."""


@value
class Hits:
    """What a search found, best first."""

    items: tuple[Hit, ...]
    tokens: int
    """Of all items."""


def wish_of(sought: Sought) -> Wish:
    """How much a search can use: some more than are wanted."""
    return Wish(
        room=sought.max_tokens or 0,
        least=min(MOST_HITS, LEAST_HITS + 2 * sought.limit),
        now=micros(sought.at),
        embedding=sought.query_embedding,
    )


def search(aim: Aim, prospects: Prospects, *, limit: int, max_tokens: int | None) -> Hits:
    """At most `limit` memories, worth most within `max_tokens`; equal contents once."""
    budget = sum(prospects.tokens) if max_tokens is None else max_tokens
    least = SHORTLIST_LEAST + 2 * limit
    candidates, scores = shortlist(aim, prospects, budget=max_tokens, least=least)
    selection = select(candidates, scores, (), budget=budget, rigid=False, now=aim.at)
    by_id = {one.id: (one, score) for one, score in zip(candidates, scores, strict=True)}
    places = {one.id: one for one in prospects.memories}
    best = sorted(selection.selected, key=lambda one: -one.score)[:limit]
    hits = []
    for one in best:
        candidate, score = by_id[one.id]
        place = places[one.id]
        hits.append(
            Hit(
                id=one.id,
                score=one.score,
                relevance=one.relevance,
                importance=one.importance,
                freshness=one.freshness,
                tokens=one.tokens,
                scope=one.scope,
                text=candidate.text or "",
                project=place.project or None,
                agent=place.agent,
                path=place.path,
                session=place.session,
                speaker=place.speaker,
                position=place.position,
                created_at=candidate.created_at,
                parts=score.parts if aim.explain else None,
            )
        )
    return Hits(items=tuple(hits), tokens=sum(hit.tokens for hit in hits))
