"""Page through lists, newest first, with cursors that say where to go on."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query

from app.core.errors import InvalidRequest

T = TypeVar("T")

Limit = Annotated[int, Query(ge=1, le=1000, description="Items a page.")]
Cursor = Annotated[
    str | None, Query(max_length=1000, description="`next_cursor` of the page before.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    next_cursor: str | None
    """Ask again with `?cursor=` this; None: that was all."""


def to_cursor(at: tuple[int, str] | None) -> str | None:
    """A cursor that stands for a moment (microseconds) and an id."""
    if at is None:
        return None
    return base64.urlsafe_b64encode(f"{at[0]}:{at[1]}".encode()).decode()


def from_cursor(cursor: str | None) -> tuple[int, str] | None:
    """What a cursor stands for. Errors: InvalidRequest for one that is not ours."""
    if cursor is None:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        moment = int(at)
        if not -(2**62) < moment < 2**62 or "\0" in id_:
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest(
            "This cursor is not one of ours; start again without it.",
            errors=[{"loc": ["query", "cursor"], "msg": "is not a cursor of this list"}],
        ) from error
    return moment, id_


def page(items: Sequence[Any], next_before: tuple[int, str] | None) -> Page[Any]:
    """A page of items."""
    return Page(items=items, next_cursor=to_cursor(next_before))
