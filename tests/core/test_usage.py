"""Laws of measuring runs: cells add up, whatever the order and however they are grouped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.statistics import bucket_of
from app.core.usage import (
    CELL_COLUMNS,
    DAY,
    DIMENSIONS,
    FAMILIES,
    HOUR,
    MAX_SUMMED_PERCENT,
    MAX_TOKENS,
    MONTH,
    PERCENT,
    RUN,
    TOTAL,
    Cell,
    CellId,
    UsageEvent,
    day_start,
    fold,
    fold_hours,
    measure,
    month_start,
    rated_statistics,
    used_pct,
)
from tests.core.runs import run, run_lists, runs, tokens

Cells = dict[CellId, Cell]


def added(*folded: Cells) -> Cells:
    """Cells of disjoint sets, added cell by cell."""
    total: Cells = {}
    for cells in folded:
        for at, cell in cells.items():
            total.setdefault(at, Cell()).add(cell)
    return total


def of_family(cells: Cells, family: str, grain: int) -> list[Cell]:
    return [cell for at, cell in cells.items() if at[0] == family and at[1] == grain]


def summed(cells: Iterable[Cell]) -> Cell:
    total = Cell()
    for cell in cells:
        total.add(cell)
    return total


@given(used=tokens, budget=st.integers(1, MAX_TOKENS))
def test_used_per_cent_is_exact_to_half_a_millionth(used: int, budget: int) -> None:
    pct = used_pct(used, budget)

    assert pct is not None
    assert abs(2 * (pct * budget - 100 * PERCENT * used)) <= budget


def test_nothing_of_nothing_is_zero_per_cent_and_something_of_nothing_is_none() -> None:
    assert used_pct(0, 0) == 0
    assert used_pct(1, 0) is None


@pytest.mark.parametrize(
    ("used", "budget", "needed", "exceeded", "unmet"),
    [
        (100, 100, None, False, False),
        (101, 100, None, True, False),
        (100, 100, 101, False, True),
        (101, 100, 102, True, False),  # exceeded is not counted as unmet too
        (100, 100, 100, False, False),
        (0, 0, None, False, False),
        (1, 0, None, True, False),
        (0, 0, 1, False, True),
        (5, None, 9, False, False),
    ],
)
def test_exceeded_is_used_over_budget_and_unmet_is_needed_over_budget_within_it(
    used: int, budget: int | None, needed: int | None, exceeded: bool, unmet: bool
) -> None:
    event = run("1", used=used, budget=budget, needed_tokens=needed)

    assert (event.exceeded, event.unmet) == (exceeded, unmet)
    cell = measure(event)
    assert (cell.exceeded, cell.unmet) == (exceeded, unmet)


def test_a_zero_budget_that_was_kept_is_rated_and_one_that_was_not_is_only_exceeded() -> None:
    kept, broken = measure(run("1", used=0, budget=0)), measure(run("2", used=7, budget=0))

    assert (kept.executions, kept.rated, kept.pct_sum, kept.exceeded) == (1, 1, 0, 0)
    assert (broken.executions, broken.rated, broken.pct_max, broken.exceeded) == (1, 0, None, 1)
    assert broken.used == 7


def test_a_run_without_a_budget_counts_in_tokens_and_cost_only() -> None:
    cell = measure(run("1", used=9, budget=None, cost_nano_usd=3, needed_tokens=99))

    assert (cell.events, cell.unbudgeted, cell.cost, cell.priced) == (1, 9, 3, 1)
    assert (cell.executions, cell.rated, cell.used, cell.budget) == (0, 0, 0, 0)
    assert (cell.exceeded, cell.unmet, cell.sketch) == (0, 0, {})


def test_an_absurd_run_weighs_no_more_than_the_cap_in_an_average() -> None:
    cell = measure(run("1", used=MAX_TOKENS, budget=1))

    assert cell.pct_sum == MAX_SUMMED_PERCENT
    assert cell.pct_max == MAX_TOKENS * 100 * PERCENT
    assert cell.pct_max < 2**63


@given(events=run_lists, seed=st.integers(0, 99))
def test_folding_does_not_depend_on_the_order(events: list[UsageEvent], seed: int) -> None:
    shuffled = list(events)
    Random(seed).shuffle(shuffled)

    assert fold(shuffled) == fold(events)


@given(ours=run_lists, theirs=run_lists, others=run_lists)
def test_the_fold_of_all_is_the_sum_of_the_folds_however_grouped(
    ours: list[UsageEvent], theirs: list[UsageEvent], others: list[UsageEvent]
) -> None:
    whole = fold([*ours, *theirs, *others])

    assert added(fold(ours), fold(theirs), fold(others)) == whole
    assert added(fold(ours), added(fold(theirs), fold(others))) == whole
    assert added(fold([*ours, *theirs]), fold(others)) == whole


@given(events=run_lists)
def test_hours_days_and_months_hold_the_same_events(events: list[UsageEvent]) -> None:
    cells = fold(events)

    for family in FAMILIES:
        hours = summed(of_family(cells, family, HOUR))
        assert hours == summed(of_family(cells, family, DAY))
        assert hours == summed(of_family(cells, family, MONTH))


@given(events=run_lists)
def test_hour_cells_alone_are_the_hours_of_the_fold(events: list[UsageEvent]) -> None:
    hours = {at: cell for at, cell in fold(events).items() if at[1] == HOUR}

    assert fold_hours(events) == hours


@given(events=run_lists)
def test_totals_and_runs_hold_every_event_once(events: list[UsageEvent]) -> None:
    cells = fold(events)
    whole = summed(of_family(cells, TOTAL, HOUR))

    assert whole == summed(of_family(cells, RUN, HOUR)) == summed(map(measure, events))
    rated = [
        pct
        for event in events
        if event.budget_tokens is not None
        and (pct := used_pct(event.used_tokens, event.budget_tokens)) is not None
    ]
    assert whole.events == len(events)
    assert whole.executions == sum(event.budget_tokens is not None for event in events)
    assert whole.rated == len(rated)
    assert whole.pct_sum == sum(min(pct, MAX_SUMMED_PERCENT) for pct in rated)
    assert (whole.pct_min, whole.pct_max) == (min(rated, default=None), max(rated, default=None))
    assert whole.sketch == Counter(map(bucket_of, rated))
    assert whole.used + whole.unbudgeted == sum(event.used_tokens for event in events)
    assert whole.exceeded == sum(event.exceeded for event in events)
    assert whole.unmet == sum(event.unmet for event in events)
    assert whole.cost == sum(event.cost_nano_usd or 0 for event in events)
    assert whole.priced == sum(event.cost_nano_usd is not None for event in events)
    assert whole.failed == sum(event.success is False for event in events)


@given(events=run_lists)
def test_a_dimension_holds_the_events_that_have_it(events: list[UsageEvent]) -> None:
    cells = fold(events)

    for family in DIMENSIONS[1:]:
        having = [event for event in events if getattr(event, family) is not None]
        assert summed(of_family(cells, family, DAY)) == summed(map(measure, having))
        keys = {(at[3], at[4]) for at in cells if at[0] == family}
        assert keys == {(event.agent, getattr(event, family)) for event in having}


@given(event=runs)
def test_a_scope_holds_its_own_tokens(event: UsageEvent) -> None:
    cells = fold([event])

    held = {at[4]: cell for at, cell in cells.items() if at[:2] == ("scope", HOUR)}
    assert {name: cell.used + cell.unbudgeted for name, cell in held.items()} == event.scopes


@given(event=runs)
def test_a_cell_starts_with_its_utc_hour_day_and_month(event: UsageEvent) -> None:
    moment = datetime.fromtimestamp(event.at // 1_000_000, UTC)
    hour = moment.replace(minute=0, second=0)
    day = hour.replace(hour=0)
    starts = {at[1]: datetime.fromtimestamp(at[2], UTC) for at in fold([event])}

    assert starts == {HOUR: hour, DAY: day, MONTH: day.replace(day=1)}


@given(second=st.integers(-(2**33), 2**35))
def test_months_begin_with_a_day(second: int) -> None:
    month, day = month_start(second), day_start(second)

    assert month <= day <= second < day + 86_400
    assert day_start(month) == month == month_start(month)


@given(events=run_lists)
def test_a_cell_survives_its_row(events: list[UsageEvent]) -> None:
    for cell in fold(events).values():
        row = cell.row()
        assert len(row) == len(CELL_COLUMNS)
        assert Cell.of_row(row) == cell


@given(events=run_lists)
def test_folding_leaves_cells_that_do_not_share_their_counts(events: list[UsageEvent]) -> None:
    cells = fold(events)
    before = {at: cell.row() for at, cell in cells.items()}

    total = summed(cells.values())
    total.add(total)

    assert {at: cell.row() for at, cell in cells.items()} == before


def test_statistics_of_nothing_rated_are_none() -> None:
    assert rated_statistics(Cell()) is None
    assert rated_statistics(measure(run("1", used=1, budget=0))) is None


def test_statistics_of_the_original_two_runs() -> None:
    first = measure(run("1", used=18_000, budget=20_000))
    first.add(measure(run("2", used=29_436, budget=30_000)))

    found = rated_statistics(first)

    assert found is not None
    average, median, low, high, p95 = found
    assert average == pytest.approx(94.06)
    assert (low, high, p95) == (90.0, 98.12, 98.12)
    assert median == pytest.approx(94.06, rel=0.01)


def test_events_are_values() -> None:
    event = run("1")

    assert replace(event) == event
    assert replace(event, used_tokens=51) != event
