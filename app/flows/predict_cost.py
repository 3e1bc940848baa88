"""Project what a run will have cost from what earlier runs of its agent did."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.errors import InvalidRequest
from app.core.estimating import Prediction, RunCosts, projected
from app.core.windows import DAY_S, MICROS
from app.store.agents import names_like
from app.store.cost_runs import read_run, read_runs
from app.store.database import Store, Tx

DAYS = 30
"""Days of earlier runs that a projection looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuestion:
    """Which run, of which agent; `now` in microseconds since 1970."""

    workspace: str
    run_id: str | None
    agent: str | None
    current: int | None
    """Nano-USD that it has cost; None: as booked."""
    now: int


async def predict_cost(store: Store, question: RunQuestion) -> Prediction:
    """What the run will have cost in the end. Errors: InvalidRequest where nothing is known."""
    return await store.read(lambda tx: _answer(tx, question))


def _answer(tx: Tx, question: RunQuestion) -> Prediction:
    workspace, since = question.workspace, question.now - DAYS * DAY_S * MICROS
    current: RunCosts = {}
    agents: Sequence[str] = ()
    if question.run_id is not None:
        current, agents = read_run(tx, workspace, question.run_id, since)
    if question.agent is not None:
        agents = names_like(tx, workspace, question.agent)
    if not agents:
        raise InvalidRequest(
            "Nothing is booked of this run in the last 30 days: give `agent`, whose earlier runs"
            " tell, or the calls to come in `remaining`.",
            errors=[{"loc": ["body", "agent"], "msg": "is needed for a run that is not known"}],
        )

    earlier = read_runs(tx, workspace, agents, since, without=question.run_id)

    spent = sum(current.values()) if question.current is None else question.current
    return projected(current, earlier, spent=spent)
