"""Count changes of what a workspace's usage costs and counts against, for writers and replicas."""

from sqlalchemy import select, update

from app.store.cells import settle
from app.store.database import SYSTEM, Tx
from app.store.tables import cost_heads, usage_marks

_COUNT = 'ON CONFLICT ("workspace") DO UPDATE SET version = cost_heads.version + 1'


def begin_change(tx: Tx, workspace: str, now: int) -> int:
    """Take the next version of a workspace's costs; till the commit nobody books anything there.

    Whoever books next finds the version at the marks, and reads what has changed.
    """
    settle(tx, workspace, now)
    tx.insert_many(cost_heads, [(workspace, 1)], tail=_COUNT)
    tx.insert_many(cost_heads, [(SYSTEM, 1)], tail=_COUNT)
    version = read_version(tx, workspace)
    here = usage_marks.c.workspace == workspace
    tx.connection.execute(update(usage_marks).where(here).values(costs=version))
    return version


def read_version(tx: Tx, workspace: str) -> int:
    """The version of a workspace's costs; of `*` the count of all changes. 0: never changed."""
    query = select(cost_heads.c.version).where(cost_heads.c.workspace == workspace)
    return tx.connection.execute(query).scalar() or 0


def read_versions(tx: Tx) -> dict[str, int]:
    """The versions of all workspaces that have any (a sweep)."""
    rows = tx.connection.execute(select(cost_heads))
    return {row.workspace: row.version for row in rows if row.workspace != SYSTEM}
