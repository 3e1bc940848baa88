"""Answer what agents used over a window, from cells and from the events at its edges."""

from app.core.analytics import (
    Analytics,
    Group,
    Groups,
    Window,
    describe,
    describe_all,
    merge,
)
from app.core.questions import Question, bounds, spans
from app.core.windows import moment, pieces
from app.store.agents import names_like
from app.store.analytics import Source, read_groups, read_spans
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.usage import first_and_last


async def analyse(store: Store, cache: GroupCache, question: Question) -> Analytics:
    """Statistics overall and by group; an acknowledged event is in the next answer."""
    return await store.read(lambda tx: _answer(tx, cache, question))


def _answer(tx: Tx, cache: GroupCache, question: Question) -> Analytics:
    workspace = question.workspace
    agents = names_like(tx, workspace, question.agent) if question.agent else ()
    source = Source(tx, cache, workspace, agents)
    first, last = first_and_last(tx, workspace) or (question.now, question.now - 1)
    since, until = bounds(question, first, last)
    parts = pieces(since, until, now=question.now, is_last=last < until)

    if question.by in ("day", "hour"):
        cut = spans(question, since, until)
        groups = read_spans(source, cut, now=question.now, last=last)
    else:
        groups = read_groups(source, question.by, parts)
    if question.by == "agent":
        overall = merge({"": group} for group in groups.values())
    else:
        overall = read_groups(source, "", parts)

    return Analytics(
        window=Window(
            since=None if question.since is None else moment(question.since),
            until=None if question.until is None else moment(question.until),
        ),
        by=question.by,
        overall=describe(overall.get("", Group())),
        groups=describe_all(_named(groups), parts=question.by == "agent"),
    )


def _named(groups: Groups) -> Groups:
    """Groups with `unknown` for what has no name; whoever is called so is in it too."""
    if "" not in groups:
        return groups
    return merge({key or "unknown": group} for key, group in groups.items())
