"""Turn the originals' memory items into candidates, and what was chosen into their shapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from membudget import results
from membudget.allocator_types import MemoryItem, MemoryTier, QueryComplexity, WorkspaceConfig

PREVIEW = 100
LONGEST_ID = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The memories chosen for a query, and the budget that they were chosen under."""

    selected: Sequence[MemoryItem]
    complexity: str
    multiplier: float
    max_total_tokens: int
    shares: Mapping[str, float]
    """Of the tiers, 0–1."""
    budgets: Mapping[str, int]
    """Tokens of the tiers."""
    whose: str
    """Whose budget: of the project, the workspace, or default."""
    allocation_id: str | None = None

    def tiers(self, items: Sequence[MemoryItem]) -> dict[str, Any]:
        """The originals' account of each tier, with what was chosen there, best first."""
        return {tier.value: self._tier(tier, items) for tier in MemoryTier}

    def _tier(self, tier: MemoryTier, items: Sequence[MemoryItem]) -> dict[str, Any]:
        budget = self.budgets.get(tier.value, 0)
        own = sorted(
            (item for item in self.selected if item.tier == tier),
            key=lambda item: -item.combined_score,
        )
        used = sum(item.token_count for item in own)
        return {
            "budget_tokens": budget,
            "tokens_used": used,
            "tokens_remaining": budget - used,
            "memories_available": sum(item.tier == tier for item in items),
            "memories_selected": len(own),
            "utilization_pct": round(100 * used / budget, 2) if budget > 0 else 0,
            "selected_memories": [_shown(item) for item in own],
        }


def _shown(item: MemoryItem) -> dict[str, Any]:
    is_long = len(item.text) > PREVIEW
    return {
        "memory_id": item.memory_id,
        "text_preview": item.text[:PREVIEW] + "..." if is_long else item.text,
        "token_count": item.token_count,
        "combined_score": round(item.combined_score, 4),
        "relevance_score": round(item.relevance_score, 4),
        "importance_score": round(item.importance_score, 4),
        "freshness_score": round(item.freshness_score, 4),
        "access_count": item.access_count,
        "timestamp": _stamp(item.timestamp),
    }


def candidates_of(items: Sequence[MemoryItem]) -> list[dict[str, Any]]:
    """The items as candidates of a request, each under a name of its own."""
    return [
        {
            "id": key,
            "text": item.text,
            "tier": item.tier.value,
            "importance": min(1.0, max(0.0, item.importance_score)),
            "access_count": max(0, item.access_count),
            **({"tokens": item.token_count} if item.token_count > 0 else {}),
            **({"relevance": min(1.0, item.relevance_score)} if item.relevance_score > 0 else {}),
            "created_at": _aware(item.timestamp),
        }
        for key, item in _keyed(items).items()
    ]


def answered(allocation: results.Allocation, items: Sequence[MemoryItem]) -> Chosen:
    """The service's choice; what it found out is noted on the items."""
    keyed = _keyed(items)
    selection = allocation.selection or results.Selection()
    for left in selection.dropped:
        if (item := keyed.get(left.id)) is not None:
            item.token_count, item.combined_score = left.tokens, left.score
    chosen = []
    for one in selection.selected:
        if (item := keyed.get(one.id)) is not None:
            item.token_count, item.combined_score = one.tokens, one.score
            item.relevance_score, item.freshness_score = one.relevance, one.freshness
            chosen.append(item)
    trace = allocation.policy.name
    return Chosen(
        selected=chosen,
        complexity=allocation.complexity.tier,
        multiplier=allocation.budget.multiplier,
        max_total_tokens=allocation.budget.base,
        shares={scope.name: scope.weight for scope in allocation.scopes},
        budgets={scope.name: scope.tokens for scope in allocation.scopes},
        whose=_whose(allocation, trace),
        allocation_id=allocation.id,
    )


def chosen_here(
    items: Sequence[MemoryItem], config: WorkspaceConfig, complexity: QueryComplexity, whose: str
) -> Chosen:
    """The choice by the originals' rule: in each tier the best first, as long as they fit."""
    budgets = {tier.value: config.get_tier_budget(tier, complexity) for tier in MemoryTier}
    left = dict(budgets)
    chosen = []
    for item in sorted(items, key=lambda one: -one.combined_score):
        if item.token_count <= left[item.tier.value]:
            left[item.tier.value] -= item.token_count
            chosen.append(item)
    return Chosen(
        selected=chosen,
        complexity=complexity.value,
        multiplier=config.complexity_multipliers.get(complexity, 1.0),
        max_total_tokens=config.max_total_tokens,
        shares={tier.value: config.tier_share(tier) for tier in MemoryTier},
        budgets=budgets,
        whose=whose,
    )


def _whose(allocation: results.Allocation, name: str) -> str:
    if allocation.policy.kind == "project":
        return "project"
    return "workspace" if name == allocation.workspace else "default"


def _keyed(items: Sequence[MemoryItem]) -> dict[str, MemoryItem]:
    """Items by their id; by their place where the id is not the only one or none to send."""
    keyed: dict[str, MemoryItem] = {}
    for at, item in enumerate(items):
        key = str(item.memory_id)
        is_fit = key not in keyed and 0 < len(key) <= LONGEST_ID and key.isprintable()
        keyed[key if is_fit else f"item {at} of {len(items)}"] = item
    return keyed


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
