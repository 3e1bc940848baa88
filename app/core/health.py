"""Say how much agents have to load, how that grows, and when it will be too much (A15)."""

import math
from collections.abc import Iterable, Mapping, Sequence

from app.core.lifecycle import DAY_MICROS, GLOBAL
from app.core.lifecycle_rules import SPEC, Rules
from app.core.values import value

HEALTHY = "HEALTHY"

TREND_DAYS = 90
"""Days of history that a trend is drawn through."""

FARTHEST_DAYS = 36_500
"""A threshold that is reached later than this is not said to be reached."""

SEARCH_ADVICE = (
    "Global memory is past its warning, and every agent loads it: send the task with"
    ' select="stored", so that only what is relevant is loaded, and add semantic search by storing'
    " embeddings with the memories."
)


@value
class Amount:
    """Tokens, and the memories they are in."""

    tokens: int
    files: int

    def __add__(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(tokens=self.tokens + other.tokens, files=self.files + other.files)


NOTHING = Amount(tokens=0, files=0)


@value
class Holding:
    """What one agent, or nobody in particular, has in one scope and state."""

    agent: str | None
    scope: str | None
    state: str
    amount: Amount


@value
class Figures:
    """Tokens and counts of the memories of a workspace, or of a project in it."""

    everybodys: Amount
    """Global: what every agent loads."""
    by_agent: Mapping[str, Amount]
    other: Amount
    """Of no agent and not global: tiers of a workspace, and what is kept for reference."""
    archive: Amount

    @property
    def agents(self) -> Amount:
        """What all agents have for themselves."""
        return sum(self.by_agent.values(), NOTHING)

    @property
    def total(self) -> Amount:
        """What is global and what agents have."""
        return self.everybodys + self.agents


@value
class Snapshot:
    """What was held in one place on one day."""

    everybodys: Amount
    agents: Amount
    archive: Amount

    def __add__(self, other: "Snapshot") -> "Snapshot":
        """Both places together."""
        return Snapshot(
            everybodys=self.everybodys + other.everybodys,
            agents=self.agents + other.agents,
            archive=self.archive + other.archive,
        )


EMPTY = Snapshot(everybodys=NOTHING, agents=NOTHING, archive=NOTHING)


@value
class Day:
    """What a day's last look found, by project ("": none)."""

    day: int
    """Its first moment in microseconds since 1970."""
    projects: Mapping[str, Snapshot]

    def of(self, project: str | None) -> Snapshot:
        """What a project's agents can load, its own and that of no project; None: all projects."""
        wanted = self.projects if project is None else {"", project}
        return sum((self.projects.get(name, EMPTY) for name in wanted), EMPTY)


@value
class Trend:
    """How global memory grows, by least squares."""

    tokens_per_day: float | None
    """None: fewer than two days are known."""
    days: int
    """Days of history it is drawn through."""
    reached: Mapping[str, int | None]
    """By threshold: the day it will be reached; None for one that is reached or is not in sight."""


@value
class Health:
    """How the memories of a workspace, or of a project in it, stand."""

    rules: Rules
    status: str
    figures: Figures
    history: Sequence[tuple[int, Snapshot]]
    """By day (its first moment), oldest first."""
    trend: Trend
    advice: Sequence[str]


def health_of(
    holdings: Mapping[str, Sequence[Holding]],
    history: Sequence[Day],
    *,
    project: str | None,
    now: int,
    rules: Rules = SPEC,
) -> Health:
    """Judge what is held; `history` ends with today."""
    wanted = holdings if project is None else {"", project}
    figures = figures_of(one for name in sorted(wanted) for one in holdings.get(name, ()))
    days = [(one.day, one.of(project)) for one in history]
    return Health(
        rules=rules,
        status=status_of(figures.everybodys.tokens, rules),
        figures=figures,
        history=days,
        trend=trend_of([(day, one.everybodys.tokens) for day, one in days], now=now, rules=rules),
        advice=advice_for(figures, rules),
    )


def day_found(holdings: Mapping[str, Iterable[Holding]], now: int) -> Day:
    """Today's row of history."""
    projects = {}
    for project, held in holdings.items():
        figures = figures_of(held)
        projects[project] = Snapshot(
            everybodys=figures.everybodys, agents=figures.agents, archive=figures.archive
        )
    return Day(day=day_of(now), projects=projects)


def figures_of(holdings: Iterable[Holding]) -> Figures:
    """Sum what is held by whom; deleted memories count nowhere."""
    everybodys, other, archive = NOTHING, NOTHING, NOTHING
    by_agent: dict[str, Amount] = {}
    for one in holdings:
        if one.state == "archived":
            archive += one.amount
        elif one.state != "active":
            continue
        elif one.agent is not None:
            by_agent[one.agent] = by_agent.get(one.agent, NOTHING) + one.amount
        elif one.scope in (None, GLOBAL):
            everybodys += one.amount
        else:
            other += one.amount
    return Figures(
        everybodys=everybodys, by_agent=dict(sorted(by_agent.items())), other=other, archive=archive
    )


def status_of(global_tokens: int, rules: Rules = SPEC) -> str:
    """`HEALTHY`, or the highest threshold that is reached: `WARNING`, `CRITICAL`, `LIMIT`."""
    reached = [name for name, tokens in rules.thresholds.items() if global_tokens >= tokens]
    return reached[-1].upper() if reached else HEALTHY


def advice_for(figures: Figures, rules: Rules = SPEC) -> list[str]:
    """What to do about it, in words."""
    return [SEARCH_ADVICE] if figures.everybodys.tokens > rules.health_warning else []


def day_of(at: int) -> int:
    """The first moment of the UTC day of a moment, in microseconds."""
    return at // DAY_MICROS * DAY_MICROS


def trend_of(history: Sequence[tuple[int, int]], *, now: int, rules: Rules = SPEC) -> Trend:
    """The line through the global tokens of the last days, and when it meets each threshold.

    `history`: days by their first moment, with their tokens, oldest first.
    """
    today = day_of(now)
    recent = [(day, n) for day, n in history if today - TREND_DAYS * DAY_MICROS < day <= today]
    slope = _slope([((day - today) / DAY_MICROS, float(tokens)) for day, tokens in recent])
    current = recent[-1][1] if recent else 0
    return Trend(
        tokens_per_day=slope,
        days=len(recent),
        reached={
            name: _day_reached(tokens - current, slope, today)
            for name, tokens in rules.thresholds.items()
        },
    )


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else None


def _day_reached(missing: int, slope: float | None, today: int) -> int | None:
    if missing <= 0 or slope is None or slope <= 0 or missing > slope * FARTHEST_DAYS:
        return None
    return today + math.ceil(missing / slope) * DAY_MICROS
