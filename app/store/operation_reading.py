"""Read operations, and what their hours and days come to."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, func, select

from app.core.operations import Label, Operation, OperationCell
from app.core.statistics import decode
from app.core.usage import DAY, HOUR
from app.core.windows import MICROS
from app.store.database import Tx
from app.store.tables import operation_days, operation_hours, operation_marks, operations

GRAINS: dict[int, Table] = {HOUR: operation_hours, DAY: operation_days}

MEASURES = ("count", "failed", "total_us", "least_us", "most_us", "sketch")


def read_sealed(tx: Tx, workspace: str) -> int:
    """The moment before which operations are kept no longer, and none is booked any more."""
    query = select(operation_marks.c.sealed).where(operation_marks.c.workspace == workspace)
    return int(tx.connection.execute(query).scalar() or 0)


def overflow(tx: Tx, workspace: str, most: int) -> int:
    """The moment before which operations are more than `most`; 0 where they are not."""
    table = operations.c
    oldest_kept = (
        select(table.at)
        .where(table.workspace == workspace)
        .order_by(table.at.desc(), table.id.desc())
        .offset(most - 1)
        .limit(1)
    )
    return int(tx.connection.execute(oldest_kept).scalar() or 0)


def first_operation(tx: Tx, workspace: str) -> int | None:
    """The moment of the oldest operation that is kept."""
    query = select(func.min(operations.c.at)).where(operations.c.workspace == workspace)
    found = tx.connection.execute(query).scalar()
    return None if found is None else int(found)


def read_operation_cells(
    tx: Tx, workspace: str, grain: int, since: int, until: int
) -> dict[Label, OperationCell]:
    """Cells that start in `since` ≤ t < `until` (seconds), added up over time."""
    found: defaultdict[Label, OperationCell] = defaultdict(OperationCell)
    marks = [tx.marks(1, first=number) for number in (1, 2, 3)]
    sql = (
        f"SELECT type, name, parent, {', '.join(MEASURES)} FROM {GRAINS[grain].name}"
        f" WHERE workspace = {marks[0]} AND start >= {marks[1]} AND start < {marks[2]}"
    )
    for kind, name, parent, *measures in tx.fetch(sql, [workspace, since * MICROS, until * MICROS]):
        found[Label(kind, name, parent)].add(cell_of(measures))
    return dict(found)


def operations_of_run(tx: Tx, workspace: str, run_id: str, limit: int) -> list[Operation]:
    """The operations of a run, the first of them if there are more than `limit`."""
    table = operations.c
    query = (
        select(operations)
        .where(table.workspace == workspace, table.run_id == run_id)
        .order_by(table.at, table.id)
        .limit(limit)
    )
    return [_to_core(row) for row in tx.connection.execute(query)]


def cell_of(measures: Sequence[Any]) -> OperationCell:
    """The cell of a row's measures, in the order of `MEASURES`."""
    count, failed, total, least, most = map(int, measures[:5])
    return OperationCell(count, failed, total, least, most, decode(bytes(measures[5])))


def _to_core(row: Row[Any]) -> Operation:
    return Operation(
        id=row.id,
        workspace=row.workspace,
        at=row.at,
        duration_us=row.duration_us,
        type=row.type,
        name=row.name,
        run_id=row.run_id,
        parent=row.parent,
        depends_on=None if row.depends_on is None else tuple(json.loads(row.depends_on)),
        success=row.success,
        fingerprint=bytes(row.fingerprint),
    )
