"""Add up what a budget in USD covers: from cells where it can, of runs by their index."""

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from app.core.spending import CostBudget, Slot, is_agent, period
from app.core.usage import HOUR, RUN, TOTAL
from app.core.windows import EVENTS, HOUR_S, MICROS, Piece, pieces
from app.store.agents import names_like
from app.store.cell_reading import read_sealed, sum_costs
from app.store.database import Tx, in_chunks
from app.store.tables import usage_events


def spent(tx: Tx, workspace: str, budget: CostBudget, slot: Slot) -> int:
    """What the events of one window of a budget cost, in nano-USD."""
    if budget.window == "event":
        return 0
    if budget.window == "run":
        return spent_by_runs(tx, workspace, budget, [slot.key])[slot.key]
    since, until = period(budget.window, slot.start, budget.zone)
    if budget.subject.kind == "run":
        run = spent_by_runs(tx, workspace, budget, [budget.subject.name], since, until)
        return run[budget.subject.name]
    cut = pieces(since, until, now=until)
    agents = _agents(tx, workspace, budget)
    return sum(_cost(tx, workspace, budget, agents, piece) for piece in cut)


def spent_by_runs(
    tx: Tx,
    workspace: str,
    budget: CostBudget,
    runs: Iterable[str],
    since: int | None = None,
    until: int | None = None,
) -> dict[str, int]:
    """What the events of runs cost that a budget covers; it takes as long as they have events.

    `since` and `until` (microseconds) narrow it to a stretch of time.
    """
    table = usage_events.c
    found = dict.fromkeys(runs, 0)
    kind, name = budget.subject.kind, budget.subject.name
    for chunk in in_chunks(found):
        query = select(table.run_id, table.agent, func.sum(table.cost_nano_usd).label("cost"))
        query = query.where(table.workspace == workspace, table.run_id.in_(chunk))
        if since is not None and until is not None:
            query = query.where(table.at >= since, table.at < until)
        if kind in ("project", "user"):
            query = query.where(table[kind] == name)
        elif kind == "run":
            query = query.where(table.run_id == name)
        for row in tx.connection.execute(query.group_by(table.run_id, table.agent)):
            if kind != "agent" or is_agent(name, row.agent):
                found[row.run_id] += int(row.cost or 0)
    return found


def _agents(tx: Tx, workspace: str, budget: CostBudget) -> Sequence[str]:
    if budget.subject.kind != "agent":
        return ()
    return names_like(tx, workspace, budget.subject.name)


def _cost(tx: Tx, workspace: str, budget: CostBudget, agents: Sequence[str], piece: Piece) -> int:
    kind, name = budget.subject.kind, budget.subject.name
    grain, since, until = piece.grain, piece.since, piece.until
    if grain == EVENTS:
        if until > read_sealed(tx, workspace) * MICROS:
            return _cost_of_events(tx, workspace, budget, agents, piece)
        if since % (HOUR_S * MICROS):  # an hour whose events are gone counts where it begins
            return 0
        grain, until = HOUR, since + HOUR_S * MICROS
    return sum_costs(
        tx,
        workspace,
        family=kind if kind in ("project", "user") else RUN if kind == "agent" else TOTAL,
        key=name if kind in ("project", "user") else None,
        agents=agents,
        grain=grain,
        since=since // MICROS,
        until=until // MICROS,
    )


def _cost_of_events(
    tx: Tx, workspace: str, budget: CostBudget, agents: Sequence[str], piece: Piece
) -> int:
    table = usage_events.c
    query = select(func.sum(table.cost_nano_usd)).where(
        table.workspace == workspace, table.at >= piece.since, table.at < piece.until
    )
    if budget.subject.kind in ("project", "user"):
        query = query.where(table[budget.subject.kind] == budget.subject.name)
    if agents:
        query = query.where(table.agent.in_(list(agents)))
    return int(tx.connection.execute(query).scalar() or 0)
