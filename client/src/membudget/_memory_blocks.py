"""Say what a memory of a project is, here, in a file and in the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from membudget import results

Kind = Literal["immediate", "recent", "archival"]
TIERS: Mapping[Kind, str] = {"immediate": "working", "recent": "project", "archival": "long_term"}
"""Where each kind is in the service, so that a workspace's budget has room for it."""
KINDS = {tier: kind for kind, tier in TIERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBlock:
    """A memory."""

    id: str
    text: str
    kind: Kind
    created_at: datetime
    importance: float = 0.5
    metadata: Mapping[str, Any] = field(default_factory=dict)
    line: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What else is known of it, as the service's export writes it."""

    @property
    def scope(self) -> str:
        """Its scope in the service: as it was there, unless it became of another kind."""
        known = self.line.get("scope")
        return str(known) if known and kind_of(known) == self.kind else TIERS[self.kind]

    def as_line(self, project_id: str) -> dict[str, Any]:
        """As an import of the service takes it."""
        return {
            **self.line,
            "id": self.id,
            "text": self.text,
            "scope": self.scope,
            "project": project_name(project_id),
            "created_at": self.created_at.isoformat(),
            "importance": self.importance,
            "metadata": dict(self.metadata),
        }


def project_name(project_id: str) -> str:
    """The project's name in the service, where names have neither `/` nor `*`."""
    return project_id.replace("%", "%25").replace("/", "%2F").replace("*", "%2A")


def kind_of(scope: str | None) -> Kind:
    """The kind of a memory by its scope in the service; what is no tier is recent."""
    return KINDS.get(scope or "", "recent")


KEPT_FIELDS = (
    "agent path modified_at last_accessed_at access_count confidence relevance used_by_agents"
    " session speaker position pinned group expires_at embedding"
).split()
"""Of a memory of the service: what a file of them says besides a block's own fields."""


def block_of(memory: results.Memory) -> MemoryBlock:
    """A memory of the service."""
    known = {name: getattr(memory, name) for name in KEPT_FIELDS}
    line = {
        name: held.isoformat() if isinstance(held, datetime) else held
        for name, held in known.items()
        if held not in (None, ())
    }
    return MemoryBlock(
        id=memory.id,
        text=memory.text,
        kind=kind_of(memory.scope),
        created_at=memory.created_at or datetime.now(UTC),
        importance=memory.importance,
        metadata=memory.metadata,
        line={**line, "scope": memory.scope},
    )


def block_from(line: Mapping[str, Any]) -> MemoryBlock:
    """A memory as a line says it. Errors: KeyError, ValueError."""
    created = line.get("created_at")
    importance = line.get("importance")
    known = {name: line[name] for name in KEPT_FIELDS if line.get(name) is not None}
    return MemoryBlock(
        id=str(line["id"]),
        text=str(line["text"]),
        kind=kind_of(line.get("scope") or line.get("tier")),
        created_at=datetime.fromisoformat(created) if created else datetime.now(UTC),
        importance=0.5 if importance is None else float(importance),
        metadata=dict(line.get("metadata") or {}),
        line={**known, "scope": line.get("scope") or line.get("tier")},
    )
