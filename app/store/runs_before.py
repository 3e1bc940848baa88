"""Count the runs of agents that are from before a recommendation was applied to them."""

from collections.abc import Iterable

from sqlalchemy import func, select

from app.core.applied import Applied
from app.core.cover import cover
from app.core.usage import hour_start
from app.core.windows import HOUR_S, MICROS
from app.store.analytics import Source, kept_pieces
from app.store.cell_reading import read_sealed
from app.store.database import Tx, in_chunks
from app.store.run_sums import RUNS, read_rows
from app.store.tables import usage_events


def read_applied(source: Source, agents: Iterable[str], window: tuple[int, int]) -> list[Applied]:
    """For each agent what was applied last and is in force, if the window began before that."""
    return [
        Applied(agent=agent, at=at, runs_before=_runs(source, agent, window[0], min(at, window[1])))
        for agent, at in _last_applied(source, agents, window[0])
    ]


def _last_applied(source: Source, agents: Iterable[str], since: int) -> list[tuple[str, int]]:
    """Agents, and when the last of what is applied to them was; what was by `since` is left out."""
    tx = source.tx
    found: list[tuple[str, int]] = []
    for chunk in in_chunks(agents):
        sql = (
            f"SELECT agent, max(decided_at) FROM recommendations WHERE workspace = {tx.marks(1)}"
            f" AND decided_at > {tx.marks(1, first=2)} AND status = 'applied'"
            f" AND agent IN ({tx.marks(len(chunk), first=3)}) GROUP BY agent"
        )
        rows = tx.fetch(sql, [source.workspace, since, *chunk])
        found += [(agent, int(at)) for agent, at in rows]
    return found


def _runs(source: Source, agent: str, since: int, until: int) -> int:
    """Runs of an agent that had a budget; of an hour whose events are gone, all of it."""
    hour = hour_start(until // MICROS)
    is_gone = read_sealed(source.tx, source.workspace) > hour
    whole = (hour + HOUR_S if is_gone and hour * MICROS < until else hour) * MICROS
    count = 0
    for patch in cover(since, whole):
        for piece in kept_pieces(source, [patch.piece]):
            ((its,),) = read_rows(source, piece, "SUM(executions)", RUNS, (agent,))
            count += patch.sign * int(its or 0)
    return count + _events(source.tx, source.workspace, agent, whole, until)


def _events(tx: Tx, workspace: str, agent: str, since: int, until: int) -> int:
    table = usage_events.c
    query = select(func.count()).where(
        table.workspace == workspace,
        table.agent == agent,
        table.at >= since,
        table.at < until,
        table.budget_tokens.is_not(None),
    )
    return int(tx.connection.execute(query).scalar_one())
