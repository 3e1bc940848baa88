"""Hold budgets: allocations, what they were decided by, and how they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from membudget._reading import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class NameScore(Result):
    """A name and its likeness, 0–1, to the one asked for."""

    name: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Result):
    """Whom a budget is for."""

    promised = ("name",)

    name: str = ""
    """`type/name` where the type is known."""
    type: str | None = None
    requested: str = ""
    match: str = "default"
    """`exact`, `alias`, `fuzzy`, or `default`: nobody has the name."""
    match_score: float = 0.0
    candidates: tuple[NameScore, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Result):
    """Which policy decided, and why."""

    promised = ("kind", "name")

    kind: str = ""
    name: str = ""
    version: int = 0
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Result):
    """One reason for a verdict."""

    tier: str = ""
    name: str = ""
    matched: str = ""
    weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity(Result):
    """How hard a text is taken to be, and why."""

    promised = ("tier", "confidence")

    tier: str = "medium"
    multiplier: float = 1.0
    confidence: float = 0.5
    """From 0.5, a guess, to 1."""
    source: str = "default"
    """`detected`, `given` or `default`."""
    signals: tuple[Signal, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    advice: str | None = None
    degraded: bool = False
    """Judged here, because the service did not answer."""
    degraded_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget(Result):
    """How many tokens a run may load, and what decided it."""

    promised = ("tokens",)

    tokens: int = 0
    base: int = 0
    max: int | None = None
    multiplier: float = 1.0
    capped: bool = False
    mode: str = "profile"
    bound_by: str = ""
    predicted: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeUse(Result):
    """The room of a scope and what is left of it."""

    promised = ("name", "tokens")

    name: str = ""
    weight: float = 0.0
    tokens: int = 0
    used: int = 0
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected(Result):
    """A memory to load, and why."""

    promised = ("id", "tokens")

    id: str = ""
    scope: str = ""
    tokens: int = 0
    score: float = 0.0
    relevance: float = 0.0
    importance: float = 0.0
    freshness: float = 0.0
    reason: str = ""
    parts: tuple[tuple[Any, ...], ...] | None = None
    """What its score is made of, where `explain` was asked for: name, value and weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(Result):
    """A memory that is not loaded, and why."""

    promised = ("id", "reason")

    id: str = ""
    scope: str = ""
    tokens: int = 0
    score: float = 0.0
    reason: str = ""
    min_budget_to_include: int | None = None
    displaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Result):
    """Each candidate once: selected or dropped, best first."""

    promised = ("tokens", "selected", "dropped")

    tokens: int = 0
    utilization: float = 0.0
    """Share of the budget, 0–1."""
    value: float = 0.0
    upper_bound: float | None = None
    gap_pct: float | None = None
    context: str | None = None
    """The text to load, where one was asked for."""
    rendered_tokens: int | None = None
    selected: tuple[Selected, ...] = ()
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump(Result):
    """The tier that would give more room, and the budget it would give."""

    promised = ("tier", "tokens")

    tier: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Result):
    """A threshold that was reached, and where the allocation stood then."""

    promised = ("level",)

    level: str = ""
    """`info`, `warning` or `critical`."""
    used_pct: float | None = None
    tokens: int = 0
    at: datetime | None = None
    message: str = ""
    bump: Bump | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation(Result):
    """One budget given to one run, with the memories that fit."""

    promised: ClassVar[tuple[str, ...]] = ("id", "policy", "complexity", "budget", "scopes")

    id: str | None = None
    """None when it could not be recorded."""
    created_at: datetime | None = None
    workspace: str = "default"
    project: str | None = None
    user: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    model: str | None = None
    degraded: bool = False
    """Not recorded: decided by the service without its database, or here without the service."""
    degraded_reason: str | None = None
    agent: Agent | None = None
    policy: Policy = field(default_factory=Policy)
    complexity: Complexity = field(default_factory=Complexity)
    budget: Budget = field(default_factory=Budget)
    scopes: tuple[ScopeUse, ...] = ()
    selection: Selection | None = None
    enforcement: str = "soft"
    alerts: tuple[Alert, ...] = ()
    cost: Mapping[str, Any] | None = None
    """What the run may cost; None as long as the service prices nothing."""
    expires_at: datetime | None = None
    pool: str | None = None
    """The pool that the budget is reserved in."""

    @property
    def tokens(self) -> int:
        """Tokens that the run may load."""
        return self.budget.tokens

    @property
    def context(self) -> str:
        """The text to load; empty where none was asked for (`render=`)."""
        return (self.selection and self.selection.context) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationStatus(Allocation):
    """An allocation and how it stands."""

    promised = (*Allocation.promised, "state", "loaded")

    state: str = "open"
    """`open`, `finished` or `expired`."""
    loaded: int = 0
    used_pct: float | None = None
    """0–100 and beyond; None when something was loaded on a budget of zero."""
    remaining: int = 0
    exceeded: bool = False
    duration_seconds: float = 0.0
    bumps: tuple[Bump, ...] = ()
    late: bool = False
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationStatistics(Result):
    """Counts and averages of a workspace's allocations."""

    promised = ("count",)

    count: int = 0
    averages: Mapping[str, float] = field(default_factory=dict)
    complexity: Mapping[str, int] = field(default_factory=dict)
    scopes: Mapping[str, Any] = field(default_factory=dict)
