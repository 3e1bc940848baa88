"""Say what a search for memories looks like on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.allocations import aware
from app.api.schemas.common import AgentName, Label, Name, Task, Tokens, Workspace
from app.api.schemas.memories import Embedding
from app.core.searching import DEFAULT_LIMIT, Sought

MAX_LIMIT = 1_000


class SearchIn(BaseModel):
    """A question to the memories of a workspace."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    query: Task
    """What is to be found out, in words."""
    query_embedding: Embedding | None = None
    """Of the query; compared with memories' embeddings, which are of the same model."""
    workspace: Workspace
    project: Name | None = None
    """Its memories and those of no project; these alone if left out."""
    agent: AgentName | None = None
    """Its own memories and everybody's; whosoever they are if left out."""
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    max_tokens: Tokens | None = None
    """Only what together is worth most within this many tokens."""
    model: Label | None = None
    """Whose encoding tokens are counted in."""
    as_of: datetime | None = None
    """The present of the question; now if left out."""
    explain: bool = False
    """Say what each score adds up from."""

    def to_core(self, now: datetime) -> Sought:
        """The question as the flow takes it."""
        return Sought(
            query=self.query,
            at=aware(self.as_of) or now,
            query_embedding=self.query_embedding,
            workspace=self.workspace,
            project=self.project,
            agent=self.agent,
            limit=self.limit,
            max_tokens=self.max_tokens,
            model=self.model,
            explain=self.explain,
        )
