"""Read recorded runs page by page, only what a replay needs of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from app.core.simulation import Runs
from app.core.values import value
from app.store.database import Tx

_COLUMNS = (
    'id, at, agent, complexity, profile, project, "user", allocation_id, budget_tokens,'
    " used_tokens, needed_tokens, input_tokens, output_tokens, cached_tokens, cost_nano_usd,"
    " duration_seconds, success"
)
_MILLIS, _MICROS = 1_000, 1_000_000

Place = tuple[str | None, int, str]
"""The agent (None: everybody), time and id of an event."""


@value
class Stretch:
    """Whose runs to read: of one agent, or of all in a workspace; `since` ≤ at < `until`."""

    workspace: str
    since: int
    """Microseconds since 1970."""
    until: int
    agents: tuple[str, ...] | None
    """Full names; None: everybody's."""


@value
class Page:
    """Some runs, and where the next page begins."""

    runs: list[Runs]
    unbudgeted: int
    """Events that have no budget; they are not among the runs."""
    next_after: Place | None
    """The last event; None: there are no more."""

    @property
    def events(self) -> int:
        """Events that were read."""
        return len(self.runs) + self.unbudgeted


def read_page(tx: Tx, stretch: Stretch, after: Place | None, limit: int) -> Page:
    """The next `limit` events in the order of an index: by time, or by agent and time."""
    rows: list[tuple[Any, ...]] = []
    agents: Sequence[str | None] = stretch.agents if stretch.agents is not None else (None,)
    begin = 0 if after is None else agents.index(after[0])
    last: Place | None = None
    for agent in agents[begin:]:
        place = after if after is not None and after[0] == agent else None
        found = _rows(tx, stretch, agent, place, limit - len(rows))
        rows += found
        if found:
            last = (agent, found[-1][1], found[-1][0])
        if len(rows) == limit:
            break
    runs = list(_runs(rows))
    return Page(
        runs=runs,
        unbudgeted=len(rows) - len(runs),
        next_after=last if len(rows) == limit else None,
    )


def count_events(tx: Tx, stretch: Stretch) -> int:
    """Events that the pages of a stretch will hold, if nothing is booked meanwhile."""
    agents: Sequence[str | None] = stretch.agents if stretch.agents is not None else (None,)
    total = 0
    for agent in agents:
        where, values = _where(tx, stretch, agent, None)
        ((count,),) = tx.fetch(f"SELECT count(*) FROM usage_events WHERE {where}", values)
        total += count
    return total


def _rows(
    tx: Tx, stretch: Stretch, agent: str | None, after: Place | None, limit: int
) -> list[tuple[Any, ...]]:
    where, values = _where(tx, stretch, agent, after)
    sql = (
        f"SELECT {_COLUMNS} FROM usage_events WHERE {where}"
        f" ORDER BY at, id LIMIT {tx.marks(1, first=len(values) + 1)}"
    )
    return tx.fetch(sql, [*values, limit])


def _where(
    tx: Tx, stretch: Stretch, agent: str | None, after: Place | None
) -> tuple[str, list[Any]]:
    """The condition that one stretch of an index holds, from its beginning or a place on.

    Only one bound below: given two, SQLite begins at the looser one, on each page anew.
    """
    where = f"workspace = {tx.marks(1)} AND at < {tx.marks(1, first=2)}"
    values: list[Any] = [stretch.workspace, stretch.until]
    if after is None:
        where += f" AND at >= {tx.marks(1, first=3)}"
        values.append(stretch.since)
    else:
        where += f" AND (at, id) > ({tx.marks(2, first=3)})"
        values += after[1:]
    if agent is not None:
        where += f" AND agent = {tx.marks(1, first=len(values) + 1)}"
        values.append(agent)
    return where, values


def _runs(rows: Sequence[tuple[Any, ...]]) -> Iterator[Runs]:
    """The runs of the rows that have a budget."""
    for (
        _,
        at,
        agent,
        complexity,
        profile,
        project,
        user,
        allocation_id,
        budget,
        used,
        needed,
        input_,
        output,
        cached,
        cost,
        duration,
        success,
    ) in rows:
        if budget is None:
            continue
        yield Runs(
            agent=agent,
            budget=budget,
            used=used,
            needed=needed,
            complexity=complexity,
            profile=profile,
            at=at,
            opened_at=at if duration is None else at - round(duration * _MICROS),
            project=project,
            user=user,
            allocation_id=allocation_id,
            cost=cost,
            input=input_,
            output=output,
            cached=cached,
            duration_ms=None if duration is None else round(duration * _MILLIS),
            failed=success is not None and not success,
        )
