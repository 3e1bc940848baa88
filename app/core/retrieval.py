"""Score how likely each memory holds what a question asks for."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from math import exp
from typing import NamedTuple

from app.core import question as questions
from app.core.dates import Span
from app.core.embeddings import Embedding, nearness
from app.core.evidence import WEIGHTS, Evidence, Weights, evidence_for, links
from app.core.passages import Passage, Statistics, Traits, statistics_of, traits_of
from app.core.values import value

__all__ = [
    "WEIGHTS",
    "Passage",
    "Probe",
    "Relevance",
    "Statistics",
    "Traits",
    "Weights",
    "probe",
    "relevances",
    "statistics_of",
    "traits_of",
]

Part = tuple[str, float, float]


@value
class Probe:
    """What a first look must fetch for a question."""

    words: tuple[str, ...]
    """Stems, those that say what is asked for first."""
    spans: tuple[Span, ...]
    """Memories of these times may answer without any of the words."""
    wants_latest: bool


class Relevance(NamedTuple):
    """How likely a memory is needed, next to the best one, and why."""

    value: float
    """0–1; the sum of value × weight over the parts."""
    parts: tuple[Part, ...] = ()


def probe(task: str, as_of: datetime) -> Probe:
    """What to fetch before scoring."""
    asked = questions.read(task, as_of)
    return Probe(
        words=tuple(sorted(asked.words, key=lambda word: -asked.words[word])),
        spans=asked.spans,
        wants_latest=asked.wants_latest,
    )


def relevances(
    task: str,
    passages: Sequence[Passage],
    statistics: Statistics,
    *,
    as_of: datetime,
    query_embedding: Sequence[float] | None = None,
    embeddings: Sequence[Embedding] | None = None,
    explain: bool = False,
    weights: Weights = WEIGHTS,
) -> list[Relevance]:
    """The relevance of each passage, in their order. Only explained ones have parts.

    What speaks for a passage is added up; the sum is dimmed by how far it is from the best one's.
    All moments carry a zone.
    `embeddings` go with `passages`; those of another length than the question's count as none.
    """
    if not passages:
        return []
    asked = questions.read(task, as_of)
    moments = [_seconds(passage.created_at, as_of) for passage in passages]
    places = sorted(
        (
            passage.session or "",
            -1 if passage.position is None else passage.position,
            moment,
            passage.id,
            at,
        )
        for at, (passage, moment) in enumerate(zip(passages, moments, strict=True))
    )
    order = [at for *_, at in places]
    ranked = [passages[at] for at in order]
    parts = evidence_for(asked, ranked, statistics, weights)
    fresh = weights.latest if asked.wants_latest else weights.fresh
    parts.append(("freshness", _freshness([moments[at] for at in order]), fresh))
    if query_embedding and embeddings:
        near = nearness(query_embedding, [embeddings[at] for at in order])
        parts.append(("embedding", near, weights.embedding))
    evidence = _sum(parts, len(ranked))
    if any(passage.traits.title for passage in ranked):
        linked = links(asked, ranked, evidence, weights)
        parts.append(("linked", linked, weights.linked))
        evidence = _sum(parts, len(ranked))
    full = sum(weight for _, _, weight in parts)
    best = max(evidence)
    found: list[Relevance] = [_NOTHING] * len(ranked)
    for at, (target, e) in enumerate(zip(order, evidence, strict=True)):
        dimmed = exp(weights.sharpness * (e - best))
        found[target] = Relevance(
            e / full * dimmed,
            tuple((n, v[at] * dimmed, w / full) for n, v, w in parts) if explain else (),
        )
    return found


_NOTHING = Relevance(value=0.0)


def _sum(parts: Sequence[Evidence], size: int) -> list[float]:
    evidence = [0.0] * size
    for _, values, weight in parts:
        evidence = [e + weight * v for e, v in zip(evidence, values, strict=True)]
    return evidence


def _seconds(moment: datetime | None, as_of: datetime) -> float:
    """Since 1970; what carries no time, or comes later, is taken to be of now."""
    return _timestamp(as_of if moment is None or moment > as_of else moment)


_timestamp = lru_cache(maxsize=65_536)(datetime.timestamp)


def _freshness(moments: Sequence[float]) -> list[float]:
    """1 for the newest, 0 for the oldest."""
    oldest, newest = min(moments), max(moments)
    reach = newest - oldest
    return [(moment - oldest) / reach if reach else 1.0 for moment in moments]
