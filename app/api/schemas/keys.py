"""Say what is asked about keys."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.schemas.common import Label, Name
from app.core.keys import MAX_GRACE_SECONDS, MAX_WORKSPACES, Right
from app.flows.manage_keys import Wanted

_STRICT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)
LAST_YEAR = 9000


def _zoned(moment: datetime) -> datetime:
    """A moment in UTC unless it says otherwise."""
    if moment.year > LAST_YEAR:
        raise ValueError(f"must be before the year {LAST_YEAR + 1}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class KeyIn(BaseModel):
    """A key to make."""

    model_config = _STRICT

    name: Label
    """What the key is for: read by people."""
    scopes: Annotated[list[Right], Field(min_length=1, max_length=3)] = Field(examples=[["use"]])
    """`use`: budgets, loads, usage, memories; `read`: analytics, reports, lists; `admin`: all of
    it, policy and keys too."""
    workspaces: Annotated[list[Name], Field(min_length=1, max_length=MAX_WORKSPACES)] | None = None
    """The workspaces that it is bound to; all of them if left out."""
    expires_at: Annotated[datetime, AfterValidator(_zoned)] | None = None
    """When it ends (RFC 3339; UTC); never if left out."""

    def to_core(self) -> Wanted:
        """The key as the flow takes it."""
        return Wanted(
            name=self.name,
            scopes=self.scopes,
            workspaces=self.workspaces or (),
            expires_at=self.expires_at,
        )


class RotateIn(BaseModel):
    """How a key changes its secret."""

    model_config = _STRICT

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] = 86_400
    """How long the old secret is good beside the new one; 0: no longer."""
