"""Book operations: each once, a list whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import DomainError
from app.core.operations import Operation
from app.store.apart import book_apart
from app.store.database import Store, Tx
from app.store.operations import book_operations


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedOperations:
    """What became of the operations of one request."""

    accepted: int
    duplicates: int
    """Operations that had been delivered before; they count once."""
    ids: list[str]
    """The id under which every operation is booked, in the order given."""


async def record_operations(store: Store, operations: Sequence[Operation]) -> BookedOperations:
    """Book operations and return once they are committed.

    Errors: IdMismatch where an id is known with another body, TooOld for what began before what is
    kept; nothing is stored then.
    """
    workspaces = {one.workspace for one in operations}
    if len(workspaces) == 1:
        new = await store.write(
            next(iter(workspaces)), book_operations, operations, weight=len(operations)
        )
    else:
        new = await store.write_alone(lambda tx: _book_each(tx, operations))
    accepted = sum(new)
    return BookedOperations(
        accepted=accepted,
        duplicates=len(new) - accepted,
        ids=[one.id for one in operations],
    )


def _book_each(tx: Tx, operations: Sequence[Operation]) -> list[bool]:
    """Book a list that names several workspaces, in one transaction."""

    def book_its(workspace: str, its: Sequence[Operation]) -> list[bool] | DomainError:
        return book_operations(tx, workspace, [its])[0]

    return book_apart(operations, book_its)
