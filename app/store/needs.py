"""Read what runs took, page by page in the order of time."""

from app.core.needs import Run
from app.store.database import Tx

Place = tuple[int, str]
"""Time (microseconds) and id of the last event that was read."""

_COLUMNS = (
    "at, id, agent, complexity, used_tokens, needed_tokens, output_tokens, cached_tokens,"
    " cost_nano_usd"
)


def read_runs(
    tx: Tx, workspace: str, since: int, until: int, *, after: Place | None, limit: int
) -> tuple[list[Run], Place | None]:
    """Runs of `since` ≤ at < `until` (microseconds), and where the next page begins, if any."""
    marks = [tx.marks(1, first=number) for number in range(1, 7)]
    where = f"workspace = {marks[0]} AND at >= {marks[1]} AND at < {marks[2]}"
    values: list[object] = [workspace, since if after is None else after[0], until]
    if after is not None:
        where += f" AND (at, id) > ({marks[3]}, {marks[4]})"
        values += after
    rows = tx.fetch(
        f"SELECT {_COLUMNS} FROM usage_events WHERE {where}"
        f" ORDER BY at, id LIMIT {marks[len(values)]}",
        [*values, limit],
    )
    runs = [
        Run(
            agent=agent,
            complexity=complexity,
            used=used,
            needed=needed,
            output=output,
            cached=cached,
            cost=cost,
        )
        for _, _, agent, complexity, used, needed, output, cached, cost in rows
    ]
    return runs, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None
