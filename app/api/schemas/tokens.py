"""Say what requests to count tokens may hold."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.schemas.common import Label, Tokens, Workspace
from app.flows.count_tokens import Report

MAX_TEXTS = 10_000
MAX_REPORTS = 1_000
MAX_TOGETHER = 3_000_000
"""Characters of one request: about a second of CPU, where a text is no worse than most."""

Text = Annotated[str, Field(examples=["How many tokens am I?"])]
Encoding = Literal["cl100k_base", "o200k_base"]


def _require_bounded(texts: Iterable[str | None]) -> None:
    if sum(len(text) for text in texts if text is not None) > MAX_TOGETHER:
        raise ValueError(
            f"one request may hold {MAX_TOGETHER:,} characters: send the texts in several requests"
        )


class CountIn(BaseModel):
    """A text, or a list of texts, to be counted."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    text: Text | None = None
    texts: Annotated[list[Text], Field(max_length=MAX_TEXTS)] | None = None
    """Up to 10,000 texts, 3,000,000 characters together; give this or `text`."""
    model: Label | None = None
    """Whose tokens are counted, with or without its provider: `gpt-4o`, `anthropic/claude-…`."""
    encoding: Encoding | None = None
    """What is counted in, whatever the model; `cl100k_base` if neither is named."""
    workspace: Workspace
    """Whose reports say how a model counts that has no tokenizer here."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "CountIn":
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        if self.model is not None and self.encoding is not None:
            raise ValueError("give either model or encoding")
        _require_bounded([self.text] if self.texts is None else self.texts)
        return self


class ReportIn(BaseModel):
    """What a model said of one text."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    text: Text | None = None
    """What was sent to the model, whole."""
    counted_tokens: Annotated[Tokens | None, Field(examples=[812])] = None
    """In its place: its tokens in `cl100k_base`, as counted here."""
    tokens: Annotated[Tokens, Field(examples=[934])]
    """The input tokens that the model reported."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "ReportIn":
        if (self.text is None) == (self.counted_tokens is None):
            raise ValueError("give either text or counted_tokens")
        return self

    def to_core(self) -> Report:
        """The report as the flow takes it."""
        return Report(text=self.text, counted=self.counted_tokens, reported=self.tokens)


class ReportsIn(BaseModel):
    """What a model reported of texts, so that counts for it become better."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    model: Label
    reports: Annotated[list[ReportIn], Field(min_length=1, max_length=MAX_REPORTS)]
    workspace: Workspace

    @model_validator(mode="after")
    def _bounded(self) -> "ReportsIn":
        _require_bounded(one.text for one in self.reports)
        return self
