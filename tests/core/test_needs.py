"""The profile that fits is the smallest that covers 95 of 100 runs, counted one by one."""

import json
import shlex
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.needs import USUAL, Choice, Fit, Ledger, Run, choices_of, fit_of
from app.core.needs_advice import advice
from app.core.needs_report import CALM, TOO_FEW, Asked, needs_report
from app.core.policy_documents import layers_for
from app.core.policy_faults import MAX_TOKENS
from app.core.policybook import PolicyBook
from app.core.report_data import from_data, to_data
from app.core.report_html import html_of
from app.core.report_markdown import markdown_of
from app.core.reports import Report
from app.presets.loader import shipped

LAYERS = layers_for("default", shipped=shipped(), stored={})
BOOK = PolicyBook.compile(LAYERS, workspace="default", version=0)
CHOICES = choices_of(BOOK)
LEAST = 10
TIERS = ("simple", "medium", "complex", "multi-system", None, "expert")
ASKED = Asked(id="rpt_1", workspace="default", since=0, until=10**15, now=10**15)

RUNS = st.lists(
    st.builds(
        Run,
        agent=st.sampled_from(["a", "b"]),
        complexity=st.sampled_from(TIERS),
        used=st.one_of(st.integers(0, 200_000), st.sampled_from([20_000, 35_000, 50_000, 75_000])),
        needed=st.none() | st.integers(0, 200_000),
        output=st.none() | st.integers(0, 9_000),
        cached=st.none() | st.integers(0, 9_000),
        cost=st.none() | st.integers(0, 10**9),
    ),
    max_size=60,
)


def run(used: int, agent: str = "a", **more: Any) -> Run:
    return Run(**{"agent": agent, "complexity": None, "used": used, "needed": None} | more)


def ledger(runs: list[Run], choices: tuple[Choice, ...] = CHOICES) -> Ledger:
    found = Ledger(choices)
    for one in runs:
        found.add(one)
    return found


def fit(runs: list[Run], agent: str = "a") -> Fit:
    return fit_of(ledger(runs), agent, book=BOOK, least=LEAST)


def report(runs: list[Run], workspace: str = "default") -> Report:
    counted = ledger(runs)
    fits = [fit_of(counted, agent, book=BOOK, least=LEAST) for agent in counted.needs]
    asked = Asked(id="rpt_1", workspace=workspace, since=0, until=10**15, now=10**15)
    return needs_report(fits, CHOICES, asked)


def test_the_shipped_profiles_are_measured_against_by_their_medium_budget() -> None:
    assert [(one.name, one.usual, one.ceiling) for one in CHOICES] == [
        ("specialist-narrow", 20_000, 50_000),
        ("specialist-broad", 35_000, 75_000),
        ("role-coordinator", 50_000, 100_000),
        ("role-architect", 75_000, 150_000),
    ]
    assert CHOICES[0].budgets == {
        "simple": 10_000,
        "medium": 20_000,
        "complex": 30_000,
        "multi-system": 40_000,
    }


def need_of(one: Run) -> int:
    return max(one.used, one.needed or 0)


def budget(choice: Choice, one: Run) -> int:
    return choice.budgets.get(one.complexity or USUAL, choice.usual)


@given(runs=RUNS)
def test_what_a_profile_would_have_meant_is_counted_run_by_run(runs: list[Run]) -> None:
    counted = ledger(runs)
    for agent, need in counted.needs.items():
        mine = [one for one in runs if one.agent == agent and need_of(one)]
        assert need.runs == len(mine)
        assert need.empty == sum(one.agent == agent for one in runs) - len(mine)
        for choice in CHOICES:
            outcome = counted.under(need, choice)
            short = sum(need_of(one) > budget(choice, one) for one in mine)
            saved = sum(max(0, one.used - budget(choice, one)) for one in mine)
            cost = sum(
                Decimal(one.cost) * max(0, one.used - budget(choice, one)) / one.used
                for one in mine
                if one.cost is not None and one.used
            )
            assert (outcome.short, outcome.saved) == (short, saved)
            if outcome.saved_cost is None:
                assert not need.priced
            else:
                assert outcome.saved_cost == pytest.approx(float(cost), rel=1e-6, abs=1)
            assert counted.fits(need, choice) == (100 * (len(mine) - short) >= 95 * len(mine))


@given(runs=RUNS)
def test_the_smallest_profile_that_fits_is_proposed(runs: list[Run]) -> None:
    counted = ledger(runs)
    for agent, need in counted.needs.items():
        found = fit_of(counted, agent, book=BOOK, least=LEAST)
        fitting = [one for one in CHOICES if counted.fits(need, one)]
        if need.runs < LEAST:
            assert (found.choice, found.own, found.outcome) == (None, None, None)
            assert found.missing == LEAST - need.runs
        elif fitting:
            assert (found.choice, found.own) == (fitting[0], None)
        else:
            assert found.choice is None
            assert found.own is not None
            mine = [need_of(one) for one in runs if one.agent == agent and need_of(one)]
            assert 100 * sum(tokens > found.own for tokens in mine) <= 5 * len(mine)
            assert found.own % 5_000 == 0


@pytest.mark.parametrize(("over", "name"), [(5, "specialist-narrow"), (6, "specialist-broad")])
def test_five_of_a_hundred_runs_may_be_short(over: int, name: str) -> None:
    runs = [run(20_000)] * (100 - over) + [run(20_001)] * over
    found = fit(runs)
    assert found.choice is not None
    assert found.choice.name == name


def test_complexity_counts_where_it_is_known() -> None:
    runs = [run(40_000, complexity="multi-system")] * 20 + [run(10_000, complexity="simple")] * 20
    found = fit(runs)
    assert found.choice is not None
    assert found.choice.name == "specialist-narrow"
    assert fit([run(40_000)] * 20).choice == CHOICES[2]


def test_an_agent_that_needs_more_than_any_profile_is_told_so_with_a_profile_of_its_own() -> None:
    found = report([run(167_000, "claude-code")] * 40)
    todo = found.todo[0]
    assert todo.title == "claude-code needs more than any profile: p95 167,000 tokens"
    assert "role-architect, gives 75,000" in todo.why
    assert '"base_budget": 170000' in todo.how
    assert "/agents/claude-code" in todo.how


@given(needs=st.lists(st.integers(76_000, 400_000), min_size=LEAST, max_size=80))
def test_a_profile_of_its_own_covers_what_it_must(needs: list[int]) -> None:
    own = fit([run(tokens) for tokens in needs]).own
    assert own is not None
    assert 100 * sum(tokens > own for tokens in needs) <= 5 * len(needs)


def test_without_any_profile_there_is_still_an_answer() -> None:
    counted = ledger([run(20_000)] * 20, ())
    found = fit_of(counted, "a", book=BOOK, least=LEAST)
    assert (found.choice, found.own) == (None, 20_000)
    assert needs_report([found], (), ASKED).todo[0].how


def test_an_agent_that_has_its_profile_is_left_alone() -> None:
    found = report([run(18_000, "specialists/dbt-expert")] * 20)
    assert (found.todo, found.calm) == ((), CALM)


def test_who_is_always_short_comes_before_small_savings() -> None:
    short = [run(18_000, "specialists/dbt-expert", needed=30_000)] * 40
    saving = [run(20_500, "b")] * 2 + [run(20_000, "b")] * 38
    found = report([*short, *saving])
    assert [one.title.split()[1] for one in found.todo] == ["specialists/dbt-expert", "b"]


def test_few_runs_propose_nothing_and_say_how_many_are_missing() -> None:
    found = report([run(18_000)] * 9)
    assert (found.todo, found.calm) == ((), TOO_FEW)
    assert "too few runs to say: 1 more" in markdown_of(found)


def test_nothing_at_all_says_how_to_begin() -> None:
    assert "membudget-server import" in markdown_of(report([]))


def test_runs_that_needed_nothing_say_nothing() -> None:
    found = fit([run(0)] * 500 + [run(30_000)] * 20)
    assert (found.need.runs, found.need.empty, found.need.low) == (20, 500, 30_000)
    assert found.choice == CHOICES[1]


HOSTILE = (
    "<script>alert(1)</script>",
    "a' -d '{}' ; rm -rf ~ #",
    '"quoted" `ticked` $(run)',
    "\u202eright to left",
    "type/name/more?x=1&y=2#z",
    "n" * 400,
    "🤖",
    "",
)


def test_a_profile_of_its_own_is_not_that_of_another_agent() -> None:
    names = ["a b", "a-b", "日本", "ε", "role-architect"]
    counted = ledger([run(190_000, name) for name in names for _ in range(20)])
    fits = [fit_of(counted, name, book=BOOK, least=LEAST) for name in names]
    made = [
        one.how.split("/profiles/")[1].split('"')[0] for one in advice(fits, CHOICES, "default")
    ]
    assert made == ["a-b", "a-b-2", "own", "own-2", "role-architect-2"]


@pytest.mark.parametrize("needed", [190_000, MAX_TOKENS // 2 + 1, MAX_TOKENS])
def test_a_profile_of_its_own_is_one_that_policy_may_say(needed: int) -> None:
    (one,) = advice([fit([run(needed)] * 20)], CHOICES, "default")
    said = json.loads(shlex.split(one.how.splitlines()[0])[-1])
    assert needed <= said["base_budget"] <= said["max_budget"] <= MAX_TOKENS


@pytest.mark.parametrize("agent", HOSTILE)
def test_hostile_names_are_harmless(agent: str) -> None:
    found = report([run(190_000, agent)] * 20 + [run(30_000, f"{agent}x")] * 20)
    page = html_of(found)
    assert "<script" not in page
    for todo in found.todo:
        assert "$(run)" not in todo.how.replace("'$(run)'", "") or "'" in todo.how
        assert "\n\n" not in todo.how
    assert from_data(to_data(found)) == found


@given(runs=RUNS)
def test_any_runs_can_be_drawn(runs: list[Run]) -> None:
    found = report(runs, workspace="other")
    assert html_of(found)
    assert markdown_of(found)
    assert len(found.todo) <= 3
    listed = next(one for one in found.sections if one.key == "agents").data or {}
    assert sum(one["runs"] for one in listed["agents"]) == sum(need_of(one) > 0 for one in runs)
