"""Keep what tasks turned out to be: the last word on each text."""

from collections.abc import Sequence

from sqlalchemy import func, select

from app.core.values import value
from app.store.database import Tx
from app.store.tables import complexity_feedback

_LAST_WORD = (
    'ON CONFLICT ("workspace", "digest") DO UPDATE SET tier = excluded.tier,'
    " detected = excluded.detected, created_at = excluded.created_at"
)


@value
class Feedback:
    """What a task turned out to be."""

    digest: str
    text: str
    tier: str
    detected: str
    created_at: int


def keep_feedback(tx: Tx, workspace: str, given: Sequence[Feedback]) -> list[int]:
    """Store feedback; how much of it the workspace then has, for each."""
    last = {one.digest: one for one in given}
    rows = [
        (workspace, one.digest, one.text, one.tier, one.detected, one.created_at)
        for _, one in sorted(last.items())
    ]
    tx.insert_many(complexity_feedback, rows, tail=_LAST_WORD)
    return [count_feedback(tx, workspace)] * len(given)


def count_feedback(tx: Tx, workspace: str, *, since: int = 0) -> int:
    """How much feedback a workspace has, given since a moment (microseconds)."""
    table = complexity_feedback.c
    query = select(func.count()).where(table.workspace == workspace, table.created_at >= since)
    return tx.connection.execute(query).scalar_one()


def workspaces_with(tx: Tx, least: int) -> list[str]:
    """Workspaces that have so much feedback (a sweep)."""
    table = complexity_feedback.c
    query = select(table.workspace).group_by(table.workspace).having(func.count() >= least)
    return sorted(tx.connection.execute(query).scalars())


def newest_feedback(tx: Tx, workspace: str, limit: int) -> list[tuple[str, str]]:
    """Texts and tiers, in an order of which every other one is a fair half."""
    table = complexity_feedback.c
    query = (
        select(table.digest, table.text, table.tier)
        .where(table.workspace == workspace)
        .order_by(table.created_at.desc(), table.digest)
        .limit(limit)
    )
    rows = sorted(tx.connection.execute(query), key=lambda row: row.digest)
    return [(row.text, row.tier) for row in rows]
