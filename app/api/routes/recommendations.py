"""Recommend other profiles and weights, and decide on what is recommended."""

from typing import Annotated

from fastapi import Query, Response

from app.api.dependencies import House, HouseDep
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Agent, Home, Workspace
from app.api.routing import answer, router_of
from app.api.schemas.recommendations import (
    MAX_DAYS,
    RecommendationOut,
    RecommendationsOut,
    RunIn,
    recommendation_out,
)
from app.core.job_runs import on_demand_period
from app.core.recommendations import Asked, Status
from app.flows.recommend import recommend
from app.flows.recommendations import (
    apply_recommendation,
    dismiss,
    find_workspace,
    recommendations_of,
    roll_back,
)

router = router_of("Recommendations")


@router.get("/recommendations", response_model=Page[RecommendationOut])
async def get_recommendations(
    house: HouseDep,
    workspace: Workspace = "default",
    status: Annotated[Status | None, Query(description="Those in this status only.")] = None,
    agent: Agent = None,
    window_days: Annotated[
        int | None, Query(ge=1, le=MAX_DAYS, description="Those made of so many days only.")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What was recommended, newest first: with its evidence, its impact, and what became of it."""
    listed = await recommendations_of(
        house.store,
        workspace,
        status=status,
        agent=agent,
        window_days=window_days,
        before=from_cursor(cursor),
        limit=limit,
    )
    return answer(page([recommendation_out(one) for one in listed.items], listed.next_before))


@router.post("/recommendations/run", response_model=RecommendationsOut)
async def post_run(house: HouseDep, body: RunIn | None = None) -> Response:
    """Judge every agent by its last runs, by the rules of the policy's `tuning_parameters`.

    Fewer than 10 runs: `defer`. More than 20 % exceeded: `upgrade`. Less than 50 % of the budget
    used on average: `downgrade`. A scope more than 10 points off its weight: `adjust_weights`.
    Else `maintain`. What was open for these agents is superseded; no policy changes.
    """
    body = body or RunIn.model_validate({})
    now = house.now_micros()
    asked = Asked(
        workspace=body.workspace,
        window_days=body.window_days,
        until=now,
        now=now,
        period=on_demand_period(now),
    )
    made = await recommend(house.store, house.shelf, house.cache, asked, new_id=house.new_id)
    return answer({"items": [recommendation_out(one) for one in made]})


@router.post("/recommendations/{id}/apply", response_model=RecommendationOut)
async def post_apply(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Assign what is proposed to the agent, as a new version of the workspace's policy.

    409 where it is no longer open (`recommendation_not_open`), where the agent's policy has
    changed since (`recommendation_outdated`), or where it proposes nothing (`nothing_to_apply`).
    """
    home = await _home(house, id, workspace)
    applied = await apply_recommendation(house.store, house.shelf, home, id, house.now_micros())
    return answer(recommendation_out(applied))


@router.post("/recommendations/{id}/dismiss", response_model=RecommendationOut)
async def post_dismiss(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Set an open recommendation aside; running again in its period does not bring it back."""
    home = await _home(house, id, workspace)
    return answer(recommendation_out(await dismiss(house.store, home, id, house.now_micros())))


@router.post("/recommendations/{id}/rollback", response_model=RecommendationOut)
async def post_rollback(id: str, house: HouseDep, workspace: Home = None) -> Response:
    """Make the agent's assignment exactly what it was before this was applied, and no more.

    Other changes made since stay. Where the assignment itself was changed since: 409
    `recommendation_outdated`.
    """
    home = await _home(house, id, workspace)
    rolled = await roll_back(house.store, house.shelf, home, id, house.now_micros())
    return answer(recommendation_out(rolled))


async def _home(house: House, id_: str, workspace: str | None) -> str:
    return await find_workspace(house.store, house.directory, id_, workspace)
