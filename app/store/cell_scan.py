"""Scan the cells of a piece of time on SQLite without touching what a statement does not read.

SQLite looks at the whole of a row, its sketch and scopes too, to see whether a scan is at its end.
Those of busy agents lie on pages of their own, and reading these is most of the work. So the rows
are counted first, by their keys alone, and then the scan ends by their number.
"""

import re
from functools import lru_cache

from app.core.windows import MICROS, Piece
from app.store.database import Tx
from app.store.tables import usage_cells

_KEY = ", ".join(column.name for column in usage_cells.primary_key)
_COLUMNS = [column.name for column in usage_cells.columns]
_STEP = 256
"""Rows that are counted at once."""

_MARKS = ", ".join("?" * len(usage_cells.primary_key))
_FIRST = "(workspace, grain, start) >= (?, ?, ?)"
_NEXT = f"({_KEY}) > ({_MARKS})"


def counted_rows(tx: Tx, workspace: str, piece: Piece, used: str) -> tuple[str, list[object]]:
    """A table of the rows of a piece, all of them, with the columns that `used` names; its values.

    In the transaction that it is made in, it is exact.
    """
    count = _count(tx, workspace, piece)
    columns = _columns_in(used)
    sql = f"(SELECT {columns} FROM usage_cells WHERE {_FIRST} ORDER BY {_KEY} LIMIT ?)"
    return sql, [workspace, piece.grain, piece.since // MICROS, count]


def _count(tx: Tx, workspace: str, piece: Piece) -> int:
    until = piece.until // MICROS
    where, values = _FIRST, [workspace, piece.grain, piece.since // MICROS]
    count = 0
    while True:
        rows = tx.fetch(
            f"SELECT {_KEY} FROM usage_cells WHERE {where} ORDER BY {_KEY}"
            f" LIMIT 1 OFFSET {_STEP - 1}",
            values,
        )
        if not rows or rows[0][:2] != (workspace, piece.grain) or rows[0][2] >= until:
            break
        count += _STEP
        where, values = _NEXT, list(rows[0])
    ((rest,),) = tx.fetch(
        f"SELECT count(*) FROM (SELECT workspace, grain, start FROM usage_cells WHERE {where}"
        f" ORDER BY {_KEY} LIMIT {_STEP}) WHERE workspace = ? AND grain = ? AND start < ?",
        [*values, workspace, piece.grain, until],
    )
    return count + int(rest)


@lru_cache(maxsize=64)
def _columns_in(used: str) -> str:
    words = set(re.findall(r"\w+", used))
    return ", ".join(name for name in _COLUMNS if name in words)
