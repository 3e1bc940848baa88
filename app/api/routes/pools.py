"""Share a budget among runs: make a pool, look at it, hand on what it has."""

from fastapi import Request, Response
from pydantic_core import to_json

from app.api.dependencies import HouseDep
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency
from app.api.routing import JSON, NEEDED, answer, router_of
from app.api.schemas.pools import PoolIn, PoolOut, TransferIn, Transferred, pool_out
from app.flows.pools import locate, look_up, make, move

router = router_of("Pools")


@router.post(
    "/pools",
    status_code=201,
    response_model=PoolOut,
    openapi_extra={"requestBody": NEEDED, **IDEMPOTENCY_KEY},
)
async def post_pool(body: PoolIn, request: Request, house: HouseDep) -> Response:
    """Make a pool that allocations draw from, by itself or out of a parent."""
    key, digest = await idempotency(request)
    now = house.now()
    pool = body.to_core(house.new_id("pool", body.workspace), now)
    made = await make(
        house.store,
        body.workspace,
        pool,
        lambda stands: to_json(pool_out(body.workspace, stands, pool.created_at)),
        idempotency_key=key,
        request_hash=digest,
    )
    return Response(made, status_code=201, media_type=JSON)


@router.get("/pools/{id}", response_model=PoolOut)
async def get_pool(id: str, house: HouseDep) -> Response:
    """A pool, and how it stands."""
    workspace = await locate(house.store, house.directory, id)
    now = house.now_micros()
    return answer(pool_out(workspace, await look_up(house.store, workspace, id, now), now))


@router.post("/pools/{id}/transfer", response_model=Transferred)
async def post_transfer(id: str, body: TransferIn, house: HouseDep) -> Response:
    """Hand tokens that a pool has available on to another pool of its workspace."""
    workspace = await locate(house.store, house.directory, id)
    now = house.now_micros()
    source, target = await move(
        house.store, workspace, source=id, target=body.to, tokens=body.tokens, now=now
    )
    return answer(
        Transferred(
            source=pool_out(workspace, source, now), target=pool_out(workspace, target, now)
        )
    )
