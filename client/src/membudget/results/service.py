"""Hold what the service says of its policy, its work and itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from membudget._reading import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Result):
    """What policy gives an agent."""

    promised = ("profile",)

    profile: str | None = None
    base_budget: int = 0
    max_budget: int | None = None
    scope_weights: Mapping[str, float] = field(default_factory=dict)
    own_weights: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact(Result):
    """What a proposal would have changed over the same runs."""

    tokens_saved: int = 0
    exceedances_avoided: int = 0
    unmet_avoided: int | None = None
    used_tokens_saved: int | None = None
    usd_saved: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation(Result):
    """What the runs of an agent speak for."""

    promised = ("id", "agent", "action", "status")

    id: str = ""
    workspace: str = "default"
    agent: str = ""
    action: str = "maintain"
    """`upgrade`, `downgrade`, `adjust_weights`, `maintain` or `defer`."""
    status: str = "open"
    recommended: bool = False
    confidence: float | None = None
    current: Grant = field(default_factory=Grant)
    proposed: Grant | None = None
    reason: str = ""
    samples: int = 0
    exceedance_interval: tuple[float, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    impact: Impact = field(default_factory=Impact)
    window_days: int = 0
    since: datetime | None = None
    until: datetime | None = None
    period: str = ""
    created_at: datetime | None = None
    decided_at: datetime | None = None
    policy_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine(Result):
    """A report in a list."""

    promised = ("id", "kind", "title")

    id: str = ""
    workspace: str = "default"
    kind: str = ""
    period: str = ""
    title: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(ReportLine):
    """A report: what to do first, then sections of text, figures, charts and tables."""

    since: datetime | None = None
    until: datetime | None = None
    todo: tuple[Mapping[str, Any], ...] = ()
    calm: str = ""
    sections: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun(Result):
    """One run of a job."""

    promised = ("period", "status")

    job: str = ""
    period: str = ""
    status: str = ""
    """`running`, `done`, `failed`, or `waiting`: it is tried again at `retry_at`."""
    on_demand: bool = False
    due_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    retry_at: datetime | None = None
    outcome: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Result):
    """A job and how it stands."""

    promised = ("name", "enabled")

    name: str = ""
    schedule: str = ""
    timezone: str = "UTC"
    enabled: bool = False
    last_run: JobRun | None = None
    next_run: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Result):
    """A budget profile, as it is listed."""

    promised = ("name", "base_budget")

    name: str = ""
    description: str = ""
    base_budget: int = 0
    max_budget: int = 0
    scope_weights: Mapping[str, float] = field(default_factory=dict)
    multipliers: Mapping[str, float] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    """Assigned to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Result):
    """A complexity tier, with texts to show."""

    promised = ("multiplier",)

    multiplier: float = 1.0
    description: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles(Result):
    """All profiles, and the complexity tiers by name."""

    promised = ("items", "complexity_multipliers")

    items: tuple[Profile, ...] = ()
    default_profile: str | None = None
    complexity_multipliers: Mapping[str, Tier] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent(Result):
    """An agent that has a profile, or was only seen."""

    promised = ("agent",)

    agent: str = ""
    """`type/name` where the type is known."""
    type: str | None = None
    name: str = ""
    profile: str | None = None
    assigned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup(Result):
    """A backup of all workspaces."""

    promised = ("id", "sha256")

    id: str = ""
    created_at: datetime | None = None
    bytes: int = 0
    sha256: str = ""
    tables: Mapping[str, int] = field(default_factory=dict)
    valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Result):
    """What came of a restore."""

    promised = ("id", "tables")

    id: str = ""
    created_at: datetime | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False
    safety_backup: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Result):
    """Whether the service is up, and what of it is not ready."""

    promised = ("ready", "checks")

    up: bool = False
    ready: bool = False
    checks: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    """Why it does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Result):
    """Which program answers."""

    promised = ("name", "version")

    name: str = ""
    version: str = ""
    python: str = ""
