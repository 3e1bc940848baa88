"""Say what a request to restore may hold."""

from pydantic import BaseModel, ConfigDict, Field


class RestoreIn(BaseModel):
    """Whether to restore, or only to see whether that can be done."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=False, description="Read and check all of it, change nothing.")
