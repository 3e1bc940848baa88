"""List and export memories."""

from collections.abc import AsyncIterator, Collection

from app.core.filters import MemoryFilter
from app.core.memory import Memory
from app.core.pages import Before, Listed, every
from app.store.agents import names_like
from app.store.database import Store, Tx
from app.store.memories import LIVING, list_memories

EXPORT_PAGE = 1_000
STEP = 50
"""Memories read at a time."""

MAX_TEXTS = 8_000_000
"""Characters of the texts of a page, which then ends: one text may have a million."""


async def list_page(
    store: Store, wanted: MemoryFilter, before: Before | None, limit: int
) -> Listed[Memory]:
    """A page of matching memories: `limit` of them, or fewer where texts are long."""
    return await store.read(lambda tx: _page(tx, wanted, before, limit))


def _page(tx: Tx, wanted: MemoryFilter, before: Before | None, limit: int) -> Listed[Memory]:
    named = None if wanted.agent is None else names_like(tx, wanted.workspace, wanted.agent)
    items: list[Memory] = []
    size = 0
    while True:
        room = min(limit - len(items), STEP)
        found = list_memories(
            tx,
            wanted.workspace,
            project=wanted.project,
            agents=named,
            scopes=_scopes(wanted),
            since=wanted.since,
            until=wanted.until,
            before=before,
            limit=room + 1,
            states=LIVING if wanted.state is None else (wanted.state,),
        )
        items += found[:room]
        size += sum(len(memory.text) for memory in found[:room])
        if len(found) <= room:
            return Listed(items=items, next_before=None)
        before = (items[-1].created_at, items[-1].id)
        if len(items) == limit or size > MAX_TEXTS:
            return Listed(items=items, next_before=before)


def _scopes(wanted: MemoryFilter) -> Collection[str | None] | None:
    if wanted.scope is None:
        return None
    return (wanted.scope, None) if wanted.is_default_scope else (wanted.scope,)


def export_all(store: Store, wanted: MemoryFilter) -> AsyncIterator[Memory]:
    """All matching memories, newest first, in bounded memory."""
    return every(lambda before: list_page(store, wanted, before, EXPORT_PAGE))
