"""Say where books contradict themselves: cells and events, allocations and their events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.alerts import is_reached
from app.core.ids import event_id_of
from app.core.monitoring import Monitor
from app.core.settling import alert_data
from app.core.spending_words import cost_alerts
from app.core.usage import CELL_COLUMNS, DAY, HOUR, MONTH, Cell, CellId, UsageEvent
from app.core.windows import MICROS, micros, moment

NAMED = 100
"""Differences that are listed; further ones are counted."""

GRAINS = {HOUR: "hour", DAY: "day", MONTH: "month"}


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
    """What the audit of one workspace, or of a stretch of it, came to."""

    workspace: str
    events: int = 0
    cells: int = 0
    allocations: int = 0
    """Allocations that were compared with the events they ended in."""
    finished: int = 0
    """Those that are finished."""
    totals: int = 0
    """Windows of budgets in USD that were compared with their events and alerts."""
    faults: int = 0
    differences: list[Difference] = field(default_factory=list)
    """The first hundred."""

    def note_unreadable(self, at: CellId) -> None:
        """Count a row that holds no cell."""
        self.note(name_of(at), "bytes that cannot be read", "a cell")

    def note(self, what: str, kept: str, counted: str) -> None:
        """Count a difference, and list it among the first."""
        self.faults += 1
        if len(self.differences) < NAMED:
            self.differences.append(
                Difference(workspace=self.workspace, what=what, kept=kept, counted=counted)
            )

    def compare(self, kept: Mapping[CellId, Cell], counted: Mapping[CellId, Cell]) -> None:
        """Note every cell that is not what it should be."""
        both = kept.keys() | counted.keys()
        self.cells += len(both)
        for at in sorted(at for at in both if kept.get(at) != counted.get(at)):
            self.note(name_of(at), *_contrast(kept.get(at), counted.get(at)))

    def counting(self, events: Iterator[UsageEvent]) -> Iterator[UsageEvent]:
        """The events, counted as they go by."""
        for event in events:
            self.events += 1
            yield event


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """An allocation as it is kept, and the event that it names."""

    id: str
    monitor: Monitor | None
    """None: what is kept cannot be read."""
    finished_at: int | None
    """As its row says, in microseconds."""
    event_id: str | None
    event: UsageEvent | None
    """None: there is none of this id."""


def check_closing(found: Audited, closing: Closing, *, sealed: int) -> None:
    """Note where an allocation contradicts itself or its event.

    `sealed`: the second before which events are kept no longer.
    """
    found.allocations += 1
    found.finished += closing.finished_at is not None
    for kept, counted in _misfits(closing, sealed):
        found.note(f"allocation {closing.id}", kept, counted)


def _misfits(closing: Closing, sealed: int) -> Iterator[tuple[str, str]]:
    monitor, event = closing.monitor, closing.event
    if monitor is None:
        yield "text that cannot be read", "how it stands"
        return
    yield from _alert_misfits(monitor)
    ended = None if monitor.finished_at is None else micros(monitor.finished_at)
    if (ended is None) != (closing.finished_at is None) or ended != closing.finished_at:
        yield f"finished {_when(closing.finished_at)}", f"finished {_when(ended)}"
    if closing.finished_at is None:
        if closing.event_id is not None:
            yield "open, with an event", "no event, or finished"
        return
    if event is None:
        if closing.finished_at >= sealed * MICROS:
            yield f"event {closing.event_id or 'not named'}", "an event that exists"
        return
    of_budgets = cost_alerts(event.alerts)
    of_loads = [dict(one) for one in event.alerts if one not in of_budgets]
    if of_loads != [alert_data(one) for one in monitor.alerts]:
        yield f"{len(monitor.alerts)} alerts", f"those of its event: {len(of_loads)}"
    if event.id == event_id_of(closing.id):  # settled from what was loaded, and nothing else
        if (monitor.loaded, dict(monitor.scopes)) != (event.used_tokens, dict(event.scopes)):
            yield f"loaded {monitor.loaded}", f"as its event: {event.used_tokens}"
        if monitor.budget != event.budget_tokens:
            yield f"budget {monitor.budget}", f"as its event: {event.budget_tokens}"


def _alert_misfits(monitor: Monitor) -> Iterator[tuple[str, str]]:
    """What an allocation's alerts must be, whatever was loaded and however."""
    loaded = monitor.loaded
    missing = [
        threshold.level
        for threshold in monitor.terms.thresholds
        if is_reached(loaded, monitor.budget, threshold) and threshold.level not in monitor.reached
    ]
    if missing:
        yield f"no alert {', '.join(missing)}", f"one at {loaded} of {monitor.budget}"
    due = len(monitor.reached) + len(monitor.bumps)
    if len(monitor.alerts) != due:
        yield f"{len(monitor.alerts)} alerts", f"{due}, one for each level reached and each raise"
    if any(alert.tokens > loaded for alert in monitor.alerts):
        yield "an alert of more than was loaded", f"at most {loaded}"


def _when(at: int | None) -> str:
    return "never" if at is None else f"at {moment(at).isoformat()}"


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


def name_of(at: CellId) -> str:
    """A cell in words."""
    family, grain, start, *keys = at
    style = {MONTH: "%Y-%m", DAY: "%Y-%m-%d", HOUR: "%Y-%m-%dT%H"}[grain]
    which = " · ".join(key for key in keys if key)
    when = f"{GRAINS[grain]} {moment(start * MICROS).strftime(style)}"
    return f"{family} of {when}: {which}" if which else f"{family} of {when}"
