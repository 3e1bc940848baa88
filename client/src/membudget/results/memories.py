"""Hold memories, what was found of them, and what could be done for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from membudget._reading import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Result):
    """A text that agents may load, with what is known of its use."""

    promised = ("id", "text", "tokens")

    id: str = ""
    workspace: str = "default"
    project: str | None = None
    agent: str | None = None
    scope: str | None = None
    tier: str | None = None
    text: str = ""
    tokens: int = 0
    path: str | None = None
    created_at: datetime | None = None
    modified_at: datetime | None = None
    last_accessed_at: datetime | None = None
    access_count: int = 0
    importance: float = 0.5
    confidence: float | None = None
    relevance: float | None = None
    used_by_agents: tuple[str, ...] = ()
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    pinned: bool = False
    group: str | None = None
    expires_at: datetime | None = None
    embedding: tuple[float, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: str = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Result):
    """A memory that was kept."""

    promised = ("id", "tokens")

    id: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Result):
    """A memory that answers a search."""

    promised = ("id", "score", "text")

    id: str = ""
    score: float = 0.0
    relevance: float = 0.0
    importance: float = 0.0
    freshness: float = 0.0
    tokens: int = 0
    scope: str = ""
    text: str = ""
    project: str | None = None
    agent: str | None = None
    path: str | None = None
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    created_at: datetime | None = None
    parts: tuple[tuple[Any, ...], ...] | None = None
    """What its score is made of, where `explain` was asked for: name, value and weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Result):
    """What of an import was not taken, and why."""

    promised = ("reason",)

    path: str = ""
    line: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported(Result):
    """What came of an import."""

    promised = ("imported", "refused")

    imported: int = 0
    unchanged: int = 0
    duplicates: int = 0
    removed: int = 0
    refused_count: int = 0
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Result):
    """Tokens of so many memories."""

    promised = ("tokens", "files")

    tokens: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAmounts(Amount):
    """Tokens of agents' own memories."""

    by_agent: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthDay(Result):
    """What there was on a day."""

    promised = ("day",)

    day: date | None = None
    status: str = ""
    global_: Amount = field(default_factory=Amount, metadata={"key": "global"})
    agents: Amount = field(default_factory=Amount)
    total: Amount = field(default_factory=Amount)
    archive: Amount = field(default_factory=Amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHealth(Result):
    """How many tokens are global, each agent's, and archived, and how that grows."""

    promised = ("status", "global", "agents", "total")

    status: str = ""
    """`HEALTHY`, `WARNING`, `CRITICAL` or `LIMIT`."""
    used_pct: float = 0.0
    global_: Amount = field(default_factory=Amount, metadata={"key": "global"})
    agents: AgentAmounts = field(default_factory=AgentAmounts)
    total: Amount = field(default_factory=Amount)
    other: Amount = field(default_factory=Amount)
    archive: Amount = field(default_factory=Amount)
    thresholds: Mapping[str, int] = field(default_factory=dict)
    history: tuple[HealthDay, ...] = ()
    trend: Mapping[str, Any] = field(default_factory=dict)
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal(Result):
    """Something that could be done for memories."""

    promised = ("memory_id", "score", "reason")

    id: str = ""
    """The same as `memory_id`."""
    memory_id: str = ""
    project: str | None = None
    path: str | None = None
    agent: str | None = None
    score: float = 0.0
    reason: str = ""
    from_: str | None = field(default=None, metadata={"key": "from"})
    to: str | None = None
    ids: tuple[str, ...] = ()
    paths: tuple[str | None, ...] = ()
    tokens: int = 0
    age_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied(Result):
    """What was done for memories, or taken back."""

    promised = ("kind", "changes")

    action_id: str | None = None
    kind: str = ""
    dry_run: bool = False
    changes: tuple[Mapping[str, Any], ...] = ()
    left: int = 0
    purged: int = 0
    created_at: datetime | None = None
    undone_at: datetime | None = None
