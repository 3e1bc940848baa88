"""Describe a memory that asks for room in a budget, and the scope it belongs to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.core.values import value

DEFAULT_IMPORTANCE = 0.5  # spec, memories: what a memory without an importance has

OTHER_SCOPE_NAMES: Mapping[str, str] = {  # spec A12 and "Defaults": names the originals also used
    "agent-specific": "agent_patterns",
    "patterns": "agent_patterns",
    "recent": "agent_recent",
    "intermediate": "agent_recent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A memory that could be loaded."""

    id: str
    tokens: int
    """Counted or as the caller says; trusted for packing."""
    scope: str | None = None
    """None: `global` under a profile, `working` in a workspace's tiers."""
    text: str | None = None
    created_at: datetime | None = None
    """None counts as created just now."""
    last_accessed_at: datetime | None = None
    access_count: int = 0
    relevance: float | None = None
    """0–1; None: computed from the task."""
    importance: float = DEFAULT_IMPORTANCE
    pinned: bool = False
    """Chosen before all that are not pinned."""
    group: str | None = None
    """Of the candidates of one group at most one is loaded."""
    expires_at: datetime | None = None
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


State = Literal["active", "archived", "deleted"]
"""Archived and deleted memories are kept for a way back; nothing searches or loads them."""


@value
class Memory:
    """A memory as it is kept; moments are microseconds since 1970 in UTC."""

    id: str
    workspace: str
    text: str
    created_at: int
    modified_at: int
    project: str | None = None
    agent: str | None = None
    """`type/name`; None: everybody's."""
    scope: str | None = None
    """Scope of a profile or tier of a workspace; None: `global`, or `working` among tiers."""
    path: str | None = None
    last_accessed_at: int | None = None
    access_count: int = 0
    importance: float = DEFAULT_IMPORTANCE
    confidence: float | None = None
    relevance: float | None = None
    used_by_agents: tuple[str, ...] = ()
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    pinned: bool = False
    group: str | None = None
    expires_at: int | None = None
    embedding: tuple[float, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: State = "active"


def scope_in(names: Collection[str], scope: str) -> str | None:
    """The scope of a policy, known by `names`, that `scope` belongs to; None if it has none."""
    if scope in names:
        return scope
    other = OTHER_SCOPE_NAMES.get(scope)
    return other if other in names else None
