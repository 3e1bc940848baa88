"""Read groups of usage over pieces of time, each piece from the coarsest rows that hold it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app.core.analytics import (
    CellName,
    Group,
    Groups,
    add_scopes,
    group_dimension,
    group_runs,
    merge,
)
from app.core.usage import DAY, HOUR, RUN, TOTAL, Cell, CellId, day_start, fold_hours, month_start
from app.core.windows import EVENTS, MICROS, MINUTE_S, Piece, Span, pieces
from app.store.cells import count_events, read_cells, read_series
from app.store.database import Tx
from app.store.groupcache import GroupCache
from app.store.usage import events_between

RUN_KEYS = ("agent", "complexity", "profile", "")
WITH_SCOPES = ("agent", "")


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read: a transaction, a workspace, perhaps only some agents, and what is known."""

    tx: Tx
    cache: GroupCache
    workspace: str
    agents: tuple[str, ...]


def read_groups(source: Source, by: str, parts: Sequence[Piece]) -> Groups:
    """Groups by one dimension ("" for all in one) over pieces of time."""
    settled = [piece for piece in parts if _is_settled(piece)]
    passing = [piece for piece in parts if not _is_settled(piece)]
    versions = tuple(_version(source, piece) for piece in settled)
    known = source.cache.get(
        (source.workspace, source.agents, by, tuple(settled)),
        versions,
        lambda: merge(
            source.cache.get(
                (source.workspace, source.agents, by, piece),
                version,
                partial(_load, source, by, piece),
            )
            for piece, version in zip(settled, versions, strict=True)
        ),
    )
    return merge([known, *(_load(source, by, piece) for piece in passing)])


def read_spans(source: Source, spans: Iterable[Span], *, now: int) -> Groups:
    """One group of all runs for each span of time (a local day, an hour), by the span's key."""
    cut = [(span.key, pieces(span.since, span.until, now=now)) for span in spans]
    series = {grain: _series(source, grain, cut) for grain in (HOUR, DAY)}
    groups: Groups = {}
    for key, parts in cut:
        group = Group()
        for piece in parts:
            if piece.grain == EVENTS:
                group.add(_load(source, "", piece).get("", Group()))
                continue
            step = 3_600 if piece.grain == HOUR else 86_400
            for start in range(piece.since // MICROS, piece.until // MICROS, step):
                cell = series[HOUR if piece.grain == HOUR else DAY].get(start)
                if cell is not None:
                    group.cell.add(cell)
        if group.cell.events:
            groups[key] = group
    return groups


def _series(
    source: Source, grain: int, cut: Sequence[tuple[str, list[Piece]]]
) -> Mapping[int, Cell]:
    wanted = [
        piece
        for _, parts in cut
        for piece in parts
        if piece.grain != EVENTS and (piece.grain == HOUR) == (grain == HOUR)
    ]
    if not wanted:
        return {}
    return read_series(
        source.tx,
        source.workspace,
        family=RUN if source.agents else TOTAL,
        grain=grain,
        since=min(piece.since for piece in wanted) // MICROS,
        until=max(piece.until for piece in wanted) // MICROS,
        agents=source.agents,
    )


def _is_settled(piece: Piece) -> bool:
    """Whether the piece keeps its bounds for at least a minute of questions about now."""
    aligned = piece.since % (MINUTE_S * MICROS) == 0 and piece.until % (MINUTE_S * MICROS) == 0
    return piece.grain != EVENTS or aligned


def _version(source: Source, piece: Piece) -> int:
    first = piece.since // MICROS
    start = month_start(first) if piece.grain > DAY else day_start(first)
    return count_events(
        source.tx, source.workspace, grain=piece.grain, since=start, until=-(-piece.until // MICROS)
    )


def _load(source: Source, by: str, piece: Piece) -> Groups:
    runs = by in RUN_KEYS
    families = (RUN, "scope") if by in WITH_SCOPES else (RUN,) if runs else (by,)
    cells = _cells(source, families, piece)
    if not runs:
        return group_dimension(cells[by])
    groups = group_runs(cells[RUN], by)
    if by in WITH_SCOPES:
        add_scopes(groups, cells["scope"], by)
    return groups


def _cells(
    source: Source, families: Sequence[str], piece: Piece
) -> Mapping[str, Mapping[CellName, Cell]]:
    if piece.grain == EVENTS:
        events = events_between(
            source.tx, source.workspace, piece.since, piece.until, agents=source.agents
        )
        hours = fold_hours(events)
        return {family: _timeless(hours, family) for family in families}
    return read_cells(
        source.tx,
        source.workspace,
        families=families,
        grain=piece.grain,
        since=piece.since // MICROS,
        until=piece.until // MICROS,
        agents=source.agents,
    )


def _timeless(cells: Mapping[CellId, Cell], family: str) -> dict[CellName, Cell]:
    found: dict[CellName, Cell] = {}
    for (its, _, _, agent, key, key2), cell in cells.items():
        if its == family:
            found.setdefault((agent, key, key2), Cell()).add(cell)
    return found
