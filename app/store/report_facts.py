"""Read the few rows that reports need beside cells: first runs, runs around a change, alerts."""

import json
from collections.abc import Iterable, Sequence

from app.core.monitor_data import from_data
from app.core.monitoring import Monitor
from app.core.outcomes import Ran
from app.store.database import Tx
from app.store.pacing import unhurried


def first_runs(tx: Tx, workspace: str, agents: Iterable[str], *, since: int) -> dict[str, int]:
    """When each agent's first event at or after a moment was (microseconds)."""
    marks = [tx.marks(1, first=n) for n in range(1, 4)]
    sql = (
        f"SELECT at FROM usage_events WHERE workspace = {marks[0]} AND agent = {marks[1]}"
        f" AND at >= {marks[2]} ORDER BY at, id LIMIT 1"
    )
    found: dict[str, int] = {}
    for agent in agents:
        for (at,) in tx.fetch(sql, [workspace, agent, since]):
            found[agent] = at
    return found


def first_run(tx: Tx, workspace: str, *, since: int) -> int | None:
    """When the first event at or after a moment was (microseconds)."""
    sql = (
        f"SELECT at FROM usage_events WHERE workspace = {tx.marks(1)}"
        f" AND at >= {tx.marks(1, first=2)} ORDER BY at, id LIMIT 1"
    )
    return next((at for (at,) in tx.fetch(sql, [workspace, since])), None)


def runs_around(
    tx: Tx, workspace: str, agent: str, at: int, *, since: int, until: int, most: int
) -> tuple[list[Ran], list[Ran]]:
    """The last runs of an agent before a moment, and the newest since; at most `most` of each."""
    with unhurried(tx):
        before = _newest(tx, workspace, agent, since, at, most=most)
        after = _newest(tx, workspace, agent, at, until, most=most)
    return before, after


def newest_monitors(
    tx: Tx, workspace: str, *, since: int, until: int, most: int
) -> Sequence[Monitor]:
    """How the newest finished allocations of a stretch of time ended."""
    marks = [tx.marks(1, first=n) for n in range(1, 5)]
    sql = (
        f"SELECT monitor FROM allocations WHERE workspace = {marks[0]}"
        f" AND created_at >= {marks[1]} AND created_at < {marks[2]} AND finished_at IS NOT NULL"
        f" ORDER BY created_at DESC, id DESC LIMIT {marks[3]}"
    )
    rows = tx.fetch(sql, [workspace, since, until, most])
    return [from_data(json.loads(text)) for (text,) in rows]


def _newest(tx: Tx, workspace: str, agent: str, since: int, until: int, *, most: int) -> list[Ran]:
    """In the driver's own words: thousands of rows make one answer."""
    marks = [tx.marks(1, first=n) for n in range(1, 6)]
    sql = (
        "SELECT used_tokens, duration_seconds, success FROM usage_events"
        f" WHERE workspace = {marks[0]} AND agent = {marks[1]} AND budget_tokens IS NOT NULL"
        f" AND at >= {marks[2]} AND at < {marks[3]} ORDER BY at DESC, id DESC LIMIT {marks[4]}"
    )
    return [
        Ran(used, duration, None if success is None else bool(success))
        for used, duration, success in tx.fetch(sql, [workspace, agent, since, until, most])
    ]
