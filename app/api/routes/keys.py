"""Make keys, list, rotate and revoke them."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.paging import Page, page
from app.api.routing import answer, router_of
from app.api.schemas.keys import KeyIn, RotateIn
from app.flows.manage_keys import (
    ListedKey,
    MadeKey,
    list_keys,
    make_key,
    revoke_key,
    rotate_key,
)

router = router_of("Keys")

EVERYBODY = "*"
"""Keys belong to the service, not to a workspace."""


@router.post("/keys", status_code=201, response_model=MadeKey)
async def post_key(body: KeyIn, house: HouseDep) -> Response:
    """Make a key; `secret` is shown this once.

    With `MEMBUDGET_AUTH=auto` the first key turns authentication on at once, so it must be able
    to make others: scopes `["admin"]`, no workspaces, no `expires_at`.
    """
    made = await make_key(
        house.store,
        house.ring,
        body.to_core(),
        id_=house.new_id("key", EVERYBODY),
        secret=house.new_secret(),
        now=house.now(),
    )
    return answer(made, status=201)


@router.get("/keys", response_model=Page[ListedKey])
async def get_keys(house: HouseDep) -> Response:
    """All keys, newest first; never a secret, and not the key of `MEMBUDGET_ADMIN_KEY`."""
    return answer(page(await list_keys(house.store, house.now()), None))


@router.post("/keys/{id}/rotate", response_model=MadeKey)
async def post_rotate(id: str, house: HouseDep, body: RotateIn | None = None) -> Response:
    """Give a key a new secret, which is shown this once; the old one is good for a while longer.

    At most two secrets are good at a time: rotating again ends the oldest.
    """
    made = await rotate_key(
        house.store,
        house.ring,
        id,
        secret=house.new_secret(),
        grace_seconds=(body or RotateIn()).grace_seconds,
        now=house.now(),
    )
    return answer(made)


@router.delete("/keys/{id}", status_code=204, response_class=Response)
async def delete_key(id: str, house: HouseDep) -> Response:
    """Revoke a key: here at once, on other replicas within seconds.

    409 `last_admin_key` for the last one that can make keys.
    """
    await revoke_key(house.store, house.ring, id, now=house.now())
    return Response(status_code=204)
