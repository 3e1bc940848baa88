"""Lists that were read together are booked as if each had come by itself."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.api.beside import together
from app.core.errors import BudgetExceeded, DomainError
from app.core.spending import DEFAULT_THRESHOLDS, CostBudget, Subject
from app.core.usage import UsageEvent, fold
from app.store.booking import Delivery, book
from app.store.cell_reading import all_cells
from app.store.cells import CROWDED
from app.store.cost_budgets import put_budget
from app.store.database import Store
from app.store.parcels import Outcome, Parcel, Share, book_shares
from app.store.usage import events_between
from app.store.usage_rows import event_of, to_row
from tests.core.runs import BASE, run, runs

EVER = 2**60
HOUR_US = 3_600_000_000
fresh = itertools.count()

uses_database = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def shares_of(lists: Sequence[Sequence[UsageEvent]]) -> list[tuple[list[int], Share]]:
    """The lists as the service gets them from the process that reads."""
    return [
        (
            numbers,
            Share(
                [Parcel([to_row(event) for event in lists[number]]) for number in numbers],
                cells=cells,
                oldest=oldest,
                newest=newest,
            ),
        )
        for _, numbers, cells, oldest, newest in together(lists)
    ]


def told(outcome: Outcome, share: Share) -> list[list[bool] | type[DomainError]]:
    """Which events of each parcel were new, or why it was refused."""
    if outcome is None:
        return [[True] * len(parcel.rows) for parcel in share.parcels]
    return [
        type(one) if isinstance(one, DomainError) else [booked.is_new for booked in one]
        for one in outcome
    ]


def stored(store: Store, workspace: str) -> list[UsageEvent]:
    return store.read_now(lambda tx: events_between(tx, workspace, -EVER, EVER))


def assert_books_balance(store: Store, workspace: str) -> None:
    cells = store.read_now(lambda tx: all_cells(tx, workspace))
    assert cells == fold(stored(store, workspace))


@given(event=runs)
def test_a_row_of_an_events_row_is_the_same_row(event: UsageEvent) -> None:
    assert to_row(event_of(to_row(event))) == to_row(event)


lists_of_events = st.lists(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from((50, 50, 50, 60)), st.integers(0, 3)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)


@given(groups=st.lists(lists_of_events, min_size=1, max_size=3))
@uses_database
def test_a_share_is_booked_as_its_lists_would_be(
    store: Store, groups: list[list[list[tuple[int, int, int]]]]
) -> None:
    number = next(fresh)
    theirs, ours = f"plain{number}", f"read{number}"

    def events(workspace: str, one: list[tuple[int, int, int]]) -> list[UsageEvent]:
        return [
            run(
                str(id),
                used=used,
                fingerprint=bytes([used]),
                workspace=workspace,
                agent=f"t/{id % 3}",
                at=BASE - hours * HOUR_US - id,
                scopes={"global": used, "x": id},
            )
            for id, used, hours in one
        ]

    for group in groups:
        lists = [events(ours, one) for one in group]
        for numbers, share in shares_of(lists):
            outcome = store.write_now(lambda tx, one=share: book_shares(tx, ours, [one]))[0]
            plain = [Delivery(events=events(theirs, group[n]), enforced=True) for n in numbers]
            answers = store.write_now(lambda tx, its=plain: book(tx, theirs, its))
            assert told(outcome, share) == [
                type(one) if isinstance(one, DomainError) else [booked.is_new for booked in one]
                for one in answers
            ]

    same = [replace(event, workspace=theirs) for event in stored(store, ours)]
    assert sorted(same, key=repr) == sorted(stored(store, theirs), key=repr)
    assert_books_balance(store, ours)


@given(events=st.lists(runs, min_size=1, max_size=12, unique_by=lambda event: event.id))
@uses_database
def test_what_is_read_is_what_is_kept(store: Store, events: list[UsageEvent]) -> None:
    workspace = f"w{next(fresh)}"
    lists = [[replace(event, workspace=workspace) for event in events]]

    ((_, share),) = shares_of(lists)
    store.write_now(lambda tx: book_shares(tx, workspace, [share]))

    assert sorted(stored(store, workspace), key=repr) == sorted(lists[0], key=repr)
    assert_books_balance(store, workspace)


def test_new_lists_are_not_sorted_out_one_by_one(store: Store) -> None:
    lists = [[run(f"{name}{n}") for n in range(20)] for name in "abc"]
    ((numbers, share),) = shares_of(lists)

    assert numbers == [0, 1, 2]
    assert store.write_now(lambda tx: book_shares(tx, "default", [share])) == [None]
    assert len(stored(store, "default")) == 60
    assert_books_balance(store, "default")


def test_agents_of_too_many_scopes_get_rows_of_their_own(store: Store) -> None:
    for round_ in range(3):
        many = {f"scope-{round_}-{n}": n for n in range(CROWDED + 5)}
        ((_, share),) = shares_of([[run(f"{round_}-{n}", scopes=many) for n in range(4)]])
        store.write_now(lambda tx, one=share: book_shares(tx, "default", [one]))

    assert_books_balance(store, "default")


def test_a_list_that_a_hard_budget_lacks_room_for_is_refused_alone(store: Store) -> None:
    budget = CostBudget(
        name="hard",
        limit=100,
        window="day",
        thresholds=DEFAULT_THRESHOLDS,
        is_hard=True,
        subject=Subject(kind="workspace", name="default"),
        zone=ZoneInfo("UTC"),
    )
    store.write_now(lambda tx: put_budget(tx, "default", budget, now=BASE))
    lists = [
        [run("a", cost_nano_usd=60)],
        [run("b", cost_nano_usd=60), run("c", cost_nano_usd=1)],
        [run("d", cost_nano_usd=30)],
    ]
    ((_, share),) = shares_of(lists)

    (outcome,) = store.write_now(lambda tx: book_shares(tx, "default", [share]))

    assert told(outcome, share) == [[True], BudgetExceeded, [True]]
    assert {event.id for event in stored(store, "default")} == {"a", "d"}
    assert_books_balance(store, "default")


@pytest.mark.parametrize(
    "spoilt",
    [
        [run("x", allocation_id="alc_1")],
        [run("x"), run("y", workspace="other")],
        [run("x"), run("x")],
        [run("a0")],
        [run("x", model="m", input_tokens=5, metadata={"counted_tokens": 4})],
    ],
    ids=["ends a run", "two workspaces", "an id twice", "an id of the list before", "teaches"],
)
def test_what_does_more_than_add_up_is_left_to_be_sorted_out(spoilt: list[UsageEvent]) -> None:
    ((_, numbers, *_),) = together([[run("a0"), run("a1")], spoilt, None, [], [run("b")]])

    assert numbers == [0, 4]
