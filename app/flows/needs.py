"""Say what agents need, and which profile fits them, from the runs of a window."""

from collections.abc import Callable
from dataclasses import dataclass

from app.core.needs import Ledger, choices_of, fit_of
from app.core.needs_report import Asked, needs_report
from app.core.policybook import PolicyBook
from app.core.reports import Report
from app.core.windows import DAY_S, MICROS
from app.store.cell_reading import read_sealed
from app.store.database import Store, Tx
from app.store.needs import Place, read_runs
from app.store.usage import first_and_last

PAGE = 5_000
"""Runs that are counted at a stretch, about 20 ms: others get their turn in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsQuestion:
    """Whose runs, and of which time; `now` in microseconds since 1970."""

    workspace: str
    days: float | None
    """The last days; None: everything."""
    now: int


async def report_needs(
    store: Store, book: PolicyBook, question: NeedsQuestion, *, new_id: Callable[[str, str], str]
) -> Report:
    """What each agent's runs needed, measured against the profiles that are in force now."""
    workspace = question.workspace
    since, until = await store.read(lambda tx: _window(tx, question))
    ledger = Ledger(choices_of(book))
    after: Place | None = None
    while True:
        last = after

        def count(tx: Tx, last: Place | None = last) -> Place | None:
            runs, following = read_runs(tx, workspace, since, until, after=last, limit=PAGE)
            for run in runs:
                ledger.add(run)
            return following

        after = await store.read(count)
        if after is None:
            break
    least = book.tuning.minimum_samples_for_recommendation
    fits = [fit_of(ledger, agent, book=book, least=least) for agent in ledger.needs]
    asked = Asked(
        id=new_id("rpt", workspace),
        workspace=workspace,
        since=since,
        until=until,
        now=question.now,
    )
    return needs_report(fits, ledger.choices, asked)


def _window(tx: Tx, question: NeedsQuestion) -> tuple[int, int]:
    """From when until when, cut to where events are if no days are given, and to those kept."""
    first, last = first_and_last(tx, question.workspace) or (question.now, question.now)
    if question.days is not None:
        first = question.now - round(question.days * DAY_S * MICROS)
    kept = read_sealed(tx, question.workspace) * MICROS
    return max(first, kept), max(last + 1, question.now)
