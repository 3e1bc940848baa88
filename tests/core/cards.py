"""Make cards of memories for tests of core."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.core.lifecycle import Card
from app.core.memory import content_of
from app.core.windows import micros
from tests.trees import TreeFile

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
NOW_MICROS = micros(NOW)


def card(id_: str = "m", **fields: Any) -> Card:
    """A memory's card, just made unless told otherwise."""
    usual: dict[str, Any] = {
        "content": content_of(id_),
        "tokens": 100,
        "created_at": NOW_MICROS,
        "modified_at": NOW_MICROS,
    }
    return Card(id=id_, **{**usual, **fields})


def cards_of(files: Mapping[str, TreeFile]) -> list[Card]:
    """Cards of a tree's files, whose paths are their ids."""
    return [_card_of(one) for one in files.values()]


def _card_of(one: TreeFile) -> Card:
    first, _, rest = one.path.partition("/")
    is_agents = first in ("roles", "specialists")
    meta = json.loads(json.dumps(one.meta or {}))
    last_used = meta.get("last_used")
    scope = "agent_patterns" if is_agents else "global"
    if first not in ("roles", "specialists", "patterns", "recent", "intermediate"):
        scope = "reference"
    return card(
        one.path,
        path=one.path,
        content=content_of(one.text),
        agent=f"{first}/{rest.partition('/')[0]}" if is_agents else None,
        scope=scope,
        created_at=micros(one.modified_at),
        modified_at=micros(one.modified_at),
        last_accessed_at=None if last_used is None else micros(datetime.fromisoformat(last_used)),
        access_count=meta.get("use_count") or 0,
        confidence=meta.get("confidence"),
        used_by_agents=tuple(meta.get("used_by_agents") or ()),
    )
