"""Carry policy in and out as files, and go through its versions."""

from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response

from app.api.dependencies import HouseDep
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Workspace
from app.api.reach import within_reach
from app.api.routing import answer, router_of
from app.api.schemas.policies import Policy
from app.api.uploads import upload_docs, whole_upload
from app.core.errors import InvalidRequest
from app.flows.follow_policies import Imported, import_policy
from app.flows.manage_policies import (
    PolicyVersion,
    Restored,
    export_budgets,
    export_profiles,
    list_versions,
    read_policy,
    restore_version,
)

router = router_of("Policy")

MAX_VERSION = 2**53
FILE = upload_docs("application/json", "application/yaml")


@router.get("/config", response_model=Policy)
async def get_config(house: HouseDep, workspace: Workspace = "default") -> Response:
    """Everything that holds in a workspace, as one document."""
    version, document = read_policy(house.shelf, workspace)
    return answer(Policy(workspace=workspace, version=version, policy=document))


@router.get("/config/export", response_class=Response)
async def get_export(
    house: HouseDep,
    format: Annotated[
        Literal["json", "yaml"],
        Query(description="The keys of budget-profiles.json, or those of memory-budget.yaml."),
    ] = "json",
    of: Annotated[
        Literal["profiles", "workspaces"] | None,
        Query(description="With `json`: `workspaces` writes a memory-budget.yaml's keys as JSON."),
    ] = None,
    workspace: Annotated[
        Workspace | None,
        Query(description="Of profiles `default` if left out, of workspaces all of them."),
    ] = None,
) -> Response:
    """Policy as a file of an original; importing it again changes nothing."""
    if (of or ("profiles" if format == "json" else "workspaces")) == "workspaces":
        content, name = export_budgets(house.shelf, workspace, format), "memory-budget"
    elif format == "json":
        content, name = export_profiles(house.shelf, workspace or "default"), "budget-profiles"
    else:
        raise InvalidRequest("Profiles are written as JSON: ask for `format=json`.")
    return Response(
        content,
        media_type=f"application/{format}",
        headers={"Content-Disposition": f'attachment; filename="{name}.{format}"'},
    )


@router.post("/config/import", response_model=Imported, openapi_extra=FILE)
async def post_import(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    dry_run: Annotated[bool, Query(description="Say what would change, change nothing.")] = False,
    replace: Annotated[
        bool,
        Query(description="Put what the file speaks about in the place of what holds."),
    ] = False,
) -> Response:
    """Import budget-profiles.json, memory-budget.yaml or a document of ours, all or nothing.

    A file of profiles goes to `workspace`; one of workspaces names its own. Entries are merged
    by name; with `replace`, entries of the file's sections that it lacks go away, in the
    workspaces that it names. Every bad field is named (422), and then nothing is applied.
    """
    content = await whole_upload(request)
    return answer(
        await import_policy(
            house.store,
            house.shelf,
            content,
            workspace=workspace,
            replaces=replace,
            dry_run=dry_run,
            allow=within_reach,
            now=house.now(),
        )
    )


@router.get("/config/versions", response_model=Page[PolicyVersion])
async def get_versions(
    house: HouseDep, workspace: Workspace = "default", limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The versions of a workspace's policy, newest first; version 0 is what ships."""
    before = from_cursor(cursor)
    items, last = await list_versions(
        house.store, workspace, before=None if before is None else before[0], limit=limit
    )
    return answer(page(items, None if last is None else (last, "")))


@router.post("/config/versions/{n}/restore", response_model=Restored)
async def post_restore(
    n: Annotated[int, Path(ge=0, le=MAX_VERSION, description="0: as shipped.")],
    house: HouseDep,
    workspace: Workspace = "default",
) -> Response:
    """Put an earlier version's content in force again, as a new version."""
    return answer(await restore_version(house.store, house.shelf, workspace, n, now=house.now()))
