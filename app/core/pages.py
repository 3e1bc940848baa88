"""Go through lists page by page, newest first."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Before = tuple[int, str]
"""Where a page ends: the moment (microseconds) and the id of its last item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[T]):
    """A page of a list, newest first."""

    items: Sequence[T]
    next_before: Before | None
    """The next page begins before this; None: that was all."""


def cut(found: Sequence[T], limit: int, place: Callable[[T], Before]) -> Listed[T]:
    """The page of what was found where one more than `limit` was asked for."""
    items = found[:limit]
    return Listed(items=items, next_before=place(items[-1]) if len(found) > limit else None)


async def every(ask: Callable[[Before | None], Awaitable[Listed[T]]]) -> AsyncIterator[T]:
    """The items of all pages, one page in memory at a time."""
    before: Before | None = None
    while True:
        listed = await ask(before)
        for item in listed.items:
            yield item
        before = listed.next_before
        if before is None:
            return
