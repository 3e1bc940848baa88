"""Say where the money went over a window, from cells and from the events at its edges."""

from app.core.analytics import Group, merge
from app.core.cost_breakdown import Breakdown, break_down
from app.core.questions import Question, bounds, spans
from app.core.windows import pieces
from app.store.agents import names_like
from app.store.analytics import Source, read_groups, read_spans
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.usage import first_and_last


async def break_down_costs(store: Store, cache: GroupCache, question: Question) -> Breakdown:
    """Costs by stage, model, agent, user, project or day; an acknowledged event is in it."""
    return await store.read(lambda tx: _answer(tx, cache, question))


def _answer(tx: Tx, cache: GroupCache, question: Question) -> Breakdown:
    workspace = question.workspace
    agents = names_like(tx, workspace, question.agent) if question.agent else ()
    source = Source(tx, cache, workspace, agents)
    first, last = first_and_last(tx, workspace) or (question.now, question.now - 1)
    since, until = bounds(question, first, last)
    parts = pieces(since, until, now=question.now, is_last=last < until)

    if question.by == "day":
        days = spans(question, since, until)
        groups = read_spans(source, days, now=question.now, last=last)
    else:
        groups = read_groups(source, question.by, parts)
    if question.by in ("agent", "day"):
        overall = merge({"": group} for group in groups.values())
    else:
        overall = read_groups(source, "", parts)

    return break_down(groups, overall.get("", Group()).cell, question.by)
