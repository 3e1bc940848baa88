"""Take in memories from files: a `.claude/memory` tree, or lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from anyio import to_thread

from app.core.errors import InvalidRequest
from app.core.memory import Memory, content_of, texts_of
from app.core.memory_tree import Refused, read_tree, renew
from app.core.values import value
from app.gateways.archives import is_archive, unpack
from app.gateways.tokens import TokenCounter
from app.store.database import Store, in_chunks
from app.store.memories import (
    Change,
    Imported,
    change_memories,
    fingerprints_of,
    ids_in,
    put_memories,
)

BATCH = 500
MAX_NAMED = 1_000

Found = tuple[Sequence[Memory], Sequence[Refused]]


@value
class MemoryFile:
    """A file, and where its memories shall be."""

    data: bytes
    workspace: str
    project: str | None
    replace: bool
    """Whether what the file does not hold is deleted, in the projects that it has memories of."""
    read_lines: Callable[[], Found]
    """Reads the data of a file that is no archive."""
    now: int
    is_said_packed: bool = False
    """Whether its sender calls it an archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryImport:
    """What became of a file."""

    imported: int
    """Memories that are new, or other than they were."""
    unchanged: int
    removed: int
    """Memories deleted because the file, which replaces, does not hold them."""
    refused_count: int
    refused: Sequence[Refused]
    """The first thousand of them."""


async def import_memories(store: Store, tokens: TokenCounter, file: MemoryFile) -> MemoryImport:
    """Keep the memories of a file: what can be read is kept, what cannot is named.

    Errors: InvalidRequest for an archive that is damaged or unpacks to too much; nothing is
    stored then.
    """
    memories, refused, renewed = await to_thread.run_sync(_read, file)
    imported = 0
    for batch in in_chunks(memories, BATCH):
        imported += await _keep(store, tokens, file.workspace, batch, renewed)
    removed = 0
    if file.replace and not refused:
        removed = await _remove_others(store, file, memories)
    return MemoryImport(
        imported=imported,
        unchanged=len(memories) - imported,
        removed=removed,
        refused_count=len(refused),
        refused=refused[:MAX_NAMED],
    )


Renew = Callable[[Memory, Memory], Memory]


def _read(file: MemoryFile) -> tuple[Sequence[Memory], Sequence[Refused], Renew]:
    if not is_archive(file.data):
        if file.is_said_packed:
            raise InvalidRequest(
                "This is sent as application/gzip and is no archive; send a .tar.gz, or lines as "
                "application/x-ndjson.",
                errors=[{"loc": ["body"], "msg": "is no archive"}],
            )
        return *file.read_lines(), _as_it_came
    files, refused = unpack(file.data, now=file.now)
    memories, unfit = read_tree(files, workspace=file.workspace, project=file.project, now=file.now)
    return memories, refused + unfit, renew


def _as_it_came(_: Memory, new: Memory) -> Memory:
    return new


async def _keep(
    store: Store,
    tokens: TokenCounter,
    workspace: str,
    batch: Sequence[Memory],
    renewed: Renew,
) -> int:
    """Keep a batch; how many of it were new, or other than they were."""
    ids = [memory.id for memory in batch]
    known = await store.read(partial(fingerprints_of, workspace=workspace, ids=ids))
    fresh: dict[str, list[Memory]] = {}
    for memory in batch:
        if memory.id in fresh or known.get(memory.id) != memory.fingerprint:
            fresh.setdefault(memory.id, []).append(memory)
    if not fresh:
        return 0
    changed = [memory for its in fresh.values() for memory in its]
    said = [memory.text for memory in changed]
    texts = await to_thread.run_sync(texts_of, said, tokens.count_many)
    counted = [replace(memory, tokens=texts[content_of(memory.text)].tokens) for memory in changed]
    wanted = Imported(memories=counted, texts=texts, renew=renewed)
    return sum(await store.write(workspace, put_memories, wanted, weight=len(counted)))


async def _remove_others(store: Store, file: MemoryFile, memories: Sequence[Memory]) -> int:
    projects = {memory.project or "" for memory in memories}
    held = await store.read(lambda tx: ids_in(tx, file.workspace, projects))
    absent = sorted(set(held) - {memory.id for memory in memories})

    def gone(memory: Memory) -> Memory:
        return replace(memory, state="deleted", state_at=file.now)

    for ids in in_chunks(absent, BATCH):
        changes = [Change(id=id_, apply=gone) for id_ in ids]
        await store.write_alone(partial(change_memories, workspace=file.workspace, changes=changes))
    return len(absent)
