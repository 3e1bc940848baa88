"""Keep operations and what their hours and days come to, in one transaction.

Writers of a workspace wait for each other at its mark, so that cells are read, added to and written
whole: their sketches never hold a bucket twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import update

from app.core.errors import DomainError, IdMismatch, TooOld
from app.core.operations import (
    Label,
    Operation,
    OperationCell,
    OperationCellId,
    fold_operations,
    label_of,
    told_apart,
)
from app.core.statistics import encode
from app.core.usage import day_start
from app.core.windows import MICROS, moment
from app.store.agents import register
from app.store.database import Tx, dumps, in_chunks
from app.store.operation_reading import GRAINS, MEASURES, cell_of
from app.store.tables import operation_marks, operations

MOST_SUM = 1 << 62
"""Where a sum of microseconds stops: both databases keep 64 bits."""

_TAIL = "ON CONFLICT (workspace, start, type, name, parent) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in MEASURES
)


def book_operations(
    tx: Tx, workspace: str, batches: Sequence[Sequence[Operation]]
) -> list[list[bool] | DomainError]:
    """Book batches of operations; a batch is stored whole or refused whole.

    Answers for each batch which were new (False: delivered before), or IdMismatch or TooOld naming
    the index of the first that cannot be booked.
    """
    sealed = _lock(tx, workspace)
    known = _fingerprints(tx, workspace, (one.id for batch in batches for one in batch))
    fresh: dict[str, Operation] = {}
    answers: list[list[bool] | DomainError] = []
    for batch in batches:
        answer, added = _sort_out(batch, known, sealed)
        if not isinstance(answer, DomainError):
            fresh.update(added)
            known.update((one.id, one.fingerprint) for one in added.values())
        answers.append(answer)
    new = list(fresh.values())
    if new:
        rows = sorted(map(_to_row, new), key=itemgetter(1))
        tx.insert_many(operations, rows)
        _add_to_cells(tx, workspace, new)
        register(tx, workspace, (), now=new[0].at)
    return answers


def _sort_out(
    batch: Sequence[Operation], known: dict[str, bytes], sealed: int
) -> tuple[list[bool] | DomainError, dict[str, Operation]]:
    added: dict[str, Operation] = {}
    new: list[bool] = []
    for index, one in enumerate(batch):
        twin = known.get(one.id)
        if twin is None and one.id in added:
            twin = added[one.id].fingerprint
        if twin is None and one.at < sealed:
            msg = f"lies before {moment(sealed).isoformat()}, and what began then is kept no longer"
            return TooOld(
                "Operations that began so long ago are kept no longer, so it cannot be told"
                " whether this one was booked before; nothing was stored.",
                errors=[{"loc": ["body", index, "started_at"], "msg": msg}],
            ), {}
        if twin is None:
            added[one.id] = one
        elif twin != one.fingerprint:
            msg = "this id is known with another body; send a new id, or the same body"
            return IdMismatch(
                "An operation's id is known with another body; nothing was stored.",
                errors=[{"loc": ["body", index, "id"], "msg": msg}],
            ), {}
        new.append(twin is None)
    return new, added


def seal_operations(tx: Tx, workspace: str, wanted: Sequence[int]) -> list[int]:
    """Book nothing any more that began before a moment; it never goes back."""
    sealed = max(_lock(tx, workspace), *wanted)
    here = operation_marks.c.workspace == workspace
    tx.connection.execute(update(operation_marks).where(here).values(sealed=sealed))
    return [sealed] * len(wanted)


def _lock(tx: Tx, workspace: str) -> int:
    """Wait for other writers of the workspace; the moment it is sealed until."""
    tx.insert_many(operation_marks, [(workspace, 0)], tail="ON CONFLICT DO NOTHING")
    sql = f"SELECT sealed FROM operation_marks WHERE workspace = {tx.marks(1)}"
    if not tx.is_sqlite:
        sql += " FOR UPDATE"
    ((sealed,),) = tx.fetch(sql, [workspace], prepare=tx.prepares)
    return int(sealed)


def _fingerprints(tx: Tx, workspace: str, ids: Iterable[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for chunk in in_chunks(sorted(set(ids))):
        rows = tx.fetch(
            f"SELECT id, fingerprint FROM operations WHERE workspace = {tx.marks(1)}"
            f" AND id IN ({tx.marks(len(chunk), first=2)})",
            [workspace, *chunk],
        )
        found.update((id_, bytes(fingerprint)) for id_, fingerprint in rows)
    return found


def _add_to_cells(tx: Tx, workspace: str, new: Sequence[Operation]) -> None:
    wanted: defaultdict[int, dict[Label, None]] = defaultdict(dict)
    for one in new:
        wanted[day_start(one.at // MICROS)][label_of(one)] = None
    known = {
        day: told_apart(_labels(tx, workspace, day), list(labels)) for day, labels in wanted.items()
    }
    cells = fold_operations(new, known=known)
    for at, held in _held(tx, workspace, cells):
        cells[at].add(held)
    rows: defaultdict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for at, cell in cells.items():
        rows[at.grain].append(
            (
                workspace,
                at.start * MICROS,
                at.type,
                at.name,
                at.parent,
                cell.count,
                cell.failed,
                min(cell.total_us, MOST_SUM),
                cell.least_us,
                cell.most_us,
                encode(cell.sketch),
            )
        )
    for grain, its in rows.items():
        tx.insert_many(GRAINS[grain], sorted(its), tail=_TAIL)


def _labels(tx: Tx, workspace: str, day: int) -> set[Label]:
    sql = (
        f"SELECT type, name, parent FROM operation_days WHERE workspace = {tx.marks(1)}"
        f" AND start = {tx.marks(1, first=2)}"
    )
    rows = tx.fetch(sql, [workspace, day * MICROS], prepare=tx.prepares)
    return {Label(*row) for row in rows}


def _held(
    tx: Tx, workspace: str, cells: Iterable[OperationCellId]
) -> list[tuple[OperationCellId, OperationCell]]:
    """What the cells come to so far."""
    wanted: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    for at in cells:
        wanted[at.grain, at.start].add(at.name)
    asked = frozenset(cells)
    found = []
    for (grain, start), names in sorted(wanted.items()):
        for chunk in in_chunks(sorted(names)):
            sql = (
                f"SELECT type, name, parent, {', '.join(MEASURES)} FROM {GRAINS[grain].name}"
                f" WHERE workspace = {tx.marks(1)} AND start = {tx.marks(1, first=2)}"
                f" AND name IN ({tx.marks(len(chunk), first=3)})"
            )
            for kind, name, parent, *measures in tx.fetch(sql, [workspace, start * MICROS, *chunk]):
                at = OperationCellId(grain, start, kind, name, parent)
                if at in asked:
                    found.append((at, cell_of(measures)))
    return found


def _to_row(one: Operation) -> tuple[Any, ...]:
    return (
        one.workspace,
        one.id,
        one.at,
        one.duration_us,
        one.type,
        one.name,
        one.run_id,
        one.parent,
        None if one.depends_on is None else dumps(list(one.depends_on)),
        one.success,
        one.fingerprint,
    )
