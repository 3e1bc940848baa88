"""Keep cells: additive rows that hold what sets of usage events come to.

Sketches, and the scopes that the row of a run carries, are appended to and now and then rewritten
without repeats; joined encodings are the merged ones, so that writers never read before they write.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import update

from app.core.errors import TooOld
from app.core.packed import pack, unpack
from app.core.statistics import decode, encode
from app.core.unread import CellRow
from app.core.usage import (
    CELL_COLUMNS,
    HOUR,
    Cell,
    CellId,
    UsageEvent,
    fold,
    hour_start,
    roll_up,
)
from app.core.windows import HOUR_S, MICROS, moment
from app.store.cell_reading import Marks, cell_rows, cells_of, read_marks
from app.store.database import Tx
from app.store.tables import usage_cells, usage_marks
from app.store.usage_rows import rows_of

COMPACT_AFTER = 64
"""Entries that a row may take in before its encodings are rewritten without repeats."""

CROWDED = 64
"""Scopes of an agent and period that one row may pack; beyond it they get rows of their own."""

REMEMBERED_CELLS = 200_000

_LEAST = {"pct_min": "min", "pct_max": "max"}
_APPENDED = ("sketch", "scopes")
_CELL_KEY = ("family", "grain", "start", "agent", "key", "key2")


def _upsert_tail(is_sqlite: bool) -> str:
    sets = []
    for name in (*CELL_COLUMNS, "scopes"):
        mine, new = f"usage_cells.{name}", f"excluded.{name}"
        if name in _LEAST:
            pick = _LEAST[name]
            if is_sqlite:
                value = f"{pick}(coalesce({mine}, {new}), coalesce({new}, {mine}))"
            else:
                value = f"{'least' if pick == 'min' else 'greatest'}({mine}, {new})"
        elif name in _APPENDED:
            value = f"CAST({mine} || {new} AS BLOB)" if is_sqlite else f"{mine} || {new}"
        else:
            value = f"{mine} + {new}"
        sets.append(f"{name} = {value}")
    keys = ", ".join(f'"{column.name}"' for column in usage_cells.primary_key)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {', '.join(sets)}"


_UPSERT = {True: _upsert_tail(True), False: _upsert_tail(False)}


def add_to_cells(
    tx: Tx, workspace: str, events: Sequence[UsageEvent], marks: Marks | None = None
) -> None:
    """Add events to the cells of their hours; to those of days and months once hours are over.

    `marks` are those of `settle`, where that was called for these events before.
    """
    held = settle(tx, workspace, max(event.at for event in events)) if marks is None else marks
    if min(event.at for event in events) < held.sealed * MICROS:
        raise sealed_off(held.sealed)
    write_cells(tx, workspace, fold(events, rolled=held.rolled))


def settle(tx: Tx, workspace: str, newest: int) -> Marks:
    """Roll up the hours that are over before a moment (microseconds); from here to the commit
    nobody else books anything in the workspace."""
    return _settle(tx, workspace, hour_start(newest // MICROS))


def sealed_off(sealed: int) -> TooOld:
    """Why an event of days whose events are kept no longer cannot be booked."""
    day = moment(sealed * MICROS).date()
    return TooOld(
        f"Events before {day} are kept no longer here (MEMBUDGET_USAGE_RETENTION_DAYS), so it"
        " cannot be told whether this one was booked before; nothing was stored."
    )


def seal(tx: Tx, workspace: str, wanted: Sequence[int]) -> list[int]:
    """Close the days before a second: their hours are rolled up, and nothing is booked there any
    more. Answers the second that holds then; it never goes back."""
    sealed = 0
    for until in wanted:
        before = _settle(tx, workspace, until + HOUR_S).sealed
        sealed = max(before, until)
        here = usage_marks.c.workspace == workspace
        tx.connection.execute(update(usage_marks).where(here).values(sealed=sealed))
    return [sealed] * len(wanted)


def _settle(tx: Tx, workspace: str, newest: int) -> Marks:
    """Roll up the hours that are over, and keep the mark where it is till we commit.

    The newest hour and the one before it stay open: what comes late there costs one row. Writers
    of a workspace wait for each other at its mark; they would at the total of the hour anyway.
    """
    due = newest - HOUR_S
    lock = "" if tx.is_sqlite else "FOR UPDATE"
    mark = read_marks(tx, workspace, lock=lock)
    if mark is None:
        tx.insert_many(usage_marks, [(workspace, due, None, None)], tail="ON CONFLICT DO NOTHING")
        mark = read_marks(tx, workspace, lock=lock)
        assert mark is not None
    if mark.rolled >= due:
        return mark
    hours = cells_of(cell_rows(tx, workspace, HOUR, mark.rolled, due))
    if hours:
        write_cells(tx, workspace, roll_up(hours))
    here = usage_marks.c.workspace == workspace
    tx.connection.execute(update(usage_marks).where(here).values(rolled=due))
    return replace(mark, rolled=due)


def write_cells(tx: Tx, workspace: str, cells: dict[CellId, Cell]) -> None:
    """Add cells to those that are kept."""
    add_rows(tx, workspace, rows_of(workspace, cells, tx.notes.crowded))


def add_rows(tx: Tx, workspace: str, rows: Sequence[CellRow]) -> None:
    """Add rows of cells to those that are kept: one additive upsert, in key order."""
    due = []
    known = tx.notes.appended.setdefault(workspace, {})
    if len(known) > REMEMBERED_CELLS:
        known.clear()
    for at, _, added in rows:
        entries = known.get(at, 0) + added
        if entries >= COMPACT_AFTER:
            due.append(at)
            entries = 0
        known[at] = entries
    tx.insert_many(usage_cells, [row for _, row, _ in rows], tail=_UPSERT[tx.is_sqlite])
    for at in sorted(due):
        _compact(tx, workspace, at)


def _compact(tx: Tx, workspace: str, at: CellId) -> None:
    """Rewrite a row's encodings with each bucket and scope once; our upsert has locked the row."""
    marks = [tx.marks(1, first=n) for n in range(1, 10)]
    names = ("workspace", *_CELL_KEY)

    def where(first: int) -> str:
        return " AND ".join(f"{n} = {mark}" for n, mark in zip(names, marks[first:], strict=False))

    query = f"SELECT sketch, scopes FROM usage_cells WHERE {where(0)}"
    sketch, packed = tx.fetch(query, [workspace, *at], prepare=tx.prepares)[0]
    scopes = unpack(bytes(packed or b""))
    if len(scopes) > CROWDED:
        tx.notes.crowded.add((workspace, at[3]))
    tx.fetch(
        f"UPDATE usage_cells SET sketch = {marks[0]}, scopes = {marks[1]} WHERE {where(2)}",
        [encode(decode(bytes(sketch))), pack(scopes.items()), workspace, *at],
        returning="",
        prepare=tx.prepares,
    )
