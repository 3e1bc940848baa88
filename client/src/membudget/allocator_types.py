"""Hold what the originals' allocator works with: memories, tiers, and budgets of workspaces."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from membudget import _core


class MemoryTier(Enum):
    """Where a memory is kept."""

    WORKING = "working"
    PROJECT = "project"
    LONG_TERM = "long_term"
    RAG = "rag"


class QueryComplexity(Enum):
    """How hard a query is."""

    SIMPLE = "simple"
    MEDIUM = "medium"
    COMPLEX = "complex"
    EXPERT = "expert"


@dataclass
class MemoryItem:
    """A memory that may be loaded; scores are 0–1."""

    memory_id: str
    text: str
    tier: MemoryTier
    timestamp: datetime
    user_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    relevance_score: float = 0.0
    """To the query; 0: not known, then it is computed."""
    importance_score: float = 0.5
    freshness_score: float = 1.0
    combined_score: float = 0.0
    token_count: int = 0
    """0: not known, then it is counted."""
    access_count: int = 0
    last_accessed: datetime | None = None
    promotion_score: float = 0.0


def _multipliers() -> dict[QueryComplexity, float]:
    return dict(zip(QueryComplexity, (0.5, 1.0, 1.5, 2.0), strict=True))


@dataclass
class WorkspaceConfig:
    """The budget of a workspace: tokens, shares of the tiers, multipliers, weights, thresholds."""

    workspace_id: str
    max_total_tokens: int = 8192
    working_memory_pct: float = 0.30
    """Shares are 0–1 and sum to 1."""
    project_memory_pct: float = 0.25
    long_term_memory_pct: float = 0.20
    rag_memory_pct: float = 0.25
    complexity_multipliers: dict[QueryComplexity, float] = field(default_factory=_multipliers)
    relevance_weight: float = 0.5
    importance_weight: float = 0.3
    freshness_weight: float = 0.2
    freshness_half_life_hours: float = 168.0
    promotion_threshold: float = 0.8
    demotion_threshold: float = 0.3
    promotion_access_threshold: int = 3
    tokens_per_char: float = 0.25

    def get_tier_budget(self, tier: MemoryTier, complexity: QueryComplexity) -> int:
        """Tokens of a tier: ⌊total × share × multiplier⌋."""
        multiplier = self.complexity_multipliers.get(complexity, 1.0)
        share = Decimal(str(self.tier_share(tier)))
        return _core.scale_down(self.max_total_tokens, share, Decimal(str(multiplier)))

    def tier_share(self, tier: MemoryTier) -> float:
        """The share of a tier, 0–1."""
        share: float = getattr(self, f"{tier.value}_memory_pct")
        return share


def as_entry(config: WorkspaceConfig) -> dict[str, Any]:
    """A budget in the keys of `memory-budget.yaml`."""
    return {
        "workspace_id": config.workspace_id,
        "max_total_tokens": config.max_total_tokens,
        "tier_allocation": {
            f"{tier.value}_memory_pct": config.tier_share(tier) for tier in MemoryTier
        },
        "complexity_multipliers": {
            complexity.value: multiplier
            for complexity, multiplier in config.complexity_multipliers.items()
        },
        "scoring_weights": {
            "relevance": config.relevance_weight,
            "importance": config.importance_weight,
            "freshness": config.freshness_weight,
        },
        "freshness": {"half_life_hours": config.freshness_half_life_hours},
        "promotion": {
            "threshold": config.promotion_threshold,
            "access_threshold": config.promotion_access_threshold,
        },
        "demotion": {"threshold": config.demotion_threshold},
        "tokens_per_char": config.tokens_per_char,
    }


def from_entry(workspace_id: str, entry: dict[str, Any]) -> WorkspaceConfig:
    """A budget from the keys of `memory-budget.yaml`; what is left out takes its default."""
    usual = WorkspaceConfig(workspace_id=workspace_id)
    tiers, weights = _section(entry, "tier_allocation"), _section(entry, "scoring_weights")
    multipliers = _section(entry, "complexity_multipliers")
    promotion = _section(entry, "promotion")
    return WorkspaceConfig(
        workspace_id=workspace_id,
        max_total_tokens=entry.get("max_total_tokens", usual.max_total_tokens),
        **{
            name: tiers.get(name, usual.tier_share(tier))
            for tier, name in ((tier, f"{tier.value}_memory_pct") for tier in MemoryTier)
        },
        complexity_multipliers={
            complexity: multipliers.get(complexity.value, multiplier)
            for complexity, multiplier in usual.complexity_multipliers.items()
        },
        relevance_weight=weights.get("relevance", usual.relevance_weight),
        importance_weight=weights.get("importance", usual.importance_weight),
        freshness_weight=weights.get("freshness", usual.freshness_weight),
        freshness_half_life_hours=_section(entry, "freshness").get(
            "half_life_hours", usual.freshness_half_life_hours
        ),
        promotion_threshold=promotion.get("threshold", usual.promotion_threshold),
        demotion_threshold=_section(entry, "demotion").get("threshold", usual.demotion_threshold),
        promotion_access_threshold=promotion.get(
            "access_threshold", usual.promotion_access_threshold
        ),
        tokens_per_char=entry.get("tokens_per_char", usual.tokens_per_char),
    )


def check(config: WorkspaceConfig) -> None:
    """Refuse a budget that breaks a rule. Errors: ValueError naming workspace and field."""
    faults = []
    shares = {f"{tier.value}_memory_pct": config.tier_share(tier) for tier in MemoryTier}
    weights = {
        "relevance": config.relevance_weight,
        "importance": config.importance_weight,
        "freshness": config.freshness_weight,
    }
    for label, parts in (("tier_allocation", shares), ("scoring_weights", weights)):
        if any(not _is_number(part) or part < 0 for part in parts.values()):
            faults.append(f"{label} must be numbers that are not negative")
        elif abs(sum(parts.values()) - 1) > SUM_TOLERANCE:
            faults.append(f"{label} must sum to 1.0, got {sum(parts.values()):g}")
    for label, threshold in (
        ("promotion threshold", config.promotion_threshold),
        ("demotion threshold", config.demotion_threshold),
    ):
        if not _is_number(threshold) or not 0 <= threshold <= 1:
            faults.append(f"{label} must be between 0 and 1")
    for label, positive in (
        ("max_total_tokens", config.max_total_tokens),
        ("half_life_hours", config.freshness_half_life_hours),
        ("access_threshold", config.promotion_access_threshold),
    ):
        if not _is_number(positive) or positive <= 0:
            faults.append(f"{label} must be positive")
    if faults:
        raise ValueError(f"workspace '{config.workspace_id}': {'; '.join(faults)}")


SUM_TOLERANCE = 0.01


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and given == given


def _section(entry: dict[str, Any], name: str) -> dict[str, Any]:
    found = entry.get(name)
    return found if isinstance(found, dict) else {}
