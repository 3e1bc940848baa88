"""Keep cells: additive rows that hold what sets of usage events come to.

A sketch is appended to, and now and then rewritten without repeats; joined encodings are the
merged sketch, so that writers never read before they write.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, select, update

from app.core.statistics import decode, encode
from app.core.usage import CELL_COLUMNS, DAY, MONTH, TOTAL, Cell, CellId, UsageEvent, fold
from app.store.database import Tx
from app.store.tables import usage_cells

COMPACT_AFTER = 128
"""Sketch entries that a cell may take in before its encoding is rewritten without repeats."""

REMEMBERED_CELLS = 200_000

_LEAST = {"pct_min": "min", "pct_max": "max"}
_CELL_KEY = ("family", "grain", "start", "agent", "key", "key2")

CellName = tuple[str, str, str]
"""agent, key, key2: which cell of a family, whatever its time."""


def _upsert_tail(is_sqlite: bool) -> str:
    sets = []
    for name in CELL_COLUMNS:
        mine, new = f"usage_cells.{name}", f"excluded.{name}"
        if name in _LEAST:
            pick = _LEAST[name]
            if is_sqlite:
                value = f"{pick}(coalesce({mine}, {new}), coalesce({new}, {mine}))"
            else:
                value = f"{'least' if pick == 'min' else 'greatest'}({mine}, {new})"
        elif name == "sketch":
            value = f"CAST({mine} || {new} AS BLOB)" if is_sqlite else f"{mine} || {new}"
        else:
            value = f"{mine} + {new}"
        sets.append(f"{name} = {value}")
    keys = ", ".join(f'"{column.name}"' for column in usage_cells.primary_key)
    return f"ON CONFLICT ({keys}) DO UPDATE SET {', '.join(sets)}"


_UPSERT = {True: _upsert_tail(True), False: _upsert_tail(False)}


def add_to_cells(tx: Tx, workspace: str, events: Iterable[UsageEvent]) -> None:
    """Add events to their cells: one additive upsert, in key order."""
    cells = fold(events)
    measures = {id(cell): cell.row() for cell in cells.values()}  # grains may share a cell
    rows = [
        (workspace, grain, start, agent, family, key, key2, *measures[id(cell)])
        for (family, grain, start, agent, key, key2), cell in cells.items()
    ]
    rows.sort()  # by their keys, which differ
    tx.insert_many(usage_cells, rows, tail=_UPSERT[tx.is_sqlite])
    for at in _grown(tx.notes.appended, workspace, cells):
        _compact(tx, workspace, at)


def _grown(
    appended: dict[str, dict[CellId, int]], workspace: str, cells: Mapping[CellId, Cell]
) -> list[CellId]:
    """Note what was appended to sketches; the cells whose encoding should be rewritten now."""
    known = appended.setdefault(workspace, {})
    if len(known) > REMEMBERED_CELLS:
        known.clear()
    due = []
    for at, cell in cells.items():
        entries = known.get(at, 0) + len(cell.sketch)
        if entries >= COMPACT_AFTER:
            due.append(at)
            entries = 0
        known[at] = entries
    return due


def _compact(tx: Tx, workspace: str, at: CellId) -> None:
    """Rewrite a cell's sketch with each bucket once; its row is locked by our upsert."""
    table = usage_cells.c
    here = and_(
        table.workspace == workspace,
        *(table[name] == value for name, value in zip(_CELL_KEY, at, strict=True)),
    )
    sketch = tx.connection.execute(select(table.sketch).where(here)).scalar_one()
    tx.connection.execute(
        update(usage_cells).where(here).values(sketch=encode(decode(bytes(sketch))))
    )


def read_cells(
    tx: Tx,
    workspace: str,
    *,
    families: Sequence[str],
    grain: int,
    since: int,
    until: int,
    agents: Sequence[str] = (),
) -> dict[str, dict[CellName, Cell]]:
    """Cells of some families that start in `since` ≤ t < `until` (seconds), added up over time.

    One scan in key order, in the driver's own words: thousands of rows make one answer.
    """
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    sql = (
        f"SELECT family, agent, key, key2, {', '.join(CELL_COLUMNS)} FROM usage_cells"
        f" WHERE workspace = {marks[0]} AND grain = {marks[1]}"
        f" AND start >= {marks[2]} AND start < {marks[3]}"
        f" AND family IN ({tx.marks(len(families), first=5)})"
    )
    values = [workspace, grain, since, until, *families]
    if agents:
        sql += f" AND agent IN ({tx.marks(len(agents), first=5 + len(families))})"
        values += agents
    found: dict[str, dict[CellName, Cell]] = {family: {} for family in families}
    sketches: defaultdict[tuple[str, CellName], list[bytes]] = defaultdict(list)
    for family, agent, key, key2, *measures, sketch in tx.fetch(sql, values):
        name = (agent, key, key2)
        sketches[family, name].append(sketch)
        cell = found[family].get(name)
        if cell is None:
            found[family][name] = Cell(*measures)
        else:
            cell.add(Cell(*measures))
    for (family, name), parts in sketches.items():
        found[family][name].sketch = decode(b"".join(parts))
    return found


def read_series(
    tx: Tx,
    workspace: str,
    *,
    family: str,
    grain: int,
    since: int,
    until: int,
    agents: Sequence[str] = (),
) -> dict[int, Cell]:
    """Cells of a family by their start (second), added over everything else."""
    table = usage_cells.c
    columns = [table[column] for column in CELL_COLUMNS]
    query = select(table.start, *columns).where(
        _where(workspace, family, grain, since, until, agents)
    )
    found: dict[int, Cell] = {}
    for start, *measures in tx.connection.execute(query):
        cell = Cell.of_row((*measures[:-1], bytes(measures[-1])))
        if start in found:
            found[start].add(cell)
        else:
            found[start] = cell
    return found


def count_events(tx: Tx, workspace: str, *, grain: int, since: int, until: int) -> int:
    """Events booked in the days (or months) of `since` ≤ start < `until` (seconds).

    It only ever grows, with every event: equal counts mean that nothing has changed there.
    """
    total = tx.fetch(
        f"SELECT sum(events) FROM usage_cells WHERE workspace = {tx.marks(1)}"
        f" AND grain = {tx.marks(1, first=2)} AND start >= {tx.marks(1, first=3)}"
        f" AND start < {tx.marks(1, first=4)} AND agent = '' AND family = {tx.marks(1, first=5)}",
        [workspace, MONTH if grain == MONTH else DAY, since, until, TOTAL],
    )[0][0]
    return int(total or 0)


def all_cells(tx: Tx, workspace: str) -> Mapping[CellId, Cell]:
    """Every cell of a workspace, all in memory (tests; the audit reads a day at a time)."""
    table = usage_cells.c
    keys = [table[name] for name in _CELL_KEY]
    query = select(*keys, *(table[c] for c in CELL_COLUMNS)).where(table.workspace == workspace)
    return {
        (row[0], row[1], row[2], row[3], row[4], row[5]): Cell.of_row((*row[6:-1], bytes(row[-1])))
        for row in tx.connection.execute(query)
    }


def _where(
    workspace: str, family: str, grain: int, since: int, until: int, agents: Sequence[str]
) -> ColumnElement[bool]:
    table = usage_cells.c
    condition = and_(
        table.workspace == workspace,
        table.family == family,
        table.grain == grain,
        table.start >= since,
        table.start < until,
    )
    return and_(condition, table.agent.in_(list(agents))) if agents else condition
