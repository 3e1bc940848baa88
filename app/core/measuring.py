"""Choose what the stated outcomes are measured by: which stretches of time, agents and alerts."""

from collections.abc import Iterable, Mapping, Sequence

from app.core.alerts import is_reached
from app.core.analytics import CellName
from app.core.grants import typed
from app.core.monitoring import Monitor
from app.core.policybook import PolicyBook
from app.core.report_outcomes import Unassigned
from app.core.usage import Cell, rated_statistics
from app.core.values import value
from app.core.windows import moment

Cells = Mapping[CellName, Cell]
"""Runs by agent, complexity and profile."""

DAY_MICROS, HOUR_MICROS = 86_400_000_000, 3_600_000_000
FEWEST_DAYS = 7
"""Days that a first period and a last one have at least."""


@value
class Stretch:
    """A stretch of time, `since` ≤ t < `until` in microseconds."""

    since: int
    until: int

    @property
    def said(self) -> str:
        """In words: its first and its last day."""
        last = moment(self.until - 1)
        return f"{moment(self.since):%Y-%m-%d} to {last:%Y-%m-%d}"


@value
class Change:
    """The last change of what decides an agent's budget."""

    agent: str
    at: int


def first_and_latest(
    start: int | None, window: Stretch, *, most_days: int
) -> tuple[Stretch, Stretch] | str:
    """The first period on record and the last one, equally long and apart; or what is missing.

    As long as half of what is recorded allows, at most `most_days`, at least a week.
    """
    if start is None or start >= window.until:
        return f"needs {2 * FEWEST_DAYS} days of runs"
    begin = start // DAY_MICROS * DAY_MICROS
    recorded = (window.until - begin) // DAY_MICROS
    days = min(most_days, recorded // 2)
    if days < FEWEST_DAYS:
        missing = 2 * FEWEST_DAYS - recorded
        return f"needs {missing:,} more {'day' if missing == 1 else 'days'} of runs"
    length = days * DAY_MICROS
    return (
        Stretch(since=begin, until=begin + length),
        Stretch(since=window.until - length, until=window.until),
    )


def around_change(at: int, until: int, *, days: int) -> tuple[Stretch, Stretch]:
    """As many days before a change, and the last ones since, at most as many.

    The hour of the change is left out of both, so that cells answer for them.
    """
    length, hour = days * DAY_MICROS, at // HOUR_MICROS * HOUR_MICROS
    since = max(-(-at // HOUR_MICROS) * HOUR_MICROS, until // DAY_MICROS * DAY_MICROS - length)
    return (
        Stretch(since=at // DAY_MICROS * DAY_MICROS - length, until=hour),
        Stretch(since=since, until=max(since, until // HOUR_MICROS * HOUR_MICROS)),
    )


def busiest(cells: Cells) -> list[str]:
    """Agents that ran under a budget, those with the most runs first."""
    runs: dict[str, int] = {}
    for (agent, _, _), cell in cells.items():
        runs[agent] = runs.get(agent, 0) + cell.executions
    return sorted((agent for agent in runs if runs[agent]), key=lambda agent: (-runs[agent], agent))


def unassigned_in(book: PolicyBook, cells: Cells) -> list[str]:
    """Agents that ran under a budget and have no profile of their own, the busiest first."""
    found = []
    for agent in busiest(cells):
        type_, name = typed(agent)
        if book.identify(name, type_)[1] is None:
            found.append(agent)
    return found


def fitting(book: PolicyBook, agents: Sequence[str], cells: Cells) -> list[Unassigned]:
    """The agents with the smallest profile that holds 95 % of their runs; `cells` are theirs."""
    ladder = sorted(book.profiles.values(), key=lambda profile: (profile.base, profile.name))
    found = []
    for agent in agents:
        its = Cell()
        for name, cell in cells.items():
            if name[0] == agent:
                its.add(cell)
        need = _p95_tokens(its)
        fits = next((one.name for one in ladder if need is not None and one.base >= need), None)
        found.append(Unassigned(agent=agent, runs=its.executions, fits=fits))
    return found


def alerts_due(monitors: Iterable[Monitor]) -> tuple[int, int]:
    """Thresholds that allocations reached, and those of them that raised their alert."""
    due = raised = 0
    for monitor in monitors:
        levels = {alert.level for alert in monitor.alerts}
        for threshold in monitor.terms.thresholds:
            if is_reached(monitor.loaded, monitor.budget, threshold):
                due += 1
                raised += threshold.level in levels
    return due, raised


def _p95_tokens(cell: Cell) -> float | None:
    """About what 95 % of the runs load at most: p95 of used per cent of the average budget."""
    rated = rated_statistics(cell)
    if rated is None or not cell.executions:
        return None
    return rated[4] / 100 * cell.budget / cell.executions
