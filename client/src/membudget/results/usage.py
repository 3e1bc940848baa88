"""Hold usage: events, what became of them, and what many of them come to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from membudget._reading import Result
from membudget.results.budgets import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent(Result):
    """One run as it is booked."""

    promised = ("id", "timestamp", "used_tokens")

    id: str = ""
    timestamp: datetime | None = None
    workspace: str = "default"
    agent: str | None = None
    profile: str | None = None
    task: str | None = None
    complexity: str | None = None
    project: str | None = None
    user: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    allocation_id: str | None = None
    model: str | None = None
    stage: str | None = None
    budget_tokens: int | None = None
    used_tokens: int = 0
    used_pct: float | None = None
    exceeded: bool = False
    needed_tokens: int | None = None
    unmet: bool = False
    scopes: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    service: str | None = None
    """How the call was served: `standard`, `batch`, `flex`, `priority`."""
    cost_usd: Decimal | None = None
    price_version: str | None = None
    """Of the prices that `cost_usd` was worked out with; None where it was given."""
    duration_seconds: float | None = None
    success: bool | None = None
    error: str | None = None
    alerts: tuple[Alert, ...] = ()
    late: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spooled: bool = False
    """Kept on this machine, and sent when the service answers again."""
    spooled_reason: str | None = None
    """Why it could not be booked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt(Result):
    """What became of usage events that were sent."""

    promised = ("accepted", "duplicates")

    accepted: int = 0
    duplicates: int = 0
    ids: tuple[str, ...] = ()
    """In the order of the events."""
    alerts: tuple[Mapping[str, Any], ...] = ()
    """Thresholds of budgets in USD that were reached."""
    spooled: int = 0
    """Events kept on this machine, which are sent when the service answers again."""
    spooled_reason: str | None = None
    """Why they could not be booked at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere(Result):
    """Events that wait on this machine for a service at another address."""

    folder: str = ""
    """Their spool: a client that is given it sends them."""
    url: str | None = None
    """Where the service is, as far as the spool says."""
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed(Result):
    """What became of events that waited on this machine."""

    sent: int = 0
    refused: int = 0
    """Put into the file of refused events, with the reason."""
    waiting: int = 0
    """Still to be sent."""
    reason: str | None = None
    """Why some are still waiting."""
    elsewhere: tuple[Elsewhere, ...] = ()
    """Spools of other addresses, which were not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPct(Result):
    """Used per cent of the executions that have one."""

    promised = ("avg",)

    avg: float = 0.0
    median: float = 0.0
    min: float = 0.0
    max: float = 0.0
    p95: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSums(Result):
    """Tokens of many runs."""

    promised = ("used",)

    budget: int = 0
    used: int = 0
    unbudgeted: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TierShare(Result):
    """Runs of one complexity tier."""

    executions: int = 0
    avg_used_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics(Result):
    """What many runs come to."""

    promised = ("executions", "tokens")

    key: str = ""
    """Of a group: its agent, day, model and the like."""
    executions: int = 0
    events: int = 0
    used_pct: UsedPct | None = None
    exceeded: int = 0
    exceedance_rate: float = 0.0
    unmet: int = 0
    unmet_rate: float = 0.0
    tokens: TokenSums = field(default_factory=TokenSums)
    cost_usd: Decimal | None = None
    failed: int = 0
    avg_duration_seconds: float | None = None
    by_complexity: Mapping[str, TierShare] = field(default_factory=dict)
    scope_share: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Result):
    """The time that was looked at; None on both sides: everything."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytics(Result):
    """What agents used over a window."""

    promised = ("by", "overall", "groups")

    window: Window = field(default_factory=Window)
    by: str = "agent"
    overall: Statistics = field(default_factory=Statistics)
    groups: tuple[Statistics, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(Result):
    """The recorded runs replayed under another policy, against what happened."""

    promised = ("recorded", "simulated", "difference")

    window: Window = field(default_factory=Window)
    sealed_until: datetime | None = None
    """Runs before are kept as sums only, and could not be replayed; None if there are none."""
    workspace: str = "default"
    agent: str | None = None
    under: str = "in_force"
    """What it was replayed under: `in_force`, `profile`, `multipliers` or `policy`."""
    enforcement: str = "soft"
    recorded: Statistics = field(default_factory=Statistics)
    simulated: Statistics = field(default_factory=Statistics)
    difference: Mapping[str, Any] = field(default_factory=dict)
    by_agent: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unbudgeted: int = 0
    """Runs without a budget, which count in neither."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Runs that kept the budget they had, by the reason."""
