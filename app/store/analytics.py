"""Read groups of usage over pieces of time, each piece from the coarsest rows that hold it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from app.core.usage import (
    DAY,
    HOUR,
    MONTH,
    RUN,
    SCOPE,
    TOTAL,
    Cell,
    CellId,
    fold_hours,
    hour_start,
)
from app.core.windows import EVENTS, HOUR_S, MICROS, MINUTE_S, Piece, Span, pieces
from app.store.cell_reading import (
    count_by_agent,
    count_events,
    open_starts,
    read_cells,
    read_sealed,
    read_series,
)
from app.store.database import Tx
from app.store.groupcache import GroupCache, HourCells
from app.store.usage import events_between

RUN_KEYS = ("agent", "complexity", "profile", "")
WITH_SCOPES = ("agent", "")
MANY_AGENTS = 200
"""Above so many agents with something new an hour is read whole."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read: a transaction, a workspace, perhaps only some agents, and what is known."""

    tx: Tx
    cache: GroupCache
    workspace: str
    agents: tuple[str, ...]


def read_groups(source: Source, by: str, parts: Sequence[Piece]) -> Groups:
    """Groups by one dimension ("" for all in one) over pieces of time.

    What changes with every event comes last, so that all before it is merged once.
    """
    rows = list(kept_pieces(source, parts))
    settled = [piece for piece in rows if _is_settled(piece)]
    passing = [piece for piece in rows if not _is_settled(piece)]
    versions = tuple(_version(source, piece) for piece in settled)
    known = _merged(source, by, tuple(settled), versions)
    return merge([known, *(_load(source, by, piece) for piece in passing)])


def read_names(
    source: Source, families: Sequence[str], parts: Sequence[Piece]
) -> dict[str, dict[CellName, Cell]]:
    """The cells of some families by their names, added up over pieces of time."""
    found: dict[str, dict[CellName, Cell]] = {family: {} for family in families}
    for piece in kept_pieces(source, parts):
        for family, cells in _cells(source, families, piece).items():
            held = found[family]
            for name, cell in cells.items():
                held.setdefault(name, Cell()).add(cell)
    return found


def _merged(source: Source, by: str, parts: tuple[Piece, ...], versions: tuple[int, ...]) -> Groups:
    """The groups of settled pieces: all but the last as they were merged before, and the last."""
    if not parts:
        return {}
    last, version = parts[-1], versions[-1]

    def load() -> Groups:
        return merge(
            (
                _merged(source, by, parts[:-1], versions[:-1]),
                source.cache.get(
                    (source.workspace, source.agents, by, last),
                    version,
                    partial(_load, source, by, last),
                ),
            )
        )

    return source.cache.get((source.workspace, source.agents, by, parts), versions, load)


def kept_pieces(source: Source, parts: Sequence[Piece]) -> Iterator[Piece]:
    """Pieces as their rows are kept: open hours are beside the days and months they are in."""
    open_hours = open_starts(source.tx, source.workspace)
    late: list[Piece] = []
    for piece in parts:
        yield piece
        if piece.grain in (DAY, MONTH):
            late += (
                Piece(HOUR, start * MICROS, (start + HOUR_S) * MICROS)
                for start in open_hours
                if piece.since <= start * MICROS < piece.until
            )
    yield from late


def read_spans(source: Source, spans: Iterable[Span], *, now: int, last: int) -> Groups:
    """One group of all runs for each span of time (a local day, an hour), by the span's key.

    `last`: when the last event is.
    """
    cut = [
        (span.key, pieces(span.since, span.until, now=now, is_last=last < span.until))
        for span in spans
    ]
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
    grain = piece.grain if piece.grain != EVENTS else HOUR
    return count_events(
        source.tx,
        source.workspace,
        grain=grain,
        since=hour_start(piece.since // MICROS),
        until=-(-piece.until // MICROS),
    )


def _load(source: Source, by: str, piece: Piece) -> Groups:
    runs = by in RUN_KEYS
    families = (RUN, SCOPE) if by in WITH_SCOPES else (RUN,) if runs else (by,)
    cells = _cells(source, families, piece)
    if not runs:
        return group_dimension(cells[by])
    groups = group_runs(cells[RUN], by)
    if by in WITH_SCOPES:
        add_scopes(groups, cells[SCOPE], by)
    return groups


def _cells(
    source: Source, families: Sequence[str], piece: Piece
) -> Mapping[str, Mapping[CellName, Cell]]:
    if piece.grain == EVENTS and piece.until <= read_sealed(source.tx, source.workspace) * MICROS:
        start = piece.since // MICROS
        if start % HOUR_S or piece.since % MICROS:  # the hour counts where it begins
            return {family: {} for family in families}
        return _hour_cells(source, families, start)
    if piece.grain == EVENTS:
        events = events_between(
            source.tx, source.workspace, piece.since, piece.until, agents=source.agents
        )
        hours = fold_hours(events)
        return {family: _timeless(hours, family) for family in families}
    since, until = piece.since // MICROS, piece.until // MICROS
    if piece.grain == HOUR and until - since == HOUR_S:
        return _hour_cells(source, families, since)
    return read_cells(
        source.tx,
        source.workspace,
        families=families,
        grain=piece.grain,
        since=since,
        until=until,
        agents=source.agents,
    )


def _hour_cells(
    source: Source, families: Sequence[str], start: int
) -> Mapping[str, Mapping[CellName, Cell]]:
    """The cells of one hour; those of agents with nothing new are as they were read before."""
    counts = count_by_agent(source.tx, source.workspace, start)

    def load(held: HourCells) -> HourCells:
        changed = [agent for agent, events in counts.items() if held.get(agent, (0,))[0] != events]
        if not changed:
            return held
        fresh = read_cells(
            source.tx,
            source.workspace,
            families=families,
            grain=HOUR,
            since=start,
            until=start + HOUR_S,
            agents=changed if len(changed) <= MANY_AGENTS else (),
        )
        apart: dict[str, dict[str, dict[CellName, Cell]]] = {
            agent: {family: {} for family in families} for agent in changed
        }
        for family, cells in fresh.items():
            for name, cell in cells.items():
                if name[0] in apart:
                    apart[name[0]][family][name] = cell
        return {**held, **{agent: (counts[agent], cells) for agent, cells in apart.items()}}

    held = source.cache.hour((source.workspace, start, tuple(families)), load)
    return {
        family: {
            name: cell
            for agent in source.agents or counts
            if agent in counts
            for name, cell in held[agent][1][family].items()
        }
        for family in families
    }


def _timeless(cells: Mapping[CellId, Cell], family: str) -> dict[CellName, Cell]:
    found: dict[CellName, Cell] = {}
    for (its, _, _, agent, key, key2), cell in cells.items():
        if its == family:
            found.setdefault((agent, key, key2), Cell()).add(cell)
    return found
