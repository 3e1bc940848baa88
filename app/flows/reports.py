"""Keep reports, list them, find one."""

from collections.abc import Sequence
from functools import partial

from app.core.errors import NotFound
from app.core.pages import Before, Listed, cut
from app.core.reports import Kind, Report
from app.store.agents import list_workspaces
from app.store.database import Store
from app.store.directory import Directory
from app.store.reports import (
    Line,
    Wanted,
    add_reports,
    draft,
    find_report,
    get_report,
    list_reports,
)

__all__ = ["Line", "Wanted"]


async def keep_report(store: Store, report: Report) -> Line:
    """Keep a report; the one that is there of its kind and period, if one is, stays."""
    written = await store.aside(partial(draft, report))
    lines = await store.write(report.workspace, add_reports, (written,))
    return lines[0]


async def seen_workspaces(store: Store) -> list[str]:
    """The workspaces that have any rows, in order."""
    return sorted(await store.read(list_workspaces))


async def earlier_report(store: Store, workspace: str, kind: Kind, period: str) -> Report | None:
    """The report of a kind and period, if there is one."""
    return await store.read(lambda tx: find_report(tx, workspace, kind, period))


async def reports_of(
    store: Store, wanted: Wanted, before: Before | None, limit: int
) -> Listed[Line]:
    """A page of a workspace's reports, newest first."""
    found: Sequence[Line] = await store.read(
        lambda tx: list_reports(tx, wanted, before=before, limit=limit + 1)
    )
    return cut(found, limit, lambda line: (line.created_at, line.id))


async def report_by_id(
    store: Store, directory: Directory, id_: str, *, home: str | None = None
) -> Report:
    """A report by its id. `home`: the workspace that it must be of. Errors: NotFound."""
    workspaces = await directory.workspaces_of(store, id_) if id_.isprintable() else []
    for workspace in workspaces:
        if home in (None, workspace):
            found = await store.read(lambda tx, its=workspace: get_report(tx, its, id_))  # type: ignore[misc]
            if found is not None:
                return found
    raise NotFound("No report of this id; GET /reports lists them.")
