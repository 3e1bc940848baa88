"""Make memory items of the originals' allocator."""

from datetime import UTC, datetime, timedelta
from typing import Any

from membudget.allocator import MemoryItem, MemoryTier


def item(
    memory_id: str, tier: str = "working", *, age_hours: float = 1.0, **fields: Any
) -> MemoryItem:
    """A memory with a text of its own."""
    at = datetime.now(UTC) - timedelta(hours=age_hours)
    text = f"What {memory_id} is about: queries of a database."
    return MemoryItem(memory_id, text, MemoryTier(tier), at, **fields)
