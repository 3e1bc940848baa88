"""Recompute every cell from the events, and compare: the audit repairs nothing.

Of days whose events are kept no longer the hours are the record, and days and months their sums.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from app.core.usage import (
    CELL_COLUMNS,
    DAY,
    HOUR,
    MONTH,
    Cell,
    CellId,
    UsageEvent,
    day_start,
    fold,
    month_start,
    roll_up,
)
from app.core.windows import DAY_S, MICROS, moment
from app.store.auditing import (
    count_finished,
    families,
    finished_without_event,
    next_cell,
    next_event,
    stream_events,
    workspaces_with_books,
)
from app.store.cell_reading import kept_cells, read_sealed
from app.store.database import Store, Tx

NAMED = 100
"""Differences that are listed; further ones are counted."""

BEGINNING = -(10**12)
"""A second before everything that can be booked."""

GRAINS = {HOUR: "hour", DAY: "day", MONTH: "month"}

Progress = Callable[[str, int], None]
"""Told a workspace and how many of its events have been read, day by day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where the books contradict themselves."""

    workspace: str
    what: str
    kept: str
    """What is in the database."""
    counted: str
    """What it should be."""


@dataclass(slots=True, kw_only=True)
class Audited:
    """What the audit of one workspace came to."""

    workspace: str
    events: int = 0
    cells: int = 0
    finished: int = 0
    """Allocations whose usage event was looked for."""
    faults: int = 0
    differences: list[Difference] = field(default_factory=list)
    """The first hundred."""

    def note_unreadable(self, at: CellId) -> None:
        """Count a row that holds no cell."""
        self.note(_name(at), "bytes that cannot be read", "a cell")

    def note(self, what: str, kept: str, counted: str) -> None:
        """Count a difference, and list it among the first."""
        self.faults += 1
        if len(self.differences) < NAMED:
            self.differences.append(
                Difference(workspace=self.workspace, what=what, kept=kept, counted=counted)
            )


def audit(store: Store, workspaces: Sequence[str] | None, on_progress: Progress) -> list[Audited]:
    """Audit some or all workspaces as they are at one moment."""
    return store.read_now(
        lambda tx: [
            _audit_workspace(tx, workspace, on_progress)
            for workspace in (workspaces or workspaces_with_books(tx))
        ]
    )


def _audit_workspace(tx: Tx, workspace: str, on_progress: Progress) -> Audited:
    found = Audited(workspace=workspace)
    names = families(tx, workspace)
    sealed = read_sealed(tx, workspace)
    months: dict[CellId, Cell] = {}
    current: int | None = None
    for day in _days(tx, workspace, names):
        if current is not None and month_start(day) != current:
            _check_month(tx, found, current, months)
            months = {}
        current = month_start(day)

        if day < sealed:  # its events are kept no longer: its hours are the record
            hours = kept_cells(
                tx, workspace, HOUR, day, day + DAY_S, unreadable=found.note_unreadable
            )
            cells = {**hours, **roll_up(hours)}
        else:
            events = stream_events(tx, workspace, day * MICROS, (day + DAY_S) * MICROS)
            cells = fold(_counted(events, found))
        for at in [at for at in cells if at[1] == MONTH]:
            months.setdefault(at, Cell()).add(cells.pop(at))
        kept = {
            at: cell
            for grain in (HOUR, DAY)
            for at, cell in kept_cells(
                tx, workspace, grain, day, day + DAY_S, unreadable=found.note_unreadable
            ).items()
        }
        _compare(found, kept, cells)
        on_progress(workspace, found.events)
    if current is not None:
        _check_month(tx, found, current, months)
    _check_allocations(tx, found)
    return found


def _days(tx: Tx, workspace: str, names: Sequence[str]) -> Iterator[int]:
    """First seconds of the UTC days that have events or cells, in order."""
    since = BEGINNING
    while True:
        at = next_event(tx, workspace, since * MICROS)
        starts = [next_cell(tx, workspace, names, grain, since) for grain in GRAINS]
        starts += [None if at is None else at // MICROS]
        coming = [start for start in starts if start is not None]
        if not coming:
            return
        day = day_start(min(coming))
        yield day
        since = day + DAY_S


def _check_month(tx: Tx, found: Audited, start: int, cells: Mapping[CellId, Cell]) -> None:
    first = moment(start * MICROS)
    following = month_start(int((first + timedelta(days=31)).timestamp()))
    kept = kept_cells(
        tx, found.workspace, MONTH, start, following, unreadable=found.note_unreadable
    )
    _compare(found, kept, cells)


def _compare(found: Audited, kept: Mapping[CellId, Cell], counted: Mapping[CellId, Cell]) -> None:
    """Note every cell that is not what the events come to."""
    both = kept.keys() | counted.keys()
    found.cells += len(both)
    for at in sorted(at for at in both if kept.get(at) != counted.get(at)):
        found.note(_name(at), *_contrast(kept.get(at), counted.get(at)))


def _contrast(kept: Cell | None, counted: Cell | None) -> tuple[str, str]:
    if kept is None or counted is None:
        return _brief(kept), _brief(counted)
    differing = [name for name in CELL_COLUMNS if getattr(kept, name) != getattr(counted, name)]
    return _measures(kept, differing), _measures(counted, differing)


def _measures(cell: Cell, names: Sequence[str]) -> str:
    parts = []
    for name in names:
        value = getattr(cell, name)
        parts.append(f"{name} of {sum(value.values())}" if name == "sketch" else f"{name} {value}")
    return ", ".join(parts)


def _brief(cell: Cell | None) -> str:
    return "absent" if cell is None else _measures(cell, ("events", "used"))


def _name(at: CellId) -> str:
    family, grain, start, *keys = at
    style = {MONTH: "%Y-%m", DAY: "%Y-%m-%d", HOUR: "%Y-%m-%dT%H"}[grain]
    which = " · ".join(key for key in keys if key)
    when = f"{GRAINS[grain]} {moment(start * MICROS).strftime(style)}"
    return f"{family} of {when}: {which}" if which else f"{family} of {when}"


def _check_allocations(tx: Tx, found: Audited) -> None:
    found.finished = count_finished(tx, found.workspace)
    count, named = finished_without_event(tx, found.workspace, NAMED)
    for id_, event in named:
        found.note(f"allocation {id_}", f"event {event or 'not named'}", "an event that exists")
    found.faults += count - len(named)


def _counted(events: Iterator[UsageEvent], found: Audited) -> Iterator[UsageEvent]:
    for event in events:
        found.events += 1
        yield event
