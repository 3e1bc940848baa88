"""Say what a request to minify may hold."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.schemas.common import Label, Task, Tokens, Workspace
from app.api.schemas.tokens import Encoding
from app.flows.minify import Context

MAX_KEYS = 10_000
MAX_TOGETHER = 4_000_000

Key = Annotated[str, Field(min_length=1, max_length=400)]


class MinifyIn(BaseModel):
    """Texts that must fit a budget."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    context: Annotated[
        dict[Key, str],
        Field(
            max_length=MAX_KEYS,
            examples=[{"story_bible": "…", "previous_scene": "It rains. A door opens."}],
        ),
    ]
    """Texts by key, 4,000,000 characters together; Markdown is cut at its sections, sentences,
    list items, code blocks and rows of tables, JSON is kept whole or not at all."""
    max_tokens: Annotated[Tokens, Field(examples=[2000])]
    """Of all texts together; keys, and what you put around the texts, are not counted."""
    important_keys: Annotated[list[Key], Field(max_length=MAX_KEYS)] = []
    """Kept whole, even if they alone are too much (`over_budget`)."""
    task: Task | None = None
    """What the context is for: what is about it is kept first."""
    model: Label | None = None
    """Whose tokens are counted, as for `/tokens/count`."""
    encoding: Encoding | None = None
    workspace: Workspace

    @model_validator(mode="after")
    def _bounded(self) -> "MinifyIn":
        if sum(map(len, self.context.values())) > MAX_TOGETHER:
            raise ValueError(f"context may have {MAX_TOGETHER:,} characters together")
        if self.model is not None and self.encoding is not None:
            raise ValueError("give either model or encoding")
        return self

    def to_core(self) -> Context:
        """The context as the flow takes it."""
        return Context(
            texts=self.context,
            max_tokens=self.max_tokens,
            important=frozenset(self.important_keys),
            task=self.task,
        )
