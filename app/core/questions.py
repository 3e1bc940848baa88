"""Name the usage that a question is about: a workspace, perhaps an agent, a window of time."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from app.core.errors import InvalidRequest
from app.core.usage import day_start
from app.core.windows import DAY_S, MICROS, Span, hours, local_days

MAX_SPANS = 10_000
"""Days or hours, with or without events, that one answer by them may span."""


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


def bounds(question: Question, first: int, last: int) -> tuple[int, int]:
    """The window, cut to where events are: no time is spent on ages without any."""
    day_after = (day_start(last // MICROS) + DAY_S) * MICROS
    end = max(last + 1, min(question.now, day_after))
    since = first if question.since is None else max(question.since, first)
    until = end if question.until is None else min(question.until, end)
    return since, until


def spans(question: Question, since: int, until: int) -> list[Span]:
    """The days or hours that a window touches. Errors: InvalidRequest for too many."""
    found: list[Span] = []
    cut = local_days(since, until, question.zone) if question.by == "day" else hours(since, until)
    for span in cut:
        found.append(span)
        if len(found) > MAX_SPANS:
            raise InvalidRequest(
                f"The window spans more than {MAX_SPANS:,} {question.by}s; ask for a shorter one.",
                errors=[{"loc": ["query", "since"], "msg": "choose a later time"}],
            )
    return found
