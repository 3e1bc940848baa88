"""Laws of impacts: what a replay changed, agent by agent, whole or from parts."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.core.impacts import (
    budgets_under,
    impact_of,
    impact_of_sums,
    no_impact,
)
from app.core.simulation import Runs, replay
from app.core.statistics import encode
from app.core.usage import Cell
from tests.core.advice import BOOK, LADDER
from tests.core.cell_replay import replay_cells

PROFILES = [one.profile for one in LADDER if one.profile is not None]
AGENTS = ("t/a", "t/b", "specialists/dbt-expert")

tokens = st.integers(0, 200_000)
runs = st.builds(
    Runs,
    agent=st.sampled_from(AGENTS),
    budget=tokens,
    used=tokens,
    needed=st.none() | tokens,
    complexity=st.sampled_from((None, "simple", "medium", "complex", "multi-system", "expert")),
    profile=st.none() | st.sampled_from(PROFILES),
    cost=st.none() | st.integers(0, 10**12),
)
run_lists = st.lists(runs, max_size=12)


@given(its=run_lists, profile=st.sampled_from(PROFILES))
def test_what_is_saved_is_what_was_less_what_would_be(its: list[Runs], profile: str) -> None:
    budget_of = budgets_under(BOOK, profile)
    impact = impact_of(replay(its, budget_of))

    assert impact.tokens_saved == sum(run.budget - budget_of(run) for run in its)
    assert (impact.usd_saved is None) == all(run.cost is None for run in its)
    if impact.usd_saved is not None:
        assert Decimal(impact.usd_saved) * 10**9 % 1 == 0


@given(its=run_lists)
def test_recorded_budgets_change_nothing(its: list[Runs]) -> None:
    cell = Cell(priced=sum(run.cost is not None for run in its))

    assert impact_of(replay(its, lambda run: run.budget)) == no_impact(cell)


@given(run=runs, profile=st.sampled_from(PROFILES))
def test_a_budget_that_was_asked_for_stays(run: Runs, profile: str) -> None:
    manual = Runs(agent=run.agent, budget=run.budget, used=run.used, profile="manual")

    assert budgets_under(BOOK, profile)(manual) == run.budget


@given(count=st.integers(1, 50), used=tokens, profile=st.sampled_from(PROFILES))
def test_cells_of_like_runs_have_the_impact_of_the_runs(
    count: int, used: int, profile: str
) -> None:
    run = Runs(agent="t/a", budget=30_000, used=used, complexity="medium", profile=profile)
    recorded = replay([run] * count, lambda run: run.budget)
    budget_of = budgets_under(BOOK, profile)

    exactly = impact_of(replay([run] * count, budget_of))
    about = impact_of(replay_cells(recorded.recorded, budget_of))

    assert about.tokens_saved == exactly.tokens_saved
    bound = budget_of(run)
    if abs(used - bound) > 0.011 * bound:  # the sketch knows within one per cent
        assert about.exceedances_avoided == exactly.exceedances_avoided


@given(
    its=run_lists,
    beyond=st.dictionaries(st.integers(0, 1500), st.integers(1, 70_000), max_size=4),
    profile=st.sampled_from(PROFILES),
)
def test_sums_and_encoded_sketches_say_what_cells_say(
    its: list[Runs], beyond: dict[int, int], profile: str
) -> None:
    """What is added and taken away again changes nothing."""
    recorded = replay(its, lambda run: run.budget).recorded
    sums = {name: replace(cell, sketch={}) for name, cell in recorded.items()}
    taken = encode(beyond)
    sketches = {
        name: (
            taken + b"".join(encode({bucket: count}) for bucket, count in cell.sketch.items()),
            taken,
        )
        for name, cell in recorded.items()
        if cell.sketch
    }
    budget_of = budgets_under(BOOK, profile)

    found = impact_of_sums(sums, sketches, budget_of)

    about = impact_of(replay_cells(recorded, budget_of))
    assert found == replace(about, unmet_avoided=None, used_tokens_saved=None, usd_saved=None)
