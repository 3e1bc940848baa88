"""Say how long memories of each scope are kept when nobody uses them (B8)."""

from collections.abc import Iterable, Mapping
from dataclasses import field

from app.core.lifecycle import GLOBAL, Card, Edit, Proposal, age_days
from app.core.values import value

WAY_BACK_DAYS = 90
"""Days for which a deleted memory, and what an action changed, can be had back."""


@value
class Retention:
    """How long memories are kept."""

    scope_days: Mapping[str, int] = field(default_factory=dict)
    """Days without use after which an active memory of a scope is deleted; others stay."""
    deleted_days: int = WAY_BACK_DAYS
    """Days after which a deleted memory is removed for good."""
    archived_days: int | None = None
    """Days after which an archived memory is removed for good; None: it stays."""


def lapsed(cards: Iterable[Card], retention: Retention, now: int) -> list[Proposal]:
    """Memories past their expiry or unused for longer than their scope allows, longest first.

    A memory without a scope counts as `global`; pinned ones stay.
    """
    found = []
    for card in cards:
        reason = _reason(card, retention, now)
        if reason is None or card.pinned:
            continue
        found.append(
            Proposal(
                memory_id=card.id,
                score=1.0,
                reason=reason,
                project=card.project,
                path=card.path,
                agent=card.agent,
                source="active",
                target="deleted",
                ids=(card.id,),
                edits=(Edit(memory_id=card.id, fields={"state": "deleted"}),),
            )
        )
    return found


def _reason(card: Card, retention: Retention, now: int) -> str | None:
    if card.expires_at is not None and card.expires_at <= now:
        return "expired"
    scope = card.scope or GLOBAL
    days = retention.scope_days.get(scope)
    age = age_days(card, now)
    if days is None or age <= days:
        return None
    return f"age={age} days > {days} of {scope}"
