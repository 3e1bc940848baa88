"""Book usage events, and close the allocations that they end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.charging import Charge, uncharged
from app.core.errors import DomainError, NotFound
from app.core.monitoring import Monitor, Report, finish
from app.core.receipts import Booked
from app.core.settling import close_with, settle
from app.core.spending_words import cost_alerts
from app.core.usage import UsageEvent
from app.core.values import value
from app.core.windows import micros
from app.store.allocations import Held, get_many, save_monitors
from app.store.appending import Batch, append
from app.store.database import Tx
from app.store.drawing import book_use, keep_up
from app.store.pools import Families
from app.store.usage import get_event


@value
class Delivery:
    """Events to book together, and how those are priced whose allocation names the model."""

    events: Sequence[UsageEvent]
    charge: Charge = uncharged
    enforced: bool = False
    """Whether hard budgets in USD may refuse it."""


def book(
    tx: Tx, workspace: str, deliveries: Sequence[Delivery]
) -> list[list[Booked] | DomainError]:
    """Append deliveries of events, each whole or not at all.

    An event that names an open allocation finishes it; one that names a finished allocation is a
    duplicate of the event that did. What finishes allocations has happened: it is not refused.
    """
    plain = [
        Batch(events=one.events, enforced=one.enforced)
        for one in deliveries
        if not _names_allocations(one.events)
    ]
    stored = iter(append(tx, workspace, plain))
    return [
        _book_closing(tx, workspace, one)
        if _names_allocations(one.events)
        else _booked(one.events, next(stored))
        for one in deliveries
    ]


def _names_allocations(batch: Sequence[UsageEvent]) -> bool:
    return any(event.allocation_id is not None for event in batch)


def _booked(
    batch: Sequence[UsageEvent], stored: list[UsageEvent | None] | DomainError
) -> list[Booked] | DomainError:
    if isinstance(stored, DomainError):
        return stored
    return [
        Booked(id=event.id, is_new=False)
        if kept is None
        else Booked(
            id=event.id, is_new=True, alerts=cost_alerts(kept.alerts) if kept.alerts else ()
        )
        for event, kept in zip(batch, stored, strict=True)
    ]


def _book_closing(tx: Tx, workspace: str, delivery: Delivery) -> list[Booked] | DomainError:
    batch = delivery.events
    named = {event.allocation_id for event in batch if event.allocation_id is not None}
    held = get_many(tx, workspace, named, lock=True)
    prepared = _prepare(batch, held)
    if isinstance(prepared, DomainError):
        return prepared
    families = _families(tx, workspace, held)
    fresh, twins = prepared
    monitors: dict[str, Monitor] = {}
    ends: dict[str, str] = {}
    used: dict[str, int] = {}
    for index, event in enumerate(fresh):
        id_ = event.allocation_id
        if id_ is not None and held[id_].monitor.finished_at is None:
            closed, monitors[id_] = close_with(held[id_].opened, held[id_].monitor, event)
            fresh[index] = delivery.charge(closed)
            ends[id_] = event.id
            used[id_] = closed.used_tokens
    may_refuse = delivery.enforced and any(event.allocation_id is None for event in fresh)
    stored = append(tx, workspace, [Batch(events=fresh, enforced=may_refuse)])[0]
    answer = _booked(fresh, stored)
    if isinstance(answer, DomainError):
        return answer
    save_monitors(tx, workspace, monitors, ends)
    _settle(families, held, monitors, used)
    booked = iter(answer)
    return [next(booked) if twin is None else Booked(id=twin, is_new=False) for twin in twins]


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


def _families(tx: Tx, workspace: str, held: Mapping[str, Held]) -> Families:
    """The pools that allocations were drawn from, locked before anything that is booked."""
    drawn = [one.pool for one in held.values() if one.pool is not None]
    return Families(tx, workspace, drawn, lock=True)


def _settle(
    families: Families,
    held: Mapping[str, Held],
    monitors: Mapping[str, Monitor],
    used: Mapping[str, int],
) -> None:
    """Book against their pools what runs used that have ended."""
    for id_, monitor in monitors.items():
        assert monitor.finished_at is not None
        book_use(families, held[id_].pool, id_, used[id_], micros(monitor.finished_at))
    families.save()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to how an allocation stands: loads, more time, or giving it up."""

    allocation_id: str
    now: datetime
    apply: Callable[[Monitor], Monitor]


def change_monitors(tx: Tx, workspace: str, items: Sequence[Change]) -> list[Held | DomainError]:
    """Change allocations in the order the changes came, and answer how each stands then."""
    held = get_many(tx, workspace, (item.allocation_id for item in items), lock=True)
    families = _families(tx, workspace, held)
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
            keep_up(families, held[id_].pool, id_, before, after, micros(item.now))
        answers.append(replace(held[id_], monitor=after))
    families.save()
    save_monitors(tx, workspace, monitors, {})
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of a run, as its client reports it."""

    allocation_id: str
    report: Report
    now: datetime
    charge: Charge = uncharged


def finish_runs(tx: Tx, workspace: str, items: Sequence[Finish]) -> list[UsageEvent | DomainError]:
    """Close allocations and book their usage events; the same report again: the same event."""
    held = get_many(tx, workspace, (item.allocation_id for item in items), lock=True)
    families = _families(tx, workspace, held)
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
            event = settle(held[id_].opened, after, item.report, now=item.now)
            events[id_] = item.charge(event)
        elif id_ not in events:
            booked = get_event(tx, workspace, held[id_].event_id or "")
            if booked is None:
                answers.append(NotFound("This run's usage event is past its retention."))
                continue
            events[id_] = booked
        answers.append(events[id_])
    closing = list(monitors)
    stored = append(tx, workspace, [Batch(events=[events[id_]]) for id_ in closing])
    refused: dict[str, DomainError] = {}
    for id_, answer in zip(closing, stored, strict=True):
        if isinstance(answer, DomainError):  # somebody has taken the event's id
            refused[id_] = answer
        elif answer[0] is not None:
            events[id_] = answer[0]
    kept = {id_: monitor for id_, monitor in monitors.items() if id_ not in refused}
    save_monitors(tx, workspace, kept, {id_: events[id_].id for id_ in kept})
    _settle(families, held, kept, {id_: events[id_].used_tokens for id_ in kept})
    return [
        refused.get(item.allocation_id)
        or (answer if isinstance(answer, DomainError) else events[item.allocation_id])
        for item, answer in zip(items, answers, strict=True)
    ]


def unknown_allocation() -> NotFound:
    """No such allocation, in words."""
    return NotFound("No allocation of this id in this workspace.")
