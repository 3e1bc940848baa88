"""Weigh what speaks for each memory: words, neighbours, speakers, dates, shape."""

from collections.abc import Sequence
from datetime import datetime
from math import exp, log

from app.core.dates import DAY, Span
from app.core.passages import Passage, Statistics
from app.core.question import Question
from app.core.values import value

Evidence = tuple[str, list[float], float]
"""What a part is called, its value (0–1) for each passage, and its weight."""

LEAST_REACH_DAYS = 7.0
"""How soon after a date it is spoken of."""
STRONG = 5
"""Passages whose text may point to others."""
NAMED_SHARE = 0.6
"""Of a title's words: from here on it counts as named."""
MOST_TIMES = 2
"""That a word in one turn counts for its neighbours."""
MOST_WORDS = 48
"""Words of a task that are compared: those that say most."""


@value
class Weights:
    """How much each part of the evidence counts."""

    words: float = 1.5
    """The share of what the question's words say that stands in the passage or beside it."""
    neighbour: tuple[float, ...] = (0.5, 0.25)
    """What a word in the turn beside, or two turns away, is worth."""
    saturation: float = 0.8
    """k1 of BM25: how little a second time adds."""
    length: float = 0.4
    """b of BM25: how much of a text's length counts against it."""
    steep: float = 1.5
    """The power of a word's rarity."""
    title: float = 1.0
    """Times that a word of the title counts more."""
    titled: float = 0.3
    """The question names the title."""
    linked: float = 0.3
    """A strong passage names the title."""
    session: float = 0.2
    """The session speaks of it."""
    speaker: float = 0.25
    """The question names who says it."""
    date: float = 0.3
    """It was said at the time that the question names, or soon after."""
    dated: float = 0.3
    """What the words of that time are worth then, as words."""
    time: float = 0.15
    """It has words of time, and the question asks when."""
    number: float = 0.1
    """It has numbers or names, and the question asks how many or who."""
    statement: float = 0.1
    """It does not ask."""
    substance: float = 0.2
    """It has as many words as others, or more."""
    importance: float = 0.1
    latest: float = 0.15
    """Freshness, where the question asks for what is latest,"""
    fresh: float = 0.002
    """and else: it breaks ties."""
    embedding: float = 1.0
    sharpness: float = 6.0
    """How fast a score falls behind the best one's."""


WEIGHTS = Weights()


def evidence_for(
    asked: Question,
    ranked: Sequence[Passage],
    statistics: Statistics,
    weights: Weights,
) -> list[Evidence]:
    """What speaks for each passage; those of one session stand in their order."""
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


def _nearness(moment: datetime | None, spans: Sequence[Span]) -> float:
    """1 inside a span; less after it, as things are told later, and still less before."""
    if moment is None:
        return 0.0
    best = 0.0
    for start, end in spans:
        if start <= moment < end:
            return 1.0
        reach = max(LEAST_REACH_DAYS, (end - start) / DAY / 4)
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
    traits = [passage.traits for passage in ranked]
    sessions = [passage.session for passage in ranked]
    titled = any(each.title for each in traits)
    total = sum(rarity[word] for word in words) or 1.0
    average = max(1.0, statistics.length / max(1, statistics.memories))
    k = weights.saturation
    norms = [k * (1 - weights.length + weights.length * t.length / average) for t in traits]
    found = [0.0] * size
    by_session: dict[str, float] = {}
    beside = _beside(ranked, sessions, weights.neighbour)
    standing_in: dict[str, dict[int, int]] = {word: {} for word in words}
    for at, each in enumerate(traits):
        for word in each.counts.keys() & standing_in.keys():
            standing_in[word][at] = each.counts[word]
    for word, standing in standing_in.items():
        weight = rarity[word] / total
        hits: dict[int, float] = dict(standing)
        mentions: dict[str, int] = {}
        for at, times in standing.items():
            session = sessions[at]
            if session is None:
                continue
            mentions[session] = mentions.get(session, 0) + 1
            if times > MOST_TIMES:
                times = MOST_TIMES
            for other, share in beside[at]:
                hits[other] = hits.get(other, 0.0) + share * times
        for at, near in hits.items():
            if titled and word in traits[at].title:
                near += weights.title
            found[at] += weight * near / (near + norms[at])
        for name, turns in mentions.items():
            by_session[name] = by_session.get(name, 0.0) + weight * (1 - exp(-turns))
    known = [session for session in sessions if session is not None]
    if len(set(known)) == len(known):
        return found, []
    return found, [by_session.get(session or "", 0.0) for session in sessions]


def _beside(
    ranked: Sequence[Passage], sessions: Sequence[str | None], shares: Sequence[float]
) -> list[list[tuple[int, float]]]:
    """For each passage those near it in its session, with what a word of it is worth there."""
    found: list[list[tuple[int, float]]] = [[] for _ in ranked]
    positions = [passage.position for passage in ranked]
    for step in range(1, len(shares) + 1):
        for at in range(step, len(ranked)):
            before = at - step
            if sessions[at] != sessions[before] or sessions[at] is None:
                continue
            far = step
            here, there = positions[at], positions[before]
            if here is not None and there is not None and here - there > far:
                far = here - there
            if far <= len(shares):
                found[at].append((before, shares[far - 1]))
                found[before].append((at, shares[far - 1]))
    return found


def links(
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
