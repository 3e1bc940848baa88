"""Say what loads an allocation's policy warns of, and what more it offers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.core.alerts import Level, Threshold
from app.core.budgets import budget_for
from app.core.complexity import rung, tier_at
from app.core.profiles import ResolvedPolicy

TOP_RUNG = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """The tier that would give more room, and the budget it would give."""

    tier: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold that was reached, and where the allocation stood then."""

    level: Level
    used_pct: float | None
    """None under a budget of zero."""
    tokens: int
    at: datetime
    message: str
    bump: Bump | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the policy says about loads: fixed when the allocation is made."""

    thresholds: tuple[Threshold, ...]
    enforcement: Literal["soft", "hard"]
    auto_bump: bool
    ladder: tuple[Bump, ...]
    """The tiers above the allocation's own that have more tokens each, lowest first."""


def terms_of(policy: ResolvedPolicy, tier: str, *, budget: int) -> Terms:
    """The policy's rules for an allocation of `tier` that starts with `budget` tokens."""
    ladder: list[Bump] = []
    for step in range(rung(tier) + 1, TOP_RUNG + 1):
        higher = tier_at(step, policy.text_kind)
        tokens = budget_for(policy, higher).tokens
        if tokens > (ladder[-1].tokens if ladder else budget):
            ladder.append(Bump(tier=higher, tokens=tokens))
    return Terms(
        thresholds=policy.thresholds,
        enforcement=policy.enforcement,
        auto_bump=policy.auto_bump,
        ladder=tuple(ladder),
    )


def alert_at(
    level: Level, terms: Terms, *, loaded: int, budget: int, now: datetime
) -> tuple[Alert, Bump | None]:
    """The alert of a level just reached, and the bump that is made with it, if one is."""
    higher = next((bump for bump in terms.ladder if bump.tokens > budget), None)
    advised = None if level == "info" else higher
    raised = higher if level == "critical" and terms.auto_bump else None
    alert = Alert(
        level=level,
        used_pct=used_pct(loaded, budget),
        tokens=loaded,
        at=now,
        message=_message(level, loaded, budget, higher=higher, raised=raised),
        bump=advised,
    )
    return alert, raised


def used_pct(loaded: int, budget: int) -> float | None:
    """Per cent of the budget; 0 for nothing of nothing, None for something of nothing."""
    if budget == 0:
        return None if loaded else 0.0
    return 100 * loaded / budget


def _message(
    level: Level, loaded: int, budget: int, *, higher: Bump | None, raised: Bump | None
) -> str:
    stands = f"{loaded:,} of {budget:,} tokens are loaded"
    pct = used_pct(loaded, budget)
    if pct is not None:
        stands += f" ({pct:.1f} %)"
    if raised is not None:
        return f"{stands}: budget raised to {raised.tokens:,} tokens ({raised.tier})."
    if level == "info":
        return f"{stands}."
    advice = "consider a complexity bump" if level == "warning" else "tier bump recommended"
    if higher is None:
        return f"{stands}: {advice}, though no higher tier gives more tokens."
    return f"{stands}: {advice} to {higher.tier} ({higher.tokens:,} tokens)."
