"""Turn cells into what a dashboard asks: groups of runs, their statistics and shares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args

from app.core.usage import PERCENT, Cell, rated_statistics

By = Literal[
    "agent", "profile", "complexity", "scope", "user", "project", "model", "stage", "day", "hour"
]
BYS: tuple[str, ...] = get_args(By)

CellName = tuple[str, str, str]


@dataclass(slots=True)
class Group:
    """Cells of one key, added up, with what is known of their parts."""

    cell: Cell = field(default_factory=Cell)
    tiers: dict[str, Cell] = field(default_factory=dict)
    scopes: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Group") -> None:
        """Take in a group of other events."""
        self.cell.add(other.cell)
        for tier, cell in other.tiers.items():
            add_plain(self.tiers.setdefault(tier, Cell()), cell)
        for scope, tokens in other.scopes.items():
            self.scopes[scope] = self.scopes.get(scope, 0) + tokens


Groups = dict[str, Group]

S = TypeVar("S", bound="Statistics")


def add_plain(into: Cell, other: Cell) -> None:
    """Add what a breakdown by complexity shows, without the sketch."""
    into.executions += other.executions
    into.rated += other.rated
    into.pct_sum += other.pct_sum


def group_runs(cells: Mapping[CellName, Cell], by: str) -> Groups:
    """Cells of the family `run` by agent, by complexity, by profile, or all in one ("")."""
    groups: Groups = {}
    for (agent, complexity, profile), cell in cells.items():
        key = {"agent": agent, "complexity": complexity, "profile": profile}.get(by, "")
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group()
        group.cell.add(cell)
        if cell.executions:
            add_plain(group.tiers.setdefault(complexity, Cell()), cell)
    return groups


def group_dimension(cells: Mapping[CellName, Cell]) -> Groups:
    """Cells of one dimension's family by its value, whatever the agent."""
    groups: Groups = {}
    for (_, key, _), cell in cells.items():
        groups.setdefault(key, Group()).cell.add(cell)
    return groups


def add_scopes(groups: Groups, cells: Mapping[CellName, Cell], by: str) -> None:
    """Note the tokens of each scope in groups by agent, or in the one group of all."""
    for (agent, scope, _), cell in cells.items():
        group = groups.setdefault(agent if by == "agent" else "", Group())
        group.scopes[scope] = group.scopes.get(scope, 0) + cell.used + cell.unbudgeted


def merge(parts: Iterable[Groups]) -> Groups:
    """Groups of disjoint times as one; a group that stands alone is handed on, not copied."""
    merged: Groups = {}
    copied: set[str] = set()
    for part in parts:
        for key, group in part.items():
            held = merged.get(key)
            if held is None:
                merged[key] = group
                continue
            if key not in copied:
                copied.add(key)
                merged[key] = Group()
                merged[key].add(held)
            merged[key].add(group)
    return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPct:
    """Used per cent of the executions that have one; order statistics within 1 % relative."""

    avg: float
    median: float
    min: float
    max: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens summed over events."""

    budget: int
    used: int
    """Of all events, those without a budget too."""
    unbudgeted: int
    """The part of `used` that had no budget."""
    input: int
    output: int
    cached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TierShare:
    """Executions of one complexity tier."""

    executions: int
    avg_used_pct: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a set of usage events comes to."""

    executions: int
    """Events with a budget."""
    events: int
    used_pct: UsedPct | None
    """None where no execution has a used per cent."""
    exceeded: int
    """Executions that used more than their budget."""
    exceedance_rate: float
    unmet: int
    """Executions that needed more than their budget and kept to it."""
    unmet_rate: float
    tokens: Tokens
    cost_usd: str | None
    """Decimal USD of the priced events; None where none is priced."""
    failed: int
    avg_duration_seconds: float | None
    by_complexity: Mapping[str, TierShare] | None
    scope_share: Mapping[str, float] | None
    """Tokens of the scope over the tokens of all scopes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatistics(Statistics):
    """Statistics of one group."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that was looked at; None on both sides: everything."""

    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytics:
    """Usage over a window, overall and by group."""

    window: Window
    by: str
    overall: Statistics
    groups: tuple[GroupStatistics, ...]


def describe(group: Group, *, parts: bool = True) -> Statistics:
    """The statistics of a group; `parts`: its complexity tiers and scopes are known."""
    return _figures(Statistics, group, parts=parts)


def describe_all(groups: Groups, *, parts: bool) -> tuple[GroupStatistics, ...]:
    """The statistics of every group, in order of their keys."""
    return tuple(
        _figures(GroupStatistics, groups[key], parts=parts, key=key) for key in sorted(groups)
    )


def _figures(kind: type[S], group: Group, *, parts: bool, **more: Any) -> S:
    cell = group.cell
    rated = rated_statistics(cell)
    executions = cell.executions
    figures: dict[str, Any] = {
        "executions": executions,
        "events": cell.events,
        "used_pct": None
        if rated is None
        else UsedPct(avg=rated[0], median=rated[1], min=rated[2], max=rated[3], p95=rated[4]),
        "exceeded": cell.exceeded,
        "exceedance_rate": cell.exceeded / executions if executions else 0.0,
        "unmet": cell.unmet,
        "unmet_rate": cell.unmet / executions if executions else 0.0,
        "tokens": Tokens(
            budget=cell.budget,
            used=cell.used + cell.unbudgeted,
            unbudgeted=cell.unbudgeted,
            input=cell.input,
            output=cell.output,
            cached=cell.cached,
        ),
        "cost_usd": usd(cell.cost) if cell.priced else None,
        "failed": cell.failed,
        "avg_duration_seconds": cell.duration_ms / cell.timed / 1000 if cell.timed else None,
        "by_complexity": _tiers(group) if parts else None,
        "scope_share": _shares(group) if parts else None,
    }
    return kind(**figures, **more)


def _tiers(group: Group) -> dict[str, TierShare]:
    return {
        tier: TierShare(
            executions=cell.executions,
            avg_used_pct=cell.pct_sum / cell.rated / PERCENT if cell.rated else None,
        )
        for tier, cell in sorted(group.tiers.items())
        if tier
    }


def _shares(group: Group) -> dict[str, float]:
    total = sum(group.scopes.values())
    if not total:
        return {}
    return {scope: tokens / total for scope, tokens in sorted(group.scopes.items())}


def usd(nano: int) -> str:
    """Nano-USD as a decimal string of USD, without trailing zeros."""
    return format((Decimal(nano) / 1_000_000_000).normalize(), "f")


def flat(found: Analytics) -> list[dict[str, object]]:
    """Analytics as flat rows, the overall one first, for tables and CSV."""
    return [_row("(all)", found.overall), *(_row(group.key, group) for group in found.groups)]


def _row(key: str, figures: Statistics) -> dict[str, object]:
    pct = figures.used_pct
    return {
        "key": key,
        "executions": figures.executions,
        "events": figures.events,
        "avg_used_pct": pct and pct.avg,
        "median_used_pct": pct and pct.median,
        "min_used_pct": pct and pct.min,
        "max_used_pct": pct and pct.max,
        "p95_used_pct": pct and pct.p95,
        "exceeded": figures.exceeded,
        "exceedance_rate": figures.exceedance_rate,
        "unmet": figures.unmet,
        "unmet_rate": figures.unmet_rate,
        "budget_tokens": figures.tokens.budget,
        "used_tokens": figures.tokens.used,
        "input_tokens": figures.tokens.input,
        "output_tokens": figures.tokens.output,
        "cached_tokens": figures.tokens.cached,
        "cost_usd": figures.cost_usd,
        "failed": figures.failed,
        "avg_duration_seconds": figures.avg_duration_seconds,
    }
