"""Say what recorded runs would have come to under another policy."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from app.api.dependencies import HouseDep
from app.api.errors import on_domain_error
from app.api.routing import answer, router_of
from app.api.schemas.simulate import SimulateIn
from app.core.errors import DomainError
from app.flows.simulate import Progress, Simulation, prepare, run

router = router_of("Usage")

LINES = "application/x-ndjson"
DOCS = {
    "responses": {
        "200": {
            "description": "The figures; as JSON Lines, preceded by how far the replay has come",
            "content": {
                LINES: {"schema": {"type": "string", "examples": ['{"done":2000,"of":5000}']}}
            },
        }
    }
}


@router.post("/simulate", response_model=Simulation, openapi_extra=DOCS)
async def post_simulate(body: SimulateIn, request: Request, house: HouseDep) -> Response:
    """Replay the recorded runs of the last days under another policy; nothing is changed.

    Without a profile, multipliers or a policy each run gets the budget that the policy then in
    force gives, which reproduces the record; `kept` counts runs whose budget no policy decided.
    With `Accept: application/x-ndjson` the answer is lines: `{"done": n, "of": m}` as events are
    read, the result last (or the problem that ended it).
    """
    prepared = await prepare(house.store, house.shelf, body.to_trial(house.now()))
    found = run(house.store, prepared)
    if LINES in request.headers.get("accept", ""):
        return StreamingResponse(_lines(request, found), media_type=LINES)
    async with aclosing(found):
        async for one in found:
            if isinstance(one, Simulation):
                return answer(one)
            if await request.is_disconnected():
                break
    raise ClientDisconnect


async def _lines(
    request: Request, found: AsyncIterator[Progress | Simulation]
) -> AsyncIterator[bytes]:
    try:
        async for one in found:
            yield to_json(one) + b"\n"
    except DomainError as error:  # the head of the answer has gone already
        yield bytes(on_domain_error(request, error).body) + b"\n"
