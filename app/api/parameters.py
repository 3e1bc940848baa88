"""Name the query parameters that routes share."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from app.api import names
from app.core.windows import micros

Workspace = Annotated[
    str,
    Query(
        description="The workspace that rows and policy belong to.",
        min_length=1,
        max_length=200,
        pattern=names.NAME,
    ),
]
Home = Annotated[
    str | None,
    Query(
        description="The workspace to look in; that of the id if left out, else `default`.",
        min_length=1,
        max_length=200,
        pattern=names.NAME,
    ),
]
Text = Annotated[str | None, Query(max_length=400, pattern=names.LABEL)]
Agent = Annotated[
    str | None,
    Query(
        description="`type/name`, or a bare name for all types.",
        max_length=400,
        pattern=names.LABEL,
    ),
]


def _no_number(given: object) -> object:
    """A bare number is no time: `2026` would be read as seconds since 1970."""
    if isinstance(given, str) and given[4:5] != "-":
        raise PydanticCustomError(
            "no_time", "Not a time; write 2026-11-21 or 2026-11-21T08:15:00Z (RFC 3339)."
        )
    return given


_Moment = Annotated[datetime, BeforeValidator(_no_number)]
Since = Annotated[_Moment | None, Query(description="From this time on (RFC 3339; UTC).")]
Until = Annotated[_Moment | None, Query(description="Before this time (RFC 3339; UTC).")]


def at(moment: datetime | None) -> int | None:
    """Microseconds since 1970; a moment without a zone is in UTC."""
    if moment is None:
        return None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
