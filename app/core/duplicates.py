"""Find memories of equal text, and texts that are nearly equal, exactly and without sampling."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b

from app.core.lifecycle import GLOBAL, Card, Edit, Proposal, to_global
from app.core.lifecycle_rules import SPEC
from app.core.values import value

SHINGLE_WORDS = 3
MOST_SHINGLES = 400_000
"""Triples that one comparison may hold in memory; between one and two seconds of work."""

CROWD = 200
"""A triple that stands in the beginning of more groups than this tells none of them apart."""

ROUNDING = 1e-9

_WORD = re.compile(r"\w+")


@value
class NearGroup:
    """Contents that are nearly the same text."""

    contents: tuple[bytes, ...]
    """The first is the one that the others are like."""
    similarity: float
    """Jaccard's index of triples of words, of the least alike; 0–1."""


def exact_duplicates(cards: Iterable[Card]) -> list[Proposal]:
    """Sets of memories of one project with equal text, the largest first.

    One is kept: the global one, else one of no agent, else the oldest. If several agents have the
    text and none is global, the one that is kept becomes global, so that nobody loses it. Pinned
    copies stay.
    """
    sets: defaultdict[tuple[str | None, bytes], list[Card]] = defaultdict(list)
    for card in cards:
        sets[card.project, card.content].append(card)
    found = [_exact(copies) for copies in sets.values() if len(copies) > 1]
    return sorted(found, key=lambda one: (-len(one.ids), one.memory_id))


def near_duplicates(cards: Iterable[Card], groups: Sequence[NearGroup]) -> list[Proposal]:
    """Sets of memories of one project whose texts are nearly equal, the likest first.

    Applied, all but the first go; `exact_duplicates` says which copy of a text is kept.
    """
    holders: defaultdict[bytes, list[Card]] = defaultdict(list)
    for card in cards:
        holders[card.content].append(card)
    found = []
    for group in groups:
        by_project: defaultdict[str | None, list[Card]] = defaultdict(list)
        for content in group.contents:
            for card in holders.get(content, ()):
                by_project[card.project].append(card)
        found += [
            _near(copies, group.similarity)
            for copies in by_project.values()
            if len({card.content for card in copies}) > 1
        ]
    return sorted(found, key=lambda one: (-one.score, -len(one.ids), one.memory_id))


def near_groups(
    texts: Mapping[bytes, frozenset[int]], *, near: float = SPEC.near_share
) -> list[NearGroup]:
    """Group texts, given as sets of shingles, around the first one that each is like.

    Exact: two sets that share `near` of their union share an element among the rarest
    `|set| − ⌈near·|set|⌉ + 1` of each, so that only those need to be looked up.
    """
    spread = Counter(shingle for shingles in texts.values() for shingle in shingles)
    leaders: defaultdict[int, list[bytes]] = defaultdict(list)
    members: dict[bytes, list[tuple[bytes, float]]] = {}
    for content, shingles in texts.items():
        if not shingles:
            continue
        rarest = sorted(shingles, key=lambda shingle: (spread[shingle], shingle))
        rarest = rarest[: len(rarest) - math.ceil(near * len(rarest) - ROUNDING) + 1]
        seen = {
            leader
            for shingle in rarest
            if len(leaders[shingle]) <= CROWD
            for leader in leaders[shingle]
        }
        similarity, leader = max(
            ((jaccard(shingles, texts[leader]), leader) for leader in sorted(seen)),
            key=lambda pair: pair[0],
            default=(0.0, content),
        )
        if similarity >= near:
            members[leader].append((content, similarity))
            continue
        members[content] = []
        for shingle in rarest:
            leaders[shingle].append(content)
    return [
        NearGroup(
            contents=(leader, *(content for content, _ in alike)),
            similarity=min(similarity for _, similarity in alike),
        )
        for leader, alike in members.items()
        if alike
    ]


def shingles_of(text: str) -> frozenset[int]:
    """The triples of a text's words, whatever their case; a shorter text is one shingle."""
    words = _WORD.findall(text.lower())
    if not words:
        return frozenset()
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return frozenset(_number(words[at : at + SHINGLE_WORDS]) for at in range(count))


def jaccard(one: Collection[int], other: Collection[int]) -> float:
    """The share of two sets' union that is in both."""
    both = len(frozenset(one) & frozenset(other))
    return both / (len(one) + len(other) - both)


def _number(words: Sequence[str]) -> int:
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest(), "big")


def _exact(copies: Sequence[Card]) -> Proposal:
    kept, *others = sorted(copies, key=_keep_first)
    return _set(kept, others, score=1.0, reason=f"same content in {len(copies)} memories")


def _near(copies: Sequence[Card], similarity: float) -> Proposal:
    kept, *others = sorted(copies, key=_keep_first)
    percent = math.floor(similarity * 100)
    reason = f"near duplicates: {percent} % of word triples in common"
    return _set(kept, others, score=similarity, reason=reason)


def _set(kept: Card, others: Sequence[Card], *, score: float, reason: str) -> Proposal:
    agents = {card.agent for card in (kept, *others)}
    becomes_global = kept.agent is not None and len(agents) > 1
    edits = [Edit(memory_id=c.id, fields={"state": "deleted"}) for c in others if not c.pinned]
    if becomes_global:
        edits.insert(0, to_global(kept))
    return Proposal(
        memory_id=kept.id,
        score=score,
        reason=reason,
        project=kept.project,
        path=kept.path,
        agent=kept.agent,
        source=f"{len(others) + 1} memories",
        target=f"1 {GLOBAL} memory" if becomes_global or kept.is_global else "1 memory",
        ids=(kept.id, *(card.id for card in others)),
        edits=tuple(edits),
    )


def _keep_first(card: Card) -> tuple[bool, bool, bool, int, str]:
    """Order of copies: global, of no agent, pinned, oldest."""
    return (
        not card.is_global,
        card.agent is not None,
        not card.pinned,
        card.created_at,
        card.id,
    )
