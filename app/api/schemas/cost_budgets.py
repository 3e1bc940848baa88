"""Say what budgets in USD look like on the wire."""

from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field

from app.api.reach import home
from app.api.schemas.amounts import PLAIN, amount_of
from app.api.schemas.common import AgentName, Label, Name, Reached
from app.api.schemas.costs import STRICT, Usd
from app.api.schemas.usage import nano
from app.core.errors import InvalidRequest
from app.core.spending import (
    DEFAULT_THRESHOLDS,
    EXCEEDED,
    LEVELS,
    CostBudget,
    CostLevel,
    CostThreshold,
    CostWindow,
    Subject,
)

Share = Annotated[Decimal, Field(strict=False, gt=0, le=10, decimal_places=6), PLAIN]


class ScopeIn(BaseModel):
    """Whose spending counts: at most one of these; the whole workspace's if none is given."""

    model_config = STRICT

    workspace: Reached | None = None
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
    workspace: Reached | None = None
    """As in the query, or left out."""
    status: Any = None
    """What a GET says; not taken."""


def to_budget(name: str, workspace: str, given: CostBudgetIn, zone: ZoneInfo) -> CostBudget:
    """The budget as a core value, checked. Errors: InvalidRequest."""
    if given.name not in (None, name):
        raise _refuse("name", "The body names another budget than the path.", "is another name")
    if amount_of(name) is not None:
        raise InvalidRequest(
            "A budget's name must not read as a number: where a budget is asked for, that is an"
            " amount of USD. Put a word before it.",
            errors=[{"loc": ["path", "name"], "msg": "reads as a number"}],
        )
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
    """The workspace that a budget belongs to: as query or body say, else the key's own.

    Errors: InvalidRequest for several; WorkspaceNeeded.
    """
    scope = None if given.scope is None else given.scope.workspace
    named = [one for one in (workspace, given.workspace, scope) if one is not None]
    if len(set(named)) > 1:
        raise _refuse(
            "scope",
            "A budget is about spending in one workspace: name the same one everywhere.",
            "is another workspace",
        )
    return named[0] if named else home()


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
        if name == "localtime":  # the machine's own: replicas would cut different days
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _refuse(
            "timezone", "A zone is named as in the IANA list: Europe/Berlin.", "is no IANA zone"
        ) from error


def _refuse(name: str, detail: str, msg: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[{"loc": ["body", name], "msg": msg}])
