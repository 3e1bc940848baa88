"""Sum what memories hold, and keep one set of figures a day."""

import json
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, func, select

from app.core.health import Amount, Day, Holding, Snapshot
from app.core.memory import KEPT_ENCODING
from app.store.database import Tx, dumps
from app.store.tables import memories, memory_counts, memory_health


def holdings(tx: Tx, workspace: str) -> dict[str, list[Holding]]:
    """What is held by whom, by project ("": none): a sweep of a workspace's memories."""
    table, counts = memories.c, memory_counts.c
    is_counted = and_(
        counts.workspace == workspace,
        counts.content == table.content,
        counts.encoding == KEPT_ENCODING,
    )
    by = (table.project, table.agent, table.scope, table.state)
    query = (
        select(*by, func.count().label("files"), func.sum(counts.tokens).label("tokens"))
        .join(memory_counts, is_counted)
        .where(table.workspace == workspace, table.state.in_(("active", "archived")))
        .group_by(*by)
    )
    found: defaultdict[str, list[Holding]] = defaultdict(list)
    for row in tx.connection.execute(query):
        amount = Amount(tokens=int(row.tokens), files=row.files)
        holding = Holding(agent=row.agent, scope=row.scope, state=row.state, amount=amount)
        found[row.project].append(holding)
    return dict(found)


def history(tx: Tx, workspace: str, *, since: int) -> list[Day]:
    """The days from a moment on, oldest first."""
    table = memory_health.c
    query = (
        select(table.day, table.figures)
        .where(table.workspace == workspace, table.day >= since)
        .order_by(table.day)
    )
    return [_day(row.day, row.figures) for row in tx.connection.execute(query)]


def note_days(tx: Tx, workspace: str, days: Sequence[Day]) -> list[None]:
    """Keep what days found; the last word about a day stands."""
    rows = {day.day: (workspace, day.day, _written(day)) for day in days}
    tx.insert_many(
        memory_health,
        [rows[day] for day in sorted(rows)],
        tail='ON CONFLICT ("workspace", "day") DO UPDATE SET figures = excluded.figures',
    )
    return [None for _ in days]


def _written(day: Day) -> str:
    return dumps(
        {
            project: {
                name: [amount.tokens, amount.files]
                for name, amount in (
                    ("global", one.everybodys),
                    ("agents", one.agents),
                    ("archive", one.archive),
                )
            }
            for project, one in sorted(day.projects.items())
        }
    )


def _day(day: int, figures: str) -> Day:
    projects = {
        project: Snapshot(
            everybodys=_amount(one["global"]),
            agents=_amount(one["agents"]),
            archive=_amount(one["archive"]),
        )
        for project, one in json.loads(figures).items()
    }
    return Day(day=day, projects=projects)


def _amount(pair: Sequence[int]) -> Amount:
    return Amount(tokens=pair[0], files=pair[1])
