"""Say what lifecycle requests may hold, and what they and health answer."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.health import Health, Snapshot, status_of
from app.core.lifecycle import Card, Kind, Proposal, age_days
from app.core.lifecycle_actions import Action, Deed
from app.core.lifecycle_rules import Rules
from app.core.windows import moment


class ApplyIn(BaseModel):
    """Which proposals to apply, and whether to."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=False, description="Say what would change, change nothing.")
    ids: list[Annotated[str, Field(max_length=400)]] | None = Field(
        default=None,
        max_length=10_000,
        description="`memory_id` of the proposals to apply; all if left out.",
    )
    near: bool = Field(
        default=False, description="Duplicates: of near duplicates, too, keep only one."
    )


class ProposalOut(BaseModel):
    """Something that could be done, and why."""

    id: str = Field(description="The same as `memory_id`.")
    memory_id: str
    project: str | None
    path: str | None
    agent: str | None
    score: float = Field(description="0–1; the more, the sooner.")
    reason: str
    from_: str | None = Field(alias="from", description="What it is now.")
    to: str | None = Field(description="What it would be.")
    ids: list[str] = Field(description="All memories that it is about; of a set the first stays.")
    paths: list[str | None] = Field(description="Their paths.")
    tokens: int
    age_days: int = Field(description="Whole days since its last use, else since it was changed.")


class ReportOut(BaseModel):
    """What is proposed, the most urgent first."""

    items: list[ProposalOut]
    next_cursor: str | None
    total: int = Field(description="Proposals on all pages.")
    uncompared: int = Field(
        description="Texts that were too many to be compared for near duplicates; else 0."
    )


class ChangeOut(BaseModel):
    """What one memory was and is."""

    memory_id: str
    path: str | None
    agent: str | None
    reason: str
    from_: str | None = Field(alias="from")
    to: str | None
    before: dict[str, Any] = Field(description="Changed fields as they were, but for long texts.")
    after: dict[str, Any] = Field(description="The same fields as they are then.")


class AppliedOut(BaseModel):
    """What was done, or would be."""

    action_id: str | None = Field(description="To take it back by; null: nothing was changed.")
    kind: Kind
    dry_run: bool
    changes: list[ChangeOut]
    left: int = Field(
        description="Changes that were too many for one action (4,000) and wait for the next."
    )
    purged: int = Field(
        description="Memories removed for good: deleted longer ago than retention keeps them."
    )


class ActionOut(BaseModel):
    """Changes that were made together."""

    action_id: str
    kind: Kind
    created_at: datetime
    undone_at: datetime | None
    changes: list[ChangeOut]


class ActionLine(BaseModel):
    """An action in a list."""

    action_id: str
    kind: Kind
    created_at: datetime
    undone_at: datetime | None
    changed: int = Field(description="Memories that it changed.")


class AmountOut(BaseModel):
    """Tokens (cl100k_base), and the memories they are in."""

    tokens: int
    files: int


class AgentsOut(AmountOut):
    """What agents have for themselves."""

    by_agent: dict[str, AmountOut]


class HistoryOut(BaseModel):
    """What the last look of a day found."""

    day: date
    status: str
    global_: AmountOut = Field(alias="global")
    agents: AmountOut
    total: AmountOut
    archive: AmountOut


class TrendOut(BaseModel):
    """How global memory grows, by least squares."""

    tokens_per_day: float | None = Field(description="Null: fewer than two days are known.")
    days: int = Field(description="Days of history that the line is drawn through.")
    projected: dict[str, date | None] = Field(
        description="The day each threshold will be reached; null: it is, or that is not in sight."
    )


class HealthOut(BaseModel):
    """How the memories of a workspace stand."""

    status: str = Field(description="`HEALTHY`, `WARNING`, `CRITICAL` or `LIMIT`.")
    used_pct: float = Field(description="Global tokens of the limit, 0–100 and more.")
    global_: AmountOut = Field(alias="global", description="What every agent loads.")
    agents: AgentsOut
    total: AmountOut = Field(description="What is global and what agents have.")
    other: AmountOut = Field(description="In tiers of a workspace, or kept for reference.")
    archive: AmountOut
    thresholds: dict[str, int] = Field(description="Of global tokens.")
    history: list[HistoryOut] = Field(description="A row a day, oldest first.")
    trend: TrendOut
    advice: list[str]


def proposal_out(one: Proposal, cards: Mapping[str, Card], now: int) -> dict[str, Any]:
    """A proposal as it is answered."""
    card = cards[one.memory_id]
    return {
        "id": one.memory_id,
        "memory_id": one.memory_id,
        "project": one.project,
        "path": one.path,
        "agent": one.agent,
        "score": one.score,
        "reason": one.reason,
        "from": one.source,
        "to": one.target,
        "ids": one.ids,
        "paths": [cards[id_].path for id_ in one.ids],
        "tokens": card.tokens,
        "age_days": age_days(card, now),
    }


def change_out(deed: Deed) -> dict[str, Any]:
    """What changed of a memory; the text that it had is left to the way back."""
    return {
        "memory_id": deed.memory_id,
        "path": deed.path,
        "agent": deed.agent,
        "reason": deed.reason,
        "from": deed.source,
        "to": deed.target,
        "before": _told({name: one for name, one in deed.before.items() if name != "text"}),
        "after": _told(deed.after),
    }


def _told(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: moment(one) if name == "state_at" else one for name, one in fields.items()}


def action_out(action: Action) -> dict[str, Any]:
    """An action with what it changed."""
    return {**_head(action), "changes": [change_out(deed) for deed in action.deeds]}


def action_line(action: Action) -> dict[str, Any]:
    """An action in a list."""
    return {**_head(action), "changed": len(action.deeds)}


def _head(action: Action) -> dict[str, Any]:
    undone = action.undone_at
    return {
        "action_id": action.id,
        "kind": action.kind,
        "created_at": moment(action.created_at),
        "undone_at": None if undone is None else moment(undone),
    }


def health_out(health: Health) -> dict[str, Any]:
    """The health of memories as it is answered."""
    figures, trend = health.figures, health.trend
    return {
        "status": health.status,
        "used_pct": 100 * figures.everybodys.tokens / health.rules.health_limit,
        "global": figures.everybodys,
        "agents": {
            "tokens": figures.agents.tokens,
            "files": figures.agents.files,
            "by_agent": figures.by_agent,
        },
        "total": figures.total,
        "other": figures.other,
        "archive": figures.archive,
        "thresholds": health.rules.thresholds,
        "history": [_day(day, found, health.rules) for day, found in health.history],
        "trend": {
            "tokens_per_day": trend.tokens_per_day,
            "days": trend.days,
            "projected": {
                name: None if day is None else moment(day).date()
                for name, day in trend.reached.items()
            },
        },
        "advice": health.advice,
    }


def _day(day: int, found: Snapshot, rules: Rules) -> dict[str, Any]:
    return {
        "day": moment(day).date(),
        "status": status_of(found.everybodys.tokens, rules),
        "global": found.everybodys,
        "agents": found.agents,
        "total": found.everybodys + found.agents,
        "archive": found.archive,
    }
