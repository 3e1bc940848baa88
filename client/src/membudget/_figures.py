"""Turn allocations into the statistics that the originals' allocator answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from membudget import results
from membudget.allocator_types import MemoryTier


def figures_kept(kept: results.AllocationStatistics) -> dict[str, Any]:
    """Those of allocations that the service keeps."""
    averages = kept.averages
    return {
        "total_allocations": kept.count,
        "averages": {
            "tokens_allocated": round(averages.get("tokens_allocated") or 0.0, 2),
            "memories_selected": round(averages.get("memories_selected") or 0.0, 2),
            "processing_time_ms": round(averages.get("processing_ms") or 0.0, 2),
        },
        "complexity_distribution": dict(kept.complexity),
        "tier_statistics": {
            name: {
                "avg_utilization_pct": scope.get("avg_utilization_pct"),
                "avg_memories_selected": scope.get("avg_selected"),
                "avg_tokens_used": scope.get("avg_tokens"),
            }
            for name, scope in kept.scopes.items()
        },
    }


def figures_here(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Those of allocations made here, each in the originals' shape."""
    count = len(own)
    if not count:
        return {"total_allocations": 0}
    tiers = {tier.value: [one["tiers"][tier.value] for one in own] for tier in MemoryTier}
    complexities = [one["complexity"] for one in own]
    return {
        "total_allocations": count,
        "averages": {
            name: round(sum(one[key] for one in own) / count, 2)
            for name, key in (
                ("tokens_allocated", "total_tokens_allocated"),
                ("memories_selected", "total_memories_selected"),
                ("processing_time_ms", "processing_time_ms"),
            )
        },
        "complexity_distribution": {one: complexities.count(one) for one in set(complexities)},
        "tier_statistics": {
            name: {
                "avg_utilization_pct": sum(one["utilization_pct"] for one in all_) / count,
                "avg_memories_selected": sum(one["memories_selected"] for one in all_) / count,
                "avg_tokens_used": sum(one["tokens_used"] for one in all_) / count,
            }
            for name, all_ in tiers.items()
        },
    }
