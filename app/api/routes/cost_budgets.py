"""Make budgets in USD, ask them before spending, and read what they have raised."""

from decimal import Decimal
from typing import Annotated

from fastapi import Path, Query, Response

from app.api import names
from app.api.dependencies import HouseDep
from app.api.entries import PUT_ANSWERS
from app.api.paging import Cursor, Limit, Page, from_cursor, page
from app.api.parameters import Agent, Home, Since, Text, Until, Workspace, at
from app.api.routing import answer, router_of
from app.api.schemas.amounts import PLAIN, to_nano
from app.api.schemas.cost_budgets import CostBudgetIn, home_of, to_budget
from app.api.schemas.cost_standings import (
    BudgetCheck,
    CostAlertOut,
    CostBudgetOut,
    CostBudgets,
    alert_out,
    budget_out,
    check_out,
)
from app.api.schemas.costs import MAX_USD
from app.api.schemas.usage import nano
from app.core.spending import Spender
from app.flows import cost_budgets

router = router_of("Costs")

BudgetName = Annotated[str, Path(min_length=1, max_length=200, pattern=names.NAME)]


@router.get("/costs/budgets", response_model=CostBudgets)
async def get_budgets(house: HouseDep, workspace: Workspace = "default") -> Response:
    """The budgets in USD of a workspace, and how they stand."""
    found = await cost_budgets.list_standings(house.store, workspace, now=house.now_micros())
    items = [budget_out(workspace, one) for one in found]
    return answer(CostBudgets(items=items, next_cursor=None))


@router.get("/costs/budgets/{name}", response_model=CostBudgetOut)
async def get_budget(
    name: BudgetName, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """A budget in USD, and how its present window stands."""
    found = await cost_budgets.look_up(house.store, workspace, name, now=house.now_micros())
    return answer(budget_out(workspace, found))


@router.put("/costs/budgets/{name}", response_model=CostBudgetOut, responses=PUT_ANSWERS)
async def put_budget(
    name: BudgetName, body: CostBudgetIn, house: HouseDep, workspace: Home = None
) -> Response:
    """Make a budget in USD, or put another in its place; what its window has spent counts."""
    home = home_of(body, workspace)
    budget = to_budget(name, home, body, house.zone)
    now = house.now_micros()
    is_new = await cost_budgets.put(house.store, house.costs, home, budget, now=now)
    standing = await cost_budgets.look_up(house.store, home, name, now=now)
    return answer(budget_out(home, standing), status=201 if is_new else 200)


@router.delete("/costs/budgets/{name}", status_code=204, response_class=Response)
async def delete_budget(
    name: BudgetName, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """Take a budget away, with what it has counted and raised; usage stays."""
    await cost_budgets.delete(house.store, house.costs, workspace, name, now=house.now_micros())
    return Response(status_code=204)


@router.get("/costs/budgets/{name}/check", response_model=BudgetCheck)
async def get_check(
    name: BudgetName,
    house: HouseDep,
    workspace: Workspace = "default",
    usd: Annotated[
        Decimal, Query(ge=0, le=MAX_USD, description="What is to be spent."), PLAIN
    ] = Decimal(),
    agent: Agent = None,
    project: Text = None,
    user: Text = None,
    run_id: Text = None,
) -> Response:
    """Whether an amount may be spent: by this budget, and by all that apply beside it."""
    spender = Spender(agent=agent, project=project, user=user, run_id=run_id)
    found = await cost_budgets.check(
        house.store,
        workspace,
        name,
        spender,
        nano(to_nano(usd)) or 0,
        now=house.now_micros(),
    )
    return answer(check_out(found))


@router.get("/costs/alerts", response_model=Page[CostAlertOut])
async def get_alerts(
    house: HouseDep,
    workspace: Workspace = "default",
    budget: Text = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Thresholds of budgets in USD that were reached, newest first."""
    wanted = cost_budgets.AlertFilter(
        workspace=workspace, budget=budget, since=at(since), until=at(until)
    )
    found = await cost_budgets.history(house.store, wanted, from_cursor(cursor), limit)
    return answer(page([alert_out(id_, one) for id_, one in found.items], found.next_before))
