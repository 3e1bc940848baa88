"""Cut a context to its budget."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.routing import answer, router_of
from app.api.schemas.minify import MinifyIn
from app.flows.count_tokens import method_of
from app.flows.minify import Fitted, fit_context

router = router_of("Tokens")


@router.post("/minify", response_model=Fitted)
async def post_minify(body: MinifyIn, house: HouseDep) -> Response:
    """A context within a token budget: important keys whole, of the others what the task is about,
    and every cut named."""
    method = await method_of(house.store, body.workspace, model=body.model, encoding=body.encoding)
    return answer(await fit_context(house.tokens, house.thinking, method, body.to_core()))
