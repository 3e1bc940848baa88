"""Say in a report how the stated outcomes (A17) stand, and who is ready for hard enforcement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from app.core.analytics import CellName
from app.core.comparing import FEWEST_RUNS, share_interval
from app.core.report_commands import agent_path, of_workspace, put
from app.core.report_text import clipped
from app.core.reports import Column, Figure, Part, Section, Table, Todo
from app.core.usage import Cell
from app.core.values import value
from app.core.verdicts import Outcome

DAY_MICROS = 86_400_000_000
READY_DAYS = 30
"""Days of data that hard enforcement takes (A17)."""

MOST_ROWS = 25

MARKS: Mapping[str, str] = {
    "met": "✓\N{NO-BREAK SPACE}met",
    "not met": "✗\N{NO-BREAK SPACE}not\N{NO-BREAK SPACE}met",
    "open": "open",
    "not enough yet": "–",
}


@value
class Ready:
    """An agent for which refusing what is over the budget would have refused nothing."""

    agent: str
    days: int
    """Between its first known run and the end of the window."""
    runs: int


@value
class Enforcement:
    """Who is ready for hard enforcement, and who is not yet."""

    ready: Sequence[Ready]
    waiting: Sequence[Ready]
    """Nothing exceeded or unmet, but too few runs or days."""
    short: int
    """Agents that exceeded or were short in the window."""


@value
class Unassigned:
    """An agent that ran without a profile of its own."""

    agent: str
    runs: int
    """In the window."""
    fits: str | None
    """The profile that would fit: the smallest whose base holds its p95."""


def clean_agents(cells: Mapping[CellName, Cell]) -> dict[str, int]:
    """Runs of the agents of whom none exceeded its budget or needed more."""
    runs, short = _by_agent(cells)
    return {agent: count for agent, count in runs.items() if count and not short.get(agent)}


def enforcement_of(
    cells: Mapping[CellName, Cell], first: Mapping[str, int], until: int
) -> Enforcement:
    """Judge agents by their runs of 30 days and the moment of their first run."""
    runs, _ = _by_agent(cells)
    clean = clean_agents(cells)
    judged = [
        Ready(agent=agent, days=max(0, until - first.get(agent, until)) // DAY_MICROS, runs=count)
        for agent, count in sorted(clean.items(), key=lambda item: (-item[1], item[0]))
    ]
    ready = [one for one in judged if one.days >= READY_DAYS and one.runs >= FEWEST_RUNS]
    return Enforcement(
        ready=ready,
        waiting=[one for one in judged if one not in ready],
        short=sum(1 for agent, count in runs.items() if count and agent not in clean),
    )


def outcomes_part(outcomes: Iterable[Outcome]) -> Part:
    """What was promised, what was measured."""
    given = list(outcomes)
    known = [one for one in given if one.verdict != "not enough yet"]
    met = sum(1 for one in known if one.verdict == "met")
    section = Section(
        key="outcomes",
        title="What was promised, and what was measured",
        text=(
            "Each figure has the interval that holds it with 95 % confidence. It is met where the"
            " whole interval keeps the target, not met where none of it does, and open where more"
            " runs have to tell."
        ),
        tables=(
            Table(
                columns=(
                    Column(name="Outcome"),
                    Column(name="Target"),
                    Column(name="Measured", unit="prose"),
                    Column(name="95 %", unit="figure"),
                    Column(name="Verdict"),
                ),
                rows=tuple(
                    (one.label, one.target, one.measured, one.interval, MARKS[one.verdict])
                    for one in given
                ),
            ),
            Table(
                title="How each was measured",
                columns=(Column(name="Outcome"), Column(name="From what", unit="prose")),
                rows=tuple((one.label, one.basis) for one in given if one.basis),
            ),
        ),
        data={"outcomes": [asdict(one) for one in given]},
    )
    glance = (
        Figure(label="Outcomes met", value=f"{met} of {len(known)}", unit="figure")
        if known
        else Figure(label="Outcomes met", value=None, unit="figure", note="not enough yet"),
    )
    return Part(sections=(section,), glance=glance)


def enforcement_part(found: Enforcement) -> Part:
    """For which agents hard enforcement would be safe."""
    if found.ready:
        text = (
            f"For {_agents(len(found.ready))} hard enforcement would have refused nothing: at"
            f" least {READY_DAYS} days of data, no run over its budget, none that needed more. The"
            " last column is the share of runs that it may refuse all the same. What a run needed"
            " is known only where needed_tokens is reported."
        )
    else:
        text = (
            f"For no agent yet: it takes {READY_DAYS} days of data with at least {FEWEST_RUNS} runs"
            " in the last 30, no run over its budget, and none that needed more."
        )
    shown = [*found.ready, *found.waiting][:MOST_ROWS]
    rows = tuple(
        (
            one.agent,
            one.runs,
            one.days,
            _state(one),
            f"{share_interval(0, one.runs)[1]:.1f} %",
        )
        for one in shown
    )
    columns = (
        Column(name="Agent"),
        Column(name="Runs in 30 days", unit="count"),
        Column(name="Days of data", unit="count"),
        Column(name="Safe"),
        Column(name="Refused at most (95 %)", unit="figure"),
    )
    more = len(found.ready) + len(found.waiting) - len(shown)
    section = Section(
        key="enforcement",
        title="Ready for hard enforcement",
        text=text,
        figures=(
            Figure(label="Safe", value=len(found.ready), unit="count"),
            Figure(label="Not enough data yet", value=len(found.waiting), unit="count"),
            Figure(label="Over budget or short", value=found.short, unit="count"),
        ),
        tables=(Table(columns=columns, rows=rows, more=more),) if rows else (),
        data={"ready": [one.agent for one in found.ready]},
    )
    return Part(sections=(section,))


def unassigned_todo(
    found: Sequence[Unassigned], *, workspace: str, weekly: float
) -> tuple[Todo, ...]:
    """Give the agents that run most, and that a profile holds, a profile of their own."""
    fitting = [one for one in found if one.fits is not None]
    return tuple(
        Todo(
            title=f"Assign {clipped(one.agent)} to a profile",
            why=(
                f"It ran {one.runs:,} times on the default profile, which is nobody's decision:"
                f" {one.fits} is the smallest whose base holds 95 % of its runs."
            ),
            how=put(
                agent_path(one.agent), {"profile": one.fits}, workspace=of_workspace(workspace)
            ),
            weight=weekly * one.runs,
        )
        for one in sorted(fitting, key=lambda one: (-one.runs, one.agent))[:3]
    )


def _state(one: Ready) -> str:
    missing = []
    if one.days < READY_DAYS:
        missing.append(_more(READY_DAYS - one.days, "day"))
    if one.runs < FEWEST_RUNS:
        missing.append(_more(FEWEST_RUNS - one.runs, "run"))
    return f"needs {' and '.join(missing)}" if missing else "yes"


def _more(number: int, what: str) -> str:
    return f"{number:,} more {what}{'' if number == 1 else 's'}"


def _by_agent(cells: Mapping[CellName, Cell]) -> tuple[dict[str, int], dict[str, int]]:
    """Runs with a budget, and those of them that lacked room, by agent."""
    runs: dict[str, int] = {}
    short: dict[str, int] = {}
    for (agent, _, _), cell in cells.items():
        runs[agent] = runs.get(agent, 0) + cell.executions
        short[agent] = short.get(agent, 0) + cell.exceeded + cell.unmet
    return runs, short


def _agents(number: int) -> str:
    return f"{number:,} {'agent' if number == 1 else 'agents'}"
