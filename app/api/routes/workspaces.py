"""Read and change the budgets of workspaces and of projects in them."""

from typing import Any

from fastapi import Request, Response

from app.api.dependencies import HouseDep
from app.api.entries import PUT_ANSWERS, delete, get, page_of, put
from app.api.paging import Cursor, Limit
from app.api.reach import is_in_reach
from app.api.routing import answer, router_of
from app.api.schemas.policies import BUDGET_BODY, EntryList
from app.core.policy_entries import Entry
from app.flows.manage_policies import list_budgets, list_entries

router = router_of("Policy")

Found = dict[str, Any]


def _workspace(id_: str) -> Entry:
    return Entry(workspace=id_, section="budget")


def _project(id_: str, project: str) -> Entry:
    return Entry(workspace=id_, section="projects", name=project)


@router.get("/workspaces", response_model=EntryList)
async def get_workspaces(house: HouseDep, limit: Limit = 1000, cursor: Cursor = None) -> Response:
    """Workspaces that have a budget of their own, each with it."""
    budgets = list_budgets(house.shelf)
    items = [
        {**budget, "workspace_id": name} for name, budget in budgets.items() if is_in_reach(name)
    ]
    return answer(page_of(items, "workspace_id", cursor, limit))


@router.get("/workspaces/{id}", response_model=Found)
async def get_workspace(id: str, house: HouseDep) -> Response:
    """A workspace's budget, complete; putting it back changes nothing."""
    return get(house, _workspace(id))


@router.put(
    "/workspaces/{id}", response_model=Found, responses=PUT_ANSWERS, openapi_extra=BUDGET_BODY
)
async def put_workspace(id: str, request: Request, house: HouseDep) -> Response:
    """Give a workspace a budget; what is left out comes from what ships and from `default`."""
    return await put(house, _workspace(id), request)


@router.delete("/workspaces/{id}", status_code=204, response_class=Response)
async def delete_workspace(id: str, house: HouseDep) -> Response:
    """Take a workspace's budget away, and those of its projects; `default` keeps one (409)."""
    return await delete(house, _workspace(id))


@router.get("/workspaces/{id}/projects", response_model=EntryList)
async def get_projects(
    id: str, house: HouseDep, limit: Limit = 1000, cursor: Cursor = None
) -> Response:
    """Projects of a workspace that have a budget of their own: what each states."""
    projects = list_entries(house.shelf, id, "projects")
    items = [{"project": name, **entry} for name, entry in projects.items()]
    return answer(page_of(items, "project", cursor, limit))


@router.get("/workspaces/{id}/projects/{project}", response_model=Found)
async def get_project(id: str, project: str, house: HouseDep) -> Response:
    """What a project's budget states; the rest is its workspace's."""
    return get(house, _project(id, project))


@router.put(
    "/workspaces/{id}/projects/{project}",
    response_model=Found,
    responses=PUT_ANSWERS,
    openapi_extra=BUDGET_BODY,
)
async def put_project(id: str, project: str, request: Request, house: HouseDep) -> Response:
    """Give a project a budget: what differs from its workspace's."""
    return await put(house, _project(id, project), request)


@router.delete("/workspaces/{id}/projects/{project}", status_code=204, response_class=Response)
async def delete_project(id: str, project: str, house: HouseDep) -> Response:
    """Take a project's budget away; its workspace's decides again."""
    return await delete(house, _project(id, project))
