"""Do the work of the daily, weekly and monthly jobs: look, and write a report of each workspace."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from anyio import to_thread

from app.core.analytics import CellName
from app.core.errors import Unavailable
from app.core.filters import AllocationFilter
from app.core.lifecycle import Kind as LifecycleKind
from app.core.recommendations import Asked as Wanted
from app.core.recommendations import Recommendation
from app.core.report_advice import advice_part, todo_of
from app.core.report_allocations import Allocated, allocations_part
from app.core.report_health import HEALTH_LABEL, health_part
from app.core.report_outcomes import enforcement_part, outcomes_part, unassigned_todo
from app.core.report_proposals import Found, proposals_part
from app.core.report_usage import usage_part
from app.core.report_use import hours_of
from app.core.reporting import Heading, assemble, part_of
from app.core.reports import Kind, Part, Report
from app.core.schedule import RULES, Handler, Run, period_of
from app.core.usage import Cell
from app.core.values import value
from app.core.windows import moment
from app.flows import outcomes, usage_report
from app.flows.lifecycle import Asked, propose
from app.flows.list_allocations import summarise
from app.flows.memory_health import memory_health
from app.flows.recommend import Known, recommend
from app.flows.recommendations import recommendations_of
from app.flows.reports import earlier_report, keep_report, seen_workspaces
from app.flows.usage_report import Gathered, usage_for_report
from app.store.database import Store
from app.store.groupcache import GroupCache
from app.store.pacing import giving_way
from app.store.shelf import PolicyShelf

log = structlog.get_logger("membudget")

HOUR_MICROS, DAY_MICROS = 3_600_000_000, 86_400_000_000
WEEK_DAYS, MONTH_DAYS = 7, 30
MOST_OPEN = 200
"""Open recommendations that a weekly report looks at."""

KINDS: Mapping[str, tuple[Kind, ...]] = {
    "daily": ("daily",),
    "weekly": ("weekly",),
    "monthly": ("monthly", "comprehensive"),
}
"""The reports that a run of each job leaves in a workspace."""

DAILY_SECTIONS = ("health", "promotions")
NewId = Callable[[str, str], str]
Work = Callable[["Desk", Run, str], Awaitable[list[str]]]
"""Writes the reports of one workspace; answers their ids."""


@value
class Desk:
    """What the handlers work with; the present is the moment a run started at."""

    store: Store
    shelf: PolicyShelf
    cache: GroupCache
    zone: ZoneInfo
    new_id: NewId


def reporting(
    store: Store,
    shelf: PolicyShelf,
    cache: GroupCache,
    zone: ZoneInfo,
    *,
    new_id: NewId,
) -> Mapping[str, Handler]:
    """The handlers of the jobs that report, by the job's name."""
    desk = Desk(store=store, shelf=shelf, cache=cache, zone=zone, new_id=new_id)

    def handler(work: Work) -> Handler:
        async def handle(run: Run) -> Mapping[str, Any]:
            with giving_way():
                return await _in_each_workspace(desk, run, work)

        return handle

    return {"daily": handler(_daily), "weekly": handler(_weekly), "monthly": handler(_monthly)}


async def _in_each_workspace(desk: Desk, run: Run, work: Work) -> dict[str, Any]:
    """Do the work for one workspace after the other; others run between them.

    A workspace that has its reports of the period is done: another run got that far. One that fails
    does not keep the others from theirs; the run has failed then, and what is missing is tried
    again with it.
    """
    workspaces = await seen_workspaces(desk.store)
    reports: list[str] = []
    failures: list[Exception] = []
    for workspace in workspaces:
        try:
            reports += await _reports_of(desk, run, workspace, work)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others have nothing to do with it
            failures.append(error)
            said = {"job": run.job, "period": run.period, "workspace": workspace}
            log.error("reports_failed", **said, kind=type(error).__name__)
        await asyncio.sleep(0)
    if failures:
        raise failures[0]
    return {"workspaces": len(workspaces), "reports": len(reports), "newest": reports[-10:]}


async def _reports_of(desk: Desk, run: Run, workspace: str, work: Work) -> list[str]:
    there = [
        await earlier_report(desk.store, workspace, kind, run.period) for kind in KINDS[run.job]
    ]
    kept = [report.id for report in there if report is not None]
    return kept if len(kept) == len(there) else await work(desk, run, workspace)


async def _daily(desk: Desk, run: Run, workspace: str) -> list[str]:
    parts = await _day(desk, run, workspace)
    return [await _keep(desk, run, workspace, "daily", days=1, parts=parts)]


async def _weekly(desk: Desk, run: Run, workspace: str) -> list[str]:
    open_ones = await recommendations_of(
        desk.store,
        workspace,
        status="open",
        agent=None,
        window_days=None,
        before=None,
        limit=MOST_OPEN,
    )
    used = await _used(desk, run, workspace, WEEK_DAYS)
    parts = [
        await _usage(used[WEEK_DAYS], open_ones.items),
        *await _memory(desk, run, workspace),
        Part(todo=todo_of(open_ones.items)),
    ]
    return [await _keep(desk, run, workspace, "weekly", days=WEEK_DAYS, parts=parts)]


async def _monthly(desk: Desk, run: Run, workspace: str) -> list[str]:
    used = await _used(desk, run, workspace, WEEK_DAYS, MONTH_DAYS)
    sums = used[MONTH_DAYS].sums
    wanted = Wanted(
        workspace=workspace,
        window_days=MONTH_DAYS,
        until=run.due_at,
        now=run.started_at,
        period=run.period,
        report=sums.window,
    )
    known = Known(sums=sums.cells, scopes=used[MONTH_DAYS].scopes)
    advice = await recommend(
        desk.store, desk.shelf, desk.cache, wanted, new_id=desk.new_id, known=known
    )
    memory = await _memory(desk, run, workspace)
    archival = await _proposals(desk, run, workspace, "archival")
    advised = await to_thread.run_sync(partial(advice_part, advice, days=MONTH_DAYS))
    monthly = [advised, await _usage(used[WEEK_DAYS], advice), *memory, archival]
    first = await _keep(desk, run, workspace, "monthly", days=MONTH_DAYS, parts=monthly)

    parts = [
        await _usage(used[MONTH_DAYS], advice),
        *await _outcomes(desk, run, workspace, sums.cells, advice),
        advised,
        *memory,
        archival,
    ]
    second = await _keep(desk, run, workspace, "comprehensive", days=MONTH_DAYS, parts=parts)
    return [first, second]


async def _memory(desk: Desk, run: Run, workspace: str) -> list[Part]:
    """Duplicates, and the day's part."""
    done = await _done_today(desk, run, workspace, "weekly")
    if done is not None:
        return [_again(done, ("duplicates", *DAILY_SECTIONS))]
    return [
        await _proposals(desk, run, workspace, "duplicates"),
        *await _day(desk, run, workspace),
    ]


async def _day(desk: Desk, run: Run, workspace: str) -> list[Part]:
    """Health, and what could be promoted."""
    done = await _done_today(desk, run, workspace, "daily")
    if done is not None:
        return [_again(done, DAILY_SECTIONS)]
    now = run.started_at
    health = await memory_health(desk.store, desk.shelf, workspace, None, now)
    return [
        health_part(health, now=now, is_late=run.is_catching_up, workspace=workspace),
        await _proposals(desk, run, workspace, "promotions"),
    ]


async def _done_today(desk: Desk, run: Run, workspace: str, job: Kind) -> Report | None:
    """The report of a job below this one that had a run of its own today."""
    if job == run.job or job in run.covers or job not in RULES[run.job].below:
        return None
    period = period_of(job, moment(run.due_at).astimezone(desk.zone).date())
    return await earlier_report(desk.store, workspace, job, period)


def _again(done: Report, keys: Sequence[str]) -> Part:
    return part_of(done, keys, glance=(HEALTH_LABEL,))


async def _used(desk: Desk, run: Run, workspace: str, *days: int) -> Mapping[int, Gathered]:
    """The usage of windows that end when the run was due and of the ones before; their sums."""
    asked = usage_report.Asked(workspace=workspace, days=days, until=_until(run), zone=desk.zone)
    return await usage_for_report(desk.store, desk.cache, asked)


def _until(run: Run) -> int:
    """A moment in the last hour of a run's windows, or its end; those of scheduled runs end before
    the hour in which they are due, and so meet, wherever in it that is."""
    return run.due_at if run.is_on_demand else run.due_at // HOUR_MICROS * HOUR_MICROS


async def _usage(found: Gathered, advised: Sequence[Recommendation]) -> Part:
    open_ones = frozenset(one.agent for one in advised if one.status == "open")
    return await to_thread.run_sync(usage_part, replace(found.usage, advised=open_ones))


async def _proposals(desk: Desk, run: Run, workspace: str, kind: LifecycleKind) -> Part:
    now = run.started_at
    asked = Asked(kind=kind, workspace=workspace, project=None, now=now, near=True)
    found = await propose(desk.store, desk.shelf, asked)
    proposed = Found(
        kind=kind, proposals=found.proposals, cards=found.cards, uncompared=found.uncompared
    )
    return proposals_part(proposed, now=now, workspace=workspace)


async def _outcomes(
    desk: Desk,
    run: Run,
    workspace: str,
    cells: Mapping[CellName, Cell],
    advice: Sequence[Recommendation],
) -> list[Part]:
    """The stated outcomes, readiness for hard enforcement, and statistics of allocations."""
    asked = outcomes.Asked(
        workspace=workspace,
        until=hours_of(_until(run), MONTH_DAYS)[1],
        cells=cells,
        actions=tuple(one.action for one in advice),
    )
    found = await outcomes.measure(desk.store, desk.shelf, desk.cache, asked)
    wanted = AllocationFilter(
        workspace=workspace,
        since=run.due_at - MONTH_DAYS * DAY_MICROS,
        until=run.due_at,
        now=run.started_at,
    )
    allocated = Allocated(**asdict(await summarise(desk.store, wanted, None)))
    assign = unassigned_todo(
        found.unassigned,
        workspace=workspace,
        weekly=WEEK_DAYS / MONTH_DAYS,
    )
    return [
        outcomes_part(found.outcomes),
        enforcement_part(found.enforcement),
        allocations_part(allocated, days=MONTH_DAYS),
        Part(todo=assign),
    ]


async def _keep(
    desk: Desk, run: Run, workspace: str, kind: Kind, *, days: int, parts: Sequence[Part]
) -> str:
    """Write a report, unless it is there; the id of the one that is there then."""
    heading = Heading(
        id=desk.new_id("rpt", workspace),
        workspace=workspace,
        kind=kind,
        period=run.period,
        day=moment(run.due_at).astimezone(desk.zone).date(),
        since=run.due_at - days * DAY_MICROS,
        until=run.due_at,
        created_at=run.started_at,
    )
    report = await to_thread.run_sync(assemble, heading, parts)
    return (await keep_report(desk.store, report)).id
