"""Read what lifecycle rules look at, and keep what they changed with the way back."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from app.core.errors import Conflict, DomainError, NotFound
from app.core.lifecycle import DAY_MICROS, Card, Kind
from app.core.lifecycle_actions import Action, Deed, Step, do, is_as_seen, undo
from app.core.memory import KEPT_ENCODING, Memory, MemoryText
from app.core.retention import Retention
from app.core.summaries import SUMMARY_MARK
from app.core.values import value
from app.store.database import Tx, dumps, in_chunks
from app.store.memories import EVERY, Change, change_memories, get_memories, purge_memories
from app.store.memory_keys import purge_answers
from app.store.tables import memories, memory_actions, memory_texts

TEXTS = 100
"""Texts that are read at once."""

PURGED_AT_ONCE = 500
"""Memories that one transaction removes for good."""


@value
class Plan:
    """Steps to take together, under the id of an action."""

    action_id: str
    kind: Kind
    steps: Sequence[Step]
    now: int
    texts: Mapping[bytes, MemoryText]
    """The new texts by their digest, where texts change."""


@value
class Undo:
    """An action to take back."""

    action_id: str
    now: int
    texts: Mapping[bytes, MemoryText]
    """The earlier texts by their digest, where texts changed."""


@value
class Purge:
    """What is to be removed for good."""

    retention: Retention
    now: int
    project: str | None = None
    """None: of all, and of none."""
    but: tuple[str, ...] = ()
    """Projects that are left out."""
    actions_before: int | None = None
    """Actions older than this go too: nobody may want to take them back any more."""


def cards(tx: Tx, workspace: str, *, projects: Collection[str] | None = None) -> list[Card]:
    """Active memories of a workspace, oldest first, without their texts.

    `projects`: only theirs, "" for those of none.
    """
    marks = [tx.marks(1, first=n) for n in range(1, 4)]
    sql = (
        f"SELECT {_CARD}, CASE WHEN m.metadata LIKE {marks[0]} THEN m.metadata END"
        " FROM memories m JOIN memory_counts c ON c.workspace = m.workspace"
        f" AND c.content = m.content AND c.encoding = {marks[1]}"
        f" WHERE m.workspace = {marks[2]} AND m.state = 'active'"
    )
    values = [f'%"{SUMMARY_MARK}"%', KEPT_ENCODING, workspace]
    if projects is not None:
        sql += f" AND m.project IN ({tx.marks(len(projects), first=4)})"
        values += projects
    rows = tx.fetch(f"{sql} ORDER BY m.created_at, m.id", values)
    return [_card(dict(zip(_OF_CARD, row, strict=True))) for row in rows]


_FIELDS = (
    "id content created_at modified_at project agent scope path last_accessed_at access_count"
    " importance confidence relevance used_by_agents pinned expires_at"
).split()
_CARD = ", ".join([*(f"m.{name}" for name in _FIELDS), "c.tokens"])
_OF_CARD = (*_FIELDS, "tokens", "metadata")


def _card(row: dict[str, Any]) -> Card:
    metadata = row.pop("metadata")
    agents = row.pop("used_by_agents")
    mark = json.loads(metadata).get(SUMMARY_MARK) if metadata else None
    return Card(
        **{
            **row,
            "content": bytes(row["content"]),
            "project": row["project"] or None,
            "pinned": bool(row["pinned"]),
        },
        used_by_agents=tuple(json.loads(agents)) if agents else (),
        summary=mark if isinstance(mark, str) else None,
    )


def read_texts(tx: Tx, workspace: str, contents: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    """Texts by their digest, a few at a time."""
    table = memory_texts.c
    for chunk in in_chunks(contents, TEXTS):
        query = select(table.content, table.text).where(
            table.workspace == workspace, table.content.in_(chunk)
        )
        found = {bytes(row.content): row.text for row in tx.connection.execute(query)}
        yield from ((content, found[content]) for content in chunk if content in found)


def carry_out(tx: Tx, workspace: str, plans: Sequence[Plan]) -> list[Action]:
    """Take the steps whose memories are still as they were seen, and note what that changed."""
    actions = []
    for plan in plans:
        deeds: list[Deed] = []
        changes = [
            Change(
                id=step.edit.memory_id,
                apply=partial(_do, step=step, now=plan.now, deeds=deeds),
                texts=plan.texts,
            )
            for step in plan.steps
        ]
        change_memories(tx, workspace, changes)
        action = Action(id=plan.action_id, kind=plan.kind, created_at=plan.now, deeds=deeds)
        if deeds:
            row = (workspace, action.id, action.kind, plan.now, None, _written(deeds))
            tx.insert_many(memory_actions, [row])
        actions.append(action)
    return actions


def _do(memory: Memory, *, step: Step, now: int, deeds: list[Deed]) -> Memory:
    if not is_as_seen(memory, step.seen):
        raise Conflict("The memory has changed since.")
    after, deed = do(memory, step, now)
    deeds.append(deed)
    return after


def take_back(tx: Tx, workspace: str, wanted: Sequence[Undo]) -> list[Action | DomainError]:
    """Make memories what they were before an action; taking back again changes nothing.

    Errors: NotFound; Conflict, naming the memories that have changed since, and then none is.
    """
    return [_take_back(tx, workspace, one) for one in wanted]


def _take_back(tx: Tx, workspace: str, wanted: Undo) -> Action | DomainError:
    action = get_action(tx, workspace, wanted.action_id, lock=True)
    if action is None:
        return unknown_action()
    if action.undone_at is not None:
        return action
    ids = [deed.memory_id for deed in action.deeds]
    held = get_memories(tx, workspace, ids, states=EVERY, lock=True)
    before = {deed.memory_id: undo(held.get(deed.memory_id), deed) for deed in action.deeds}
    changed = sorted(id_ for id_, memory in before.items() if memory is None)
    if changed:
        return Conflict(
            "Memories have changed since this action, so it cannot be taken back as a whole:"
            f" {', '.join(changed[:10])}{' …' if len(changed) > 10 else ''}.",
            memory_ids=changed[:1000],
        )
    found = {id_: memory for id_, memory in before.items() if memory is not None}
    change_memories(
        tx,
        workspace,
        [
            Change(id=id_, apply=partial(_always, found[id_]), texts=wanted.texts, states=EVERY)
            for id_ in found
        ],
    )
    table = memory_actions.c
    tx.connection.execute(
        update(memory_actions)
        .where(table.workspace == workspace, table.id == action.id)
        .values(undone_at=wanted.now)
    )
    return replace(action, undone_at=wanted.now)


def _always(memory: Memory, _: Memory) -> Memory:
    return memory


def get_action(tx: Tx, workspace: str, id_: str, *, lock: bool = False) -> Action | None:
    """One action by its id; `lock`: nobody else takes it back until the commit."""
    table = memory_actions.c
    query = select(memory_actions).where(table.workspace == workspace, table.id == id_)
    if lock and not tx.is_sqlite:
        query = query.with_for_update()
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else _action(row)


def list_actions(
    tx: Tx,
    workspace: str,
    *,
    kind: str | None = None,
    since: int | None = None,
    before: tuple[int, str] | None = None,
    limit: int,
) -> list[Action]:
    """Actions newest first; `since`: made or taken back at this moment or later."""
    table = memory_actions.c
    query = select(memory_actions).where(table.workspace == workspace)
    if kind is not None:
        query = query.where(table.kind == kind)
    if since is not None:
        query = query.where(or_(table.created_at >= since, table.undone_at >= since))
    if before is not None:
        at, id_ = before
        query = query.where(
            table.created_at <= at,
            or_(table.created_at < at, and_(table.created_at == at, table.id < id_)),
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit)
    return [_action(row) for row in tx.connection.execute(query)]


def _action(row: Any) -> Action:
    return Action(
        id=row.id,
        kind=row.kind,
        created_at=row.created_at,
        undone_at=row.undone_at,
        deeds=[Deed(**deed) for deed in json.loads(row.changes)],
    )


def _written(deeds: Sequence[Deed]) -> str:
    return dumps([asdict(deed) for deed in deeds])


def unknown_action() -> NotFound:
    """No such action, in words."""
    return NotFound("No lifecycle action of this id; GET /memories/lifecycle/actions lists them.")


def past_keeping(
    tx: Tx, workspace: str, wanted: Purge, *, lock: bool = False, limit: int | None = None
) -> list[str]:
    """Ids of memories that nobody may want back any more."""
    table, rule = memories.c, wanted.retention
    latest = wanted.now - rule.deleted_days * DAY_MICROS
    is_past = and_(table.state == "deleted", table.state_at < latest)
    if rule.archived_days is not None:
        latest = wanted.now - rule.archived_days * DAY_MICROS
        is_past = or_(is_past, and_(table.state == "archived", table.state_at < latest))
    query = select(table.id).where(table.workspace == workspace, is_past)
    if wanted.project is not None:
        query = query.where(table.project == wanted.project)
    if wanted.but:
        query = query.where(table.project.not_in(wanted.but))
    query = query.order_by(table.id).limit(limit)
    if lock and not tx.is_sqlite:
        query = query.with_for_update()
    return list(tx.connection.execute(query).scalars())


def purge(tx: Tx, workspace: str, wanted: Sequence[Purge]) -> list[int]:
    """Remove some of what is past keeping; how many. With it go actions too old to be taken back,
    and answers that were kept for idempotency keys."""
    return [_purge(tx, workspace, one) for one in wanted]


def _purge(tx: Tx, workspace: str, wanted: Purge) -> int:
    ids = past_keeping(tx, workspace, wanted, lock=True, limit=PURGED_AT_ONCE)
    purge_memories(tx, workspace, ids)
    if wanted.actions_before is not None:
        table = memory_actions.c
        is_old = table.created_at < wanted.actions_before
        tx.connection.execute(delete(memory_actions).where(table.workspace == workspace, is_old))
        purge_answers(tx, workspace, until=wanted.actions_before)
    return len(ids)
