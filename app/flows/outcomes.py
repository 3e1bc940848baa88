"""Measure the stated outcomes of a workspace: what runs load, exceed and take, then and now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from app.core import outcomes as told
from app.core.analytics import CellName
from app.core.measuring import (
    Change,
    Stretch,
    alerts_due,
    around_change,
    busiest,
    first_and_latest,
    fitting,
    unassigned_in,
)
from app.core.monitoring import Monitor
from app.core.outcomes import Around, Compared
from app.core.policy_steps import Decides, decides_for, last_changes
from app.core.policybook import PolicyBook
from app.core.report_outcomes import Enforcement, Unassigned, clean_agents, enforcement_of
from app.core.tokens_per_run import FEWEST_DAYS, Tallies
from app.core.usage import Cell
from app.core.values import value
from app.core.verdicts import Outcome
from app.core.windows import pieces
from app.store.analytics import Source
from app.store.database import Store, Tx
from app.store.groupcache import GroupCache
from app.store.pacing import paced, pause
from app.store.policy_history import PolicyHistory
from app.store.report_facts import first_run, first_runs, newest_monitors, runs_around
from app.store.report_sums import Wanted, read_tallies, read_whole
from app.store.shelf import PolicyShelf

DAY_MICROS, HOUR_MICROS = 86_400_000_000, 3_600_000_000

WINDOW_DAYS = 30
KNOWN_DAYS = 400
"""How far back a first period is looked for: a stray event of long ago is none."""

MOST_AGENTS = 200
"""Agents, the busiest first, whose policies are followed back."""
MOST_STEPS = 12
"""Changes of policy that are looked at, newest first."""
MOST_SAMPLED = 20
"""Changed agents whose single runs are compared for speed and success."""
MOST_RUNS = 500
"""Of each of them, before and after its change."""
MOST_RUNS_IN_ALL = 2_000
"""Of all of them together, on each side: each run lies on a page of its own, and so many tell a
difference of two points."""
MOST_ALLOCATIONS = 500

MOST_UNASSIGNED = 3
"""Unassigned agents, the busiest first, for whom a fitting profile is looked for."""


@value
class Asked:
    """Whose outcomes; moments in microseconds."""

    workspace: str
    until: int
    """The end of the cells' window."""
    cells: Mapping[CellName, Cell]
    """Runs of the last 30 days by agent, complexity and profile; sums are enough."""
    actions: tuple[str, ...] | None = None
    """What the rules of A12 say of the agents; None: they were not asked."""

    @property
    def whole_days(self) -> Stretch:
        """The last 30 whole UTC days."""
        end = self.until // DAY_MICROS * DAY_MICROS
        return Stretch(since=end - WINDOW_DAYS * DAY_MICROS, until=end)


@value
class Measured:
    """Everything A17 asks for."""

    outcomes: tuple[Outcome, ...]
    enforcement: Enforcement
    unassigned: tuple[Unassigned, ...]


async def measure(store: Store, shelf: PolicyShelf, cache: GroupCache, asked: Asked) -> Measured:
    """The outcomes as far as there is enough to tell, each with its interval.

    They are about agents: runs that named none are left out.
    """
    named = {name: cell for name, cell in asked.cells.items() if name[0]}
    asked = replace(asked, cells=named)
    book = shelf.book(asked.workspace)
    unassigned = unassigned_in(book, asked.cells)

    changes = await store.read(
        lambda tx: _changes(tx, PolicyHistory(shelf.shipped, asked.workspace), asked)
    )
    periods, tuned = await store.read(partial(_compared, cache=cache, asked=asked, changes=changes))
    around = await store.read(lambda tx: _runs(tx, asked, changes))
    monitors = await store.read(lambda tx: _monitors(tx, asked))
    first = await store.read(lambda tx: _first(tx, asked))
    needs = await store.read(
        lambda tx: _whole_cells(tx, cache, asked, unassigned[:MOST_UNASSIGNED])
    )

    def outcomes() -> Iterator[Outcome]:
        yield from _context(periods, tuned)
        yield told.few_exceed(None if tuned is None else tuned.after, len(changes))
        yield told.profiles_fit(asked.actions)
        yield told.no_slower(around)
        yield told.no_less_success(around)
        yield told.all_assigned(busiest(asked.cells), unassigned)
        due, raised = alerts_due(monitors)
        yield told.alerts_fire(due, raised, len(monitors))

    def tell() -> Measured:
        return Measured(
            outcomes=tuple(paced(outcomes())),
            enforcement=enforcement_of(asked.cells, first, asked.until),
            unassigned=tuple(fitting(book, unassigned[:MOST_UNASSIGNED], needs)),
        )

    return await store.aside(tell)


def _context(periods: Compared | str, tuned: Compared | None) -> Iterator[Outcome]:
    """The change of context a run, against both baselines."""
    first, missing = (None, periods) if isinstance(periods, str) else (periods, "")
    yield told.less_context("context", "Context a run, against the first period", first, missing)
    yield told.less_context(
        "context_tuned",
        "Context a run, since the last change",
        tuned,
        "needs a budget that was changed",
    )


def _whole_cells(
    tx: Tx, cache: GroupCache, asked: Asked, agents: Sequence[str]
) -> Mapping[CellName, Cell]:
    """The cells of a few agents with their sketches."""
    source = Source(tx, cache, asked.workspace, ())
    window = asked.whole_days
    return read_whole(source, pieces(window.since, window.until, now=asked.until), agents)


def _monitors(tx: Tx, asked: Asked) -> Sequence[Monitor]:
    since = asked.until - WINDOW_DAYS * DAY_MICROS
    return newest_monitors(
        tx, asked.workspace, since=since, until=asked.until, most=MOST_ALLOCATIONS
    )


def _first(tx: Tx, asked: Asked) -> Mapping[str, int]:
    since = asked.until - KNOWN_DAYS * DAY_MICROS
    return first_runs(tx, asked.workspace, clean_agents(asked.cells), since=since)


def _changes(tx: Tx, history: PolicyHistory, asked: Asked) -> tuple[Change, ...]:
    """The last change of the policy of each agent that runs, oldest first."""
    history.read(tx)
    known = [at for at in history.since if at <= asked.until]
    found = last_changes(
        busiest(asked.cells)[:MOST_AGENTS],
        known,
        partial(history.book, tx),
        most=MOST_STEPS,
        decides=_decides,
    )
    oldest = asked.until - KNOWN_DAYS * DAY_MICROS
    return tuple(
        Change(agent=agent, at=at)
        for agent, at in sorted(found.items(), key=lambda item: (item[1], item[0]))
        if at > oldest
    )


def _decides(book: PolicyBook, agent: str) -> Decides:
    pause()
    return decides_for(book, agent)


def _compared(
    tx: Tx, *, cache: GroupCache, asked: Asked, changes: Sequence[Change]
) -> tuple[Compared | str, Compared | None]:
    """Runs of the first period on record and of the last one as long, or what is missing; and runs
    of the changed agents, each before and after its own last change."""
    start = first_run(tx, asked.workspace, since=asked.until - KNOWN_DAYS * DAY_MICROS)
    periods = first_and_latest(start, asked.whole_days, most_days=WINDOW_DAYS)
    whole = () if isinstance(periods, str) else periods
    wanted = [_wanted(asked, stretch) for stretch in whole]
    for at in sorted({one.at for one in changes}):
        agents = frozenset(one.agent for one in changes if one.at == at)
        before, since = around_change(at, asked.until, days=WINDOW_DAYS)
        if since.until - since.since < FEWEST_DAYS * HOUR_MICROS:
            before = replace(before, until=before.since)  # nothing is compared with it yet
        wanted += [_wanted(asked, stretch, agents) for stretch in (before, since)]

    found = read_tallies(Source(tx, cache, asked.workspace, ()), wanted)
    tuned = found[len(whole) :]
    return (
        periods if isinstance(periods, str) else _periods(*periods, *found[: len(whole)]),
        _tuned(tuned[::2], tuned[1::2]) if changes else None,
    )


def _wanted(asked: Asked, stretch: Stretch, agents: frozenset[str] = frozenset()) -> Wanted:
    parts = pieces(stretch.since, stretch.until, now=asked.until)
    return Wanted(parts=parts, agents=agents)


def _periods(first: Stretch, latest: Stretch, before: Tallies, after: Tallies) -> Compared:
    return Compared(before=before, after=after, said=f"{first.said}, then {latest.said}")


def _tuned(before: Sequence[Tallies], after: Sequence[Tallies]) -> Compared:
    said = (
        f"{WINDOW_DAYS} days before the last change of each agent's policy, then since"
        f" (at most {WINDOW_DAYS} days)"
    )
    return Compared(before=_merged(before), after=_merged(after), said=said)


def _merged(parts: Sequence[Tallies]) -> Tallies:
    """Tallies of different agents as one."""
    return {kind: tally for part in parts for kind, tally in part.items()}


def _runs(tx: Tx, asked: Asked, changes: Sequence[Change]) -> list[Around]:
    found = []
    sampled = changes[-MOST_SAMPLED:]
    most = min(MOST_RUNS, MOST_RUNS_IN_ALL // max(1, len(sampled)))
    for one in sampled:
        earlier, later = around_change(one.at, asked.until, days=WINDOW_DAYS)
        before, after = runs_around(
            tx,
            asked.workspace,
            one.agent,
            one.at,
            since=earlier.since,
            until=later.until,
            most=most,
        )
        found.append(Around(agent=one.agent, before=before, after=after))
        pause()
    return found
