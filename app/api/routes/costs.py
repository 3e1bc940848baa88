"""Say what calls cost, will cost and have cost, and which model to take; state prices."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response

from app.api import names
from app.api.dependencies import HouseDep
from app.api.entries import PUT_ANSWERS, page_of
from app.api.exporting import table
from app.api.paging import Cursor, Limit, Page
from app.api.parameters import Agent, Since, Until, Workspace, at
from app.api.routing import NEEDED, answer, router_of
from app.api.schemas.costs import EstimateIn, ModelPriceIn, PredictIn, RecommendModelIn
from app.api.schemas.prices import ModelPrice, price_out, to_override
from app.core.cost_breakdown import Breakdown
from app.core.errors import InvalidRequest
from app.core.estimating import Estimate, Prediction, declared, estimate
from app.core.model_choice import Choice
from app.core.questions import Question
from app.core.spending import Spender
from app.flows import cost_prices
from app.flows.break_down_costs import break_down_costs
from app.flows.predict_cost import RunQuestion, predict_cost
from app.flows.recommend_model import ModelQuestion, recommend_model

router = router_of("Costs")

ByCost = Literal["stage", "model", "agent", "user", "project", "day"]
Model = Annotated[str, Path(min_length=1, max_length=400, pattern=names.LABEL)]


@router.post("/costs/estimate", response_model=Estimate)
async def post_estimate(body: EstimateIn, house: HouseDep) -> Response:
    """What a call would cost; `unpriced`, and never 0, where nobody knows."""
    call = body.to_core()
    await house.prices.ready()
    price = house.costs.price(body.workspace, call.model, house.now_micros(), call.service)
    return answer(estimate(call, price))


@router.post("/costs/predict", response_model=Prediction, openapi_extra={"requestBody": NEEDED})
async def post_predict(body: PredictIn, house: HouseDep) -> Response:
    """What a run will have cost: with the calls that remain, or as earlier runs went."""
    calls = body.calls()
    now = house.now_micros()
    if body.remaining is None:
        return answer(
            await predict_cost(
                house.store,
                RunQuestion(
                    workspace=body.workspace,
                    run_id=body.run_id,
                    agent=body.agent,
                    current=body.current,
                    now=now,
                ),
            )
        )
    await house.prices.ready()
    price = house.costs.price
    priced = [(call, price(body.workspace, call.model, now, call.service)) for call in calls]
    return answer(declared(body.current or 0, priced))


@router.post("/costs/recommend-model", response_model=Choice)
async def post_recommend_model(body: RecommendModelIn, house: HouseDep) -> Response:
    """The cheapest model of at least a grade that a budget allows, and why not the others."""
    counts, service = body.counts()
    budget, limit = body.limits()
    await house.prices.ready()
    question = ModelQuestion(
        workspace=body.workspace,
        counts=counts,
        service=service,
        quality=body.quality,
        budget=budget,
        limit=limit,
        spender=Spender(agent=body.agent, project=body.project, user=body.user, run_id=body.run_id),
        at=house.now_micros(),
    )
    return answer(await recommend_model(house.store, house.costs, house.grades, question))


@router.get("/costs/breakdown", response_model=Breakdown)
async def get_breakdown(
    request: Request,
    house: HouseDep,
    workspace: Workspace = "default",
    by: Annotated[ByCost, Query(description="What to group by.")] = "model",
    days: Annotated[float | None, Query(gt=0, le=36_500, description="The last days.")] = None,
    since: Since = None,
    until: Until = None,
    agent: Agent = None,
    format: Annotated[Literal["json", "csv"] | None, Query()] = None,
) -> Response:
    """Where the money went: everything, unless `days`, `since` or `until` say less."""
    now = house.now()
    if days is not None and (since is not None or until is not None):
        raise InvalidRequest(
            "Give `days`, or `since` and `until`, not both.",
            errors=[{"loc": ["query", "days"], "msg": "goes without since and until"}],
        )
    question = Question(
        workspace=workspace,
        by=by,
        agent=agent,
        since=at(since if days is None else now - timedelta(days=days)),
        until=at(until),
        now=house.now_micros(),
        zone=house.zone,
    )
    found = await break_down_costs(house.store, house.cache, question)
    if format == "csv" or (format is None and "text/csv" in request.headers.get("accept", "")):
        return Response(table([asdict(item) for item in found.items]), media_type="text/csv")
    return answer(found)


@router.get("/costs/prices", response_model=Page[ModelPrice])
async def get_prices(
    house: HouseDep, workspace: Workspace = "default", limit: Limit = 1000, cursor: Cursor = None
) -> Response:
    """Prices that a workspace states itself; for all other models the published ones hold."""
    stated = house.costs.book(workspace).prices
    items = [{"model": name, "shown": one} for name, one in sorted(stated.items())]
    page = page_of(items, "model", cursor, limit)
    shown = [price_out(workspace, one["shown"]) for one in page.items]
    return answer(Page(items=shown, next_cursor=page.next_cursor))


@router.get("/costs/prices/{model:whole}", response_model=ModelPrice)
async def get_price(model: Model, house: HouseDep, workspace: Workspace = "default") -> Response:
    """What a workspace states of a model."""
    return answer(price_out(workspace, cost_prices.look_up(house.costs, workspace, model)))


@router.put("/costs/prices/{model:whole}", response_model=ModelPrice, responses=PUT_ANSWERS)
async def put_price(
    model: Model, body: ModelPriceIn, house: HouseDep, workspace: Workspace = "default"
) -> Response:
    """State what a model costs, from a day on; usage booked from now on is priced by it."""
    override = to_override(model, body)
    now = house.now_micros()
    is_new = await cost_prices.put(house.store, house.costs, workspace, override, now=now)
    stated = cost_prices.look_up(house.costs, workspace, model)
    return answer(price_out(workspace, stated), status=201 if is_new else 200)


@router.delete("/costs/prices/{model:whole}", status_code=204, response_class=Response)
async def delete_price(model: Model, house: HouseDep, workspace: Workspace = "default") -> Response:
    """Take back what a workspace states of a model."""
    await cost_prices.delete(house.store, house.costs, workspace, model, now=house.now_micros())
    return Response(status_code=204)
