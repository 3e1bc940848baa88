"""Recommend another profile or other weights where the runs of agents speak for them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from app.core.analytics import CellName
from app.core.applied import hold_back
from app.core.cover import Patch, cover
from app.core.impacts import Impact, Replayed, budgets_under, impact_of, impact_of_sums
from app.core.policybook import PolicyBook
from app.core.recommendations import Asked, Recommendation, made
from app.core.recommending import review_agents
from app.core.simulation import Runs, replay
from app.core.usage import Cell
from app.core.values import value
from app.core.windows import MICROS
from app.store.analytics import Source
from app.store.cell_reading import read_sealed
from app.store.database import Store, Tx, in_chunks
from app.store.groupcache import GroupCache
from app.store.pacing import paced, pause
from app.store.recommendations import Draft, draft, keep
from app.store.run_sums import Scopes, read_scopes, read_sketches, read_sums
from app.store.runs import Stretch, read_page
from app.store.runs_before import read_applied
from app.store.shelf import PolicyShelf
from app.store.usage import first_and_last

MOST_RUNS = 20_000
"""Runs that are replayed one by one for the impact; of more, cells of like runs are."""

PAGE = 5_000

BATCH = 20
"""Recommendations kept in one write, about half a millisecond: other writes wait no longer."""

NewId = Callable[[str, str], str]


@value
class Known:
    """What the rules need to know of the runs of a window."""

    sums: Mapping[CellName, Cell]
    scopes: Scopes


async def recommend(
    store: Store,
    shelf: PolicyShelf,
    cache: GroupCache,
    asked: Asked,
    *,
    new_id: NewId,
    known: Known | None = None,
) -> tuple[Recommendation, ...]:
    """Judge every agent of a workspace by its runs in a window, and keep what that says.

    As they stand afterwards, by agent; agents without a run under a budget are left out. The same
    period again replaces what is open in it and leaves what was decided. `known`: what
    was read of the window before.
    """
    book = shelf.book(asked.workspace)
    review = partial(_review, cache=cache, book=book, asked=asked, new_id=new_id, known=known)
    found = await store.read(review)
    kept: list[Recommendation] = []
    for batch in in_chunks(found, BATCH):
        kept += await store.write(asked.workspace, _keep_all, batch, weight=len(batch))
    return tuple(kept)


def _review(
    tx: Tx,
    *,
    cache: GroupCache,
    book: PolicyBook,
    asked: Asked,
    new_id: NewId,
    known: Known | None,
) -> list[Draft]:
    source = Source(tx, cache, asked.workspace, ())
    since, until = asked.window
    ends = first_and_last(tx, asked.workspace)
    is_last = ends is not None and ends[1] < until
    patches = cover(since, until, is_last=is_last)
    if known is None:
        sums = read_sums(source, asked.window, is_last=is_last)
        known = Known(sums=sums.cells, scopes=read_scopes(source, patches))

    reviews = tuple(paced(review_agents(book, known.sums, known.scopes)))
    changing = [one.agent for one in reviews if one.ruling.confidence is not None]
    applied = read_applied(source, changing, asked.window)
    reviews = hold_back(reviews, applied)
    moves = {one.agent: one.moves_to for one in reviews if one.moves_to is not None}
    runs = sum(one.evidence.samples for one in reviews if one.agent in moves)
    are_kept = read_sealed(tx, asked.workspace) * MICROS <= since
    replayed: Replayed = "runs" if runs <= MOST_RUNS and are_kept else "cells"
    if replayed == "runs":
        impacts = _replay_runs(tx, book, asked, moves)
    else:
        impacts = _replay_cells(source, book, patches, known.sums, moves)

    return [
        draft(
            made(
                one,
                impacts.get(one.agent),
                id_=new_id("rec", asked.workspace),
                asked=asked,
                replayed=replayed,
                tuning=book.tuning,
            )
        )
        for one in paced(reviews)
    ]


def _replay_runs(
    tx: Tx, book: PolicyBook, asked: Asked, moves: Mapping[str, str]
) -> dict[str, Impact]:
    """The impact for each agent of the profile proposed, of every run."""
    return {
        agent: impact_of(replay(_runs(tx, asked, agent), budgets_under(book, profile)))
        for agent, profile in moves.items()
    }


def _replay_cells(
    source: Source,
    book: PolicyBook,
    patches: Sequence[Patch],
    sums: Mapping[CellName, Cell],
    moves: Mapping[str, str],
) -> dict[str, Impact]:
    """The same from what cells know of like runs."""
    budgets = {profile: budgets_under(book, profile) for profile in set(moves.values())}
    impacts: dict[str, Impact] = {}
    for cells, sketches in read_sketches(source, patches, sums, moves):
        by_agent: defaultdict[str, dict[CellName, Cell]] = defaultdict(dict)
        for name, cell in cells.items():
            by_agent[name[0]][name] = cell
        for agent, its in by_agent.items():
            impacts[agent] = impact_of_sums(its, sketches, budgets[moves[agent]])
            pause()
    return impacts


def _runs(tx: Tx, asked: Asked, agent: str) -> Iterator[Runs]:
    since, until = asked.window
    stretch = Stretch(workspace=asked.workspace, since=since, until=until, agents=(agent,))
    page = read_page(tx, stretch, None, PAGE)
    yield from page.runs
    while page.next_after is not None:
        page = read_page(tx, stretch, page.next_after, PAGE)
        yield from page.runs


def _keep_all(tx: Tx, workspace: str, batches: Sequence[list[Draft]]) -> list[list[Recommendation]]:
    return [keep(tx, workspace, batch) for batch in batches]
