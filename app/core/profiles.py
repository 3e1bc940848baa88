"""Name the shapes of budgeting policy, as stated and as resolved for a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from app.core.alerts import Threshold
from app.core.complexity import Kind
from app.core.retention import Retention

Enforcement = Literal["soft", "hard"]
PolicyKind = Literal["manual", "project", "workspace", "user", "profile"]
MatchKind = Literal["exact", "alias", "fuzzy", "default"]
Scoring = Literal["measured", "formula"]
Rounding = Literal["largest_remainder", "floor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A slice of a budget; with a rank it is a tier of a workspace."""

    name: str
    weight: Decimal
    """Share of the budget, as the policy states it (0 to 1)."""
    rank: int | None = None
    """Order among the tiers, lowest first; None where scopes have no order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Named budgeting rules that agents are assigned to."""

    name: str
    description: str
    base: int
    """Tokens at medium complexity."""
    ceiling: int | None
    """Tokens that no complexity exceeds."""
    scopes: tuple[Scope, ...]
    examples: tuple[str, ...] = ()
    multipliers: Mapping[str, Decimal] | None = None
    """What this profile states itself; None leaves all tiers to the workspace."""
    thresholds: tuple[Threshold, ...] | None = None
    """Alert thresholds stated by the profile itself; None leaves them to the workspace."""
    enforcement: Enforcement | None = None
    auto_bump: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The profile of one agent, with scope weights of its own if it has any."""

    agent: str
    """`type/name`, or the bare name where the type is unknown."""
    profile: str
    scope_weights: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A complexity tier as it is listed: its multiplier and texts to show."""

    name: str
    multiplier: Decimal
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeights:
    """How much relevance, importance and freshness count in a memory's score."""

    relevance: Decimal
    importance: Decimal
    freshness: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceBudget:
    """The budget that a workspace or a project states for runs without an agent."""

    max_total_tokens: int
    scopes: tuple[Scope, ...]
    """The tiers: working, project, long_term, rag."""
    multipliers: Mapping[str, Decimal]
    weights: ScoreWeights
    half_life_hours: Decimal
    promotion_threshold: Decimal
    promotion_accesses: int
    demotion_threshold: Decimal
    tokens_per_char: Decimal
    """Estimate for texts that no tokenizer fits."""
    overrides_agents: bool = False
    """Decide also for runs that name an agent."""
    rigid_tiers: bool = True
    """Room that a tier leaves unused is not lent to the others."""
    scoring: Scoring = "formula"
    thresholds: tuple[Threshold, ...] | None = None
    enforcement: Enforcement | None = None
    retention: Retention = field(default_factory=Retention)
    """How long memories are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """When the evidence of an agent's runs is enough to recommend another policy."""

    exceedance_threshold_for_upgrade: Decimal
    underutilization_threshold_for_downgrade: Decimal
    minimum_samples_for_recommendation: int
    recommendation_confidence_threshold: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedPolicy:
    """The policy that decides one request, complete, and why it does."""

    kind: PolicyKind
    name: str
    """Profile, workspace, `workspace/project` or user, as the kind says."""
    version: int
    trace: tuple[str, ...]
    """Short sentences, in the order in which they were decided."""
    text_kind: Kind
    """Whether the request's text is judged as a task or as a query."""
    base: int
    ceiling: int | None
    scopes: tuple[Scope, ...]
    multipliers: Mapping[str, Decimal]
    thresholds: tuple[Threshold, ...]
    """From the lowest share to the highest."""
    enforcement: Enforcement
    auto_bump: bool
    rigid: bool
    """Scopes may not borrow each other's unused room."""
    weights: ScoreWeights
    half_life_hours: Decimal
    rounding: Rounding
    scoring: Scoring = "measured"
    """How memories are scored unless a request says otherwise; `formula` uses the weights."""

    def __hash__(self) -> int:
        """By identity: a book hands out the same policy again, and its terms are remembered."""
        return id(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentMatch:
    """Who was asked for, who that is taken to be, and how sure that is."""

    name: str
    type: str | None
    requested: str
    match: MatchKind
    match_score: float
    """1 for an exact name, 0 where the default profile stands in."""
    candidates: tuple[tuple[str, float], ...] = ()
    """The nearest `type/name` with their likeness (0 to 1), for names that stay unsure."""
