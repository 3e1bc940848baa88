"""Keep memories, find them, and look after them."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack

from membudget import results
from membudget._fields import MemoryFields, MemoryFilter, SearchFields
from membudget.parts import Part

if TYPE_CHECKING:
    from membudget.client import Client

LifecycleKind = Literal[
    "promotions", "placements", "duplicates", "archival", "summaries", "retention"
]


class Memories(Part):
    """Kept memories."""

    def __init__(self, client: "Client") -> None:
        super().__init__(client)
        self.lifecycle = Lifecycle(client)
        """What could be done for memories: proposals, apply, undo."""

    def add(
        self,
        text: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[MemoryFields],
    ) -> tuple[results.Kept, ...]:
        """Keep a text with its fields, or up to 1,000 memories as mappings, all or none."""
        memories = as_memories(text, fields)
        return self._client._ask(self._requests.add_memories(memories, idempotency_key))

    def get(self, id: str, *, workspace: str | None = None) -> results.Memory:
        """A memory."""
        return self._client._ask(self._requests.memory(id, workspace))

    def update(self, id: str, *, workspace: str | None = None, **changes: Any) -> results.Memory:
        """Change fields of a memory, or its `text`; None puts a field back to its default."""
        return self._client._ask(self._requests.update_memory(id, changes, workspace))

    def delete(self, id: str, *, workspace: str | None = None) -> None:
        """Delete a memory; `restore` takes that back until its retention ends."""
        self._client._ask(self._requests.delete_memory(id, workspace))

    def restore(self, id: str, *, workspace: str | None = None) -> results.Memory:
        """Make a memory active again that was archived or deleted."""
        return self._client._ask(self._requests.restore_memory(id, workspace))

    def list(
        self, *, limit: int | None = None, **wanted: Unpack[MemoryFilter]
    ) -> Iterator[results.Memory]:
        """Memories, newest first, page by page; `limit` in all."""
        return self._client._each(self._requests.memories(limit, wanted))

    def search(self, query: str, **asked: Unpack[SearchFields]) -> tuple[results.Hit, ...]:
        """The memories that a question most likely needs, best first."""
        return self._client._ask(self._requests.search(query, asked))

    def import_(
        self,
        source: str | PathLike[str] | bytes,
        *,
        workspace: str | None = None,
        project: str | None = None,
        replace: bool = False,
    ) -> results.Imported:
        """Take in a `.claude/memory` tree (a folder or a .tar.gz), or JSON Lines (a file).

        Bytes are the content of such a file. What cannot be read is named.
        """
        flow = self._client._flows.import_memories(
            source, workspace=workspace, project=project, replace=replace
        )
        return self._client._run(flow)

    def export(
        self,
        format: Literal["jsonl", "json"] = "jsonl",
        *,
        workspace: str | None = None,
        project: str | None = None,
    ) -> bytes:
        """Every memory that is not deleted, as an import takes it."""
        return self._client._ask(self._requests.export_memories(format, workspace, project))

    def health(
        self, *, workspace: str | None = None, project: str | None = None
    ) -> results.MemoryHealth:
        """How many tokens are global and each agent's, how that grows, and when that ends."""
        return self._client._ask(self._requests.memory_health(workspace, project))


class Lifecycle(Part):
    """Looking after memories: nothing happens until it is applied."""

    def proposals(
        self,
        kind: LifecycleKind,
        *,
        limit: int | None = None,
        workspace: str | None = None,
        project: str | None = None,
        near: bool = True,
    ) -> Iterator[results.Proposal]:
        """What could be done, the most worthwhile first."""
        wanted = {"workspace": workspace, "project": project, "near": near}
        return self._client._each(self._requests.lifecycle(kind, limit, wanted))

    def apply(
        self,
        kind: LifecycleKind,
        *,
        dry_run: bool = False,
        ids: Sequence[str] | None = None,
        near: bool = True,
        workspace: str | None = None,
        project: str | None = None,
    ) -> results.Applied:
        """Do what is proposed, all or that for `ids`, and keep the way back."""
        call = self._requests.apply_lifecycle(
            kind, dry_run=dry_run, ids=ids, near=near, workspace=workspace, project=project
        )
        return self._client._ask(call)

    def undo(self, action_id: str, *, workspace: str | None = None) -> results.Applied:
        """Make memories what they were before an action, all or none."""
        return self._client._ask(self._requests.undo_lifecycle(action_id, workspace))


def as_memories(
    text: str | Mapping[str, Any] | Sequence[Mapping[str, Any]], fields: MemoryFields
) -> Sequence[Mapping[str, Any]]:
    """The memories of a call: of a text, of one mapping or of several, with these fields."""
    given: Sequence[Mapping[str, Any]]
    if isinstance(text, str):
        given = [{"text": text}]
    else:
        given = [text] if isinstance(text, Mapping) else text
    return [{**fields, **one} for one in given]
