"""Add up for reports in the database: runs by agent and complexity, day by day."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.analytics import CellName
from app.core.packed import unpack_tokens
from app.core.tokens_per_run import Kind, Tally
from app.core.usage import CELL_COLUMNS, DAY, HOUR, MONTH, RUN, SCOPE, TOTAL, Cell, month_start
from app.core.windows import DAY_S, HOUR_S, MICROS, Piece
from app.store.analytics import Source, kept_pieces
from app.store.cell_reading import read_cells
from app.store.database import in_chunks

_TALLY = (
    "agent, key, COUNT(*), SUM(executions), SUM(used), SUM(exceeded),"
    " SUM(CAST(used AS DOUBLE PRECISION) * used / executions)"
)
_TALLIED = " AND executions > 0 GROUP BY agent, key"

_SPLIT = 1_000_000
"""Used per cent is summed in two parts, so that no sum leaves 64 bits."""

_SUMMED = "events executions rated exceeded unmet budget used unbudgeted cost priced failed".split()
_USE = (
    f"agent, key, key2, SUM(pct_sum / {_SPLIT}), SUM(pct_sum % {_SPLIT}),"
    f" {', '.join(f'SUM({name})' for name in _SUMMED)}"
)


def read_use(source: Source, parts: Sequence[Piece]) -> dict[CellName, Cell]:
    """The cells of the family `run` over pieces of whole hours.

    The database adds up: cells have sums, and no sketch, least or greatest.
    """
    found: dict[CellName, Cell] = {}
    for piece in kept_pieces(source, parts):
        rows = _select(source, piece, _USE, tail=" GROUP BY agent, key, key2")
        for agent, complexity, profile, high, low, *sums in rows:
            cell = Cell(pct_sum=int(high) * _SPLIT + int(low))
            for measure, total in zip(_SUMMED, sums, strict=True):
                setattr(cell, measure, int(total))
            found.setdefault((agent, complexity, profile), Cell()).add(cell)
    return found


def read_scopes(source: Source, parts: Sequence[Piece]) -> dict[str, int]:
    """The tokens of scopes over pieces of whole hours: each row's are unpacked, so of few days."""
    packed: list[bytes] = []
    found: dict[str, int] = {}
    for piece in kept_pieces(source, parts):
        rows = _select(source, piece, "scopes", tail=" AND scopes IS NOT NULL")
        packed += (bytes(scopes) for (scopes,) in rows)
        what, tail = "key, SUM(used + unbudgeted)", " GROUP BY key"
        for scope, count in _select(source, piece, what, family=SCOPE, tail=tail):
            found[scope] = found.get(scope, 0) + int(count)
    for scope, count in unpack_tokens(b"".join(packed)).items():
        found[scope] = found.get(scope, 0) + count
    return found


def read_totals(source: Source, spans: Mapping[str, Sequence[Piece]]) -> dict[str, Cell]:
    """All runs of each span, by its name, over pieces of whole hours: a look-up for each row."""
    kept = {name: list(kept_pieces(source, parts)) for name, parts in spans.items()}
    wanted = {at for parts in kept.values() for piece in parts for at in _starts(piece)}
    rows = {
        grain: _totals(source, grain, sorted(start for its, start in wanted if its == grain))
        for grain in (HOUR, DAY, MONTH)
    }
    found: dict[str, Cell] = {}
    for name, parts in kept.items():
        total = found[name] = Cell()
        for piece in parts:
            for grain, start in _starts(piece):
                if start in rows[grain]:
                    total.add(rows[grain][start])
    return found


def read_whole(
    source: Source, parts: Sequence[Piece], agents: Sequence[str]
) -> dict[CellName, Cell]:
    """The cells of the family `run` of a few agents with their sketches."""
    found: dict[CellName, Cell] = {}
    for piece in kept_pieces(source, parts) if agents else ():
        cells = read_cells(
            source.tx,
            source.workspace,
            families=(RUN,),
            grain=piece.grain,
            since=piece.since // MICROS,
            until=piece.until // MICROS,
            agents=agents,
        )
        for name, cell in cells[RUN].items():
            found.setdefault(name, Cell()).add(cell)
    return found


def read_tallies(
    source: Source, parts: Sequence[Piece], agents: Sequence[str] = ()
) -> dict[Kind, Tally]:
    """Runs under a budget over pieces of whole hours, months as their days; all or some agents'."""
    found: dict[Kind, Tally] = {}
    for piece in kept_pieces(source, _by_day(parts)):
        for chunk in in_chunks(agents) if agents else ([],):
            for agent, complexity, *sums in _select(
                source, piece, _TALLY, agents=chunk, tail=_TALLIED
            ):
                days, runs, used, exceeded, squares = sums
                kind = (agent, complexity)
                found[kind] = found.get(kind, Tally()) + Tally(
                    days=int(days),
                    runs=int(runs),
                    used=int(used),
                    squares=float(squares),
                    exceeded=int(exceeded),
                )
    return found


def _by_day(parts: Iterable[Piece]) -> list[Piece]:
    return [replace(piece, grain=DAY) if piece.grain == MONTH else piece for piece in parts]


def _starts(piece: Piece) -> Iterator[tuple[int, int]]:
    """The rows that a piece is made of: their grain and first second."""
    since, until = piece.since // MICROS, piece.until // MICROS
    step = {HOUR: HOUR_S, DAY: DAY_S, MONTH: 32 * DAY_S}[piece.grain]
    while since < until:
        yield piece.grain, since
        since = month_start(since + step) if piece.grain == MONTH else since + step


def _totals(source: Source, grain: int, starts: Sequence[int]) -> dict[int, Cell]:
    tx = source.tx
    found: dict[int, Cell] = {}
    for chunk in in_chunks(starts):
        sql = (
            f"SELECT start, {', '.join(CELL_COLUMNS)} FROM usage_cells"
            f" WHERE workspace = {tx.marks(1)} AND grain = {tx.marks(1, first=2)}"
            f" AND agent = '' AND family = '{TOTAL}'"
            f" AND start IN ({tx.marks(len(chunk), first=3)})"
        )
        for start, *measures, sketch in tx.fetch(sql, [source.workspace, grain, *chunk]):
            found[start] = Cell.of_row((*measures, bytes(sketch)))
    return found


def _select(
    source: Source,
    piece: Piece,
    what: str,
    *,
    family: str = RUN,
    agents: Sequence[str] = (),
    tail: str = "",
) -> list[tuple[Any, ...]]:
    tx = source.tx
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    chosen = f" AND agent IN ({tx.marks(len(agents), first=5)})" if agents else ""
    sql = (
        f"SELECT {what} FROM usage_cells"
        f" WHERE workspace = {marks[0]} AND grain = {marks[1]}"
        f" AND start >= {marks[2]} AND start < {marks[3]} AND family = '{family}'{chosen}{tail}"
    )
    since, until = piece.since // MICROS, piece.until // MICROS
    return tx.fetch(sql, [source.workspace, piece.grain, since, until, *agents])
