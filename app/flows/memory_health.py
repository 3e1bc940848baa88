"""Say how much memory a workspace holds, how that grows, and note it once a day."""

from contextlib import suppress

from app.core.errors import Unavailable
from app.core.health import TREND_DAYS, Day, Health, Holding, day_found, day_of, health_of
from app.core.lifecycle import DAY_MICROS
from app.store.database import Store, Tx
from app.store.memory_health import history, holdings, note_days
from app.store.shelf import PolicyShelf

HISTORY_DAYS = 365


async def memory_health(
    store: Store, shelf: PolicyShelf, workspace: str, project: str | None, now: int
) -> Health:
    """The health of a workspace's memories, or of what a project's agents can load.

    Today's figures go into the history of the workspace, whichever project is asked about, if the
    database takes them.
    """

    def gather(tx: Tx) -> tuple[dict[str, list[Holding]], list[Day]]:
        since = day_of(now) - max(HISTORY_DAYS, TREND_DAYS) * DAY_MICROS
        return holdings(tx, workspace), history(tx, workspace, since=since)

    held, days = await store.read(gather)

    today = day_found(held, now)
    earlier = [one for one in days if one.day < today.day]
    if (held or days) and today not in days:
        with suppress(Unavailable):  # the next look notes it
            await store.write(workspace, note_days, today)
    return health_of(
        held,
        [*earlier, today] if held or days else [],
        project=project,
        now=now,
        rules=shelf.book(workspace).lifecycle,
    )
