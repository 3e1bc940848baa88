"""Say what memories look like on the wire."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from app.api import names
from app.api.schemas.common import AgentName, Label, Name, Tokens, Workspace
from app.api.schemas.usage import Metadata
from app.api.strict import check_once
from app.core.errors import InvalidRequest
from app.core.memory import DEFAULT_IMPORTANCE, Memory, State, float32
from app.core.windows import micros, moment

Identify = Callable[[str, str], tuple[str, str | None]]
"""workspace, agent → the agent's full name, and its profile."""

MAX_BATCH = 1_000
MAX_TEXT = 1_000_000
MAX_DIMENSIONS = 4_096
MAX_AGENTS = 1_000
MAX_COUNT = 2**53
LARGEST = 3.4028234663852886e38
RESERVED = frozenset({"export", "feedback", "health", "import", "lifecycle", "search", ".", ".."})
"""Paths below `/memories` that are no ids, or lead elsewhere."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("holds nothing but blanks")
    return text


def _not_reserved(id_: str) -> str:
    if id_ in RESERVED:
        raise ValueError("is a path of this service; choose another id")
    if not id_.isprintable():
        raise ValueError("holds signs that cannot be seen; choose another id")
    return id_


MemoryId = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=names.ID),
    AfterValidator(_not_reserved),
]
Said = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_not_blank)]
Path = Annotated[str, Field(min_length=1, max_length=1_000, pattern=names.LABEL)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Embedding = Annotated[
    list[Annotated[float, Field(ge=-LARGEST, le=LARGEST)]],
    Field(min_length=1, max_length=MAX_DIMENSIONS),
]


class MemoryFields(BaseModel):
    """What may be said of a memory; null says the same as nothing."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    project: Name | None = None
    """Memories of a project are seen by requests that name it; those of none by all requests."""
    agent: AgentName | None = None
    """`type/name` of the agent whose own it is; everybody's if left out."""
    scope: Name | None = None
    """Scope of a profile, such as `global` or `agent_patterns`."""
    tier: Name | None = None
    """Another word for `scope`, where a workspace has tiers; give one of them."""
    path: Path | None = None
    """Where it came from."""
    created_at: datetime | None = None
    """Now if left out; times without a zone are UTC."""
    modified_at: datetime | None = None
    """Of the text; `created_at` if left out."""
    last_accessed_at: datetime | None = None
    access_count: Count | None = None
    importance: Share | None = None
    """0.5 if left out."""
    confidence: Share | None = None
    relevance: Share | None = None
    """To any task; computed for each task if left out."""
    used_by_agents: Annotated[list[AgentName], Field(max_length=MAX_AGENTS)] | None = None
    session: Label | None = None
    """The conversation it is of."""
    speaker: Label | None = None
    position: Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)] | None = None
    """Its place in the conversation."""
    pinned: bool | None = None
    """Chosen before all that are not."""
    group: Label | None = None
    """Of the memories of one group at most one is loaded."""
    expires_at: datetime | None = None
    embedding: Embedding | None = None
    """Your own, of one model in all memories; kept as 32-bit floats."""
    metadata: Metadata | None = None
    """Anything else, up to 64 KiB."""

    def facts(self) -> dict[str, Any]:
        """What was given, as fields of a memory; null as the field's default."""
        given = {name: getattr(self, name) for name in self.model_fields_set & _FACTS}
        for name, kept in given.items():
            if kept is None:
                given[name] = _DEFAULTS.get(name)
            elif isinstance(kept, datetime):
                given[name] = micros(aware(kept))
            elif name == "used_by_agents":
                given[name] = tuple(kept)
            elif name == "embedding":
                given[name] = float32(kept)
        if {"scope", "tier"} & self.model_fields_set:
            if None not in (self.scope, self.tier) and self.scope != self.tier:
                raise InvalidRequest(
                    "`scope` and `tier` name the same thing; give one of them.",
                    errors=[{"loc": ["body", "tier"], "msg": "differs from scope"}],
                )
            given["scope"] = self.tier if self.scope is None else self.scope
        return given


class MemoryIn(MemoryFields):
    """A memory to keep."""

    id: MemoryId | None = None
    """Your own id, unique in its workspace; one is made if you give none."""
    workspace: Workspace
    text: Said
    """Up to a million characters."""
    tokens: Tokens | None = None
    """Counted here, whatever you say."""


class MemoryPatch(MemoryFields):
    """What to change of a memory: what is given; null puts a field back to its default."""

    text: Said = ""
    """A new text; it is counted anew."""


_FACTS = frozenset(MemoryFields.model_fields) - {"tier", "scope"}
_DEFAULTS = {
    "access_count": 0,
    "importance": DEFAULT_IMPORTANCE,
    "used_by_agents": (),
    "pinned": False,
    "metadata": {},
}

ONE = TypeAdapter(MemoryIn)
MANY = TypeAdapter(Annotated[list[MemoryIn], Field(min_length=1, max_length=MAX_BATCH)])

PATCH = TypeAdapter(MemoryPatch)

PATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemoryPatch"}}},
    }
}

MEMORY_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/MemoryIn"},
                        {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/MemoryIn"},
                            "minItems": 1,
                            "maxItems": MAX_BATCH,
                        },
                    ]
                }
            }
        },
    }
}


def describe_memories(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the shapes that `MEMORY_BODY` and `PATCH_BODY` name."""
    for model in (MemoryIn, MemoryPatch):
        shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"].setdefault(model.__name__, shape)
    return document


def read_memories(raw: bytes) -> list[MemoryIn]:
    """The memories of a body that is one memory or a list of them."""
    is_list = raw.lstrip()[:1] == b"["
    memories = MANY.validate_json(raw) if is_list else [ONE.validate_json(raw)]
    check_once(raw, memories)
    return memories


def to_memory(
    given: MemoryIn, *, identify: Identify, new_id: Callable[[str, str], str], now: int
) -> Memory:
    """The memory as it is kept; its tokens are counted later. Errors: InvalidRequest."""
    facts = given.facts()
    created = first(facts.get("created_at"), now)
    if given.agent is not None:
        facts["agent"] = identify(given.workspace, given.agent)[0]
    fingerprint = b""
    if given.id is not None:
        sent = given.model_dump_json(exclude_unset=True).encode()
        fingerprint = hashlib.blake2b(sent, digest_size=16).digest()
    return Memory(
        **{
            **facts,
            "id": given.id or new_id("mem", given.workspace),
            "workspace": given.workspace,
            "text": given.text,
            "created_at": created,
            "modified_at": first(facts.get("modified_at"), created),
            "state_at": now,
            "fingerprint": fingerprint,
        }
    )


def to_change(
    given: MemoryPatch, *, workspace: str, identify: Identify, now: int
) -> Callable[[Memory], Memory]:
    """What a patch makes of a memory. Errors: InvalidRequest."""
    facts = given.facts()
    for name in ("created_at", "modified_at"):
        if facts.get(name, now) is None:
            raise InvalidRequest(
                f"`{name}` takes a time.", errors=[{"loc": ["body", name], "msg": "is null"}]
            )
    if given.agent is not None:
        facts["agent"] = identify(workspace, given.agent)[0]
    if given.text:
        facts["text"] = given.text

    def apply(memory: Memory) -> Memory:
        changed = replace(memory, **facts)
        if changed == memory:
            return memory
        return replace(changed, modified_at=facts.get("modified_at", now))

    return apply


def first(*moments: int | None) -> int:
    """The first moment that is given."""
    return next(at for at in moments if at is not None)


def aware(at: datetime) -> datetime:
    """A moment without a zone is in UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A memory that is kept."""

    id: str
    tokens: int
    """In cl100k_base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMany:
    """What was kept, in the order given."""

    items: Sequence[Kept]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOut:
    """A memory."""

    id: str
    workspace: str
    project: str | None
    agent: str | None
    """`type/name`; null: everybody's."""
    scope: str | None
    """Null: `global` under a profile, `working` in a workspace's tiers."""
    tier: str | None
    """The same as `scope`."""
    text: str
    tokens: int
    """In cl100k_base."""
    path: str | None
    created_at: datetime
    modified_at: datetime
    last_accessed_at: datetime | None
    access_count: int
    importance: float
    confidence: float | None
    relevance: float | None
    used_by_agents: Sequence[str]
    session: str | None
    speaker: str | None
    position: int | None
    pinned: bool
    group: str | None
    expires_at: datetime | None
    embedding: Sequence[float] | None
    metadata: Mapping[str, Any]
    state: State
    """Archived memories are shown, and neither searched nor loaded."""


_SHOWN = tuple(field.name for field in fields(MemoryOut))
_MOMENTS = ("created_at", "modified_at", "last_accessed_at", "expires_at")


def memory_out(memory: Memory) -> MemoryOut:
    """A memory as it is shown."""
    shown = {name: getattr(memory, name) for name in _SHOWN if name != "tier"}
    for name in _MOMENTS:
        shown[name] = None if shown[name] is None else moment(shown[name])
    return MemoryOut(**shown, tier=memory.scope)
