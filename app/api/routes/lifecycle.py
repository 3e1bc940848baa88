"""Look after memories: what could be done for them, doing it, taking it back, their health."""

from typing import Annotated

from fastapi import Query, Response

from app.api.dependencies import HouseDep
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Home, Text, Workspace
from app.api.routing import answer, router_of
from app.api.schemas.lifecycle import (
    ActionLine,
    ActionOut,
    AppliedOut,
    ApplyIn,
    HealthOut,
    ReportOut,
    action_line,
    action_out,
    change_out,
    health_out,
    proposal_out,
)
from app.api.schemas.memories import MemoryOut, memory_out
from app.core.lifecycle import Kind
from app.flows.lifecycle import Asked, apply, propose
from app.flows.lifecycle_actions import actions_of, restore, take_back_action
from app.flows.memory_health import memory_health

router = router_of("Memories")


@router.get("/memories/health", response_model=HealthOut)
async def get_health(
    house: HouseDep, workspace: Workspace = "default", project: Text = None
) -> Response:
    """Tokens of memories that are global and of each agent, how they grow, and when that ends.

    With a project: what its agents can load, its own memories and those of no project.
    """
    health = await memory_health(house.store, house.shelf, workspace, project, house.now_micros())
    return answer(health_out(health))


@router.get("/memories/lifecycle/actions", response_model=Page[ActionLine])
async def get_actions(
    house: HouseDep,
    workspace: Workspace = "default",
    kind: Kind | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What was applied, newest first."""
    listed = await actions_of(house.store, workspace, kind, from_cursor(cursor), limit)
    return answer(page([action_line(one) for one in listed.items], listed.next_before))


@router.post("/memories/lifecycle/actions/{id}/undo", response_model=ActionOut)
async def post_undo(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Make memories what they were before an action, all or none; again, it is the same answer.

    A memory that has changed since is named (409).
    """
    action = await take_back_action(
        house.store, house.directory, house.tokens, id, house.now_micros(), home=workspace
    )
    return answer(action_out(action))


@router.post("/memories/{id}/restore", response_model=MemoryOut)
async def post_restore(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Make a memory active again that was archived or deleted, unless it is gone for good."""
    now = house.now_micros()
    return answer(memory_out(await restore(house.store, house.directory, id, workspace, now)))


@router.get("/memories/lifecycle/{kind}", response_model=ReportOut)
async def get_report(
    kind: Kind,
    house: HouseDep,
    workspace: Workspace = "default",
    project: Text = None,
    near: Annotated[bool, Query(description="Duplicates: nearly equal texts, too.")] = True,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """What could be done for memories: nothing is changed.

    `promotions` of agents' memories to global, `placements` in higher or lower tiers, `duplicates`,
    `archival`, `summaries` of old and long memories, `retention`: what its scope keeps no longer.
    """
    now = house.now_micros()
    asked = Asked(kind=kind, workspace=workspace, project=project, now=now, near=near)
    report = await propose(house.store, house.shelf, asked)
    start = max(0, (from_cursor(cursor) or (0, ""))[0])
    items = report.proposals[start : start + limit]
    more = start + limit < len(report.proposals)
    listed = page(
        [proposal_out(one, report.cards, now) for one in items],
        (start + limit, "") if more else None,
    )
    return answer(
        {
            "items": listed.items,
            "next_cursor": listed.next_cursor,
            "total": len(report.proposals),
            "uncompared": report.uncompared,
        }
    )


@router.post("/memories/lifecycle/{kind}/apply", response_model=AppliedOut)
async def post_apply(
    kind: Kind,
    house: HouseDep,
    body: ApplyIn | None = None,
    workspace: Workspace = "default",
    project: Text = None,
) -> Response:
    """Do what is proposed, in one transaction, and keep the way back; `dry_run` only says what."""
    body = body or ApplyIn()
    asked = Asked(
        kind=kind,
        workspace=workspace,
        project=project,
        now=house.now_micros(),
        near=body.near,
        ids=None if body.ids is None else frozenset(body.ids),
    )
    applied = await apply(
        house.store,
        house.shelf,
        house.tokens,
        asked,
        dry_run=body.dry_run,
        new_id=house.new_id,
    )
    return answer(
        {
            "action_id": applied.action_id,
            "kind": kind,
            "dry_run": body.dry_run,
            "changes": [change_out(deed) for deed in applied.deeds],
            "left": applied.left,
            "purged": applied.purged,
        }
    )
