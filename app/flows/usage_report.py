"""Gather what a report says of usage: totals of two windows, days, and sums by agent."""

from functools import partial
from zoneinfo import ZoneInfo

from app.core.analytics import CellName, Group, describe, group_runs
from app.core.report_use import AgentUse, Usage, hours_of
from app.core.usage import Cell
from app.core.values import value
from app.core.windows import Span, local_days, pieces
from app.store.analytics import Source
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.report_sums import read_scopes, read_totals, read_use
from app.store.usage import first_and_last

SCOPE_DAYS = 7
"""Days, at most, over which the tokens of scopes are added up: each row has them packed."""
DAY_MICROS, HOUR_MICROS = 86_400_000_000, 3_600_000_000


@value
class Asked:
    """Whose usage; moments in microseconds."""

    workspace: str
    days: int
    until: int
    """The windows end with the UTC hour that this is in."""
    zone: ZoneInfo
    """Whose days are shown."""


@value
class Gathered:
    """Usage for a report, and the sums behind it by agent, complexity and profile."""

    usage: Usage
    cells: dict[CellName, Cell]


async def usage_for_report(store: Store, cache: GroupCache, asked: Asked) -> Gathered:
    """Two windows of as many days, one after the other; cells answer, no event is read."""
    return await store.read(partial(_gather, cache=cache, asked=asked))


def _gather(tx: Tx, cache: GroupCache, asked: Asked) -> Gathered:
    source = Source(tx, cache, asked.workspace, ())
    since, until = hours_of(asked.until, asked.days)
    ends = first_and_last(tx, asked.workspace)
    is_last = ends is not None and ends[1] < until

    cells = read_use(source, pieces(since, until, now=until, is_last=is_last))
    week = max(since, until - SCOPE_DAYS * DAY_MICROS)
    tokens = read_scopes(source, pieces(week, until, now=until, is_last=is_last))
    days = list(local_days(since, until, asked.zone))
    spans = {
        "now": (since, until),
        "before": (since - (until - since), since),
        **{day.key: _whole_hours(day) for day in days},
    }
    totals = read_totals(
        source,
        {
            name: pieces(*span, now=until, is_last=is_last and name != "before")
            for name, span in spans.items()
        },
    )

    tiers = group_runs(cells, "").get("", Group()).tiers
    usage = Usage(
        workspace=asked.workspace,
        days=asked.days,
        now=describe(Group(cell=totals["now"], tiers=tiers, scopes=tokens)),
        before=describe(Group(cell=totals["before"])),
        agents=tuple(
            AgentUse(agent=agent, cell=group.cell)
            for agent, group in sorted(group_runs(cells, "agent").items())
        ),
        by_day={day.key: _used(totals[day.key]) for day in days},
    )
    return Gathered(usage=usage, cells=cells)


def _whole_hours(day: Span) -> tuple[int, int]:
    """A civil day cut to UTC hours: of zones whose hours begin elsewhere, the nearest."""
    since, until = (at // HOUR_MICROS * HOUR_MICROS for at in (day.since, day.until))
    return since, until


def _used(cell: Cell) -> int:
    return cell.used + cell.unbudgeted
