"""Hold a project's memories in this process, and know which of them the service has not yet."""

import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from membudget._core import words
from membudget._memory_blocks import (
    TIERS,
    Kind,
    MemoryBlock,
    block_from,
    block_of,
    project_name,
)
from membudget.async_client import AsyncClient
from membudget.errors import MembudgetError, NotFound, ServiceUnavailable

DEFAULT_PROJECT = "default"
MOST_LINES = 500
"""Memories of one request."""
MOST_CHARACTERS = 4_000_000
"""Of their texts and metadata."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that the service has not got."""

    how: Literal["new", "changed", "deleted"]
    number: int
    """Later changes have higher ones."""


class MemoryEngine:
    """A project's immediate, recent and archival memory. May be used from several threads."""

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        project_id: str | None = None,
        client: AsyncClient | None = None,
    ) -> None:
        """config: `use_distributed_store` (True: memories are the service's as well), and where it
        is: `url`, `api_key`, `workspace`, `timeout`. A `client` of the caller's is not closed."""
        self.config = dict(config or {})
        self.project_id = str(project_id or self.config.get("project_id") or DEFAULT_PROJECT)
        self.is_distributed = bool(self.config.get("use_distributed_store", True))
        self.refused: dict[str, str] = {}
        """Memories that the service would not take, by id, with its reason."""
        self._client = client
        self._owns_client = client is None
        self._blocks: dict[str, MemoryBlock] = {}
        self._pending: dict[str, Pending] = {}
        self._changes = 0
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    @property
    def client(self) -> AsyncClient:
        """The client of the service."""
        if self._client is None:
            named = {
                key: self.config[key]
                for key in ("url", "api_key", "workspace", "timeout", "retries")
                if self.config.get(key) is not None
            }
            self._client = AsyncClient(**named)
        return self._client

    @property
    def immediate_memory(self) -> list[MemoryBlock]:
        """What is needed now, in the order in which it came."""
        return self.memories("immediate")

    @property
    def recent_memory(self) -> list[MemoryBlock]:
        """What was needed lately."""
        return self.memories("recent")

    @property
    def archival_memory(self) -> list[MemoryBlock]:
        """What is to be kept."""
        return self.memories("archival")

    def memories(self, kind: Kind | None = None) -> list[MemoryBlock]:
        """Memories of one kind, or all, in the order in which they came."""
        with self._lock:
            return [block for block in self._blocks.values() if kind in (None, block.kind)]

    def add_memory(
        self,
        text: str,
        kind: Kind = "immediate",
        *,
        importance: float = 0.5,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> MemoryBlock:
        """Keep a text; one with the same id takes the place of what was there."""
        if kind not in TIERS:
            raise ValueError(f"kind is one of {', '.join(TIERS)}, not {kind!r}")
        block = MemoryBlock(
            id=id or uuid.uuid4().hex,
            text=text,
            kind=kind,
            created_at=datetime.now(UTC),
            importance=importance,
            metadata=dict(metadata or {}),
        )
        with self._lock:
            known = block.id in self._blocks and self._how(block.id) != "new"
            self._blocks[block.id] = block
            self._note(block.id, "changed" if known else "new")
        return block

    def update_memory(self, id: str, **changes: Any) -> MemoryBlock:
        """Change `text`, `kind`, `importance` or `metadata`. Errors: KeyError."""
        allowed = {"text", "kind", "importance", "metadata"}
        if not changes.keys() <= allowed or changes.get("kind", "recent") not in TIERS:
            raise ValueError(f"{', '.join(sorted(allowed))} can be changed; kinds: {[*TIERS]}")
        with self._lock:
            self._blocks[id] = replace(self._blocks[id], **changes)
            self._note(id, "new" if self._how(id) == "new" else "changed")
            return self._blocks[id]

    def remove_memory(self, id: str) -> None:
        """Forget a memory, here and, at the next save, in the service. Errors: KeyError."""
        with self._lock:
            del self._blocks[id]
            self._note(id, "deleted")

    async def search(self, query: str, limit: int = 10) -> list[MemoryBlock]:
        """The memories that answer a question best, found by the service; by shared words only,
        while it does not answer."""
        if self.is_distributed:
            try:
                hits = await self.client.memories.search(
                    query, project=project_name(self.project_id), limit=limit
                )
            except MembudgetError:
                hits = ()
            if hits:
                return [self._blocks[hit.id] for hit in hits if hit.id in self._blocks]
        asked = frozenset(words.query_words(query))
        shared = [
            (len(asked.intersection(words.stems(block.text))), block) for block in self.memories()
        ]
        best = sorted((pair for pair in shared if pair[0]), key=lambda pair: -pair[0])
        return [block for _, block in best[:limit]]

    async def load_memory_from_store(self, project_id: str | None = None) -> int:
        """Take over what the service has of the project; answers how many memories that are.

        Changes that were not saved yet stay. Errors: those of the client.
        """
        if project_id is not None:
            self.project_id = project_id
        if not self.is_distributed:
            return 0
        listed = self.client.memories.list(
            project=project_name(self.project_id), state="active", limit=None
        )
        found = [block_of(memory) async for memory in listed]
        with self._lock:
            kept = {
                id_: self._blocks[id_]
                for id_, pending in self._pending.items()
                if pending.how != "deleted"
            }
            gone = self._pending.keys() - kept.keys()
            loaded = {block.id: block for block in reversed(found) if block.id not in gone}
            self._blocks = {**loaded, **kept}
        return len(found)

    async def persist_all_memory(self) -> int:
        """Save every change that the service has not got; answers how many memories those were.

        Refused ones are in `refused`, and are not tried again until they change. Errors: those of
        the client, with all that was not saved still waiting.
        """
        if not self.is_distributed:
            return 0
        with self._lock:
            waiting = {id_: p for id_, p in self._pending.items() if id_ not in self.refused}
            blocks = {id_: self._blocks.get(id_) for id_ in waiting}
        saved = 0
        new = [block for id_, block in blocks.items() if block and waiting[id_].how == "new"]
        for part in _parts(new):
            saved += await self._import(part)
            self._saved(waiting, [block.id for block in part])
        for id_, block in blocks.items():
            if waiting[id_].how == "new":
                continue
            saved += await self._renew(block) if block else await self._delete(id_)
            self._saved(waiting, [id_])
        return saved

    def has_pending(self) -> bool:
        """Whether there are changes that the service has not got, refused ones included."""
        return bool(self._pending)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this after each change, in the thread that made it."""
        self._listeners.append(listener)

    def off_change(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def pending_lines(self) -> list[dict[str, Any]]:
        """The changes that were not saved, as lines of a file; deleted ones say so."""
        with self._lock:
            return [
                {"id": id_, "deleted": True}
                if pending.how == "deleted"
                else {**self._blocks[id_].as_line(self.project_id), "change": pending.how}
                for id_, pending in self._pending.items()
            ]

    def take_pending(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Make changes that were written by `pending_lines`; they wait to be saved."""
        with self._lock:
            for line in lines:
                id_ = str(line["id"])
                if line.get("deleted"):
                    self._blocks.pop(id_, None)
                    self._note(id_, "deleted")
                else:
                    self._blocks[id_] = block_from(line)
                    self._note(id_, "changed" if line.get("change") == "changed" else "new")

    def lines(self) -> list[dict[str, Any]]:
        """All memories, as lines of a file."""
        return [block.as_line(self.project_id) for block in self.memories()]

    def replace_all(self, lines: Iterable[Mapping[str, Any]], *, is_saved: bool) -> None:
        """Hold these memories and no others; unless they are saved, the difference waits."""
        blocks = {block.id: block for block in map(block_from, lines)}
        with self._lock:
            gone = self._blocks.keys() - blocks.keys()
            self._blocks = blocks
            if is_saved:
                self._pending.clear()
                return
            for id_ in gone:
                self._note(id_, "deleted")
            for id_ in blocks:
                self._note(id_, "new")  # an import takes what is known as well as what is not

    async def close(self) -> None:
        """Close the client, if it is this engine's own."""
        if self._owns_client and self._client is not None:
            await self._client.close()

    def _how(self, id_: str) -> str | None:
        pending = self._pending.get(id_)
        return None if pending is None else pending.how

    def _note(self, id_: str, how: Literal["new", "changed", "deleted"]) -> None:
        self._changes += 1
        self._pending[id_] = Pending(how, self._changes)
        self.refused.pop(id_, None)
        for listener in tuple(self._listeners):
            listener()

    def _saved(self, waiting: Mapping[str, Pending], ids: Sequence[str]) -> None:
        with self._lock:
            for id_ in ids:
                now = self._pending.get(id_)
                if id_ in self.refused:
                    continue  # it waits, here and on disk, until somebody changes it
                if now == waiting[id_]:
                    del self._pending[id_]
                elif now is not None and now.how == "new":
                    self._pending[id_] = replace(now, how="changed")  # changed while it was saved

    async def _import(self, blocks: Sequence[MemoryBlock]) -> int:
        lines = [json.dumps(block.as_line(self.project_id)) for block in blocks]
        data = "\n".join(lines).encode()
        done = await self.client.memories.import_(data, project=project_name(self.project_id))
        for refused in done.refused:
            if refused.line is not None and refused.line <= len(blocks):
                self.refused[blocks[refused.line - 1].id] = refused.reason
        return len(blocks) - done.refused_count

    async def _renew(self, block: MemoryBlock) -> int:
        try:
            await self.client.memories.update(
                block.id,
                text=block.text,
                scope=block.scope,
                importance=block.importance,
                metadata=dict(block.metadata),
            )
        except NotFound:
            return await self._import([block])
        except ServiceUnavailable:
            raise
        except MembudgetError as error:
            if error.status != 422:
                raise
            self.refused[block.id] = str(error)
            return 0
        return 1

    async def _delete(self, id_: str) -> int:
        try:
            await self.client.memories.delete(id_)
        except NotFound:
            return 0
        return 1


def _parts(blocks: Iterable[MemoryBlock]) -> Iterator[list[MemoryBlock]]:
    """Blocks in lots that one request may hold."""
    part: list[MemoryBlock] = []
    size = 0
    for block in blocks:
        its = len(block.text) + len(json.dumps(dict(block.metadata)))
        if part and (len(part) == MOST_LINES or size + its > MOST_CHARACTERS):
            yield part
            part, size = [], 0
        part.append(block)
        size += its
    if part:
        yield part
