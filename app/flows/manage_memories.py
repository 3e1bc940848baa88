"""Keep memories, show them, change them, delete them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from anyio import to_thread

from app.core.errors import DomainError
from app.core.memory import Memory, MemoryText, content_of, texts_of
from app.core.values import value
from app.gateways.tokens import TokenCounter
from app.store.database import Store, Tx, dumps
from app.store.directory import Directory
from app.store.memories import (
    Change,
    New,
    add_memories,
    change_memories,
    get_memory,
    unknown_memory,
)


@value
class Brought:
    """Memories of one request, and how it may be repeated."""

    memories: Sequence[Memory]
    now: int
    idempotency_key: str | None = None
    request_hash: bytes = b""


async def add(store: Store, tokens: TokenCounter, brought: Brought) -> bytes:
    """Keep memories, all or none; `{"items": [{"id", "tokens"}]}` as JSON, once committed.

    Errors: IdMismatch, IdempotencyMismatch.
    """
    said = (memory.text for memory in brought.memories)
    texts = await to_thread.run_sync(texts_of, said, tokens.count_many)
    memories = [
        replace(memory, tokens=texts[content_of(memory.text)].tokens) for memory in brought.memories
    ]
    items = [{"id": memory.id, "tokens": memory.tokens} for memory in memories]
    first = New(
        memories=memories,
        texts=texts,
        answer=dumps({"items": items}).encode(),
        now=brought.now,
        idempotency_key=brought.idempotency_key,
        request_hash=brought.request_hash,
    )
    workspaces = {memory.workspace for memory in memories}
    if len(workspaces) == 1:
        workspace = workspaces.pop()
        return await store.write(workspace, add_memories, first, weight=len(memories))
    return await store.write_alone(lambda tx: _add_each(tx, first))


def _add_each(tx: Tx, whole: New) -> bytes:
    """Keep memories of several workspaces in one transaction, the key with the first of them."""
    shares: defaultdict[str, list[int]] = defaultdict(list)
    for index, memory in enumerate(whole.memories):
        shares[memory.workspace].append(index)
    keyed = whole.memories[0].workspace
    for workspace in sorted(shares, key=lambda name: (name != keyed, name)):
        indexes = shares[workspace]
        share = replace(
            whole,
            memories=[whole.memories[index] for index in indexes],
            texts=_texts_of(whole, indexes),
            idempotency_key=whole.idempotency_key if workspace == keyed else None,
        )
        answer = add_memories(tx, workspace, [share])[0]
        if isinstance(answer, DomainError):
            raise _renumbered(answer, indexes)
        if answer != whole.answer:  # of the first time
            return answer
    return whole.answer


def _texts_of(whole: New, indexes: Sequence[int]) -> Mapping[bytes, MemoryText]:
    contents = {content_of(whole.memories[index].text) for index in indexes}
    return {content: whole.texts[content] for content in contents}


def _renumbered(error: DomainError, indexes: Sequence[int]) -> DomainError:
    """The refusal of some memories of a list, with their indexes in the whole list."""
    errors = [
        {**one, "loc": [place, indexes[index], *rest]}
        for one in error.errors
        for place, index, *rest in [one["loc"]]
    ]
    return type(error)(error.detail, errors=errors, **error.extensions)


async def find(store: Store, directory: Directory, id_: str, workspace: str | None) -> Memory:
    """A memory: of the workspace named, else of the one in its id, else of a home.

    Errors: NotFound.
    """
    for name in await _homes(store, directory, id_, workspace):
        found = await store.read(partial(get_memory, workspace=name, id_=id_))
        if found is not None:
            return found
    raise unknown_memory()


async def change(
    store: Store,
    tokens: TokenCounter,
    memory: Memory,
    apply: Callable[[Memory], Memory],
    text: str | None = None,
) -> Memory:
    """The memory as it is then; `text` is the new one, where it changes. Errors: NotFound."""
    texts: Mapping[bytes, MemoryText] = {}
    if text is not None:
        texts = await to_thread.run_sync(texts_of, [text], tokens.count_many)
    wanted = Change(id=memory.id, apply=apply, texts=texts)
    return await store.write(memory.workspace, change_memories, wanted)


async def delete(store: Store, memory: Memory, now: int) -> None:
    """Delete a memory; it is kept out of sight until its retention ends. Errors: NotFound."""
    wanted = Change(id=memory.id, apply=lambda one: replace(one, state="deleted", state_at=now))
    await store.write(memory.workspace, change_memories, wanted)


async def _homes(
    store: Store, directory: Directory, id_: str, workspace: str | None
) -> Sequence[str]:
    if not id_.isprintable():
        return []
    if workspace is not None:
        return [workspace]
    tagged = await directory.workspaces_of(store, id_)
    return list(dict.fromkeys([*tagged, *directory.homes]))
