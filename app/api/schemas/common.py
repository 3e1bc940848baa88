"""Name the bounds that every request keeps."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.api import names
from app.api.reach import home, within_reach
from app.core.usage import MAX_TOKENS

Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS, examples=[20000])]
"""A token count: 0 to 10,000,000,000."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=names.NAME)]
"""A workspace, project, scope or tier: 1 to 200 printable characters, no `/`, no `*`, and one at
least that can be seen and is no dot."""

Reached = Annotated[Name, AfterValidator(within_reach)]
"""A workspace that a body may name: one that the request's key reaches."""

Workspace = Annotated[
    Reached,
    Field(default_factory=home, json_schema_extra={"default": "default"}),
]
"""The workspace that a body names: one that the request's key reaches; its home if left out."""

Label = Annotated[str, Field(min_length=1, max_length=400, pattern=names.LABEL)]
"""A user, session, run, model or stage of the caller's: 1 to 400 printable characters, and one at
least that can be seen."""

AgentName = Annotated[str, Field(min_length=1, max_length=400, pattern=names.LABEL)]
"""An agent, with or without its type before a `/`."""

ShortText = Annotated[str, Field(max_length=20_000)]
"""A text of at most 20,000 characters."""

Task = Annotated[str, Field(max_length=200_000)]
"""A task's description."""

Tier = Literal["simple", "medium", "complex", "multi-system", "expert"]
"""A complexity tier: the fourth is `multi-system` for tasks and `expert` for queries."""
