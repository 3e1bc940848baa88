"""Put a report together: the three things to do first, a row of figures, then every part."""

from collections.abc import Iterable, Sequence
from datetime import date

from app.core.report_commands import KEY_NOTE
from app.core.reports import Figure, Kind, Part, Report, Section, Todo
from app.core.values import value

MOST_TODO = 3
MOST_FIGURES = 7
"""In the row that is read first."""

GLANCE = "glance"

CALM = (
    "Nothing needs a decision: no budget is clearly too small or too large, memory is within its"
    " thresholds, and nothing lies about that could be put in order. That is good: leave things as"
    " they are. The next report looks again."
)


@value
class Heading:
    """What a report is, before what it says."""

    id: str
    workspace: str
    kind: Kind
    period: str
    day: date
    """The civil day it was due on."""
    since: int
    until: int
    created_at: int


def assemble(heading: Heading, parts: Iterable[Part]) -> Report:
    """The report of its parts, in their order."""
    given = list(parts)
    todo = most_worthwhile(one for part in given for one in part.todo)
    glance = [figure for part in given for figure in part.glance]
    sections = [section for part in given for section in part.sections]
    return Report(
        id=heading.id,
        workspace=heading.workspace,
        kind=heading.kind,
        period=heading.period,
        title=title_of(heading.kind, heading.day),
        since=heading.since,
        until=heading.until,
        created_at=heading.created_at,
        todo=todo,
        sections=(*_glance(glance), *sections, *_footnote(todo)),
        calm="" if todo else CALM,
    )


def most_worthwhile(todo: Iterable[Todo]) -> tuple[Todo, ...]:
    """The three things that are worth most; of several that are done by one command the best."""
    best: dict[str, Todo] = {}
    for one in sorted(todo, key=lambda one: (-one.weight, one.title)):
        best.setdefault(one.how, one)
    return tuple(best.values())[:MOST_TODO]


def title_of(kind: Kind, day: date) -> str:
    """`Weekly report, 22 November 2026`."""
    return f"{kind.capitalize()} report, {day.day} {day:%B} {day.year}"


def part_of(report: Report, keys: Sequence[str], *, glance: Sequence[str]) -> Part:
    """Some sections of a report that is there already, to stand in another one.

    `glance`: labels of the figures of its first row that come along.
    """
    figures = (figure for one in report.sections if one.key == GLANCE for figure in one.figures)
    return Part(
        sections=tuple(one for one in report.sections if one.key in keys),
        todo=report.todo,
        glance=tuple(figure for figure in figures if figure.label in glance),
    )


def _glance(figures: Sequence[Figure]) -> tuple[Section, ...]:
    if not figures:
        return ()
    return (Section(key=GLANCE, title="At a glance", figures=tuple(figures[:MOST_FIGURES])),)


def _footnote(todo: Sequence[Todo]) -> tuple[Section, ...]:
    if not any("curl" in one.how for one in todo):
        return ()
    return (Section(key="commands", title="About the commands", text=KEY_NOTE),)
