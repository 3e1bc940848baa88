"""Read what runs cost, stage by stage."""

from collections.abc import Sequence

from sqlalchemy import func, select

from app.core.estimating import RunCosts
from app.store.database import Tx
from app.store.tables import usage_events

MOST_EVENTS = 20_000
"""Events of earlier runs that are looked at, the newest ones."""


def read_run(
    tx: Tx, workspace: str, run_id: str, since: int
) -> tuple[dict[str | None, int], list[str]]:
    """What a run's stages cost since a moment (microseconds), and which agents ran it."""
    table = usage_events.c
    query = (
        select(table.stage, table.agent, func.sum(table.cost_nano_usd).label("cost"))
        .where(table.workspace == workspace, table.at >= since, table.run_id == run_id)
        .group_by(table.stage, table.agent)
    )
    stages: dict[str | None, int] = {}
    agents: dict[str, None] = {}
    for row in tx.connection.execute(query):
        stages[row.stage] = stages.get(row.stage, 0) + int(row.cost or 0)
        agents[row.agent] = None
    return stages, list(agents)


def read_runs(
    tx: Tx, workspace: str, agents: Sequence[str], since: int, *, without: str | None
) -> list[RunCosts]:
    """What the stages of agents' runs cost since a moment; an event without a run is one."""
    table = usage_events.c
    query = (
        select(table.id, table.run_id, table.stage, table.cost_nano_usd)
        .where(table.workspace == workspace, table.agent.in_(list(agents)), table.at >= since)
        .order_by(table.at.desc(), table.id.desc())
        .limit(MOST_EVENTS)
    )
    runs: dict[tuple[str, str], dict[str | None, int]] = {}
    for row in tx.connection.execute(query):
        if row.cost_nano_usd is None or (row.run_id is not None and row.run_id == without):
            continue
        run = runs.setdefault(("event", row.id) if row.run_id is None else ("run", row.run_id), {})
        run[row.stage] = run.get(row.stage, 0) + row.cost_nano_usd
    return list(runs.values())
