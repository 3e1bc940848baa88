"""List and export usage events."""

from collections.abc import AsyncIterator, Sequence

from app.core.filters import UsageFilter
from app.core.pages import Before, Listed, cut, every
from app.core.usage import UsageEvent
from app.store.agents import names_like
from app.store.database import Store, Tx
from app.store.usage import list_events

EXPORT_PAGE = 1_000


async def list_usage(
    store: Store, wanted: UsageFilter, before: Before | None, limit: int
) -> Listed[UsageEvent]:
    """A page of matching events."""

    def work(tx: Tx) -> Listed[UsageEvent]:
        filters: dict[str, Sequence[str]] = {
            name: (value,)
            for name in ("project", "user", "model", "session_id", "run_id")
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
        return cut(events, limit, lambda event: (event.at, event.id))

    return await store.read(work)


def export_usage(store: Store, wanted: UsageFilter) -> AsyncIterator[UsageEvent]:
    """All matching events, newest first, in bounded memory."""
    return every(lambda before: list_usage(store, wanted, before, EXPORT_PAGE))
