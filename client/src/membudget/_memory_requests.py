"""Build the requests about memories."""

from collections.abc import Mapping, Sequence
from typing import Any

from membudget import results
from membudget._answers import JSON, LINES, lines, listing, many, one
from membudget._calls import (
    GZIP,
    GZIP_MAGIC,
    LONG_SECONDS,
    Builder,
    Call,
    Listing,
    deleting,
    encode,
    getting,
    new_id,
    part,
    posting,
    said,
)
from membudget._fields import MemoryFilter, SearchFields


class MemoryRequests(Builder):
    """Requests about memories."""

    def add_memories(
        self, memories: Sequence[Mapping[str, Any]], key: str | None
    ) -> Call[tuple[results.Kept, ...]]:
        """POST /memories, under a key of its own."""
        return Call(
            method="POST",
            path="/memories",
            read=many(results.Kept, len(memories)),
            headers={"Content-Type": JSON, "Idempotency-Key": key or new_id("key")},
            content=encode([self._body(memory) for memory in memories]),
        )

    def memory(self, id: str, workspace: str | None) -> Call[results.Memory]:
        """GET /memories/{id}."""
        params = self._params({"workspace": workspace})
        return getting(f"/memories/{part(id)}", one(results.Memory), params)

    def update_memory(
        self, id: str, changes: Mapping[str, Any], workspace: str | None
    ) -> Call[results.Memory]:
        """PATCH /memories/{id}; null puts a field back to its default."""
        return Call(
            method="PATCH",
            path=f"/memories/{part(id)}",
            read=one(results.Memory),
            params=self._params({"workspace": workspace}),
            headers={"Content-Type": JSON},
            content=encode(changes),
        )

    def delete_memory(self, id: str, workspace: str | None) -> Call[None]:
        """DELETE /memories/{id}."""
        return deleting(f"/memories/{part(id)}", self._params({"workspace": workspace}))

    def memories(self, limit: int | None, wanted: MemoryFilter) -> Listing[results.Memory]:
        """GET /memories."""
        return self._listing("/memories", results.Memory, limit, wanted)

    def search(self, query: str, asked: SearchFields) -> Call[tuple[results.Hit, ...]]:
        """POST /memories/search."""
        return posting("/memories/search", self._body({"query": query, **asked}), many(results.Hit))

    def import_memories(
        self, data: bytes, *, workspace: str | None, project: str | None, replace: bool
    ) -> Call[results.Imported]:
        """POST /memories/import: a tree (.tar.gz) or JSON Lines; again, it changes nothing."""
        kind = GZIP if data.startswith(GZIP_MAGIC) else LINES
        params = {"workspace": workspace, "project": project, "replace": replace or None}
        return self._upload("/memories/import", data, kind, params)

    def export_memories(
        self, format: str, workspace: str | None, project: str | None
    ) -> Call[bytes]:
        """GET /memories/export."""
        params = self._params({"format": format, "workspace": workspace, "project": project})
        taken = lines("id", "text") if format == "jsonl" else listing("id", "text")
        return getting("/memories/export", taken, params, seconds=LONG_SECONDS)

    def memory_health(
        self, workspace: str | None, project: str | None
    ) -> Call[results.MemoryHealth]:
        """GET /memories/health."""
        params = self._params({"workspace": workspace, "project": project})
        return getting("/memories/health", one(results.MemoryHealth), params)

    def lifecycle(
        self, kind: str, limit: int | None, wanted: Mapping[str, Any]
    ) -> Listing[results.Proposal]:
        """GET /memories/lifecycle/{kind}."""
        path = f"/memories/lifecycle/{part(kind)}"
        return self._listing(path, results.Proposal, limit, wanted, seconds=LONG_SECONDS)

    def apply_lifecycle(
        self,
        kind: str,
        *,
        dry_run: bool,
        ids: Sequence[str] | None,
        near: bool,
        workspace: str | None,
        project: str | None,
    ) -> Call[results.Applied]:
        """POST /memories/lifecycle/{kind}/apply."""
        return posting(
            f"/memories/lifecycle/{part(kind)}/apply",
            said({"dry_run": dry_run, "ids": ids, "near": near}),
            one(results.Applied),
            params=self._params({"workspace": workspace, "project": project}),
            is_repeatable=dry_run,
            seconds=LONG_SECONDS,
        )

    def undo_lifecycle(self, action_id: str, workspace: str | None) -> Call[results.Applied]:
        """POST /memories/lifecycle/actions/{id}/undo; again, it is the same answer."""
        return posting(
            f"/memories/lifecycle/actions/{part(action_id)}/undo",
            None,
            one(results.Applied),
            params=self._params({"workspace": workspace}),
            seconds=LONG_SECONDS,
        )

    def restore_memory(self, id: str, workspace: str | None) -> Call[results.Memory]:
        """POST /memories/{id}/restore."""
        params = self._params({"workspace": workspace})
        return posting(f"/memories/{part(id)}/restore", None, one(results.Memory), params=params)
