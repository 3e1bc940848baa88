"""Read what the runs of all agents in a window come to, for rules: sums, and tokens of scopes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.core.analytics import CellName
from app.core.packed import unpack_tokens
from app.core.usage import HOUR, RUN, SCOPE, Cell
from app.core.windows import DAY_S, HOUR_S, MICROS, Piece
from app.store.analytics import Source, kept_pieces
from app.store.database import in_chunks

Scopes = dict[str, dict[str, int]]
"""Tokens by agent and scope, as logged."""

_SLICE_DAYS = 7
"""Days that are read at once: what is in memory stays small beside what is added up."""

_MEASURES = "executions, rated, pct_sum, exceeded, unmet, budget, used, unbudgeted, cost, priced"


def read_sums(source: Source, parts: Sequence[Piece]) -> tuple[dict[CellName, Cell], Scopes]:
    """The cells of the family `run` over pieces of whole hours, and the tokens of scopes.

    Cells have what rules ask for: of used per cent its sum, and nothing of input, output, failures
    or times.
    """
    runs: dict[CellName, Cell] = {}
    scopes: Scopes = {}
    what = f"family, agent, key, key2, scopes, {_MEASURES}"
    for piece in _slices(source, parts):
        packed: defaultdict[str, list[bytes]] = defaultdict(list)
        for family, agent, key, key2, its, *measures in _rows(source, piece, what, (RUN, SCOPE)):
            if family == SCOPE:
                _add_tokens(scopes, agent, {key: measures[_USED] + measures[_UNBUDGETED]})
                continue
            if its:
                packed[agent].append(its)
            name = (agent, key, key2)
            cell = runs.get(name)
            if cell is None:
                cell = runs[name] = Cell()
            _add(cell, *measures)
        for agent, entries in packed.items():
            _add_tokens(scopes, agent, unpack_tokens(b"".join(entries)))
    return runs, scopes


_NAMES = _MEASURES.split(", ")
_USED, _UNBUDGETED = _NAMES.index("used"), _NAMES.index("unbudgeted")


def _add(
    cell: Cell,
    executions: int,
    rated: int,
    pct_sum: int,
    exceeded: int,
    unmet: int,
    budget: int,
    used: int,
    unbudgeted: int,
    cost: int,
    priced: int,
) -> None:
    cell.executions += executions
    cell.rated += rated
    cell.pct_sum += pct_sum
    cell.exceeded += exceeded
    cell.unmet += unmet
    cell.budget += budget
    cell.used += used
    cell.unbudgeted += unbudgeted
    cell.cost += cost
    cell.priced += priced


def read_sketches(
    source: Source, parts: Sequence[Piece], runs: Mapping[CellName, Cell], agents: Iterable[str]
) -> Iterator[tuple[dict[CellName, Cell], dict[CellName, bytes]]]:
    """What `read_sums` leaves out of used per cent: the cells of some agents, some hundred agents
    at a time, with its least and greatest value, and their sketches, encoded."""
    what = "agent, key, key2, pct_min, pct_max, sketch"
    for chunk in in_chunks(agents):
        sketches: defaultdict[CellName, list[bytes]] = defaultdict(list)
        bounds: defaultdict[CellName, list[int]] = defaultdict(list)
        for piece in _slices(source, parts):
            for agent, key, key2, low, high, sketch in _rows(source, piece, what, (RUN,), chunk):
                if sketch:
                    name = (agent, key, key2)
                    sketches[name].append(sketch)
                    bounds[name] += (low, high)
        wanted = set(chunk)
        cells = {
            name: replace(
                cell,
                pct_min=min(bounds[name], default=None),
                pct_max=max(bounds[name], default=None),
            )
            for name, cell in runs.items()
            if name[0] in wanted
        }
        yield cells, {name: b"".join(its) for name, its in sketches.items()}


def _slices(source: Source, parts: Sequence[Piece]) -> Iterator[Piece]:
    for piece in kept_pieces(source, parts):
        step = (HOUR_S if piece.grain == HOUR else DAY_S) * _SLICE_DAYS * MICROS
        for since in range(piece.since, piece.until, step):
            yield Piece(piece.grain, since, min(since + step, piece.until))


def _rows(
    source: Source, piece: Piece, what: str, families: Sequence[str], agents: Sequence[str] = ()
) -> list[tuple[Any, ...]]:
    tx = source.tx
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    sql = (
        f"SELECT {what} FROM usage_cells"
        f" WHERE workspace = {marks[0]} AND grain = {marks[1]}"
        f" AND start >= {marks[2]} AND start < {marks[3]}"
        f" AND family IN ({tx.marks(len(families), first=5)})"
    )
    if agents:
        sql += f" AND agent IN ({tx.marks(len(agents), first=5 + len(families))})"
    since, until = piece.since // MICROS, piece.until // MICROS
    return tx.fetch(sql, [source.workspace, piece.grain, since, until, *families, *agents])


def _add_tokens(scopes: Scopes, agent: str, tokens: Mapping[str, int]) -> None:
    held = scopes.setdefault(agent, {})
    for scope, count in tokens.items():
        held[scope] = held.get(scope, 0) + count
