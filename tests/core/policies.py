"""Make the policies that tests of budgets, selections and allocations need."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.core.alerts import Threshold
from app.core.profiles import ResolvedPolicy, Scope, ScoreWeights

TASK = {"simple": "0.5", "medium": "1.0", "complex": "1.5", "multi-system": "2.0"}

THRESHOLDS = (
    Threshold(level="info", share=Decimal("0.75")),
    Threshold(level="warning", share=Decimal("0.90")),
    Threshold(level="critical", share=Decimal("1.0")),
)

PROFILE_SHARES = {"global": "0.2", "agent_recent": "0.3", "agent_patterns": "0.5"}

# max tokens, tier shares, multipliers, score weights, half-life in hours (spec B5)
WORKSPACES: Mapping[str, tuple[int, str, str, str, str]] = {
    "default": (8192, ".30 .25 .20 .25", ".5 1 1.5 2", ".5 .3 .2", "168"),
    "development": (4096, ".50 .30 .10 .10", ".4 .8 1.2 1.6", ".6 .2 .2", "72"),
    "research": (16384, ".15 .20 .25 .40", ".5 1.2 1.8 2.5", ".4 .4 .2", "336"),
    "production": (6144, ".35 .25 .20 .20", ".6 1 1.3 1.7", ".5 .3 .2", "168"),
    "conversation": (4096, ".60 .20 .15 .05", ".5 1 1.5 2", ".5 .2 .3", "24"),
    "code_analysis": (12288, ".25 .35 .15 .25", ".6 1.1 1.6 2.2", ".6 .3 .1", "720"),
}


def profile_policy(
    base: int = 20_000,
    ceiling: int | None = 50_000,
    shares: Mapping[str, Any] = PROFILE_SHARES,
    **changes: Any,
) -> ResolvedPolicy:
    """What an agent of the profile `specialist-narrow` resolves to, with changes."""
    stated: dict[str, Any] = {
        "kind": "profile",
        "name": "specialist-narrow",
        "version": 1,
        "trace": ("dbt-expert is assigned to specialist-narrow",),
        "text_kind": "task",
        "base": base,
        "ceiling": ceiling,
        "scopes": tuple(
            Scope(name=name, weight=Decimal(str(weight))) for name, weight in shares.items()
        ),
        "multipliers": {tier: Decimal(value) for tier, value in TASK.items()},
        "thresholds": THRESHOLDS,
        "enforcement": "soft",
        "auto_bump": False,
        "rigid": False,
        "weights": _score_weights(".5 .3 .2"),
        "half_life_hours": Decimal(168),
        "rounding": "largest_remainder",
    }
    return ResolvedPolicy(**(stated | changes))


def manual_policy(max_tokens: int, **changes: Any) -> ResolvedPolicy:
    """A budget that the caller names."""
    stated: dict[str, Any] = {
        "kind": "manual",
        "name": "max_tokens",
        "multipliers": dict.fromkeys(TASK, Decimal(1)),
    }
    return profile_policy(max_tokens, None, {}, **(stated | changes))


def workspace_policy(name: str, **changes: Any) -> ResolvedPolicy:
    """What one of the six shipped workspaces resolves to when no agent is named."""
    tokens, shares, multipliers, weights, half_life = WORKSPACES[name]
    tiers = zip(("working", "project", "long_term", "rag"), shares.split(), strict=True)
    rungs = zip(("simple", "medium", "complex", "expert"), multipliers.split(), strict=True)
    stated: dict[str, Any] = {
        "kind": "workspace",
        "name": name,
        "text_kind": "query",
        "multipliers": {tier: Decimal(value) for tier, value in rungs},
        "rigid": True,
        "weights": _score_weights(weights),
        "half_life_hours": Decimal(half_life),
        "rounding": "floor",
    }
    return profile_policy(tokens, None, dict(tiers), **(stated | changes))


def _score_weights(text: str) -> ScoreWeights:
    relevance, importance, freshness = map(Decimal, text.split())
    return ScoreWeights(relevance=relevance, importance=importance, freshness=freshness)
