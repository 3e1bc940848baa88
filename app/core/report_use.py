"""Hold what a report asks of the books about usage: two windows, agents, days."""

from collections.abc import Mapping, Sequence

from app.core.analytics import Statistics
from app.core.comparing import share_interval
from app.core.usage import PERCENT, Cell
from app.core.values import value

HOUR_MICROS, DAY_MICROS = 3_600_000_000, 86_400_000_000


def hours_of(until: int, days: int) -> tuple[int, int]:
    """The window of a report: so many days that end with the UTC hour that a moment is in."""
    end = -(-until // HOUR_MICROS) * HOUR_MICROS
    return end - days * DAY_MICROS, end


@value
class AgentUse:
    """What the runs of one agent come to."""

    agent: str
    cell: Cell
    """Sums; a sketch is not needed."""

    @property
    def tokens(self) -> int:
        """Loaded, with and without a budget."""
        return self.cell.used + self.cell.unbudgeted

    @property
    def average(self) -> float | None:
        """Used per cent of the budget, where anything has one."""
        return self.cell.pct_sum / self.cell.rated / PERCENT if self.cell.rated else None


@value
class Usage:
    """What was asked of the books for a report."""

    workspace: str
    days: int
    """Length of both windows."""
    now: Statistics
    before: Statistics
    """Over as many days before."""
    agents: Sequence[AgentUse]
    by_day: Mapping[str, int]
    """Tokens used by civil day."""
    scope_days: int
    """Over how many days the shares of scopes are; they may be more."""
    advised: frozenset[str] = frozenset()
    """Agents for whom an open recommendation says what to do."""


def spread(count: int, of: int) -> str | None:
    """The Wilson interval of a share as per cent: `4.1–9.0`; nothing without a sample."""
    if not of:
        return None
    low, high = share_interval(count, of)
    return f"{low:.1f}–{high:.1f}"
