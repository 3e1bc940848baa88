"""Read cells: rows of hours, days and months, and the scopes that rows of runs carry."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from app.core.analytics import CellName
from app.core.packed import unpack
from app.core.statistics import decode
from app.core.usage import (
    CELL_COLUMNS,
    DAY,
    FAMILIES,
    HOUR,
    MONTH,
    RUN,
    SCOPE,
    TOTAL,
    Cell,
    CellId,
    day_start,
    hour_start,
    month_start,
    roll_up,
)
from app.core.values import value
from app.core.windows import DAY_S, HOUR_S
from app.store.database import Tx, in_chunks

_MEASURES = ", ".join(CELL_COLUMNS)


@value
class Marks:
    """How far a workspace's books are, and what its events count against."""

    rolled: int
    """The second until which days and months hold their hours."""
    sealed: int
    """The second before which events are kept no longer."""
    costs: int
    """The version of the budgets in USD; 0: there never was one."""


def read_marks(tx: Tx, workspace: str, *, lock: str = "") -> Marks | None:
    """The marks of a workspace; None: nothing was ever booked."""
    sql = f"SELECT rolled, sealed, costs FROM usage_marks WHERE workspace = {tx.marks(1)} {lock}"
    found = tx.fetch(sql, [workspace], prepare=tx.prepares)
    if not found:
        return None
    rolled, sealed, costs = found[0]
    return Marks(rolled=int(rolled), sealed=int(sealed or 0), costs=int(costs or 0))


def read_mark(tx: Tx, workspace: str) -> int | None:
    """The second until which days and months hold their hours; None: nothing was ever booked."""
    marks = read_marks(tx, workspace)
    return None if marks is None else marks.rolled


def read_sealed(tx: Tx, workspace: str) -> int:
    """The second before which events are kept no longer, and their cells are all there is."""
    marks = read_marks(tx, workspace)
    return 0 if marks is None else marks.sealed


def first_hour(tx: Tx, workspace: str) -> int | None:
    """The first second of the first hour that has cells; None: nothing was ever booked."""
    sql = f"SELECT min(start) FROM usage_cells WHERE workspace = {tx.marks(1)} AND grain = {HOUR}"
    ((found,),) = tx.fetch(sql, [workspace])
    return None if found is None else int(found)


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
    """Rows of some families that start in `since` ≤ t < `until` (seconds), added up over time.

    Those of days and months lack the hours that are still open. One scan in key order, in the
    driver's own words: thousands of rows make one answer.
    """
    packs = SCOPE in families
    asked = [*families, RUN] if packs and RUN not in families else families
    columns = f"family, agent, key, key2, {'scopes' if packs else 'NULL'}, {_MEASURES}"
    found: dict[str, dict[CellName, Cell]] = {family: {} for family in families}
    sketches: defaultdict[tuple[str, CellName], list[bytes]] = defaultdict(list)
    packed: defaultdict[str, list[bytes]] = defaultdict(list)
    for family, agent, key, key2, scopes, *measures, sketch in _scan(
        tx, workspace, columns, asked, grain, since, until, agents
    ):
        if scopes:
            packed[agent].append(scopes)
        if family not in found:
            continue
        name = (agent, key, key2)
        sketches[family, name].append(sketch)
        cell = found[family].get(name)
        if cell is None:
            found[family][name] = Cell(*measures)
        else:
            cell.add(Cell(*measures))
    for (family, name), parts in sketches.items():
        found[family][name].sketch = decode(b"".join(parts))
    for agent, entries in packed.items():
        for scope, cell in unpack(b"".join(entries)).items():
            _add(found[SCOPE], (agent, scope, ""), cell)
    return found


def _spans(
    tx: Tx, workspace: str, grain: int, since: int, until: int
) -> Iterator[tuple[int, int, int]]:
    """Grains and times to read instead of one: open hours are not in days and months yet."""
    yield grain, since, until
    mark = None if grain == HOUR else read_mark(tx, workspace)
    if mark is not None and mark < until:
        yield HOUR, max(since, mark), until


def _scan(
    tx: Tx,
    workspace: str,
    columns: str,
    families: Sequence[str],
    grain: int,
    since: int,
    until: int,
    agents: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    sql = (
        f"SELECT {columns} FROM usage_cells"
        f" WHERE workspace = {marks[0]} AND grain = {marks[1]}"
        f" AND start >= {marks[2]} AND start < {marks[3]}"
        f" AND family IN ({tx.marks(len(families), first=5)})"
    )
    values = [workspace, grain, since, until, *families]
    if agents:
        sql += f" AND agent IN ({tx.marks(len(agents), first=5 + len(families))})"
        values += agents
    return tx.fetch(sql, values)


def unpacked(at: CellId, scopes: bytes) -> dict[CellId, Cell]:
    """The cells of the scopes that the row of a run carries."""
    _, grain, start, agent, _, _ = at
    return {(SCOPE, grain, start, agent, name, ""): cell for name, cell in unpack(scopes).items()}


K = TypeVar("K")


def _add(cells: dict[K, Cell], key: K, cell: Cell) -> None:
    held = cells.get(key)
    if held is None:
        cells[key] = cell
    else:
        held.add(cell)


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
    found: dict[int, Cell] = {}
    for span in _spans(tx, workspace, grain, since, until):
        for start, *measures, sketch in _scan(
            tx, workspace, f"start, {_MEASURES}", [family], *span, agents
        ):
            cell = Cell.of_row((*measures, bytes(sketch)))
            _add(found, hour_start(start) if grain == HOUR else day_start(start), cell)
    return found


def sum_costs(
    tx: Tx,
    workspace: str,
    *,
    family: str,
    key: str | None,
    agents: Sequence[str],
    grain: int,
    since: int,
    until: int,
) -> int:
    """Nano-USD of a family's cells that start in `since` ≤ t < `until` (seconds); of one key, and
    of some agents, where they are named."""
    total = 0
    for span in _spans(tx, workspace, grain, since, until):
        marks = [tx.marks(1, first=n) for n in range(1, 6)]
        sql = (
            f"SELECT sum(cost) FROM usage_cells WHERE workspace = {marks[0]} AND grain = {marks[1]}"
            f" AND start >= {marks[2]} AND start < {marks[3]} AND family = {marks[4]}"
        )
        values: list[Any] = [workspace, *span, family]
        if key is not None:
            sql += f" AND key = {tx.marks(1, first=len(values) + 1)}"
            values.append(key)
        if agents:
            sql += f" AND agent IN ({tx.marks(len(agents), first=len(values) + 1)})"
            values += agents
        ((found,),) = tx.fetch(sql, values)
        total += int(found or 0)
    return total


def open_starts(tx: Tx, workspace: str) -> tuple[int, ...]:
    """The hours (first seconds) that are not in their days and months yet: the newest two."""
    mark = read_mark(tx, workspace)
    return () if mark is None else (mark, mark + HOUR_S)


def count_events(tx: Tx, workspace: str, *, grain: int, since: int, until: int) -> int:
    """Events in the rows of a grain that start in `since` ≤ t < `until` (seconds).

    It only ever grows, with every event: equal counts mean that nothing has changed there.
    """
    total = 0
    for starts in in_chunks(_starts(grain, since, until)):
        rows = tx.fetch(
            f"SELECT events FROM usage_cells WHERE workspace = {tx.marks(1)}"
            f" AND grain = {tx.marks(1, first=2)} AND agent = '' AND family = '{TOTAL}'"
            f" AND start IN ({tx.marks(len(starts), first=3)})",
            [workspace, grain, *starts],
        )
        total += sum(events for (events,) in rows)
    return total


def count_by_agent(tx: Tx, workspace: str, start: int) -> dict[str, int]:
    """Events of each agent in an hour."""
    sql = (
        f"SELECT agent, sum(events) FROM usage_cells WHERE workspace = {tx.marks(1)}"
        f" AND grain = {HOUR} AND start = {tx.marks(1, first=2)} AND family = '{RUN}'"
        " GROUP BY agent"
    )
    return {agent: int(events) for agent, events in tx.fetch(sql, [workspace, start])}


def _starts(grain: int, since: int, until: int) -> Iterator[int]:
    step = {HOUR: HOUR_S, DAY: DAY_S, MONTH: 31 * DAY_S}[grain]
    begin = {HOUR: hour_start, DAY: day_start, MONTH: month_start}[grain]
    start = begin(since)
    while start < until:
        if start >= since:
            yield start
        start = begin(start + step)


def kept_cells(
    tx: Tx,
    workspace: str,
    grain: int,
    since: int,
    until: int,
    *,
    unreadable: Callable[[CellId], None] | None = None,
) -> dict[CellId, Cell]:
    """The cells of a grain that start in `since` ≤ t < `until` (seconds), open hours added."""
    found: dict[CellId, Cell] = {}
    for span in _spans(tx, workspace, grain, since, until):
        cells = cells_of(cell_rows(tx, workspace, *span), unreadable=unreadable)
        if span[0] != grain:
            cells = {at: cell for at, cell in roll_up(cells).items() if at[1] == grain}
        for at, cell in cells.items():
            _add(found, at, cell)
    return found


def all_cells(tx: Tx, workspace: str) -> dict[CellId, Cell]:
    """Every cell of a workspace, all in memory (tests; the audit reads a day at a time)."""
    return {
        at: cell
        for grain in (HOUR, DAY, MONTH)
        for at, cell in kept_cells(tx, workspace, grain, -_EVER, _EVER).items()
    }


_EVER = 10**15
_ROW = f"family, grain, start, agent, key, key2, scopes, {_MEASURES}"


def cell_rows(tx: Tx, workspace: str, grain: int, since: int, until: int) -> list[tuple[Any, ...]]:
    """What `cells_of` reads."""
    return _scan(tx, workspace, _ROW, FAMILIES, grain, since, until)


def cells_of(
    rows: Iterable[Sequence[Any]], *, unreadable: Callable[[CellId], None] | None = None
) -> dict[CellId, Cell]:
    """The cells of rows, and of the scopes that they carry.

    Rows that cannot be read are left out and told to `unreadable`; without it: ValueError.
    """
    found: dict[CellId, Cell] = {}
    for family, grain, start, agent, key, key2, scopes, *measures, sketch in rows:
        at: CellId = (family, grain, start, agent, key, key2)
        try:
            cell = Cell.of_row((*measures, bytes(sketch)))
            carried = unpacked(at, bytes(scopes or b""))
        except ValueError:
            if unreadable is None:
                raise
            unreadable(at)
            continue
        _add(found, at, cell)
        for its, scope in carried.items():
            _add(found, its, scope)
    return found
