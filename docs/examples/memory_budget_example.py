"""What the allocator's names do: judge queries, allocate, move memories, score, look back."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from membudget import (
    MemoryBudgetAllocator,
    MemoryBudgetConfigLoader,
    MemoryItem,
    MemoryTier,
)

CONFIG = Path(__file__).parent / "memory-budget.yaml"
QUERIES = (
    "Hello",
    "How do I implement retries?",
    "Explain and compare the design of both caches, and why one is faster",
)


def memories() -> list[MemoryItem]:
    """A few memories of each tier."""
    now = datetime.now(UTC)
    return [
        MemoryItem(
            f"{tier.value}-{number}",
            f"Note {number} of {tier.value} memory: retries, caches and their design.",
            tier,
            now - timedelta(hours=number * 12),
            relevance_score=0.9 - number / 5,
            importance_score=0.8,
            access_count=number * 2,
        )
        for tier in MemoryTier
        for number in range(3)
    ]


def main() -> int:
    """Print each part."""
    allocator = MemoryBudgetAllocator()
    configs = MemoryBudgetConfigLoader.load_from_yaml(CONFIG)
    for config in configs.values():
        allocator.register_workspace(config)
    workspace, config = next(iter(configs.items()))

    print("QUERY COMPLEXITY")
    for query in QUERIES:
        print(f"  {allocator.estimate_query_complexity(query).value:8s} {query}")

    print("BUDGET ALLOCATION")
    items = memories()
    for query in QUERIES:
        result = allocator.allocate_memory_budget(query, items, workspace)
        print(
            f"  {result['complexity']:8s} {result['total_memories_selected']} memories,"
            f" {result['total_tokens_allocated']} tokens"
        )
        for name, tier in result["tiers"].items():
            print(f"    {name:10s} {tier['tokens_used']:4d} of {tier['budget_tokens']} tokens")

    print("SCORING")
    for item in items[:3]:
        print(f"  {item.memory_id:12s} {allocator.calculate_memory_score(item, config):.3f}")

    print("PROMOTION AND DEMOTION")
    moves = allocator.evaluate_promotion_demotion(items, config)
    for move in (*moves["promotions"], *moves["demotions"]):
        print(f"  {move['memory_id']:12s} {move['current_tier']} -> {move['target_tier']}")

    print("STATISTICS")
    stats = allocator.get_allocation_statistics(workspace, time_window_hours=24)
    print(f"  {stats['total_allocations']} allocations, averages {stats['averages']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
