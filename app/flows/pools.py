"""Make pools, look at them, and move what they have."""

from collections.abc import Callable
from functools import partial

from app.core.errors import NotFound
from app.core.pools import Family, Pool, Standing, standing
from app.store.database import Store
from app.store.directory import Directory
from app.store.pools import NewPool, Transfer, add_pools, read_family, transfer_many


async def locate(store: Store, directory: Directory, id_: str) -> str:
    """The workspace of a pool, from the tag in its id. Errors: NotFound."""
    for workspace in await directory.workspaces_of(store, id_) if id_.isprintable() else ():
        if await store.read(partial(read_family, workspace=workspace, id_=id_)):
            return workspace
    raise NotFound("No pool of this id.")


async def make(
    store: Store,
    workspace: str,
    pool: Pool,
    written: Callable[[Standing], bytes],
    *,
    idempotency_key: str | None = None,
    request_hash: bytes | None = None,
) -> bytes:
    """Make a pool; what is answered: the first answer, under a known key.

    `written`: what is answered of how it stands. Errors: NotFound, PoolClosed, BudgetExceeded of
    its parent, IdempotencyMismatch.
    """
    new = NewPool(
        pool=pool,
        answer=lambda family: written(standing(family, pool.id, pool.created_at)),
        idempotency_key=idempotency_key,
        request_hash=request_hash,
    )
    return await store.write(workspace, add_pools, new, repeats=True)


async def look_up(store: Store, workspace: str, id_: str, now: int) -> Standing:
    """How a pool stands."""
    family: Family = await store.read(partial(read_family, workspace=workspace, id_=id_))
    return standing(family, id_, now)


async def move(
    store: Store, workspace: str, *, source: str, target: str, tokens: int, now: int
) -> tuple[Standing, Standing]:
    """Move capacity between two pools of a workspace; how both stand then.

    Errors: NotFound, PoolClosed, BudgetExceeded, InvalidRequest.
    """
    wanted = Transfer(source=source, target=target, tokens=tokens, now=now)
    one, other = await store.write(workspace, transfer_many, wanted)
    return standing(one, source, now), standing(other, target, now)
