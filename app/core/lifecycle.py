"""Say which memories should become everybody's and which are ripe for the archive (A14)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any, Literal

from app.core.lifecycle_rules import SPEC, Rules
from app.core.memory import REFERENCE
from app.core.values import value

DAY_MICROS = 86_400_000_000

GLOBAL = "global"

Kind = Literal["promotions", "placements", "duplicates", "archival", "summaries", "retention"]
"""What may be proposed for memories."""


@value
class Card:
    """What is known of a memory without its text; moments are microseconds since 1970."""

    id: str
    content: bytes
    tokens: int
    created_at: int
    modified_at: int
    project: str | None = None
    agent: str | None = None
    scope: str | None = None
    path: str | None = None
    last_accessed_at: int | None = None
    access_count: int = 0
    importance: float = 0.5
    confidence: float | None = None
    relevance: float | None = None
    used_by_agents: tuple[str, ...] = ()
    pinned: bool = False
    expires_at: int | None = None
    summary: str | None = None
    """The content (hexadecimal) that summarising gave this memory, if it ever did."""

    @property
    def is_global(self) -> bool:
        """Whether every agent loads it."""
        return self.agent is None and self.scope in (None, GLOBAL)


@value
class Edit:
    """New values of some fields of one memory."""

    memory_id: str
    fields: Mapping[str, Any]


@value
class Proposal:
    """Something that could be done for the memories of a place, and why."""

    memory_id: str
    score: float
    """0–1; the more, the sooner."""
    reason: str
    project: str | None = None
    path: str | None = None
    agent: str | None = None
    source: str | None = None
    """What it is now: an agent, a tier, a state, a number of tokens."""
    target: str | None = None
    """What it would be."""
    ids: tuple[str, ...] = ()
    """All memories that it is about; the first is kept."""
    edits: tuple[Edit, ...] = field(default=(), hash=False)


def promotions(
    cards: Iterable[Card], rules: Rules = SPEC, *, only: Collection[str] | None = None
) -> list[Proposal]:
    """Agents' memories that others need too, best first; `only` these, if some are named.

    What is global already, by its content or by the path it would have, is no candidate. Of
    candidates that would become the same global memory only the best one brings an edit.
    """
    given = list(cards)
    taken = {key for card in given if card.is_global for key in _global_keys(card, card.project)}
    claimed: set[tuple[str | None, str | bytes]] = set()

    found: list[Proposal] = []
    for card in sorted(given, key=lambda card: (-promotion_score(card), card.created_at, card.id)):
        reasons = promotion_reasons(card, rules)
        if card.agent is None or not reasons or (only is not None and card.id not in only):
            continue
        own = {*_global_keys(card, card.project)}
        if not taken.isdisjoint({*own, *_global_keys(card, None)}):
            continue
        is_first = claimed.isdisjoint(own)
        if is_first:
            claimed |= own
        found.append(_promotion(card, reasons, edits=(to_global(card),) if is_first else ()))
    return found


def promotion_reasons(card: Card, rules: Rules = SPEC) -> list[str]:
    """What speaks for making a memory everybody's, in the originals' words."""
    reasons = []
    if card.access_count >= rules.promotion_uses:
        reasons.append(f"use_count={card.access_count} >= {rules.promotion_uses}")
    if card.confidence is not None and card.confidence >= rules.promotion_confidence:
        reasons.append(f"confidence={card.confidence:.2f} >= {rules.promotion_confidence}")
    if len(card.used_by_agents) >= rules.promotion_agents:
        reasons.append(f"used_by {len(card.used_by_agents)} agents")
    return reasons


def promotion_score(card: Card) -> float:
    """min(uses/10, 0.4) + 0.4·confidence + 0.2·min(agents/5, 0.2)."""
    return (
        min(card.access_count / 10, 0.4)
        + 0.4 * (card.confidence or 0.0)
        + 0.2 * min(len(card.used_by_agents) / 5, 0.2)
    )


def global_path(card: Card) -> str | None:
    """The path of an agent's memory once it is everybody's: without its agent's folders."""
    if card.path is None or card.agent is None:
        return card.path
    return card.path.removeprefix(f"{card.agent}/")


def to_global(card: Card) -> Edit:
    """Make a memory everybody's; the agent that had it stays among those that use it."""
    used_by = (*card.used_by_agents, card.agent) if card.agent else card.used_by_agents
    return Edit(
        memory_id=card.id,
        fields={
            "agent": None,
            "scope": GLOBAL,
            "path": global_path(card),
            "used_by_agents": tuple(dict.fromkeys(used_by)),
        },
    )


def archival(cards: Iterable[Card], now: int, rules: Rules = SPEC) -> list[Proposal]:
    """Memories that nobody has used for half a year and few ever did, ripest first.

    Never what is everybody's, kept for reference, or pinned.
    """
    found = [
        Proposal(
            memory_id=card.id,
            score=archival_score(card, now, rules),
            reason=", ".join(archival_reasons(card, rules)),
            project=card.project,
            path=card.path,
            agent=card.agent,
            source="active",
            target="archived",
            ids=(card.id,),
            edits=(Edit(memory_id=card.id, fields={"state": "archived"}),),
        )
        for card in cards
        if is_archivable(card, now, rules)
    ]
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


def is_archivable(card: Card, now: int, rules: Rules = SPEC) -> bool:
    """Whether a memory is old, rarely used or unsure, and not everybody's."""
    if card.is_global or card.pinned or (card.agent is None and card.scope == REFERENCE):
        return False
    return age_days(card, now) > rules.archival_days and bool(archival_reasons(card, rules))


def archival_reasons(card: Card, rules: Rules = SPEC) -> list[str]:
    """What speaks for archiving a memory beside its age, in the originals' words."""
    reasons = []
    if card.access_count < rules.archival_uses:
        reasons.append(f"use_count={card.access_count} < {rules.archival_uses}")
    if card.confidence is None or card.confidence < rules.archival_confidence:
        known = "unset" if card.confidence is None else f"{card.confidence:.2f}"
        reasons.append(f"confidence={known} < {rules.archival_confidence}")
    return reasons


def archival_score(card: Card, now: int, rules: Rules = SPEC) -> float:
    """0.5·min((age−180)/180, 1) + 0.3·(3−uses)/3 + 0.2·(0.7−confidence)/0.7, none below zero."""
    old = min((age_days(card, now) - rules.archival_days) / rules.archival_days, 1.0)
    unused = (rules.archival_uses - card.access_count) / rules.archival_uses
    unsure = (rules.archival_confidence - (card.confidence or 0.0)) / rules.archival_confidence
    return 0.5 * max(old, 0.0) + 0.3 * max(unused, 0.0) + 0.2 * max(unsure, 0.0)


def age_days(card: Card, now: int) -> int:
    """Whole days since a memory was last used, or changed if it never was; 0 for the future."""
    last = card.modified_at if card.last_accessed_at is None else card.last_accessed_at
    return max(0, (now - last) // DAY_MICROS)


def _global_keys(card: Card, project: str | None) -> Iterator[tuple[str | None, str | bytes]]:
    """What a memory would hold alone among the global ones of a project: content and path."""
    yield project, card.content
    path = global_path(card)
    if path is not None:
        yield project, path


def _promotion(card: Card, reasons: list[str], *, edits: tuple[Edit, ...]) -> Proposal:
    return Proposal(
        memory_id=card.id,
        score=promotion_score(card),
        reason=", ".join(reasons),
        project=card.project,
        path=card.path,
        agent=card.agent,
        source=card.agent,
        target=GLOBAL,
        ids=(card.id,),
        edits=edits,
    )
