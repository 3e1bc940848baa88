"""Say how budgets in USD stand, on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.core.analytics import usd
from app.core.spending import (
    LEVELS,
    CostAlert,
    CostBudget,
    CostLevel,
    CostWindow,
    Standing,
    binding,
)
from app.core.spending_words import describe, percent
from app.core.windows import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """How a budget's present window stands."""

    used_usd: str
    remaining_usd: str
    used_pct: float | None
    level: CostLevel | None
    resets_at: datetime | None
    """When the next window begins; null of runs and events, which stand each by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBudgetOut:
    """A budget in USD, in the fields that a PUT takes, and how it stands."""

    name: str
    workspace: str
    usd: str
    window: CostWindow
    thresholds: Mapping[CostLevel, float | None]
    """Null: this level is not raised."""
    enforcement: Literal["soft", "hard"]
    scope: Mapping[str, str]
    timezone: str
    status: BudgetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBudgets:
    """The budgets of a workspace."""

    items: Sequence[CostBudgetOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applying:
    """One budget that applies to what is asked."""

    name: str
    enforcement: Literal["soft", "hard"]
    window: CostWindow
    allowed: bool
    used_usd: str
    limit_usd: str
    remaining_usd: str
    level: CostLevel | None
    resets_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCheck:
    """Whether an amount may be spent; the figures are those of the budget that binds."""

    allowed: bool
    """It fits every budget that applies; soft ones do not refuse it, all the same."""
    level: CostLevel | None
    """The highest level that would be reached."""
    used_usd: str
    limit_usd: str
    remaining_usd: str
    """Before what is asked."""
    binding: str
    """The budget with the least left of those that apply."""
    enforcement: Literal["soft", "hard"]
    resets_at: datetime | None
    budgets: Sequence[Applying]
    """All that apply, the one that was asked first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAlertOut:
    """A threshold of a budget that was reached."""

    id: str
    at: datetime
    """When the event ended that reached it."""
    budget: str
    level: CostLevel
    share: float
    used_usd: str
    limit_usd: str
    used_pct: float | None
    window_start: datetime | None
    """Null of runs and events."""
    key: str | None
    """The run or event."""
    message: str


def budget_out(workspace: str, standing: Standing) -> CostBudgetOut:
    """A budget as it is shown."""
    budget = standing.budget
    return CostBudgetOut(
        name=budget.name,
        workspace=workspace,
        usd=usd(budget.limit),
        window=budget.window,
        thresholds={
            **dict.fromkeys(LEVELS),
            **{one.level: float(one.share) for one in budget.thresholds},
        },
        enforcement=_enforcement(budget),
        scope={budget.subject.kind: budget.subject.name},
        timezone=budget.zone.key,
        status=BudgetStatus(
            used_usd=usd(standing.used),
            remaining_usd=usd(standing.remaining),
            used_pct=percent(standing.used, budget.limit),
            level=standing.level,
            resets_at=_resets_at(standing),
        ),
    )


def check_out(standings: Sequence[Standing]) -> BudgetCheck:
    """Whether what is asked fits all budgets that apply."""
    tightest = binding(standings)
    reached = [one.level for one in standings if one.level is not None]
    return BudgetCheck(
        allowed=all(one.holds for one in standings),
        level=max(reached, key=LEVELS.index, default=None),
        used_usd=usd(tightest.used),
        limit_usd=usd(tightest.budget.limit),
        remaining_usd=usd(tightest.remaining),
        binding=tightest.budget.name,
        enforcement=_enforcement(tightest.budget),
        resets_at=_resets_at(tightest),
        budgets=[
            Applying(
                name=one.budget.name,
                enforcement=_enforcement(one.budget),
                window=one.budget.window,
                allowed=one.holds,
                used_usd=usd(one.used),
                limit_usd=usd(one.budget.limit),
                remaining_usd=usd(one.remaining),
                level=one.level,
                resets_at=_resets_at(one),
            )
            for one in standings
        ],
    )


def alert_out(id_: str, alert: CostAlert) -> CostAlertOut:
    """An alert as it is shown."""
    return CostAlertOut(
        id=id_,
        at=moment(alert.at),
        budget=alert.slot.budget,
        level=alert.level,
        share=float(alert.share),
        used_usd=usd(alert.used),
        limit_usd=usd(alert.limit),
        used_pct=percent(alert.used, alert.limit),
        window_start=None if alert.slot.key else moment(alert.slot.start),
        key=alert.slot.key or None,
        message=describe(alert),
    )


def _enforcement(budget: CostBudget) -> Literal["soft", "hard"]:
    return "hard" if budget.is_hard else "soft"


def _resets_at(standing: Standing) -> datetime | None:
    at = standing.resets_at
    return None if at is None else moment(at)
