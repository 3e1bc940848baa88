"""Draw allocations from pools: reserved when they are made, settled when they end."""

from app.core.allocation import Decision
from app.core.monitoring import Monitor
from app.core.pools import Hold, extend, release, reserve, settle
from app.core.windows import micros
from app.store.pools import Families


def draw(families: Families, decision: Decision, *, is_last_word: bool) -> None:
    """Reserve a new allocation's budget. Errors: NotFound, PoolClosed, BudgetExceeded, Conflict."""
    allocation, monitor = decision.allocation, decision.monitor
    pool, key = allocation.pool, allocation.id or ""
    if pool is None:
        return
    hold = Hold(tokens=monitor.budget, until=micros(monitor.expires_at), is_last_word=is_last_word)
    now = micros(allocation.created_at)
    families.change(pool, lambda family: reserve(family, pool, key, hold, now))


def keep_up(
    families: Families, pool: str | None, key: str, before: Monitor, after: Monitor, now: int
) -> None:
    """Give a reservation the time that its allocation was given, or give it back with it."""
    if pool is None or not families.has(pool):
        return
    if after.released_at is not None:
        families.change(pool, lambda family: release(family, pool, key))
    elif after.expires_at != before.expires_at:
        until = micros(after.expires_at)
        families.change(pool, lambda family: extend(family, pool, key, until, now))


def book_use(families: Families, pool: str | None, key: str, tokens: int, now: int) -> None:
    """Settle what a run used; what is past a pool's keeping is not settled any more."""
    if pool is not None and families.has(pool):
        families.change(pool, lambda family: settle(family, pool, key, tokens, now))
