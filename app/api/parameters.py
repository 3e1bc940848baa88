"""Name the query parameters that routes share."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from app.core.windows import micros

WORKSPACE_PATTERN = r"^[^/*\x00-\x1f\x7f]+$"
PRINTABLE_PATTERN = r"^[^\x00-\x1f\x7f]+$"

Workspace = Annotated[
    str,
    Query(
        description="The workspace that rows and policy belong to.",
        min_length=1,
        max_length=200,
        pattern=WORKSPACE_PATTERN,
    ),
]
Home = Annotated[
    str | None,
    Query(
        description="The workspace to look in; that of the id if left out, else `default`.",
        min_length=1,
        max_length=200,
        pattern=WORKSPACE_PATTERN,
    ),
]
Text = Annotated[str | None, Query(max_length=400, pattern=PRINTABLE_PATTERN)]
Agent = Annotated[
    str | None,
    Query(
        description="`type/name`, or a bare name for all types.",
        max_length=400,
        pattern=PRINTABLE_PATTERN,
    ),
]
Since = Annotated[datetime | None, Query(description="From this time on (RFC 3339; UTC).")]
Until = Annotated[datetime | None, Query(description="Before this time (RFC 3339; UTC).")]


def at(moment: datetime | None) -> int | None:
    """Microseconds since 1970; a moment without a zone is in UTC."""
    if moment is None:
        return None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
