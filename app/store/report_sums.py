"""Add up for reports: totals of spans, and runs by agent and complexity, day by day."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from app.core.analytics import CellName
from app.core.statistics import decode
from app.core.tokens_per_run import Kind, Tally
from app.core.usage import CELL_COLUMNS, DAY, HOUR, MONTH, TOTAL, Cell
from app.core.values import value
from app.core.windows import Piece
from app.store.analytics import Source, kept_pieces
from app.store.database import in_chunks
from app.store.pacing import paced, pause
from app.store.run_sums import RUNS, read_rows, row_starts

_TALLY = (
    "agent, key, COUNT(*), SUM(executions), SUM(used), SUM(exceeded),"
    " SUM(CAST(used AS DOUBLE PRECISION) * used / executions)"
)
_TALLIED = f"{RUNS} AND executions > 0 GROUP BY agent, key"


@value
class Wanted:
    """Whose runs to tally, and when."""

    parts: Sequence[Piece]
    """Whole hours."""
    agents: frozenset[str] = frozenset()
    """None: those of all."""


def read_totals(
    source: Source, spans: Mapping[str, Sequence[Piece]], *, sketched: Collection[str]
) -> dict[str, Cell]:
    """All runs of each span, by its name, over pieces of whole hours: a look-up for each row.

    Cells of spans that are not `sketched` have no sketch.
    """
    kept = {name: list(kept_pieces(source, parts)) for name, parts in spans.items()}
    wanted = {
        (piece.grain, start)
        for parts in kept.values()
        for piece in parts
        for start in row_starts(piece)
    }
    rows = {
        grain: _totals(source, grain, sorted(start for its, start in wanted if its == grain))
        for grain in (HOUR, DAY, MONTH)
    }
    found: dict[str, Cell] = {}
    for name, parts in kept.items():
        total = found[name] = Cell()
        sketches: list[bytes] = []
        for piece in parts:
            for start in row_starts(piece):
                if start in rows[piece.grain]:
                    cell, sketch = rows[piece.grain][start]
                    total.add(cell)
                    sketches.append(sketch)
                    pause()
        if name in sketched:
            total.sketch = decode(b"".join(sketches))
    return found


def read_whole(
    source: Source, parts: Sequence[Piece], agents: Sequence[str]
) -> dict[CellName, Cell]:
    """The cells of the family `run` of a few agents with their sketches."""
    found: dict[CellName, Cell] = {}
    what = f"agent, key, key2, {', '.join(CELL_COLUMNS)}"
    for piece in kept_pieces(source, parts) if agents else ():
        for agent, key, key2, *measures, sketch in read_rows(source, piece, what, RUNS, agents):
            cell = Cell.of_row((*measures, bytes(sketch)))
            found.setdefault((agent, key, key2), Cell()).add(cell)
    return found


def read_tallies(source: Source, wanted: Sequence[Wanted]) -> list[dict[Kind, Tally]]:
    """Runs under a budget for each of what is wanted, months as their days.

    Stretches may overlap: what several have in common is read once.
    """
    kept = [list(kept_pieces(source, _by_day(one.parts))) for one in wanted]
    found: list[dict[Kind, Tally]] = [{} for _ in wanted]
    edges = {
        (piece.grain, edge) for its in kept for piece in its for edge in (piece.since, piece.until)
    }
    for (grain, since), (next_grain, until) in pairwise(sorted(edges)):
        users = [
            number
            for number, its in enumerate(kept)
            if any(p.grain == grain and p.since <= since < p.until for p in its)
        ]
        if users and grain == next_grain:
            piece = Piece(grain, since, until)
            _tally(source, piece, [(wanted[number].agents, found[number]) for number in users])
    return found


def _tally(
    source: Source, piece: Piece, users: Sequence[tuple[frozenset[str], dict[Kind, Tally]]]
) -> None:
    """Add the runs of a piece to the tallies of everybody who wants them."""
    named = frozenset[str]().union(*(agents for agents, _ in users))
    agents = sorted(named) if all(agents for agents, _ in users) else []
    for chunk in in_chunks(agents) if agents else ([],):
        rows = read_rows(source, piece, _TALLY, _TALLIED, chunk)
        for agent, complexity, days, runs, used, exceeded, squares in paced(rows):
            kind = (agent, complexity)
            tally = Tally(
                days=int(days),
                runs=int(runs),
                used=int(used),
                squares=float(squares),
                exceeded=int(exceeded),
            )
            for its, found in users:
                if not its or agent in its:
                    held = found.get(kind)
                    found[kind] = tally if held is None else held + tally


def _by_day(parts: Iterable[Piece]) -> list[Piece]:
    return [replace(piece, grain=DAY) if piece.grain == MONTH else piece for piece in parts]


def _totals(source: Source, grain: int, starts: Sequence[int]) -> dict[int, tuple[Cell, bytes]]:
    """Rows by their start: sums, and the sketch as it is stored."""
    tx = source.tx
    found: dict[int, tuple[Cell, bytes]] = {}
    for chunk in in_chunks(starts):
        sql = (
            f"SELECT start, {', '.join(CELL_COLUMNS)} FROM usage_cells"
            f" WHERE workspace = {tx.marks(1)} AND grain = {tx.marks(1, first=2)}"
            f" AND agent = '' AND family = '{TOTAL}'"
            f" AND start IN ({tx.marks(len(chunk), first=3)})"
        )
        for start, *measures, sketch in tx.fetch(sql, [source.workspace, grain, *chunk]):
            found[start] = Cell(*measures), bytes(sketch)
            pause()
    return found
