"""Keep memories, and in step with them their texts and what is searched."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sqlalchemy import and_, delete, or_, select

from app.core.errors import DomainError, IdMismatch, NotFound
from app.core.memory import Memory, MemoryText, State, content_of
from app.core.values import value
from app.store.agents import register
from app.store.database import Tx, in_chunks
from app.store.memory_keys import Answered, get_answers, put_answers
from app.store.memory_rows import to_core, to_found, to_row, whole
from app.store.memory_texts import drop_unused, put_texts, words_of
from app.store.tables import memories
from app.store.textindex import index_changes
from app.store.usage import RaceLost

LIVING: tuple[State, ...] = ("active", "archived")
"""States of what is listed and may be changed; the deleted wait for their way back, or the end."""

EVERY: tuple[State, ...] = (*LIVING, "deleted")

_NAMES = [column.name for column in memories.columns]
_FIELDS = ", ".join(f'"{name}" = excluded."{name}"' for name in _NAMES[2:])
_STATE = _NAMES.index("state")
_REPLACE = f"ON CONFLICT (workspace, id) DO UPDATE SET {_FIELDS}"


@value
class New:
    """Memories to keep, all or none, and the key under which that may be asked for again."""

    memories: Sequence[Memory]
    texts: Mapping[bytes, MemoryText]
    """The texts of the memories, by their digest."""
    answer: bytes
    """What is answered."""
    now: int
    idempotency_key: str | None = None
    request_hash: bytes = b""


@value
class Imported:
    """Memories as a file has them: they renew those of their ids."""

    memories: Sequence[Memory]
    texts: Mapping[bytes, MemoryText]
    renew: Callable[[Memory, Memory], Memory]
    """What is kept, of the memory that is known and the one that came."""


@value
class Change:
    """A change to a memory."""

    id: str
    apply: Callable[[Memory], Memory]
    """The memory as it shall be; may raise a DomainError. Its id and workspace stay."""
    texts: Mapping[bytes, MemoryText] = field(default_factory=dict)
    """The new text by its digest, where the text changes."""
    states: Collection[State] = LIVING
    """States in which the memory may be found."""


def add_memories(tx: Tx, workspace: str, items: Sequence[New]) -> list[bytes | DomainError]:
    """Keep new memories; answers what the client gets: the first answer, under a known key.

    A known id with the same fingerprint is the same memory; with another one it is IdMismatch.
    """
    keys = {item.idempotency_key for item in items if item.idempotency_key is not None}
    first = get_answers(tx, workspace, keys)
    ids = {memory.id for item in items for memory in item.memories}
    known = get_memories(tx, workspace, ids, states=EVERY, lock=True)
    fresh: dict[str, Memory] = {}
    texts: dict[bytes, MemoryText] = {}
    keyed: dict[str, Answered] = {}
    answers: list[bytes | DomainError] = []
    for item in items:
        key = item.idempotency_key
        if key is not None and key in first:
            answers.append(first[key].again(item.request_hash))
            continue
        added = _sort_out(item.memories, known, fresh)
        if isinstance(added, DomainError):
            answers.append(added)
            continue
        fresh.update(added)
        texts.update(item.texts)
        answers.append(item.answer)
        if key is not None:
            first[key] = keyed[key] = Answered(request_hash=item.request_hash, answer=item.answer)
    _save(tx, workspace, [(known.get(id_), memory) for id_, memory in fresh.items()], texts)
    put_answers(tx, workspace, keyed, now=items[0].now)
    return answers


def _sort_out(
    batch: Sequence[Memory], known: Mapping[str, Memory], fresh: Mapping[str, Memory]
) -> dict[str, Memory] | DomainError:
    """The memories of a batch that are not kept yet."""
    added: dict[str, Memory] = {}
    for index, memory in enumerate(batch):
        old = added.get(memory.id) or fresh.get(memory.id) or known.get(memory.id)
        if old is None or old.state == "deleted":
            added[memory.id] = memory
        elif not memory.fingerprint or old.fingerprint != memory.fingerprint:
            return IdMismatch(
                "A memory of this id is kept already, made of another body; choose another id, or "
                "change it with PATCH.",
                errors=[{"loc": ["body", index, "id"], "msg": "is taken"}],
            )
    return added


def put_memories(tx: Tx, workspace: str, items: Sequence[Imported]) -> list[list[bool]]:
    """Keep memories of files; tells of each whether that changed anything.

    A memory is unchanged if it has the fingerprint, or all fields, of the one that is kept.
    """
    ids = {memory.id for item in items for memory in item.memories}
    known = get_memories(tx, workspace, ids, states=EVERY, lock=True)
    now = dict(known)
    texts: dict[bytes, MemoryText] = {}
    answers: list[list[bool]] = []
    for item in items:
        texts.update(item.texts)
        changed = []
        for memory in item.memories:
            old = now.get(memory.id)
            after = memory
            if old is not None and old.state != "deleted":
                after = old if _is_same(old, memory) else item.renew(old, memory)
            changed.append(after is not old)
            now[memory.id] = after
        answers.append(changed)
    _save(
        tx,
        workspace,
        [(known.get(id_), after) for id_, after in now.items() if after is not known.get(id_)],
        texts,
    )
    return answers


def _is_same(old: Memory, new: Memory) -> bool:
    return (old.fingerprint == new.fingerprint != b"") or to_row(old)[:-2] == to_row(new)[:-2]


def change_memories(
    tx: Tx, workspace: str, changes: Sequence[Change]
) -> list[Memory | DomainError]:
    """Change memories in the order the changes came; answers each as it is then.

    Errors, each in the place of its change: NotFound, and what `apply` raises.
    """
    ids = {change.id for change in changes}
    before = get_memories(tx, workspace, ids, states=EVERY, lock=True)
    after = dict(before)
    texts: dict[bytes, MemoryText] = {}
    answers: list[Memory | DomainError] = []
    for change in changes:
        memory = after.get(change.id)
        if memory is None or memory.state not in change.states:
            answers.append(unknown_memory())
            continue
        try:
            changed = change.apply(memory)
        except DomainError as refusal:
            answers.append(refusal)
            continue
        if changed.text != memory.text:
            texts.update(change.texts)
            changed = replace(changed, tokens=change.texts[content_of(changed.text)].tokens)
        after[change.id] = changed
        answers.append(changed)
    pairs = [(before[id_], memory) for id_, memory in after.items() if memory is not before[id_]]
    _save(tx, workspace, pairs, texts)
    return answers


def _save(
    tx: Tx,
    workspace: str,
    pairs: Sequence[tuple[Memory | None, Memory]],
    texts: Mapping[bytes, MemoryText],
) -> None:
    """Write memories, given with what was kept of them, and what is derived from them."""
    if not pairs:
        return
    contents = {memory.id: content_of(memory.text) for _, memory in pairs}
    olds = {old.id: content_of(old.text) for old, _ in pairs if old is not None}
    fresh = [content for id_, content in contents.items() if olds.get(id_) != content]
    put_texts(tx, workspace, [texts[content] for content in set(fresh)])
    rows = {memory.id: to_row(memory) for _, memory in pairs}
    _insert_new(tx, [rows[id_] for id_ in sorted(rows.keys() - olds.keys())])
    tx.insert_many(memories, [rows[id_] for id_ in sorted(olds)], tail=_REPLACE)

    removed = [(old, olds[old.id]) for old, new in pairs if old is not None and _is_moved(old, new)]
    added = [(new, contents[new.id]) for old, new in pairs if old is None or _is_moved(new, old)]
    removed = [one for one in removed if one[0].state == "active"]
    added = [one for one in added if one[0].state == "active"]
    looked_up = {content for _, content in removed + added} - texts.keys()
    words = {content: text.words for content, text in texts.items()}
    words |= words_of(tx, workspace, looked_up)
    index_changes(
        tx,
        workspace,
        added=[(one.id, one.project or "", words[content]) for one, content in added],
        removed=[(one.id, one.project or "", words[content]) for one, content in removed],
    )
    drop_unused(tx, workspace, set(olds.values()) - set(contents.values()))
    agents = {memory.agent for _, memory in pairs if memory.agent is not None}
    register(tx, workspace, agents, now=pairs[0][1].state_at)
    _change_places(tx, workspace, rows, words)


def _change_places(
    tx: Tx, workspace: str, rows: Mapping[str, tuple[Any, ...]], words: Mapping[bytes, str]
) -> None:
    """Tell of these rows of memories, by id, where memories are at hand, once they are committed.

    `words` of contents that come into a place.
    """
    places = tx.notes.places
    if places is not None:
        active = [to_found(row) for _, row in sorted(rows.items()) if row[_STATE] == "active"]
        tx.on_commit.append(lambda: places.change(workspace, rows, active, words))


def _is_moved(one: Memory, other: Memory) -> bool:
    """Whether what is searched of a memory changes."""
    return (one.state, one.project, one.text) != (other.state, other.project, other.text)


def _insert_new(tx: Tx, rows: list[tuple[Any, ...]]) -> None:
    """Insert memories that nobody has; on PostgreSQL another replica may have them just now."""
    stored = tx.insert_many(memories, rows, tail="ON CONFLICT DO NOTHING", returning="id")
    if not tx.is_sqlite and len(stored) < len(rows):
        raise RaceLost


def purge_memories(tx: Tx, workspace: str, ids: Collection[str]) -> None:
    """Remove memories for good, and texts that nobody holds any more."""
    doomed = get_memories(tx, workspace, ids, states=EVERY, lock=True)
    contents = {id_: content_of(memory.text) for id_, memory in doomed.items()}
    active = [memory for memory in doomed.values() if memory.state == "active"]
    words = words_of(tx, workspace, (contents[memory.id] for memory in active))
    index_changes(
        tx,
        workspace,
        added=[],
        removed=[(one.id, one.project or "", words[contents[one.id]]) for one in active],
    )
    table = memories.c
    for chunk in in_chunks(sorted(doomed)):
        statement = delete(memories).where(table.workspace == workspace, table.id.in_(chunk))
        tx.connection.execute(statement)
    drop_unused(tx, workspace, set(contents.values()))
    places = tx.notes.places
    if places is not None:
        tx.on_commit.append(lambda: places.change(workspace, doomed, (), {}))


def note_accesses(tx: Tx, workspace: str, ids: Collection[str], at: int) -> None:
    """Note that memories were loaded, once each."""
    latest = "max" if tx.is_sqlite else "greatest"
    for chunk in in_chunks(sorted(set(ids))):
        places = f"workspace = {tx.marks(1)} AND id IN ({tx.marks(len(chunk), first=2)})"
        if not tx.is_sqlite:
            locking = f"SELECT id FROM memories WHERE {places} ORDER BY id FOR UPDATE"
            tx.fetch(locking, [workspace, *chunk])
        its, now = (tx.marks(1, first=first) for first in (1, 2))
        tx.fetch(
            "UPDATE memories SET access_count = access_count + 1, last_accessed_at ="
            f" {latest}(coalesce(last_accessed_at, {its}), {now}) WHERE workspace ="
            f" {tx.marks(1, first=3)} AND id IN ({tx.marks(len(chunk), first=4)})",
            [at, at, workspace, *chunk],
            returning="",
        )
    at_hand = tx.notes.places
    if at_hand is not None:
        expected = at_hand.expect(workspace)
        tx.on_commit.append(lambda: at_hand.note_accesses(workspace, set(ids), at, expected))


def get_memory(tx: Tx, workspace: str, id_: str) -> Memory | None:
    """One memory by its id, unless it is deleted."""
    return get_memories(tx, workspace, [id_]).get(id_)


def get_memories(
    tx: Tx,
    workspace: str,
    ids: Iterable[str],
    *,
    states: Collection[State] = LIVING,
    lock: bool = False,
) -> dict[str, Memory]:
    """Memories by id, those that exist; `lock`: nobody else changes them until the commit."""
    table = memories.c
    found: dict[str, Memory] = {}
    for chunk in in_chunks(sorted(set(ids))):
        query = whole(workspace).where(table.id.in_(chunk), table.state.in_(states))
        if lock and not tx.is_sqlite:
            query = query.order_by(table.id).with_for_update(of=memories)
        found.update((row.id, to_core(row)) for row in tx.connection.execute(query))
    return found


def fingerprints_of(tx: Tx, workspace: str, ids: Iterable[str]) -> dict[str, bytes]:
    """What memories were made from, by id, those that are not deleted."""
    table = memories.c
    found: dict[str, bytes] = {}
    for chunk in in_chunks(sorted(set(ids))):
        query = select(table.id, table.fingerprint).where(
            table.workspace == workspace, table.id.in_(chunk), table.state.in_(LIVING)
        )
        found.update((row.id, bytes(row.fingerprint)) for row in tx.connection.execute(query))
    return found


def ids_in(tx: Tx, workspace: str, projects: Collection[str]) -> list[str]:
    """Ids of all memories of some projects ("": of none) that are not deleted, sorted."""
    table = memories.c
    query = select(table.id).where(
        table.workspace == workspace, table.project.in_(projects), table.state.in_(LIVING)
    )
    return list(tx.connection.execute(query.order_by(table.id)).scalars())


def list_memories(
    tx: Tx,
    workspace: str,
    *,
    project: str | None = None,
    agents: Collection[str | None] | None = None,
    scopes: Collection[str | None] | None = None,
    since: int | None = None,
    until: int | None = None,
    before: tuple[int, str] | None = None,
    limit: int,
    states: Collection[State] = LIVING,
) -> list[Memory]:
    """Memories newest first: of one project ("": of none) or of all; `before` is a cursor.

    None among `agents` means everybody's memories, among `scopes` those without a scope.
    """
    table = memories.c
    query = select(memories).where(table.workspace == workspace, table.state.in_(states))
    if project is not None:
        query = query.where(table.project == project)
    for column, wanted in ((table.agent, agents), (table.scope, scopes)):
        if wanted is not None:
            named = column.in_([one for one in wanted if one is not None])
            query = query.where(or_(named, column.is_(None)) if None in wanted else named)
    if since is not None:
        query = query.where(table.created_at >= since)
    if until is not None:
        query = query.where(table.created_at < until)
    if before is not None:
        at, id_ = before
        query = query.where(
            table.created_at <= at,
            or_(table.created_at < at, and_(table.created_at == at, table.id < id_)),
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit)
    found = query.subquery("found")  # so that texts are looked up for these rows only
    query = whole(workspace, found).order_by(found.c.created_at.desc(), found.c.id.desc())
    return [to_core(row) for row in tx.connection.execute(query)]


def unknown_memory() -> NotFound:
    """No such memory, in words."""
    return NotFound("No memory of this id in this workspace; `?workspace=` says which to look in.")
