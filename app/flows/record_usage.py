"""Book usage events: each once, a list whole or not at all."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import DomainError
from app.core.usage import UsageEvent
from app.store.booking import Booked, book
from app.store.database import Store, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of the events of one request."""

    accepted: int
    duplicates: int
    """Events that had been delivered before; they count once."""
    ids: list[str]
    """The id under which every event is booked, in the order given."""


async def record_usage(store: Store, events: Sequence[UsageEvent]) -> Receipt:
    """Book events and return once they are committed.

    Errors: IdMismatch where an id is known with another body; nothing is stored then.
    """
    workspaces = {event.workspace for event in events}
    if len(workspaces) == 1:
        home = next(iter(workspaces))
        new = await store.write(home, book, events, weight=len(events), repeats=True)
    else:
        new = await store.write_alone(lambda tx: _book_each(tx, events))
    accepted = sum(booked.is_new for booked in new)
    return Receipt(
        accepted=accepted,
        duplicates=len(new) - accepted,
        ids=[booked.id for booked in new],
    )


def _book_each(tx: Tx, events: Sequence[UsageEvent]) -> list[Booked]:
    """Book a list that names several workspaces, in one transaction."""
    shares: defaultdict[str, list[int]] = defaultdict(list)
    for index, event in enumerate(events):
        shares[event.workspace].append(index)
    new: dict[int, Booked] = {}
    for workspace in sorted(shares):
        indexes = shares[workspace]
        answer = book(tx, workspace, [[events[index] for index in indexes]])[0]
        if isinstance(answer, DomainError):
            raise _renumbered(answer, indexes)
        new.update(zip(indexes, answer, strict=True))
    return [new[index] for index in range(len(events))]


def _renumbered(error: DomainError, indexes: Sequence[int]) -> DomainError:
    """The refusal of some events of a list, with their indexes in the whole list."""
    errors = [
        {**one, "loc": [place, indexes[index], *rest]}
        for one in error.errors
        for place, index, *rest in [one["loc"]]
    ]
    return type(error)(error.detail, errors=errors, **error.extensions)
