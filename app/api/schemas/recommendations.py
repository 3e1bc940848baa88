"""Say what is answered about recommendations, and what a run of them may be asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.common import Workspace
from app.core.impacts import Replayed
from app.core.recommendation_data import grant_data
from app.core.recommendations import Recommendation, Status
from app.core.recommending import Action
from app.core.windows import moment

MAX_DAYS = 3_650


class RunIn(BaseModel):
    """Whose runs to judge."""

    model_config = ConfigDict(extra="forbid", strict=True)

    window_days: int = Field(
        default=30,
        ge=1,
        le=MAX_DAYS,
        description="The last days, in whole UTC hours, the present one with them.",
    )
    workspace: Workspace


class GrantOut(BaseModel):
    """What policy gives an agent."""

    profile: str | None = Field(
        description="Null: no profile decides, but the budget of a workspace.",
        examples=["specialist-narrow"],
    )
    base_budget: int = Field(description="Tokens at medium complexity.", examples=[20_000])
    max_budget: int | None = Field(description="Tokens that no budget exceeds.", examples=[50_000])
    scope_weights: dict[str, float] = Field(
        examples=[{"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5}]
    )
    own_weights: bool = Field(description="Whether the weights are the agent's own.")


class EvidenceOut(BaseModel):
    """The figures of the window behind a recommendation."""

    executions: int = Field(description="Runs that had a budget.", examples=[42])
    exceeded: int = Field(examples=[13])
    exceedance_rate: float = Field(examples=[0.3095])
    unmet: int = Field(description="Runs that needed more than their budget and kept to it.")
    avg_used_pct: float | None = Field(
        description="Null: every run used tokens of a budget of zero.", examples=[93.4]
    )
    budget_tokens: int
    used_tokens: int
    scope_share: dict[str, float] = Field(
        description="Tokens of a scope over those of all, for at most the 100 largest, by the"
        " policy's names: `agent-specific` and `patterns` are `agent_patterns`, `recent` and"
        " `intermediate` are `agent_recent`."
    )
    off_scopes: list[str] = Field(description="Scopes more than 10 points off their weight.")
    replayed: Replayed | None = Field(
        description="What the impact is from: every run, or cells of like runs, where they are more"
        " than 20,000 or kept no longer (within about 1 %); null: budgets stay as they are."
    )


class ImpactOut(BaseModel):
    """What the proposal would have changed over the same runs; below zero: it costs more."""

    tokens_saved: int = Field(description="Budget tokens: recorded less those of the proposal.")
    exceedances_avoided: int
    unmet_avoided: int | None = Field(
        description="Null where cells were replayed: they do not say."
    )
    used_tokens_saved: int | None = Field(
        description="Tokens loaded; below zero where runs that were cut would have had more."
        " Null where cells were replayed: they do not say."
    )
    usd_saved: str | None = Field(
        description="Decimal USD of the priced runs; null: none is priced, or cells were replayed.",
        examples=["1.25"],
    )


class RecommendationOut(BaseModel):
    """What the runs of an agent speak for. Nothing changes until somebody applies it."""

    id: str
    workspace: str
    agent: str = Field(examples=["specialists/dbt-expert"])
    action: Action = Field(
        description="`upgrade` or `downgrade` to the next profile by base budget, weights of the"
        " agent's own (`adjust_weights`), nothing (`maintain`), or too few runs yet (`defer`)."
    )
    status: Status
    recommended: bool = Field(
        description="Whether its confidence reaches the policy's"
        " `recommendation_confidence_threshold` (0.7), and no run is from before the last change"
        " that was applied to the agent; others are only shown, and `reason` counts such runs."
    )
    confidence: float | None = Field(
        description="0–1; null for `maintain` and `defer`.", examples=[0.81]
    )
    current: GrantOut
    proposed: GrantOut | None = Field(
        description="Null: nothing to change, or nothing left to change to; `reason` says which."
    )
    reason: str
    samples: int = Field(description="Runs that had a budget.", examples=[42])
    exceedance_interval: tuple[float, float] = Field(
        description="Where the exceedance rate lies with 95 % confidence (Wilson).",
        examples=[(0.191, 0.460)],
    )
    evidence: EvidenceOut
    impact: ImpactOut
    window_days: int
    since: datetime = Field(description="It is about `since` ≤ t < `until`: whole UTC hours.")
    until: datetime
    period: str = Field(
        description="The month of the job that made it, or the moment it was asked for.",
        examples=["2026-11", "2026-11-21T08:15:00.000000Z"],
    )
    created_at: datetime
    decided_at: datetime | None = Field(
        description="When it was applied, dismissed or rolled back."
    )
    policy_version: int | None = Field(
        description="The version of the workspace's policy that applying it made."
    )


class RecommendationsOut(BaseModel):
    """What a run made, one for each agent that had a run under a budget, by agent."""

    items: list[RecommendationOut]


def recommendation_out(held: Recommendation) -> Mapping[str, Any]:
    """A recommendation as it is answered."""
    return {
        "id": held.id,
        "workspace": held.workspace,
        "agent": held.agent,
        "action": held.action,
        "status": held.status,
        "recommended": held.is_recommended,
        "confidence": held.confidence,
        "current": grant_data(held.current),
        "proposed": None if held.proposed is None else grant_data(held.proposed),
        "reason": held.reason,
        "samples": held.samples,
        "exceedance_interval": held.exceedance_interval,
        "evidence": held.evidence,
        "impact": held.impact,
        "window_days": held.window_days,
        "since": moment(held.since),
        "until": moment(held.until),
        "period": held.period,
        "created_at": moment(held.created_at),
        "decided_at": None if held.decided_at is None else moment(held.decided_at),
        "policy_version": None if held.deed is None else held.deed.version,
    }
