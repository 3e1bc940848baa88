"""Score how likely each memory holds what a question asks for."""

from collections.abc import Sequence
from datetime import datetime
from math import exp, log

from app.core import question as questions
from app.core.dates import DAY, Span
from app.core.embeddings import nearness
from app.core.passages import Passage, Statistics, Traits, statistics_of, traits_of
from app.core.question import Question
from app.core.values import value

__all__ = [
    "Passage",
    "Probe",
    "Relevance",
    "Statistics",
    "Traits",
    "probe",
    "relevances",
    "statistics_of",
    "traits_of",
]

STRONG = 5
"""Passages whose text may point to others."""
NAMED_SHARE = 0.6
"""Of a title's words: from here on it counts as named."""
MOST_TIMES = 2
"""That a word in one turn counts for its neighbours."""
MOST_WORDS = 48
"""Words of a task that are compared: those that say most."""

Part = tuple[str, float, float]


@value
class Weights:
    """How much each part of the evidence counts."""

    words: float = 1.7
    neighbour: tuple[float, ...] = (0.5, 0.22)
    """What a word in the turn beside, or two turns away, is worth."""
    saturation: float = 0.8
    length: float = 0.4
    title: float = 1.0
    """Times that a word of the title counts more."""
    titled: float = 0.3
    linked: float = 0.3
    dated: float = 0.3
    session: float = 0.2
    speaker: float = 0.25
    date: float = 0.3
    time: float = 0.15
    number: float = 0.1
    statement: float = 0.1
    substance: float = 0.2
    latest: float = 0.15
    fresh: float = 0.002
    importance: float = 0.1
    embedding: float = 1.0
    steep: float = 1.5
    sharpness: float = 6.0


WEIGHTS = Weights()


@value
class Probe:
    """What a first look must fetch for a question."""

    words: tuple[str, ...]
    """Stems, those that say what is asked for first."""
    spans: tuple[Span, ...]
    """Memories of these times may answer without any of the words."""
    wants_latest: bool


@value
class Relevance:
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
    embeddings: Sequence[Sequence[float] | None] | None = None,
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
    places = [
        (passage.session or "", -1 if passage.position is None else passage.position, moment)
        for passage, moment in zip(passages, moments, strict=True)
    ]
    order = sorted(range(len(passages)), key=places.__getitem__)
    ranked = [passages[at] for at in order]
    parts = _parts(asked, ranked, statistics, weights)
    fresh = weights.latest if asked.wants_latest else weights.fresh
    parts.append(("freshness", _freshness([moments[at] for at in order]), fresh))
    if query_embedding and embeddings:
        near = nearness(query_embedding, [embeddings[at] for at in order])
        parts.append(("embedding", near, weights.embedding))
    evidence = _sum(parts, len(ranked))
    if any(passage.traits.title for passage in ranked):
        linked = _linked(asked, ranked, evidence, weights)
        parts.append(("linked", linked, weights.linked))
        evidence = _sum(parts, len(ranked))
    full = sum(weight for _, _, weight in parts)
    best = max(evidence)
    found: list[Relevance] = [_NOTHING] * len(ranked)
    for at, (target, e) in enumerate(zip(order, evidence, strict=True)):
        dimmed = exp(weights.sharpness * (e - best))
        found[target] = Relevance(
            value=e / full * dimmed,
            parts=tuple((n, v[at] * dimmed, w / full) for n, v, w in parts) if explain else (),
        )
    return found


_NOTHING = Relevance(value=0.0)


def _sum(parts: Sequence[tuple[str, list[float], float]], size: int) -> list[float]:
    evidence = [0.0] * size
    for _, values, weight in parts:
        evidence = [e + weight * v for e, v in zip(evidence, values, strict=True)]
    return evidence


def _linked(
    asked: Question, ranked: Sequence[Passage], evidence: Sequence[float], weights: Weights
) -> list[float]:
    """How far a strong passage names the title of each: the second step of a question that asks
    for something of something."""
    strong = sorted(range(len(ranked)), key=lambda at: -evidence[at])[:STRONG]
    best = evidence[strong[0]]
    found = [0.0] * len(ranked)
    titles = [(at, p.traits.title) for at, p in enumerate(ranked) if p.traits.title]
    titles = [(at, title) for at, title in titles if not title <= asked.words.keys()]
    for source in strong:
        strength = exp(weights.sharpness * (evidence[source] - best))
        standing = ranked[source].traits.counts.keys()
        for at, title in titles:
            if at != source and not title.isdisjoint(standing):
                share = len(title & standing) / len(title)
                if share >= NAMED_SHARE and strength * share > found[at]:
                    found[at] = strength * share
    return found


def _titled(asked: Question, passage: Passage) -> float:
    title = passage.traits.title
    share = len(title & asked.words.keys()) / len(title) if title else 0.0
    return share if share >= NAMED_SHARE else 0.0


def _seconds(moment: datetime | None, as_of: datetime) -> float:
    """Since 1970; what carries no time, or comes later, is taken to be of now."""
    return min(moment or as_of, as_of).timestamp()


def _parts(
    asked: Question,
    ranked: Sequence[Passage],
    statistics: Statistics,
    weights: Weights,
) -> list[tuple[str, list[float], float]]:
    dates = (
        [_nearness(passage.created_at, asked.spans) for passage in ranked] if asked.spans else []
    )
    timely = bool(dates) and max(dates) > 0.5
    speakers = {passage.speaker for passage in ranked if passage.speaker}
    named = {speaker for speaker in speakers if _is_named(speaker.lower(), asked)}
    rarity = {}
    for word, share in asked.words.items():
        containing = statistics.containing.get(word, 0)
        weight = share * log(1 + (statistics.memories - containing + 0.5) / (containing + 0.5))
        if timely and word in asked.dated:
            weight *= weights.dated
        rarity[word] = max(0.0, weight) ** weights.steep
    rarest = sorted(rarity, key=lambda word: -rarity[word])[:MOST_WORDS]
    words, sessions = _words(rarest, rarity, ranked, statistics, weights)
    average = max(1.0, statistics.length / max(1, statistics.memories))
    parts = [("words", words, weights.words)]
    if sessions:
        parts.append(("session", sessions, weights.session))
    if named:
        share = 1 / len(named)
        parts.append(
            ("speaker", [share if p.speaker in named else 0.0 for p in ranked], weights.speaker)
        )
    if timely:
        parts.append(("date", dates, weights.date))
    if sessions and asked.wants_time:
        parts.append(("time", [float(p.traits.has_time) for p in ranked], weights.time))
    if sessions and asked.wants_number:
        parts.append(("number", [float(p.traits.has_number) for p in ranked], weights.number))
    if sessions and asked.wants_name:
        parts.append(("name", [float(p.traits.has_name) for p in ranked], weights.number))
    if any(p.traits.title for p in ranked):
        parts.append(("title", [_titled(asked, p) for p in ranked], weights.titled))
    parts.append(("statement", [p.traits.statement for p in ranked], weights.statement))
    parts.append(
        ("substance", [_substance(p.traits.length, average) for p in ranked], weights.substance)
    )
    parts.append(("importance", [p.importance for p in ranked], weights.importance))
    return parts


def _is_named(speaker: str, asked: Question) -> bool:
    """By the first name, or the beginning of it."""
    first = speaker.partition(" ")[0]
    return first in asked.said or any(first.startswith(name) for name in asked.names)


def _substance(length: int, average: float) -> float:
    return length / (length + average)


def _freshness(moments: Sequence[float]) -> list[float]:
    """1 for the newest, 0 for the oldest."""
    oldest, newest = min(moments), max(moments)
    reach = newest - oldest
    return [(moment - oldest) / reach if reach else 1.0 for moment in moments]


def _nearness(moment: datetime | None, spans: Sequence[Span]) -> float:
    if moment is None:
        return 0.0
    best = 0.0
    for start, end in spans:
        if start <= moment < end:
            return 1.0
        reach = max(7.0, (end - start) / DAY / 4)
        away = (moment - end) / DAY / reach if moment >= end else (start - moment) / DAY * 2 / reach
        best = max(best, exp(-away))
    return best


def _words(
    words: Sequence[str],
    rarity: dict[str, float],
    ranked: Sequence[Passage],
    statistics: Statistics,
    weights: Weights,
) -> tuple[list[float], list[float]]:
    """The share of what the question's words say that stands in or beside each passage, and in
    its session; the second is empty where no session has two passages."""
    size = len(ranked)
    counts = [passage.traits.counts for passage in ranked]
    sessions = [passage.session for passage in ranked]
    total = sum(rarity[word] for word in words) or 1.0
    average = max(1.0, statistics.length / max(1, statistics.memories))
    k = weights.saturation
    norms = [k * (1 - weights.length + weights.length * p.traits.length / average) for p in ranked]
    found = [0.0] * size
    by_session: dict[str, float] = {}
    beside: dict[int, list[tuple[int, float]]] = {}
    for word in words:
        weight = rarity[word] / total
        standing = {at: count[word] for at, count in enumerate(counts) if word in count}
        hits: dict[int, float] = dict(standing)
        mentions: dict[str, int] = {}
        for at, times in standing.items():
            session = sessions[at]
            if session is None:
                continue
            mentions[session] = mentions.get(session, 0) + 1
            if at not in beside:
                beside[at] = _beside(at, ranked, weights.neighbour)
            for other, share in beside[at]:
                hits[other] = hits.get(other, 0.0) + share * min(times, MOST_TIMES)
        for at, near in hits.items():
            if word in ranked[at].traits.title:
                near += weights.title
            found[at] += weight * near / (near + norms[at])
        for name, turns in mentions.items():
            by_session[name] = by_session.get(name, 0.0) + weight * (1 - exp(-turns))
    known = [session for session in sessions if session is not None]
    if len(set(known)) == len(known):
        return found, []
    return found, [by_session.get(session or "", 0.0) for session in sessions]


def _beside(at: int, ranked: Sequence[Passage], shares: Sequence[float]) -> list[tuple[int, float]]:
    """Passages near one in its session, with what a word of it is worth there."""
    here = ranked[at]
    found = []
    for direction in (1, -1):
        for step in range(1, len(shares) + 1):
            other = at + direction * step
            if not 0 <= other < len(ranked) or ranked[other].session != here.session:
                break
            far = step
            position = ranked[other].position
            if here.position is not None and position is not None:
                far = max(step, abs(position - here.position))
            if far > len(shares):
                break
            found.append((other, shares[far - 1]))
    return found
