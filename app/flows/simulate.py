"""Replay the recorded runs of a window under another policy, or under the policy then in force."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from time import sleep
from typing import Literal

from anyio import to_thread
from rapidfuzz import process

from app.core.analytics import Statistics, Window
from app.core.errors import InvalidRequest
from app.core.policy_changes import merge, plan_changes
from app.core.policy_checks import validate_file
from app.core.policy_documents import DEFAULT_WORKSPACE, layers_for
from app.core.policybook import PolicyBook
from app.core.profiles import Enforcement
from app.core.replaying import BookBudgets, InForce, Reason, Tried
from app.core.simulated import Difference, Figures, by_agent, overall
from app.core.simulation import BudgetOf, Replay
from app.core.values import value
from app.core.windows import DAY_S, MICROS, micros, moment
from app.presets.reading import PolicyFile, read_policy
from app.store import policies
from app.store.agents import names_like
from app.store.cell_reading import read_sealed
from app.store.database import Store, Tx
from app.store.policy_history import PolicyHistory
from app.store.runs import Page, Place, Stretch, count_events, read_page
from app.store.shelf import PolicyShelf

PAGE = 1_000
"""Events that are read in one transaction."""
SLICE = 100
"""Runs that are replayed at a stretch, about half a millisecond; others, who would wait ten times
that for Python's lock, get their turn in between."""
PAUSE_SECONDS = 0.000_05

MAX_NEAREST = 3
LEAST_LIKENESS = 50  # ours: of 100; names less alike help nobody

Under = Literal["in_force", "profile", "multipliers", "policy"]


@value
class Trial:
    """What to try on which runs; without profile, multipliers and policy: what was in force."""

    workspace: str
    days: int
    agent: str | None = None
    profile: str | None = None
    multipliers: Mapping[str, Decimal] | None = None
    """By complexity tier, in place of those in force."""
    policy: bytes | None = None
    """A policy file of either original's format, laid over what holds."""
    enforcement: Enforcement = "soft"
    now: datetime

    @property
    def under(self) -> Under:
        """What decides the budgets."""
        if self.profile is not None:
            return "profile"
        if self.multipliers is not None:
            return "multipliers"
        return "in_force" if self.policy is None else "policy"


@value
class Progress:
    """How far a replay has come, in events."""

    done: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The recorded runs of a window, as they were and as they would have been."""

    window: Window
    sealed_until: datetime | None
    """Where the window begins later than was asked for: runs from before then are kept no longer;
    only their sums are."""
    workspace: str
    agent: str | None
    under: Under
    """`in_force`: the policy of the time; else what the request asked to try."""
    enforcement: Enforcement
    recorded: Statistics
    simulated: Statistics
    difference: Difference
    by_agent: Mapping[str, Figures]
    unbudgeted: int
    """Usage events without a budget: they are no executions and are left out."""
    kept: Mapping[Reason, int]
    """Runs that kept their recorded budget, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A trial that can be run."""

    trial: Trial
    stretch: Stretch
    is_cut: bool
    """Whether the stretch begins later than was asked for."""
    budgets: Tried | InForce
    budget_of: Callable[[Tx], BudgetOf]
    events: int


async def prepare(store: Store, shelf: PolicyShelf, trial: Trial) -> Prepared:
    """Find the runs and the budgets that will be tried on them.

    Errors: InvalidRequest for an unknown profile, InvalidPolicy naming every bad field.
    """
    file = None
    if trial.policy is not None:
        file = await to_thread.run_sync(_checked, shelf, trial.policy, trial.workspace)
    return await store.read(lambda tx: _prepare(tx, shelf, trial, file))


async def run(store: Store, prepared: Prepared) -> AsyncGenerator[Progress | Simulation]:
    """Replay page by page, telling how far it has come; the last thing told is the result.

    Runs that are booked meanwhile may or may not be among those replayed.
    """
    replay = Replay(prepared.trial.enforcement)
    done = unbudgeted = 0
    after: Place | None = None
    while True:
        page = await store.read(partial(_replay_page, prepared, replay, after))
        done += page.events
        unbudgeted += page.unbudgeted
        after = page.next_after
        yield Progress(done=done, of=max(done, prepared.events))
        if after is None:
            break
    yield await to_thread.run_sync(_result, prepared, replay, unbudgeted)


def _replay_page(prepared: Prepared, replay: Replay, after: Place | None, tx: Tx) -> Page:
    page = read_page(tx, prepared.stretch, after, PAGE)
    budget_of = prepared.budget_of(tx)
    for first in range(0, len(page.runs), SLICE):
        replay.take(page.runs[first : first + SLICE], budget_of)
        sleep(PAUSE_SECONDS)
    return page


def _result(prepared: Prepared, replay: Replay, unbudgeted: int) -> Simulation:
    compared = replay.compared()
    whole = overall(compared)
    trial, stretch = prepared.trial, prepared.stretch
    return Simulation(
        window=Window(since=moment(stretch.since), until=moment(stretch.until)),
        sealed_until=moment(stretch.since) if prepared.is_cut else None,
        workspace=trial.workspace,
        agent=trial.agent,
        under=trial.under,
        enforcement=trial.enforcement,
        recorded=whole.recorded,
        simulated=whole.simulated,
        difference=whole.difference,
        by_agent=by_agent(compared),
        unbudgeted=unbudgeted,
        kept=dict(sorted(prepared.budgets.kept.items())),
    )


def _prepare(tx: Tx, shelf: PolicyShelf, trial: Trial, file: PolicyFile | None) -> Prepared:
    workspace, now = trial.workspace, micros(trial.now)
    wanted, kept = now - trial.days * DAY_S * MICROS, read_sealed(tx, workspace) * MICROS
    stretch = Stretch(
        workspace=workspace,
        since=max(wanted, min(kept, now)),
        until=now,
        agents=None if trial.agent is None else names_like(tx, workspace, trial.agent),
    )
    budgets: Tried | InForce
    if trial.under == "in_force":
        history = PolicyHistory(shelf.shipped, workspace)
        history.read(tx)
        budgets = then = InForce(history.since)

        def budget_of(tx: Tx) -> BudgetOf:
            return partial(then.budget, book_at=partial(history.book, tx))
    else:
        book = shelf.book(workspace) if file is None else _tried_book(tx, shelf, workspace, file)
        budgets = tried = _tried(book, trial)

        def budget_of(tx: Tx) -> BudgetOf:
            return tried

    return Prepared(
        trial=trial,
        stretch=stretch,
        is_cut=stretch.since > wanted,
        budgets=budgets,
        budget_of=budget_of,
        events=count_events(tx, stretch),
    )


def _tried(book: PolicyBook, trial: Trial) -> Tried:
    if trial.profile is not None and trial.profile not in book.profiles:
        raise _unknown(trial.profile, book)
    return Tried(
        BookBudgets(book, profile=trial.profile, multipliers=trial.multipliers),
        is_for_agents=trial.profile is not None,
    )


def _checked(shelf: PolicyShelf, content: bytes, workspace: str) -> PolicyFile:
    file = read_policy(content, workspace)
    validate_file(file.documents, lambda name: shelf.book(name).document)
    return file


def _tried_book(tx: Tx, shelf: PolicyShelf, workspace: str, file: PolicyFile) -> PolicyBook:
    """The workspace's book as it were had the file been imported."""
    found = policies.current(tx, {DEFAULT_WORKSPACE, workspace, *file.documents})
    stored = {name: document for name, (_, document) in found.items()}
    edits = {name: merge(document, name) for name, document in file.documents.items()}
    plans = plan_changes(edits, shipped=shelf.shipped, stored=stored)
    tried = {**stored, **{plan.workspace: plan.document for plan in plans}}
    layers = layers_for(workspace, shipped=shelf.shipped, stored=tried)
    return PolicyBook.compile(layers, workspace=workspace, version=0)


def _unknown(profile: str, book: PolicyBook) -> InvalidRequest:
    near = process.extract(
        profile, list(book.profiles), limit=MAX_NEAREST, score_cutoff=LEAST_LIKENESS
    )
    names = [name for name, _, _ in near] or sorted(book.profiles)[:MAX_NEAREST]
    return InvalidRequest(
        "No profile is called so"
        + (f"; the nearest names are {', '.join(names)}." if names else "; there are none."),
        errors=[{"loc": ["body", "profile"], "msg": "is not a profile of this workspace"}],
        nearest=names,
    )
