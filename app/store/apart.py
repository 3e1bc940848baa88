"""Book a list that names several workspaces, share by share, in one transaction."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from app.core.errors import DomainError


class OfWorkspace(Protocol):
    """What belongs to a workspace."""

    @property
    def workspace(self) -> str:
        """Its name."""


T = TypeVar("T", bound=OfWorkspace)
R = TypeVar("R")


def book_apart(
    items: Sequence[T], book: Callable[[str, Sequence[T]], Sequence[R] | DomainError]
) -> list[R]:
    """What `book` answers of each item, in the order given; workspaces come in order.

    Errors: the DomainError that `book` answers, with indexes of the whole list.
    """
    shares: defaultdict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(items):
        shares[one.workspace].append(index)
    found: dict[int, R] = {}
    for workspace in sorted(shares):
        indexes = shares[workspace]
        answer = book(workspace, [items[index] for index in indexes])
        if isinstance(answer, DomainError):
            raise _renumbered(answer, indexes)
        found.update(zip(indexes, answer, strict=True))
    return [found[index] for index in range(len(items))]


def _renumbered(error: DomainError, indexes: Sequence[int]) -> DomainError:
    errors = [
        {**one, "loc": [place, indexes[index], *rest]}
        for one in error.errors
        for place, index, *rest in [one["loc"]]
    ]
    return type(error)(error.detail, errors=errors, **error.extensions)
