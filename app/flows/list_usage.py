"""List and export usage events."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.core.filters import UsageFilter
from app.core.usage import UsageEvent
from app.store.agents import names_like
from app.store.database import Store, Tx
from app.store.usage import list_events

EXPORT_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page of events, newest first."""

    items: list[UsageEvent]
    next_before: tuple[int, str] | None


async def list_usage(
    store: Store, wanted: UsageFilter, before: tuple[int, str] | None, limit: int
) -> Listed:
    """A page of matching events."""

    def work(tx: Tx) -> Listed:
        filters: dict[str, Sequence[str]] = {
            name: (value,)
            for name in ("project", "user", "model", "session_id")
            if (value := getattr(wanted, name)) is not None
        }
        if wanted.agent is not None:
            filters["agent"] = names_like(tx, wanted.workspace, wanted.agent)
        events = list_events(
            tx,
            wanted.workspace,
            filters=filters,
            since=wanted.since,
            until=wanted.until,
            before=before,
            limit=limit + 1,
        )
        last = events[limit - 1] if len(events) > limit else None
        return Listed(
            items=events[:limit], next_before=None if last is None else (last.at, last.id)
        )

    return await store.read(work)


async def export_usage(store: Store, wanted: UsageFilter) -> AsyncIterator[UsageEvent]:
    """All matching events, newest first, in bounded memory."""
    before: tuple[int, str] | None = None
    while True:
        listed = await list_usage(store, wanted, before, EXPORT_PAGE)
        for event in listed.items:
            yield event
        before = listed.next_before
        if before is None:
            return
