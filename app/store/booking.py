"""Book usage events, and close the allocations that they end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.errors import DomainError, NotFound
from app.core.monitoring import Monitor, Report, finish
from app.core.settling import close_with, settle
from app.core.usage import UsageEvent
from app.store.allocations import Held, get_many, save_monitors
from app.store.database import Tx
from app.store.usage import append_many, get_event


@dataclass(frozen=True, slots=True)
class Booked:
    """What became of one event."""

    id: str
    is_new: bool


def book(
    tx: Tx, workspace: str, batches: Sequence[Sequence[UsageEvent]]
) -> list[list[Booked] | DomainError]:
    """Append batches of events, each whole or not at all.

    An event that names an open allocation finishes it; one that names a finished allocation is a
    duplicate of the event that did.
    """
    plain = [batch for batch in batches if not _names_allocations(batch)]
    stored = iter(append_many(tx, workspace, plain))
    return [
        _book_closing(tx, workspace, batch)
        if _names_allocations(batch)
        else _booked(batch, next(stored))
        for batch in batches
    ]


def _names_allocations(batch: Sequence[UsageEvent]) -> bool:
    return any(event.allocation_id is not None for event in batch)


def _booked(
    batch: Sequence[UsageEvent], new: list[bool] | DomainError
) -> list[Booked] | DomainError:
    if isinstance(new, DomainError):
        return new
    return [Booked(event.id, is_new) for event, is_new in zip(batch, new, strict=True)]


def _book_closing(
    tx: Tx, workspace: str, batch: Sequence[UsageEvent]
) -> list[Booked] | DomainError:
    named = {event.allocation_id for event in batch if event.allocation_id is not None}
    held = get_many(tx, workspace, named, lock=True)
    prepared = _prepare(batch, held)
    if isinstance(prepared, DomainError):
        return prepared
    fresh, twins = prepared
    monitors: dict[str, Monitor] = {}
    ends: dict[str, str] = {}
    for index, event in enumerate(fresh):
        id_ = event.allocation_id
        if id_ is not None and held[id_].monitor.finished_at is None:
            fresh[index], monitors[id_] = close_with(held[id_].opened, held[id_].monitor, event)
            ends[id_] = event.id
    answer = _booked(fresh, append_many(tx, workspace, [fresh])[0])
    if isinstance(answer, DomainError):
        return answer
    save_monitors(tx, workspace, monitors, ends)
    booked = iter(answer)
    return [next(booked) if twin is None else Booked(twin, False) for twin in twins]


def _prepare(
    batch: Sequence[UsageEvent], held: dict[str, Held]
) -> tuple[list[UsageEvent], list[str | None]] | DomainError:
    """The events to store, and for every event the id of its twin if it ends a closed run."""
    closed = {id_: one.event_id for id_, one in held.items() if one.event_id is not None}
    fresh: list[UsageEvent] = []
    twins: list[str | None] = []
    for index, event in enumerate(batch):
        allocation = event.allocation_id
        if allocation is not None and allocation not in held:
            return NotFound(
                "No allocation of this id in this workspace; leave allocation_id out to book a "
                "run without one.",
                errors=[{"loc": ["body", index, "allocation_id"], "msg": "is not known"}],
            )
        twin = None if allocation is None else closed.setdefault(allocation, event.id)
        twins.append(None if twin == event.id else twin)
        if twins[-1] is None:
            fresh.append(event)
    return fresh, twins


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to how an allocation stands: loads, more time, or giving it up."""

    allocation_id: str
    apply: Callable[[Monitor], Monitor]


def change_monitors(tx: Tx, workspace: str, items: Sequence[Change]) -> list[Held | DomainError]:
    """Change allocations in the order the changes came, and answer how each stands then."""
    held = get_many(tx, workspace, (item.allocation_id for item in items), lock=True)
    monitors: dict[str, Monitor] = {}
    answers: list[Held | DomainError] = []
    for item in items:
        id_ = item.allocation_id
        if id_ not in held:
            answers.append(unknown_allocation())
            continue
        before = monitors.get(id_, held[id_].monitor)
        try:
            after = item.apply(before)
        except DomainError as refusal:
            answers.append(refusal)
            continue
        if after is not before:
            monitors[id_] = after
        answers.append(replace(held[id_], monitor=after))
    save_monitors(tx, workspace, monitors, {})
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of a run, as its client reports it."""

    allocation_id: str
    report: Report
    now: datetime


def finish_runs(tx: Tx, workspace: str, items: Sequence[Finish]) -> list[UsageEvent | DomainError]:
    """Close allocations and book their usage events; the same report again: the same event."""
    held = get_many(tx, workspace, (item.allocation_id for item in items), lock=True)
    monitors: dict[str, Monitor] = {}
    events: dict[str, UsageEvent] = {}
    answers: list[UsageEvent | DomainError] = []
    for item in items:
        id_ = item.allocation_id
        if id_ not in held:
            answers.append(unknown_allocation())
            continue
        before = monitors.get(id_, held[id_].monitor)
        try:
            after = finish(before, item.report, item.now)
        except DomainError as refusal:
            answers.append(refusal)
            continue
        if after is not before:
            monitors[id_] = after
            events[id_] = settle(held[id_].opened, after, item.report, now=item.now)
        elif id_ not in events:
            booked = get_event(tx, workspace, held[id_].event_id or "")
            if booked is None:
                answers.append(NotFound("This run's usage event is past its retention."))
                continue
            events[id_] = booked
        answers.append(events[id_])
    closing = list(monitors)
    stored = append_many(tx, workspace, [[events[id_]] for id_ in closing])
    refused = {
        id_: answer
        for id_, answer in zip(closing, stored, strict=True)
        if isinstance(answer, DomainError)  # somebody has taken the event's id
    }
    kept = {id_: monitor for id_, monitor in monitors.items() if id_ not in refused}
    save_monitors(tx, workspace, kept, {id_: events[id_].id for id_ in kept})
    return [
        refused.get(item.allocation_id, answer) for item, answer in zip(items, answers, strict=True)
    ]


def unknown_allocation() -> NotFound:
    """No such allocation, in words."""
    return NotFound("No allocation of this id in this workspace.")
