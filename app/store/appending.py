"""Append usage events, with their cells and what they count against, in one transaction."""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from app.core.errors import DomainError, IdMismatch
from app.core.unread import Row
from app.core.usage import UsageEvent
from app.core.values import value
from app.store.agents import register
from app.store.cell_reading import Marks
from app.store.cells import add_to_cells, settle
from app.store.counting import learn_from_events
from app.store.database import Tx, in_chunks
from app.store.spending import Ledger, open_ledger
from app.store.tables import usage_events
from app.store.usage import RaceLost
from app.store.usage_rows import to_row


def append_many(
    tx: Tx, workspace: str, batches: Sequence[Sequence[UsageEvent]]
) -> list[list[bool] | DomainError]:
    """Append batches of events that have happened; answers which of them were new."""
    answers = append(tx, workspace, [Batch(events=events) for events in batches])
    return [
        answer if isinstance(answer, DomainError) else [event is not None for event in answer]
        for answer in answers
    ]


@value
class Batch:
    """Events that are stored whole or refused whole."""

    events: Sequence[UsageEvent]
    enforced: bool = False
    """Whether hard budgets in USD may refuse it; what has happened is booked whatever it costs."""


def append(
    tx: Tx, workspace: str, batches: Sequence[Batch]
) -> list[list[UsageEvent | None] | DomainError]:
    """Append batches of events; a batch is stored whole or refused whole.

    Fingerprints are compared where both events have one; without, the same id is the same event.

    Answers for each batch its events as they are booked (None: delivered before); IdMismatch naming
    the index of an event whose id is known with another body; BudgetExceeded.
    """
    known = _fingerprints(tx, workspace, (e.id for batch in batches for e in batch.events))
    marks: Marks | None = None
    ledger: Ledger | None = None
    fresh: dict[str, UsageEvent] = {}
    answers: list[list[UsageEvent | None] | DomainError] = []
    for batch in batches:
        new, added = _sort_out(batch.events, known)
        if isinstance(new, DomainError):
            answers.append(new)
            continue
        if added and marks is None:
            newest = max(event.at for its in batches for event in its.events)
            marks = settle(tx, workspace, newest)
            ledger = open_ledger(tx, workspace, marks)
        if added and ledger is not None:
            admitted = ledger.admit(list(added.values()), enforced=batch.enforced)
            if isinstance(admitted, DomainError):
                answers.append(admitted)
                continue
            added = {event.id: event for event in admitted}
        fresh.update(added)
        known.update((event.id, event.fingerprint) for event in added.values())
        answers.append(
            [added[e.id] if is_new else None for e, is_new in zip(batch.events, new, strict=True)]
        )
    events = list(fresh.values())
    if events:
        _insert_rows(tx, map(to_row, events))
        add_to_cells(tx, workspace, events, marks)
        learn_from_events(tx, workspace, events)
        register(tx, workspace, {event.agent for event in events}, now=events[0].at)
    if ledger is not None:
        ledger.save()
    return answers


def append_rows(tx: Tx, workspace: str, rows: Sequence[Row]) -> bool:
    """Append rows of events, if none of their ids is known; whether they were."""
    if _fingerprints(tx, workspace, [row[1] for row in rows]):
        return False
    _insert_rows(tx, rows)
    return True


def _sort_out(
    batch: Sequence[UsageEvent], known: dict[str, bytes]
) -> tuple[list[bool] | IdMismatch, dict[str, UsageEvent]]:
    added: dict[str, UsageEvent] = {}
    new: list[bool] = []
    for index, event in enumerate(batch):
        twin = known.get(event.id)
        if twin is None and event.id in added:
            twin = added[event.id].fingerprint
        if twin is None:
            added[event.id] = event
        elif twin and event.fingerprint and twin != event.fingerprint:
            msg = "this id is known with another body; send a new id, or the same body"
            return IdMismatch(
                "An event's id is known with another body; nothing was stored.",
                errors=[{"loc": ["body", index, "id"], "msg": msg}],
            ), {}
        new.append(twin is None)
    return new, added


def _fingerprints(tx: Tx, workspace: str, ids: Iterable[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for chunk in in_chunks(ids):
        rows = tx.fetch(
            f"SELECT id, fingerprint FROM usage_events WHERE workspace = {tx.marks(1)}"
            f" AND id IN ({tx.marks(len(chunk), first=2)})",
            [workspace, *chunk],
        )
        found.update((id_, bytes(fingerprint)) for id_, fingerprint in rows)
    return found


def _insert_rows(tx: Tx, rows: Iterable[Row]) -> None:
    rows = sorted(rows, key=itemgetter(1))
    if tx.is_sqlite:
        tx.insert_many(usage_events, rows)
        return
    stored = tx.insert_many(usage_events, rows, tail="ON CONFLICT DO NOTHING", returning="id")
    if len(stored) < len(rows):
        raise RaceLost
