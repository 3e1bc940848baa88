"""Describe a memory that asks for room in a budget, and the scope it belongs to."""

import hashlib
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from app.core.values import value
from app.core.words import stems

DEFAULT_IMPORTANCE = 0.5  # spec, memories: what a memory without an importance has

KEPT_ENCODING = "cl100k_base"  # "Settled details": what a memory's tokens are told in

OTHER_SCOPE_NAMES: Mapping[str, str] = {  # spec A12 and "Defaults": names the originals also used
    "agent-specific": "agent_patterns",
    "patterns": "agent_patterns",
    "recent": "agent_recent",
    "intermediate": "agent_recent",
}


class Candidate(NamedTuple):
    """A memory that could be loaded; each selection makes dozens."""

    id: str
    tokens: int
    """Counted or as the caller says; trusted for packing."""
    scope: str | None = None
    """None: `global` under a profile, `working` in a workspace's tiers."""
    text: str | None = None
    path: str | None = None
    created_at: datetime | None = None
    """None counts as created just now."""
    last_accessed_at: datetime | None = None
    access_count: int = 0
    relevance: float | None = None
    """0–1; None: computed from the task."""
    importance: float = DEFAULT_IMPORTANCE
    pinned: bool = False
    """Chosen before all that are not pinned."""
    group: str | None = None
    """Of the candidates of one group at most one is loaded."""
    expires_at: datetime | None = None
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    embedding: Sequence[float] | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})


State = Literal["active", "archived", "deleted"]
"""Archived and deleted memories are kept for a way back; nothing searches or loads them."""


@value
class Memory:
    """A memory as it is kept; moments are microseconds since 1970 in UTC."""

    id: str
    workspace: str
    text: str
    created_at: int
    modified_at: int
    project: str | None = None
    agent: str | None = None
    """`type/name`; None: everybody's."""
    scope: str | None = None
    """Scope of a profile or tier of a workspace; None: `global`, or `working` among tiers."""
    path: str | None = None
    last_accessed_at: int | None = None
    access_count: int = 0
    importance: float = DEFAULT_IMPORTANCE
    confidence: float | None = None
    relevance: float | None = None
    used_by_agents: tuple[str, ...] = ()
    session: str | None = None
    speaker: str | None = None
    position: int | None = None
    pinned: bool = False
    group: str | None = None
    expires_at: int | None = None
    embedding: tuple[float, ...] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: State = "active"
    state_at: int = 0
    """When it came into this state."""
    tokens: int = 0
    """Of its text in cl100k_base."""
    fingerprint: bytes = b""
    """Digest of what it was made from, where it may be sent again."""


@value
class MemoryText:
    """A text as it is kept once, however many memories hold it."""

    content: bytes
    text: str
    words: str
    """Its stems in order, a space between."""
    tokens: int
    """In cl100k_base."""

    @property
    def length(self) -> int:
        """Number of words."""
        return self.words.count(" ") + 1 if self.words else 0


def float32(values: Iterable[float]) -> tuple[float, ...]:
    """Numbers as an embedding keeps them. Errors: OverflowError where one is too large."""
    numbers = list(values)
    return struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers))


def content_of(text: str) -> bytes:
    """The digest that stands for a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def texts_of(
    texts: Iterable[str], count: Callable[[Sequence[str]], Sequence[int]]
) -> dict[bytes, MemoryText]:
    """Distinct texts by their digest, as they are kept; `count` tells tokens in cl100k_base."""
    distinct = {content_of(text): text for text in texts}
    counts = count(list(distinct.values()))
    return {
        content: MemoryText(content=content, text=text, words=" ".join(stems(text)), tokens=tokens)
        for (content, text), tokens in zip(distinct.items(), counts, strict=True)
    }


REFERENCE = "reference"
"""The scope of what is kept to be looked up: it is searched, and no agent loads it unasked."""


def scope_in(names: Collection[str], scope: str) -> str | None:
    """The scope of a policy, known by `names`, that `scope` belongs to; None if it has none."""
    if scope in names:
        return scope
    other = OTHER_SCOPE_NAMES.get(scope)
    return other if other in names else None
