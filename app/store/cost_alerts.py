"""Keep the alerts that budgets in USD have raised, each once."""

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import and_, or_, select

from app.core.ids import base32, tag_of
from app.core.spending import LEVELS, CostAlert, Slot
from app.store.database import Tx
from app.store.tables import cost_alerts

_ONCE = "ON CONFLICT DO NOTHING"


def add_alerts(tx: Tx, workspace: str, alerts: Iterable[CostAlert]) -> None:
    """Keep alerts, each once for its window and level."""
    rows = {
        (one.slot, one.level): (
            workspace,
            one.slot.budget,
            one.slot.start,
            one.slot.key,
            one.level,
            _alert_id(workspace, one),
            one.at,
            str(one.share),
            one.used,
            one.limit,
        )
        for one in reversed(list(alerts))  # the first of its kind is the one that stays
    }
    tx.insert_many(cost_alerts, sorted(rows.values()), tail=_ONCE)


def _alert_id(workspace: str, alert: CostAlert) -> str:

    name = f"{alert.slot.budget}\0{alert.slot.start}\0{alert.slot.key}"
    digest = hashlib.blake2b(name.encode(), digest_size=10).digest()
    rank = LEVELS.index(alert.level)  # of those that come at once the gravest is listed first
    return f"cal_{base32(int.from_bytes(digest, 'big'), 16)}{rank}_{tag_of(workspace)}"


def list_alerts(
    tx: Tx,
    workspace: str,
    *,
    budget: str | None,
    since: int | None,
    until: int | None,
    before: tuple[int, str] | None,
    limit: int,
) -> list[tuple[str, CostAlert]]:
    """Alerts with their ids, newest first."""
    table = cost_alerts.c
    query = select(cost_alerts).where(table.workspace == workspace)
    if budget is not None:
        query = query.where(table.budget == budget)
    if since is not None:
        query = query.where(table.at >= since)
    if until is not None:
        query = query.where(table.at < until)
    if before is not None:
        at, id_ = before
        query = query.where(or_(table.at < at, and_(table.at == at, table.id < id_)))
    query = query.order_by(table.at.desc(), table.id.desc()).limit(limit)
    return [
        (
            row.id,
            CostAlert(
                slot=Slot(budget=row.budget, start=row.start, key=row.key),
                level=row.level,
                share=Decimal(row.share),
                at=row.at,
                used=row.used,
                limit=row.cap,
            ),
        )
        for row in tx.connection.execute(query)
    ]
