"""Answer what agents used over a window, from cells and from the events at its edges."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from app.core.analytics import Analytics, Group, Groups, Window, describe, describe_all
from app.core.errors import InvalidRequest
from app.core.windows import Span, hours, local_days, moment, pieces
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
    since, until = _bounds(tx, question)
    parts = pieces(since, until, now=question.now)

    overall = read_groups(source, "", parts)
    groups: Groups
    if question.by in ("day", "hour"):
        groups = read_spans(source, _spans(question, since, until), now=question.now)
    else:
        groups = read_groups(source, question.by, parts)

    return Analytics(
        window=Window(
            since=None if question.since is None else moment(question.since),
            until=None if question.until is None else moment(question.until),
        ),
        by=question.by,
        overall=describe(overall.get("", Group())),
        groups=describe_all(
            {key or "unknown": group for key, group in groups.items()},
            parts=question.by == "agent",
        ),
    )


def _bounds(tx: Tx, question: Question) -> tuple[int, int]:
    since, until = question.since, question.until
    if since is None or until is None:
        span = first_and_last(tx, question.workspace)
        first, last = span or (question.now, question.now)
        since = first if since is None else since
        until = max(last + 1, question.now) if until is None else until
    return since, until


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
