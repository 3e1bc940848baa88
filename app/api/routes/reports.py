"""List reports, and show one as data, as a page or as Markdown."""

from fastapi import Request, Response

from app.api.dependencies import HouseDep
from app.api.drawing import DRAWN, drawn
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Home, Since, Until, Workspace, at
from app.api.routing import answer, router_of
from app.api.schemas.reports import ReportFull, ReportLine, line_out
from app.core.reports import Kind
from app.flows.reports import Wanted, report_by_id, reports_of

router = router_of("Reports")


@router.get("/reports", response_model=Page[ReportLine])
async def get_reports(
    house: HouseDep,
    workspace: Workspace = "default",
    kind: Kind | None = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Reports that the jobs wrote, newest first; `since` and `until` are about when.

    `POST /jobs/{name}/run` (daily, weekly, monthly) makes one now.
    """
    wanted = Wanted(workspace=workspace, kind=kind, since=at(since), until=at(until))
    listed = await reports_of(house.store, wanted, from_cursor(cursor), limit)
    return answer(page([line_out(line) for line in listed.items], listed.next_before))


@router.get("/reports/{id}", response_model=ReportFull, responses=DRAWN)
async def get_report(
    id: str, request: Request, house: HouseDep, workspace: Home = None
) -> Response:
    """A report, in the format that `Accept` likes best.

    `application/json` (also where nothing is asked for), `text/html`: a page that needs nothing
    else, or `text/markdown`.
    """
    report = await report_by_id(house.store, house.directory, id, home=workspace)
    return drawn(report, request)
