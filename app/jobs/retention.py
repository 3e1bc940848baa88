"""Do the job of retention: memories by policy, then every other table that grows."""

from collections.abc import Callable, Mapping
from typing import Any

from app.core.schedule import Handler, Run
from app.flows.lifecycle import apply_retention
from app.flows.retention import delete_past_keeping
from app.gateways.tokens import TokenCounter
from app.store.database import Store
from app.store.shelf import PolicyShelf

MOST_ROUNDS = 100
"""How often memories are gone through on one day: one action changes a bounded number."""


def retention(
    store: Store,
    shelf: PolicyShelf,
    tokens: TokenCounter,
    *,
    new_id: Callable[[str, str], str],
    usage_days: int | None = None,
) -> Handler:
    """The handler of the job `retention`; `usage_days`: how long usage events are kept."""

    async def work(run: Run) -> Mapping[str, Any]:
        removed = await delete_past_keeping(store, shelf, run.started_at, usage_days=usage_days)
        deleted = purged = 0
        for _ in range(MOST_ROUNDS):
            done = await apply_retention(store, shelf, tokens, now=run.started_at, new_id=new_id)
            deleted += sum(len(one.deeds) for one in done.values())
            purged += sum(one.purged for one in done.values())
            if not any(one.left for one in done.values()):
                break
        return {"removed": removed, "memories": {"deleted": deleted, "purged": purged}}

    return work
