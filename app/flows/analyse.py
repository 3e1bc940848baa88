"""Answer what agents used over a window, from cells and from the events at its edges."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from app.core.analytics import (
    Analytics,
    Group,
    Groups,
    Window,
    describe,
    describe_all,
    merge,
)
from app.core.errors import InvalidRequest
from app.core.usage import day_start
from app.core.windows import DAY_S, MICROS, Span, hours, local_days, moment, pieces
from app.store.agents import names_like
from app.store.analytics import Source, read_groups, read_spans
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.usage import first_and_last

MAX_SPANS = 10_000
"""Groups by day or hour that one answer may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which usage to look at; `since` ≤ t < `until` in microseconds, None where open."""

    workspace: str
    by: str
    agent: str | None
    since: int | None
    until: int | None
    now: int
    zone: ZoneInfo


async def analyse(store: Store, cache: GroupCache, question: Question) -> Analytics:
    """Statistics overall and by group; an acknowledged event is in the next answer."""
    return await store.read(lambda tx: _answer(tx, cache, question))


def _answer(tx: Tx, cache: GroupCache, question: Question) -> Analytics:
    workspace = question.workspace
    agents = names_like(tx, workspace, question.agent) if question.agent else ()
    source = Source(tx, cache, workspace, agents)
    first, last = first_and_last(tx, workspace) or (question.now, question.now - 1)
    since, until = _bounds(question, first, last)
    parts = pieces(since, until, now=question.now, is_last=last <= question.now)

    if question.by in ("day", "hour"):
        spans = _spans(question, since, until)
        groups = read_spans(source, spans, now=question.now, is_last=last < question.now)
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


def _bounds(question: Question, first: int, last: int) -> tuple[int, int]:
    """The window, cut to where events are: no time is spent on ages without any."""
    day_after = (day_start(last // MICROS) + DAY_S) * MICROS
    end = max(last + 1, min(question.now, day_after))
    since = first if question.since is None else max(question.since, first)
    until = end if question.until is None else min(question.until, end)
    return since, until


def _named(groups: Groups) -> Groups:
    """Groups with `unknown` for what has no name; whoever is called so is in it too."""
    if "" not in groups:
        return groups
    return merge({key or "unknown": group} for key, group in groups.items())


def _spans(question: Question, since: int, until: int) -> list[Span]:
    found: list[Span] = []
    cut = local_days(since, until, question.zone) if question.by == "day" else hours(since, until)
    for span in cut:
        found.append(span)
        if len(found) > MAX_SPANS:
            raise InvalidRequest(
                f"More than {MAX_SPANS:,} groups by {question.by}; ask for a shorter window.",
                errors=[{"loc": ["query", "since"], "msg": "choose a later time"}],
            )
    return found
