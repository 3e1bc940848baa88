"""Say what budgets in USD look like on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field

from app.api.schemas.common import AgentName, Label, Name
from app.api.schemas.costs import STRICT, Usd
from app.api.schemas.usage import nano
from app.core.analytics import usd
from app.core.errors import InvalidRequest
from app.core.spending import (
    DEFAULT_THRESHOLDS,
    EXCEEDED,
    LEVELS,
    CostAlert,
    CostBudget,
    CostLevel,
    CostThreshold,
    CostWindow,
    Standing,
    Subject,
    binding,
)
from app.core.spending_words import describe, percent
from app.core.windows import moment

Share = Annotated[Decimal, Field(strict=False, gt=0, le=10, decimal_places=6)]


class ScopeIn(BaseModel):
    """Whose spending counts: at most one of these; the whole workspace's if none is given."""

    model_config = STRICT

    workspace: Name | None = None
    """The workspace itself."""
    project: Name | None = None
    user: Label | None = None
    agent: AgentName | None = None
    """`type/name`, or a bare name for all types."""
    run: Label | None = None
    """A `run_id`."""


class CostBudgetIn(BaseModel):
    """A budget in USD."""

    model_config = STRICT

    usd: Usd
    """What may be spent in one window, as a number or a string."""
    window: CostWindow
    """`event` and `run`: each by itself; `day`, `week` (from Monday) and `month`: civil ones."""
    thresholds: (
        Annotated[list[Share], Field(max_length=4)] | dict[CostLevel, Share | None] | None
    ) = None
    """Shares at which alerts are raised: by level (null leaves one out), or in rising order; 0.25,
    0.5, 0.75 and 1 if left out. Of a list those below 1 are info, warning, critical, and one from
    1 on is budget_exceeded."""
    enforcement: Literal["soft", "hard"] = "soft"
    """`hard`: usage that would pass it is refused, and no run may begin when it is spent."""
    scope: ScopeIn | None = None
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """IANA zone of its days, weeks and months; the service's if left out."""
    name: Name | None = None
    """As in the path, or left out."""
    workspace: Name | None = None
    """As in the query, or left out."""
    status: Any = None
    """What a GET says; not taken."""


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


def to_budget(name: str, workspace: str, given: CostBudgetIn, zone: ZoneInfo) -> CostBudget:
    """The budget as a core value, checked. Errors: InvalidRequest."""
    if given.name not in (None, name):
        raise _refuse("name", "The body names another budget than the path.", "is another name")
    limit = nano(given.usd)
    assert limit is not None
    return CostBudget(
        name=name,
        limit=limit,
        window=given.window,
        thresholds=_thresholds(given),
        is_hard=given.enforcement == "hard",
        subject=_subject(workspace, given.scope),
        zone=zone if given.timezone is None else _zone(given.timezone),
    )


def home_of(given: CostBudgetIn, workspace: str | None) -> str:
    """The workspace that a budget belongs to. Errors: InvalidRequest for several."""
    scope = None if given.scope is None else given.scope.workspace
    named = [one for one in (workspace, given.workspace, scope) if one is not None]
    if len(set(named)) > 1:
        raise _refuse(
            "scope",
            "A budget is about spending in one workspace: name the same one everywhere.",
            "is another workspace",
        )
    return named[0] if named else "default"


def _subject(workspace: str, scope: ScopeIn | None) -> Subject:
    if scope is None:
        return Subject(kind="workspace", name=workspace)
    named = [
        Subject(kind=kind, name=name)
        for kind in ("project", "user", "agent", "run")
        if (name := getattr(scope, kind)) is not None
    ]
    if len(named) > 1:
        raise _refuse(
            "scope",
            "A budget is about one project, user, agent or run; make a second one for the other.",
            "names several",
        )
    return named[0] if named else Subject(kind="workspace", name=workspace)


def _thresholds(given: CostBudgetIn) -> tuple[CostThreshold, ...]:
    if given.thresholds is None:
        return DEFAULT_THRESHOLDS
    if isinstance(given.thresholds, dict):
        stated = {one.level: one.share for one in DEFAULT_THRESHOLDS}
        for level, share in given.thresholds.items():
            if share is None:
                stated.pop(level, None)
            else:
                stated[level] = share
        named = sorted(stated.items(), key=lambda one: LEVELS.index(one[0]))
    else:
        below = [share for share in given.thresholds if share < 1]
        above = [share for share in given.thresholds if share >= 1]
        if len(below) > 3 or len(above) > 1:
            raise _refuse(
                "thresholds",
                "At most three shares below 1, and one from 1 on; or name their levels.",
                "are too many",
            )
        named = [*zip(LEVELS, below, strict=False), *((EXCEEDED, share) for share in above)]
    shares = [share for _, share in named]
    if shares != sorted(set(shares)):
        raise _refuse("thresholds", "Each level's share is above the one before.", "must rise")
    return tuple(CostThreshold(level=level, share=share) for level, share in named)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _refuse(
            "timezone", "A zone is named as in the IANA list: Europe/Berlin.", "is no IANA zone"
        ) from error


def _refuse(name: str, detail: str, msg: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[{"loc": ["body", name], "msg": msg}])


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
