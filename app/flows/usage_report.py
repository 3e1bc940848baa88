"""Gather what a report says of usage: totals of two windows, days, and sums by agent."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from zoneinfo import ZoneInfo

from app.core.analytics import Group, describe, group_runs
from app.core.cover import cover
from app.core.report_use import AgentUse, Usage, hours_of
from app.core.usage import Cell
from app.core.values import value
from app.core.windows import Span, local_days, pieces
from app.store.analytics import Source
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.pacing import pause
from app.store.report_sums import read_totals
from app.store.run_sums import Scopes, Sums, read_scopes, read_sums
from app.store.usage import first_and_last

HOUR_MICROS = 3_600_000_000


@value
class Asked:
    """Whose usage; moments in microseconds."""

    workspace: str
    days: tuple[int, ...]
    """Lengths of windows; each is compared with as many days before."""
    until: int
    """The windows end with the UTC hour that this is in."""
    zone: ZoneInfo
    """Whose days are shown."""


@value
class Gathered:
    """Usage for a report, and the sums behind it by agent, complexity and profile."""

    usage: Usage
    sums: Sums
    scopes: Scopes
    """Of the longest window that was asked for."""


async def usage_for_report(store: Store, cache: GroupCache, asked: Asked) -> Mapping[int, Gathered]:
    """For each number of days two windows, one after the other; no event is read."""
    return await store.read(partial(_gather, cache=cache, asked=asked))


def _gather(tx: Tx, cache: GroupCache, asked: Asked) -> dict[int, Gathered]:
    source = Source(tx, cache, asked.workspace, ())
    ends = first_and_last(tx, asked.workspace)
    longest = hours_of(asked.until, max(asked.days))
    is_last = ends is not None and ends[1] < longest[1]
    scopes = read_scopes(source, cover(*longest, is_last=is_last))
    return {
        days: _gathered(source, asked, days, scopes=scopes, is_last=is_last) for days in asked.days
    }


def _of_all(scopes: Scopes) -> dict[str, int]:
    """The tokens of scopes of all agents."""
    found: Counter[str] = Counter()
    for tokens in scopes.values():
        found.update(tokens)
    return dict(found)


def _gathered(
    source: Source, asked: Asked, days: int, *, scopes: Scopes, is_last: bool
) -> Gathered:
    since, until = window = hours_of(asked.until, days)
    sums = read_sums(source, window, is_last=is_last)
    by_day = list(local_days(since, until, asked.zone))
    spans = {
        "now": (since, until),
        "before": (since - (until - since), since),
        **{day.key: _whole_hours(day) for day in by_day},
    }
    totals = read_totals(
        source,
        {
            name: pieces(*span, now=until, is_last=is_last and span[1] == until)
            for name, span in spans.items()
        },
        sketched=("now", "before"),
    )
    pause()
    tiers = group_runs(sums.cells, "").get("", Group()).tiers
    pause()
    groups = group_runs(sums.cells, "agent")
    pause()
    usage = Usage(
        workspace=asked.workspace,
        days=days,
        now=describe(Group(cell=totals["now"], tiers=tiers, scopes=_of_all(scopes))),
        before=describe(Group(cell=totals["before"])),
        agents=tuple(
            AgentUse(agent=agent, cell=group.cell) for agent, group in sorted(groups.items())
        ),
        by_day={day.key: _used(totals[day.key]) for day in by_day},
        scope_days=max(asked.days),
    )
    return Gathered(usage=usage, sums=sums, scopes=scopes)


def _whole_hours(day: Span) -> tuple[int, int]:
    """A civil day cut to UTC hours: of zones whose hours begin elsewhere, the nearest."""
    since, until = (at // HOUR_MICROS * HOUR_MICROS for at in (day.since, day.until))
    return since, until


def _used(cell: Cell) -> int:
    return cell.used + cell.unbudgeted
