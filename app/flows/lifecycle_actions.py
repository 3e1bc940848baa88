"""Take lifecycle actions back, list them, and bring back single memories."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

from app.core.errors import NotFound
from app.core.lifecycle import Kind
from app.core.lifecycle_actions import Action
from app.core.memory import Memory, MemoryText, texts_of
from app.core.pages import Before, Listed, cut
from app.gateways.tokens import TokenCounter
from app.store.database import Store, Tx
from app.store.directory import Directory
from app.store.lifecycle import Undo, get_action, list_actions, take_back, unknown_action
from app.store.memories import EVERY, Change, change_memories, unknown_memory


async def take_back_action(
    store: Store,
    directory: Directory,
    tokens: TokenCounter,
    id_: str,
    now: int,
    *,
    home: str | None = None,
) -> Action:
    """Make memories what they were before an action; again, it is the same answer.

    `home`: the workspace that it must be of. Errors: NotFound; Conflict, naming memories that have
    changed since, and then none is.
    """
    workspaces = await directory.workspaces_of(store, id_) if id_.isprintable() else []
    for workspace in workspaces:
        if home not in (None, workspace):
            continue
        found = await store.read(partial(_gather, workspace=workspace, id_=id_, tokens=tokens))
        if found is not None:
            action, texts = found
            wanted = Undo(action_id=id_, now=now, texts=texts)
            return await store.write(workspace, take_back, wanted, weight=len(action.deeds))
    raise unknown_action()


async def restore(
    store: Store, directory: Directory, id_: str, workspace: str | None, now: int
) -> Memory:
    """Make a memory active again that was archived or deleted; an active one stays as it is.

    It is looked for in the workspace named, else in the one in its id, else in a home.
    Errors: NotFound, also for what is gone for good.
    """
    if not id_.isprintable():
        raise unknown_memory()
    homes = [workspace] if workspace else await directory.workspaces_of(store, id_)
    if not workspace:
        homes = list(dict.fromkeys([*homes, *directory.homes]))
    wanted = Change(id=id_, apply=partial(_active, now=now), states=EVERY)
    for home in homes:
        with suppress(NotFound):
            return await store.write(home, change_memories, wanted)
    raise unknown_memory()


def _active(memory: Memory, *, now: int) -> Memory:
    if memory.state == "active":
        return memory
    return replace(memory, state="active", state_at=now)


def _gather(
    tx: Tx, workspace: str, id_: str, tokens: TokenCounter
) -> tuple[Action, dict[bytes, MemoryText]] | None:
    """An action, and the texts that memories had before it, as they are kept."""
    action = get_action(tx, workspace, id_)
    if action is None:
        return None
    earlier = [deed.before["text"] for deed in action.deeds if "text" in deed.before]
    return action, texts_of(earlier, tokens.count_many)


async def actions_of(
    store: Store,
    workspace: str,
    kind: Kind | None,
    before: Before | None,
    limit: int,
) -> Listed[Action]:
    """A page of a workspace's actions."""
    found = await store.read(
        lambda tx: list_actions(tx, workspace, kind=kind, before=before, limit=limit + 1)
    )
    return cut(found, limit, lambda action: (action.created_at, action.id))
