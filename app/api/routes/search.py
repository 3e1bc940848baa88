"""Search the memories of a workspace."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.routing import answer, router_of
from app.api.schemas.search import SearchIn
from app.core.searching import Hits
from app.flows.search_memories import search_memories

router = router_of("Memories")


@router.post("/memories/search", response_model=Hits)
async def post_search(body: SearchIn, house: HouseDep) -> Response:
    """The memories that a question most likely needs, best first."""
    sought = body.to_core(house.now())
    return answer(
        await search_memories(house.store, house.shelf, house.tokens, house.texts, sought)
    )
