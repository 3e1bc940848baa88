"""Keep the prices that workspaces state themselves."""

import json
from dataclasses import replace

from sqlalchemy import delete, select

from app.core.price_data import from_data, to_data
from app.core.price_overrides import Override
from app.store.cost_heads import begin_change
from app.store.database import Tx, dumps
from app.store.tables import cost_prices


def read_prices(tx: Tx, workspace: str) -> list[Override]:
    """What a workspace states, by model."""
    table = cost_prices.c
    query = select(cost_prices).where(table.workspace == workspace).order_by(table.model)
    return [from_data(row.model, json.loads(row.document)) for row in tx.connection.execute(query)]


def put_price(tx: Tx, workspace: str, override: Override, *, now: int) -> bool:
    """State prices of a model, in place of what was stated before; whether nothing was."""
    version = begin_change(tx, workspace, now)
    is_new = all(one.model != override.model for one in read_prices(tx, workspace))
    document = dumps(to_data(replace(override, version=version)))
    tx.insert_many(
        cost_prices,
        [(workspace, override.model, document)],
        tail="ON CONFLICT (workspace, model) DO UPDATE SET document = excluded.document",
    )
    return is_new


def delete_price(tx: Tx, workspace: str, model: str, *, now: int) -> bool:
    """Take back what was stated of a model; whether anything was."""
    if all(one.model != model for one in read_prices(tx, workspace)):
        return False
    begin_change(tx, workspace, now)
    table = cost_prices.c
    tx.connection.execute(
        delete(cost_prices).where(table.workspace == workspace, table.model == model)
    )
    return True
