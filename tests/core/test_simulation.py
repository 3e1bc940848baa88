"""Laws of replaying runs: nothing changed is nothing changed, more budget is never worse."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.analytics import CellName
from app.core.profiles import Enforcement
from app.core.simulation import (
    Comparison,
    Outcome,
    Runs,
    replay,
    total,
    used_under,
)
from app.core.usage import RUN, Cell, UsageEvent, fold_hours, used_pct
from tests.core.cell_replay import replay_cells
from tests.core.runs import run_lists, tokens


def runs_of(event: UsageEvent) -> Runs:
    """A recorded run, as the store reads it."""
    assert event.budget_tokens is not None
    seconds = event.duration_seconds
    return Runs(
        agent=event.agent,
        budget=event.budget_tokens,
        used=event.used_tokens,
        needed=event.needed_tokens,
        complexity=event.complexity,
        profile=event.profile,
        at=event.at,
        cost=event.cost_nano_usd,
        input=event.input_tokens,
        output=event.output_tokens,
        cached=event.cached_tokens,
        duration_ms=None if seconds is None else round(seconds * 1000),
        failed=event.success is False,
    )


def cells_of(events: Iterable[UsageEvent]) -> Outcome:
    found: defaultdict[CellName, Cell] = defaultdict(Cell)
    for (family, _, _, agent, key, key2), cell in fold_hours(events).items():
        if family == RUN:
            found[agent, key, key2].add(cell)
    return dict(found)


def parts(outcome: Outcome) -> dict[CellName, tuple[Any, ...]]:
    return {name: cell.row() for name, cell in outcome.items()}


def recorded(run: Runs) -> int:
    return run.budget


def under(run: Runs, budget: int, enforcement: Enforcement = "soft") -> Cell:
    return total(replay([run], lambda _: budget, enforcement=enforcement).simulated)


def cells_under(cells: Outcome, budget: int) -> Cell:
    return total(replay_cells(cells, lambda _: budget).simulated)


small = st.integers(0, 60)
single_runs = st.builds(
    Runs,
    agent=st.sampled_from(("t/a", "t/b", "")),
    budget=small,
    used=small,
    needed=st.none() | small,
    count=st.integers(1, 4),
    complexity=st.sampled_from((None, "simple", "expert")),
    profile=st.sampled_from((None, "narrow")),
    cost=st.none() | st.integers(0, 1000),
)
"""Figures so small that budgets, uses and needs meet each other often."""
budgets = st.integers(0, 80)
ENFORCEMENTS: tuple[Enforcement, ...] = ("soft", "hard")
enforcements = st.sampled_from(ENFORCEMENTS)
executions = run_lists.map(lambda events: [e for e in events if e.budget_tokens is not None])


@given(executions)
def test_the_recorded_budgets_give_exactly_the_cells_of_the_record(
    events: list[UsageEvent],
) -> None:
    compared = replay(map(runs_of, events), recorded)
    assert parts(compared.recorded) == parts(cells_of(events))
    assert parts(compared.simulated) == parts(compared.recorded)


@given(executions, tokens)
def test_whatever_is_simulated_the_record_stays(events: list[UsageEvent], budget: int) -> None:
    compared = replay(map(runs_of, events), lambda _: budget)
    assert parts(compared.recorded) == parts(cells_of(events))
    assert total(compared.simulated).budget == budget * len(events)


@given(st.lists(single_runs), budgets, enforcements, st.randoms(use_true_random=False))
def test_order_and_grouping_and_parts_do_not_matter(
    runs: list[Runs], budget: int, enforcement: Enforcement, random: Any
) -> None:
    whole = replay(runs, lambda _: budget, enforcement=enforcement)
    alone = [replace(run, count=1) for run in runs for _ in range(run.count)]
    random.shuffle(alone)
    cut = random.randint(0, len(alone))
    together = Comparison()
    for part in (alone[:cut], alone[cut:]):
        together.add(replay(part, lambda _: budget, enforcement=enforcement))
    assert parts(together.recorded) == parts(whole.recorded)
    assert parts(together.simulated) == parts(whole.simulated)


@given(single_runs, budgets, budgets, enforcements)
def test_a_larger_budget_exceeds_no_more_leaves_no_more_short_and_loads_no_less(
    run: Runs, one: int, other: int, enforcement: Enforcement
) -> None:
    less, more = (under(run, budget, enforcement) for budget in sorted((one, other)))
    assert more.exceeded <= less.exceeded
    assert more.exceeded + more.unmet <= less.exceeded + less.unmet
    assert more.used >= less.used


@given(single_runs, budgets)
def test_a_run_is_short_exactly_when_it_wanted_more_than_its_budget(run: Runs, budget: int) -> None:
    wanted = max(run.used, run.needed or 0)
    for enforcement in ENFORCEMENTS:
        cell = under(run, budget, enforcement)
        assert cell.exceeded + cell.unmet == (run.count if wanted > budget else 0)


@given(single_runs, budgets)
def test_softly_no_run_loads_less_than_it_did_nor_more_than_it_needed(
    run: Runs, budget: int
) -> None:
    used = used_under(run, budget)
    assert run.used <= used <= max(run.used, run.needed or 0)
    assert used_under(run, run.budget) == run.used


@given(single_runs, budgets)
def test_hard_enforcement_loads_no_token_beyond_the_budget(run: Runs, budget: int) -> None:
    cell = under(run, budget, "hard")
    assert cell.used <= budget * run.count
    assert cell.exceeded == 0


@pytest.mark.parametrize(
    ("budget", "used", "needed", "tried", "uses", "outcome"),
    [
        (100, 80, None, 200, 80, "met"),
        (100, 80, 80, 50, 80, "exceeded"),
        (100, 80, 90, 200, 80, "met"),  # the budget did not cut it
        (100, 80, 90, 85, 80, "unmet"),
        (100, 100, 300, 300, 300, "met"),
        (100, 100, 300, 150, 150, "unmet"),
        (100, 90, 300, 150, 140, "unmet"),  # ten tokens stay unfilled
        (100, 90, 300, 299, 289, "unmet"),
        (100, 90, 300, 300, 300, "met"),
        (100, 100, 300, 60, 100, "exceeded"),
        (100, 60, 300, 60, 60, "unmet"),
        (100, 150, None, 150, 150, "met"),
        (100, 150, 400, 120, 150, "exceeded"),
        (100, 150, 400, 200, 200, "unmet"),
        (0, 5, None, 10, 5, "met"),
        (10, 5, None, 0, 5, "exceeded"),
        (10, 0, None, 0, 0, "met"),
    ],
)
def test_what_a_run_would_have_done(
    budget: int, used: int, needed: int | None, tried: int, uses: int, outcome: str
) -> None:
    run = Runs(agent="a", budget=budget, used=used, needed=needed)
    cell = under(run, tried)
    assert cell.used == uses
    found = "exceeded" if cell.exceeded else "unmet" if cell.unmet else "met"
    assert found == outcome
    pct = used_pct(uses, tried)
    assert (cell.pct_sum, cell.rated) == ((0, 0) if pct is None else (pct, 1))


def test_cost_follows_the_context_and_is_null_where_it_is_not_known() -> None:
    cut = Runs(agent="a", budget=100, used=100, needed=400, cost=1000)
    assert under(cut, 250).cost == 2500
    assert under(cut, 33, "hard").cost == 330
    free = replace(cut, cost=None)
    assert under(free, 250).priced == 0
    empty = Runs(agent="a", budget=0, used=0, needed=400, cost=1000)
    assert under(empty, 400).cost == 1000


@given(executions)
def test_cells_whose_budget_stays_are_what_they_were(events: list[UsageEvent]) -> None:
    compared = replay_cells(cells_of(events), recorded)
    assert parts(compared.recorded) == parts(cells_of(events))
    assert parts(compared.simulated) == parts(compared.recorded)


@given(run_lists, tokens)
def test_cells_count_executions_only_and_load_what_they_loaded(
    events: list[UsageEvent], budget: int
) -> None:
    compared = replay_cells(cells_of(events), lambda _: budget)
    ours = [event for event in events if event.budget_tokens is not None]
    before, after = total(compared.recorded), total(compared.simulated)
    assert before.executions == before.events == after.executions == len(ours)
    assert before.exceeded == sum(event.exceeded for event in ours)
    assert before.unmet == sum(event.unmet for event in ours)
    assert after.used == before.used == sum(event.used_tokens for event in ours)


uniform = st.lists(
    st.tuples(st.integers(1, 4_000), st.none() | st.integers(1, 4_000)), min_size=1, max_size=40
)


def of_one_budget(uses: list[tuple[int, int | None]]) -> list[UsageEvent]:
    return [
        UsageEvent(
            id=str(number),
            workspace="w",
            at=0,
            agent="a",
            used_tokens=used,
            budget_tokens=1_000,
            needed_tokens=needed,
        )
        for number, (used, needed) in enumerate(uses)
    ]


@given(uniform, st.integers(1, 5_000))
def test_cells_of_one_budget_tell_who_exceeds_within_one_per_cent(
    uses: list[tuple[int, int | None]], budget: int
) -> None:
    found = cells_under(cells_of(of_one_budget(uses)), budget)
    certain = sum(used > 1.011 * budget + 1 for used, _ in uses)
    possible = sum(used > 0.989 * budget - 1 for used, _ in uses)
    assert certain <= found.exceeded <= possible


@given(uniform, st.integers(1, 5_000), st.integers(1, 5_000))
def test_cells_exceed_no_more_and_are_short_no_more_under_a_larger_budget(
    uses: list[tuple[int, int | None]], one: int, other: int
) -> None:
    cells = cells_of(of_one_budget(uses))
    less, more = (cells_under(cells, budget) for budget in sorted((one, other)))
    assert more.exceeded <= less.exceeded
    assert more.exceeded + more.unmet <= less.exceeded + less.unmet


@given(uniform, st.integers(1, 5_000))
def test_average_used_of_cells_of_one_budget_is_that_of_the_runs(
    uses: list[tuple[int, int | None]], budget: int
) -> None:
    events = of_one_budget(uses)
    roughly = cells_under(cells_of(events), budget)
    plain = [replace(event, needed_tokens=None) for event in events]
    exactly = total(replay(map(runs_of, plain), lambda _: budget).simulated)
    assert roughly.pct_sum == pytest.approx(exactly.pct_sum, rel=1e-6, abs=len(uses))
    assert roughly.rated == exactly.rated
