"""State what a workspace pays for models, in place of what is published."""

from app.core.errors import NotFound
from app.core.price_overrides import Override
from app.store.cost_prices import delete_price, put_price
from app.store.costshelf import CostShelf
from app.store.database import Store


async def put(
    store: Store, costs: CostShelf, workspace: str, override: Override, *, now: int
) -> bool:
    """State prices of a model; events booked from now on have them. Whether none was stated."""
    is_new = await store.write_alone(lambda tx: put_price(tx, workspace, override, now=now))
    await costs.refresh(store)
    return is_new


async def delete(store: Store, costs: CostShelf, workspace: str, model: str, *, now: int) -> None:
    """Take back what was stated of a model. Errors: NotFound."""
    stated = look_up(costs, workspace, model).model
    if not await store.write_alone(lambda tx: delete_price(tx, workspace, stated, now=now)):
        raise _unstated()
    await costs.refresh(store)


def look_up(costs: CostShelf, workspace: str, model: str) -> Override:
    """What a workspace states of a model. Errors: NotFound."""
    found = costs.book(workspace).prices.get(model.lower())
    if found is None:
        raise _unstated()
    return found


def _unstated() -> NotFound:
    return NotFound(
        "This workspace states no price of its own for this model; the published one holds, if"
        " there is one (POST /costs/estimate says)."
    )
