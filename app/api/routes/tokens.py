"""Count tokens, and hear what models count."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.routing import answer, router_of
from app.api.schemas.tokens import CountIn, ReportsIn
from app.flows.count_tokens import Counted, Known, count_texts, learn_reports, method_of

router = router_of("Tokens")


@router.post("/tokens/count", response_model=Counted)
async def post_count(body: CountIn, house: HouseDep) -> Response:
    """The tokens of one text or of many, each with how exact that is."""
    texts = body.texts if body.text is None else [body.text]
    method = await method_of(house.store, body.workspace, model=body.model, encoding=body.encoding)
    return answer(await count_texts(house.tokens, house.thinking, method, texts or []))


@router.post("/tokens/reports", response_model=Known)
async def post_reports(body: ReportsIn, house: HouseDep) -> Response:
    """Tell what a model reported of texts: from 20 on, counts for its family are calibrated."""
    known = await learn_reports(
        house.store,
        house.tokens,
        house.thinking,
        workspace=body.workspace,
        model=body.model,
        reports=[one.to_core() for one in body.reports],
    )
    return answer(known)
