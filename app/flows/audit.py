"""Recompute every cell from the events, and compare: the audit repairs nothing.

Of days whose events are kept no longer the hours are the record, and days and months their sums.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from app.core.audit_pace import OPENING, Place
from app.core.auditing import GRAINS, Audited, check_closing
from app.core.auditing_money import TotalAt, check_total
from app.core.usage import DAY, HOUR, MONTH, Cell, CellId, day_start, fold, month_start, roll_up
from app.core.windows import DAY_S, MICROS, moment
from app.store.auditing import (
    families,
    next_allocation,
    next_cell,
    next_event,
    stream_closings,
    stream_events,
    workspaces_with_books,
)
from app.store.auditing_money import read_checked, totals_after
from app.store.cell_reading import kept_cells, read_sealed
from app.store.database import Store, Tx

Progress = Callable[[str, int], None]
"""Told a workspace and how many of its events have been read, day by day."""

TOTALS_AT_ONCE = 100
"""Totals of budgets in USD that are audited together."""

EVER = 2**62
"""A moment after all others, in microseconds."""


def audit(store: Store, workspaces: Sequence[str] | None, on_progress: Progress) -> list[Audited]:
    """Audit some or all workspaces as they are at one moment."""
    return store.read_now(
        lambda tx: [
            _audit_workspace(tx, workspace, on_progress)
            for workspace in (workspaces or workspaces_with_books(tx))
        ]
    )


def next_place(tx: Tx, after: Place | None) -> Place | None:
    """The place after another that has events, cells or allocations, by workspace and day."""
    for workspace in workspaces_with_books(tx):
        if after is not None and workspace < after[0]:
            continue
        since = after[1] + DAY_S if after is not None and workspace == after[0] else OPENING
        day = _next_day(tx, workspace, families(tx, workspace), since)
        if day is not None:
            return workspace, day
    return None


def days_since(tx: Tx, since: int) -> list[Place]:
    """All places of a day or later (second)."""
    return [
        (workspace, day)
        for workspace in workspaces_with_books(tx)
        for day in _days(tx, workspace, families(tx, workspace), day_start(since))
    ]


def check_day(tx: Tx, place: Place) -> Audited:
    """Audit a day: its hours and itself, its month as the sum of days, its allocations."""
    workspace, day = place
    found = Audited(workspace=workspace)
    sealed = read_sealed(tx, workspace)
    _check_cells(tx, found, day, sealed)
    _check_month_of_days(tx, found, month_start(day))
    _check_allocations(tx, found, day * MICROS, (day + DAY_S) * MICROS, sealed)
    return found


def next_totals(tx: Tx, after: TotalAt | None, most: int) -> list[TotalAt]:
    """The totals of budgets in USD after another, in the order of their table."""
    return totals_after(tx, after, min(most, TOTALS_AT_ONCE))


def check_totals(tx: Tx, places: Sequence[TotalAt]) -> list[tuple[TotalAt, Audited]]:
    """Audit totals of budgets in USD, each by itself."""
    checked = []
    for workspace, its in groupby(sorted(places), key=lambda at: at[0]):
        sealed = read_sealed(tx, workspace)
        for budget, total in read_checked(tx, workspace, list(its)):
            found = Audited(workspace=workspace)
            check_total(found, budget, total, sealed=sealed)
            slot = total.slot
            checked.append(((workspace, slot.budget, slot.start, slot.key), found))
    return checked


def _check_totals(tx: Tx, found: Audited, places: Sequence[TotalAt]) -> None:
    sealed = read_sealed(tx, found.workspace)
    for budget, total in read_checked(tx, found.workspace, places):
        check_total(found, budget, total, sealed=sealed)


def _audit_workspace(tx: Tx, workspace: str, on_progress: Progress) -> Audited:
    found = Audited(workspace=workspace)
    sealed = read_sealed(tx, workspace)
    months: dict[CellId, Cell] = {}
    current: int | None = None
    for day in _days(tx, workspace, families(tx, workspace), OPENING):
        if current is not None and month_start(day) != current:
            _check_month(tx, found, current, months)
            months = {}
        current = month_start(day)

        for at, cell in _check_cells(tx, found, day, sealed).items():
            months.setdefault(at, Cell()).add(cell)
        on_progress(workspace, found.events)
    if current is not None:
        _check_month(tx, found, current, months)
    _check_allocations(tx, found, OPENING * MICROS, EVER, sealed)
    places = totals_after(tx, None, TOTALS_AT_ONCE, workspace)
    while places:
        _check_totals(tx, found, places)
        places = totals_after(tx, places[-1], TOTALS_AT_ONCE, workspace)
    return found


def _next_day(tx: Tx, workspace: str, names: Sequence[str], since: int) -> int | None:
    """The first second of the next UTC day that has events, cells or allocations."""
    moments = [find(tx, workspace, since * MICROS) for find in (next_event, next_allocation)]
    starts = [next_cell(tx, workspace, names, grain, since) for grain in GRAINS]
    starts += [None if at is None else at // MICROS for at in moments]
    return min((day_start(start) for start in starts if start is not None), default=None)


def _days(tx: Tx, workspace: str, names: Sequence[str], since: int) -> Iterator[int]:
    day = _next_day(tx, workspace, names, since)
    while day is not None:
        yield day
        day = _next_day(tx, workspace, names, day + DAY_S)


def _check_cells(tx: Tx, found: Audited, day: int, sealed: int) -> dict[CellId, Cell]:
    """Compare the hours of a day and the day itself; what it adds to its month."""
    workspace, until = found.workspace, day + DAY_S
    if day < sealed:  # its events are kept no longer: its hours are the record
        hours = kept_cells(tx, workspace, HOUR, day, until, unreadable=found.note_unreadable)
        cells = {**hours, **roll_up(hours)}
    else:
        events = stream_events(tx, workspace, day * MICROS, until * MICROS)
        cells = fold(found.counting(events))
    month = {at: cells.pop(at) for at in [at for at in cells if at[1] == MONTH]}
    kept = {
        at: cell
        for grain in (HOUR, DAY)
        for at, cell in kept_cells(
            tx, workspace, grain, day, until, unreadable=found.note_unreadable
        ).items()
    }
    found.compare(kept, cells)
    return month


def _check_month(tx: Tx, found: Audited, start: int, cells: dict[CellId, Cell]) -> None:
    following = _following(start)
    kept = kept_cells(
        tx, found.workspace, MONTH, start, following, unreadable=found.note_unreadable
    )
    found.compare(kept, cells)


def _check_month_of_days(tx: Tx, found: Audited, start: int) -> None:
    days = kept_cells(tx, found.workspace, DAY, start, _following(start), unreadable=_passed_over)
    sums = {at: cell for at, cell in roll_up(days).items() if at[1] == MONTH}
    _check_month(tx, found, start, sums)


def _passed_over(_: CellId) -> None:
    """What cannot be read is noted where its day is audited."""


def _following(month: int) -> int:
    return month_start(int((moment(month * MICROS) + timedelta(days=31)).timestamp()))


def _check_allocations(tx: Tx, found: Audited, since: int, until: int, sealed: int) -> None:
    for closing in stream_closings(tx, found.workspace, since, until):
        check_closing(found, closing, sealed=sealed)
