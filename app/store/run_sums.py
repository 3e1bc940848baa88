"""Read what the runs of all agents in a window come to: sums, tokens of scopes, and sketches."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import add, sub
from typing import Any

from app.core.analytics import CellName
from app.core.cover import Patch, cover
from app.core.packed import unpack_tokens
from app.core.usage import HOUR, MONTH, RUN, SCOPE, Cell, month_start
from app.core.values import value
from app.core.windows import DAY_S, HOUR_S, MICROS, Piece
from app.store.analytics import Source, kept_pieces
from app.store.cell_scan import counted_rows
from app.store.database import in_chunks
from app.store.pacing import paced, pause, unhurried

Scopes = dict[str, dict[str, int]]
"""Tokens by agent and scope, as logged; those of which none were used are left out."""

_SLICE_DAYS, _SLICE_HOURS = 7, 7 * 24
"""Days and hours that are read at once: what is in memory stays small beside what is added up."""

_FEW = 50
"""Agents whose rows are looked up; a scan of all rows finds those of more in less time."""

_SPLIT = 1_000_000
"""Used per cent is summed in two parts, so that no sum leaves 64 bits."""

_SUMMED = "events executions rated exceeded unmet budget used unbudgeted cost priced failed".split()
_SUMS = (
    f"agent, key, key2, SUM(pct_sum / {_SPLIT}), SUM(pct_sum % {_SPLIT}),"
    f" {', '.join(f'SUM({name})' for name in _SUMMED)}"
)

RUNS = f"family = '{RUN}'"
_SCOPED = f"(family = '{SCOPE}' OR family = '{RUN}' AND length(scopes) > 0)"


@value
class Sums:
    """The cells of the family `run` of a window, `since` ≤ t < `until` in microseconds.

    They have sums, and no sketch, least or greatest, and nothing of input, output or times.
    """

    window: tuple[int, int]
    cells: Mapping[CellName, Cell]


def read_sums(source: Source, window: tuple[int, int], *, is_last: bool = False) -> Sums:
    """The database adds up. `is_last`: nothing is booked after the window."""
    return Sums(window=window, cells=_summed(source, cover(*window, is_last=is_last)))


def _summed(source: Source, patches: Iterable[Patch]) -> dict[CellName, Cell]:
    totals: dict[CellName, list[int]] = {}
    for sign, rows in _read(source, patches, _SUMS, f"{RUNS} GROUP BY agent, key, key2"):
        for agent, complexity, profile, *sums in paced(rows):
            name = (agent, complexity, profile)
            held = totals.get(name)
            if held is None:
                totals[name] = sums if sign > 0 else [-its for its in sums]
            else:
                totals[name] = list(map(add if sign > 0 else sub, held, sums))
    return {name: _cell(*map(int, sums)) for name, sums in paced(totals.items()) if any(sums)}


def _cell(
    high: int,
    low: int,
    events: int,
    executions: int,
    rated: int,
    exceeded: int,
    unmet: int,
    budget: int,
    used: int,
    unbudgeted: int,
    cost: int,
    priced: int,
    failed: int,
) -> Cell:
    return Cell(
        events=events,
        executions=executions,
        rated=rated,
        pct_sum=high * _SPLIT + low,
        exceeded=exceeded,
        unmet=unmet,
        budget=budget,
        used=used,
        unbudgeted=unbudgeted,
        cost=cost,
        priced=priced,
        failed=failed,
    )


def read_scopes(source: Source, patches: Iterable[Patch]) -> Scopes:
    """The tokens of scopes: each row's are unpacked, so this takes longer than sums."""
    found: Scopes = {}
    what = "agent, key, used + unbudgeted, scopes"
    for sign, rows in _read(source, patches, what, _SCOPED):
        packed: defaultdict[str, list[bytes]] = defaultdict(list)
        for agent, scope, tokens, its in rows:
            if its is None:
                _add_tokens(found, agent, sign, {scope: tokens})
            else:
                packed[agent].append(its)
        for agent, entries in packed.items():
            _add_tokens(found, agent, sign, unpack_tokens(b"".join(entries)))
            pause()
    return {
        agent: {scope: tokens for scope, tokens in its.items() if tokens}
        for agent, its in found.items()
    }


def read_sketches(
    source: Source, patches: Sequence[Patch], runs: Mapping[CellName, Cell], agents: Iterable[str]
) -> Iterator[tuple[dict[CellName, Cell], dict[CellName, tuple[bytes, bytes]]]]:
    """What `read_sums` leaves out of used per cent, some hundred agents at a time: their cells, and
    sketches, encoded, those to add and those to take away.

    A least and a greatest cannot be taken away: cells have those of all that is added, which may
    reach some hours beyond the window.
    """
    what = "agent, key, key2, pct_min, pct_max, sketch"
    for chunk in in_chunks(agents):
        added: defaultdict[CellName, list[bytes]] = defaultdict(list)
        taken: defaultdict[CellName, list[bytes]] = defaultdict(list)
        bounds: defaultdict[CellName, list[int]] = defaultdict(list)
        slices = ((sign, part) for sign, its in _kept(source, patches) for part in _slices(its))
        for sign, part in slices:
            for agent, key, key2, low, high, sketch in read_rows(source, part, what, RUNS, chunk):
                name = (agent, key, key2)
                if not sketch:
                    continue
                if sign > 0:
                    added[name].append(sketch)
                    bounds[name] += (low, high)
                else:
                    taken[name].append(sketch)
            pause()
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
        yield cells, {name: (b"".join(its), b"".join(taken[name])) for name, its in added.items()}


def _read(
    source: Source, patches: Iterable[Patch], what: str, where: str
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Rows of all agents with the sign of their patch: hours together, wide rows some days at a
    time."""
    hours: defaultdict[int, list[int]] = defaultdict(list)
    for sign, piece in _kept(source, patches):
        if piece.grain == HOUR:
            hours[sign] += row_starts(piece)
            continue
        for part in (piece,) if _is_narrow(piece, what) else _slices(piece):
            yield sign, read_rows(source, part, what, where)
    for sign, starts in hours.items():
        for first in range(0, len(starts), _SLICE_HOURS):
            yield sign, _read_hours(source, starts[first : first + _SLICE_HOURS], what, where)


def _read_hours(
    source: Source, starts: Sequence[int], what: str, where: str
) -> list[tuple[Any, ...]]:
    tx = source.tx
    sql = (
        f"SELECT {what} FROM usage_cells WHERE workspace = {tx.marks(1)} AND grain = {HOUR}"
        f" AND start IN ({tx.marks(len(starts), first=2)}) AND {where}"
    )
    with unhurried(tx):
        return list(paced(tx.stream(sql, [source.workspace, *starts])))


def _kept(source: Source, patches: Iterable[Patch]) -> Iterator[tuple[int, Piece]]:
    """The pieces of patches as their rows are kept, each with its sign."""
    for patch in patches:
        for piece in kept_pieces(source, [patch.piece]):
            yield patch.sign, piece


def _slices(piece: Piece) -> Iterator[Piece]:
    step = (HOUR_S if piece.grain == HOUR else DAY_S) * _SLICE_DAYS * MICROS
    for since in range(piece.since, piece.until, step):
        yield Piece(piece.grain, since, min(since + step, piece.until))


def read_rows(
    source: Source,
    piece: Piece,
    what: str,
    where: str,
    agents: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """What a statement selects from the rows of a piece; of all agents, or of some.

    The rows of few agents are looked up one by one, those of many are found in a scan.
    """
    tx = source.tx
    if tx.is_sqlite and not 0 < len(agents) <= _FEW and _is_narrow(piece, what):
        with unhurried(tx):
            rows, values = counted_rows(tx, source.workspace, piece, f"agent {what} {where}")
            chosen = f"agent IN ({tx.marks(len(agents))}) AND " if agents else ""
            sql = f"SELECT {what} FROM {rows} WHERE {chosen}{where}"
            return list(paced(tx.stream(sql, [*values, *agents])))
    starts = row_starts(piece)
    bound: Sequence[int] = (piece.since // MICROS, piece.until // MICROS)
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    times = f"start >= {marks[2]} AND start < {marks[3]}"
    if 0 < len(agents) <= _FEW:
        bound = starts
        times = f"start IN ({tx.marks(len(starts), first=3)})"
    chosen = f" AND agent IN ({tx.marks(len(agents), first=3 + len(bound))})" if agents else ""
    sql = (
        f"SELECT {what} FROM usage_cells WHERE workspace = {marks[0]} AND grain = {marks[1]}"
        f" AND {times}{chosen} AND {where}"
    )
    with unhurried(tx):
        return list(paced(tx.stream(sql, [source.workspace, piece.grain, *bound, *agents])))


def _is_narrow(piece: Piece, what: str) -> bool:
    """Whether rows are larger than what is read of them; those of hours seldom are."""
    return piece.grain != HOUR and "scopes" not in what and "sketch" not in what


def row_starts(piece: Piece) -> Sequence[int]:
    """The first seconds of the rows that a piece is made of."""
    since, until = piece.since // MICROS, piece.until // MICROS
    if piece.grain != MONTH:
        return range(since, until, HOUR_S if piece.grain == HOUR else DAY_S)
    starts = []
    while since < until:
        starts.append(since)
        since = month_start(since + 32 * DAY_S)
    return starts


def _add_tokens(scopes: Scopes, agent: str, sign: int, tokens: Mapping[str, int]) -> None:
    held = scopes.setdefault(agent, {})
    for scope, count in tokens.items():
        held[scope] = held.get(scope, 0) + sign * count
