"""Answer what agents need as a report, made when it is asked for."""

from typing import Annotated

from anyio import to_thread
from fastapi import Query, Request, Response

from app.api.dependencies import HouseDep
from app.api.drawing import DRAWN, drawn
from app.api.parameters import Workspace
from app.api.routing import router_of
from app.api.schemas.reports import ReportFull
from app.flows.needs import NeedsQuestion, report_needs

router = router_of("Reports")


@router.get("/reports/needs", response_model=ReportFull, responses=DRAWN)
async def get_needs(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    days: Annotated[
        float | None, Query(gt=0, le=36_500, description="The last days; else everything.")
    ] = None,
) -> Response:
    """What each agent's runs needed, and which profile would have fitted them.

    With what it would have saved and how often it would have been short, made now and not kept.
    JSON, or `text/html` or `text/markdown` by `Accept`.
    """
    question = NeedsQuestion(workspace=workspace, days=days, now=house.now_micros())
    report = await report_needs(
        house.store, house.shelf.book(workspace), question, new_id=house.new_id
    )
    return await to_thread.run_sync(drawn, report, request)
