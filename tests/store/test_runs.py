"""Pages of runs hold each event of their stretch once; policy books are those of their time."""

from collections.abc import Iterator
from functools import partial

import pytest

from app.core.policy_documents import DEFAULT_WORKSPACE
from app.core.simulation import Runs
from app.core.usage import UsageEvent
from app.presets.loader import shipped
from app.store import policies
from app.store.appending import append_many
from app.store.database import Store, Tx
from app.store.policy_history import EVER, PolicyHistory
from app.store.runs import Page, Stretch, count_events, read_page
from tests.core.runs import BASE, run

AGENTS = ("t/a", "t/b", "c")
SECOND = 1_000_000


def booked(store: Store, workspace: str) -> list[UsageEvent]:
    """Events of three agents, many at the same moment, a fifth of them without a budget."""
    events = [
        run(
            f"run-{number * 7919 % 1009:04}",
            workspace=workspace,
            at=BASE + number // 9 * SECOND,
            agent=AGENTS[number % 3],
            used=number,
            budget=None if number % 5 == 0 else 100 + number,
            needed_tokens=None if number % 4 else 2 * number,
            cost_nano_usd=number if number % 2 else None,
            duration_seconds=0.25 * number if number % 7 else None,
            success=(None, True, False)[number % 3],
            user="ann" if number % 6 else None,
            allocation_id=None,
        )
        for number in range(100)
    ]
    store.write_now(partial(append_many, workspace=workspace, batches=[events]))
    return events


def pages(store: Store, stretch: Stretch, limit: int) -> Iterator[Page]:
    after = None
    while True:
        page = store.read_now(partial(read_page, stretch=stretch, after=after, limit=limit))
        yield page
        after = page.next_after
        if after is None:
            return


def expected(event: UsageEvent) -> Runs:
    assert event.budget_tokens is not None
    seconds = event.duration_seconds
    return Runs(
        agent=event.agent,
        budget=event.budget_tokens,
        used=event.used_tokens,
        needed=event.needed_tokens,
        at=event.at,
        opened_at=event.at - int((seconds or 0) * SECOND),
        user=event.user,
        cost=event.cost_nano_usd,
        duration_ms=None if seconds is None else int(seconds * 1000),
        failed=event.success is False,
    )


@pytest.mark.parametrize("limit", [1, 7, 50, 1_000])
@pytest.mark.parametrize("agents", [None, ("t/a",), ("c", "nobody", "t/b"), ()])
def test_pages_hold_each_event_of_the_stretch_once(
    store: Store, agents: tuple[str, ...] | None, limit: int
) -> None:
    events = booked(store, "ours")
    booked(store, "theirs")
    since, until = BASE + 2 * SECOND, BASE + 9 * SECOND
    stretch = Stretch(workspace="ours", since=since, until=until, agents=agents)
    wanted = [
        event
        for event in events
        if since <= event.at < until and (agents is None or event.agent in agents)
    ]
    read = list(pages(store, stretch, limit))
    runs = [one for page in read for one in page.runs]
    budgeted = [expected(event) for event in wanted if event.budget_tokens is not None]
    assert sorted(runs, key=repr) == sorted(budgeted, key=repr)
    assert sum(page.unbudgeted for page in read) == len(wanted) - len(budgeted)
    assert all(page.events <= limit for page in read)
    assert store.read_now(lambda tx: count_events(tx, stretch)) == len(wanted)


def add(tx: Tx, workspace: str, base: int, *, now: int) -> None:
    scopes = {"global": 0.5, "agent_recent": 0.25, "agent_patterns": 0.25}
    profile = {"base_budget": base, "max_budget": base, "scope_weights": scopes}
    document = {"profiles": {"specialist-narrow": profile}}
    policies.add_version(tx, workspace, document, source="test", now=now)


def test_books_are_those_of_their_time_also_below_and_when_the_clock_went_back(
    store: Store,
) -> None:
    for workspace, base, now in (
        (DEFAULT_WORKSPACE, 1_000, 10),
        ("team", 2_000, 20),
        (DEFAULT_WORKSPACE, 3_000, 30),
        ("team", 4_000, 25),
        ("team", 5_000, 15),  # the clock went back: still after the version before it
        ("other", 6_000, 40),
    ):
        store.write_now(partial(add, workspace=workspace, base=base, now=now))

    def history(workspace: str) -> list[tuple[int, int]]:
        its = PolicyHistory(shipped(), workspace)
        store.read_now(its.read)
        books = [store.read_now(partial(its.book, index=index)) for index in range(len(its.since))]
        return [
            (at, book.profiles["specialist-narrow"].base)
            for at, book in zip(its.since, books, strict=True)
        ]

    below = [(EVER, 20_000), (10, 1_000)]
    assert history("team") == [*below, (20, 2_000), (25, 4_000), (25, 5_000), (30, 5_000)]
    assert history(DEFAULT_WORKSPACE) == [*below, (30, 3_000)]
    assert history("nobody-declared") == [*below, (30, 3_000)]
