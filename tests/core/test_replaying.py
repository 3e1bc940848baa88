"""A replayed run gets the budget that the policy gives, or keeps its own for a reason."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.budgets import budget_for
from app.core.complexity import QUERY_TIERS, TASK_TIERS
from app.core.policy_documents import layers_for
from app.core.policybook import PolicyBook
from app.core.replaying import LAG, BookBudgets, InForce, Tried
from app.core.simulation import Runs
from app.presets.loader import shipped

SHIPPED = shipped()
DBT = "specialists/dbt-expert"
SCOPES = {"global": 0.5, "agent_recent": 0.25, "agent_patterns": 0.25}
DAY = 86_400_000_000


def book(workspace: str = "default", **stored: dict[str, Any]) -> PolicyBook:
    layers = layers_for(workspace, shipped=SHIPPED, stored=stored)
    return PolicyBook.compile(layers, workspace=workspace, version=1)


def run(agent: str = DBT, budget: int = 0, **facts: Any) -> Runs:
    return Runs(agent=agent, budget=budget, used=0, **facts)


def with_base(base: int, **more: Any) -> PolicyBook:
    profile = {"base_budget": base, "max_budget": 10 * base, "scope_weights": SCOPES, **more}
    return book(default={"profiles": {"specialist-narrow": profile}})


@pytest.mark.parametrize("tier", TASK_TIERS)
def test_every_shipped_agent_gets_what_an_allocation_gives_it(tier: str) -> None:
    shipped_book = book()
    budgets = BookBudgets(shipped_book)
    for agent in shipped_book.assignments:
        policy, _ = shipped_book.resolve(agent=agent, workspace="default")
        assert budgets.budget(run(agent, complexity=tier)) == budget_for(policy, tier).tokens


@pytest.mark.parametrize("tier", QUERY_TIERS)
@pytest.mark.parametrize("workspace", ["default", "research", "nobody-declared"])
def test_runs_without_an_agent_get_their_workspaces_budget(workspace: str, tier: str) -> None:
    its = book(workspace)
    policy, _ = its.resolve(workspace=workspace)
    assert BookBudgets(its).budget(run("", complexity=tier)) == budget_for(policy, tier).tokens


@pytest.mark.parametrize(
    ("tier", "tokens"),
    [(None, 20_000), ("simple", 10_000), ("multi-system", 40_000), ("expert", 40_000)],
)
def test_a_missing_complexity_is_medium_and_the_fourth_rung_has_two_names(
    tier: str | None, tokens: int
) -> None:
    assert BookBudgets(book()).budget(run(complexity=tier)) == tokens


def test_names_are_taken_as_booked_and_unknown_ones_get_the_default_profile() -> None:
    budgets = BookBudgets(book())
    assert budgets.budget(run("roles/data-architect-role")) == 75_000
    assert budgets.budget(run("roles/data-architect-rol")) == 20_000  # an allocation would guess
    assert budgets.budget(run("t" * 200 + "/" + "n" * 200)) == 20_000


def test_users_and_projects_have_their_own_budgets() -> None:
    its = book(
        "team",
        team={
            "users": {"ann": {"profile": "role-architect"}},
            "projects": {"big": {"max_total_tokens": 99, "overrides_agents": True}},
        },
    )
    budgets = BookBudgets(its)
    assert budgets.budget(run(user="ann")) == 75_000
    assert budgets.budget(run(user="bob")) == 20_000
    assert budgets.budget(run(project="big")) == 99
    assert budgets.budget(run(project="small")) == 20_000


def test_other_multipliers_take_the_place_of_those_they_name() -> None:
    tried = BookBudgets(book(), multipliers={"complex": Decimal("1.1"), "expert": Decimal(1)})
    assert tried.budget(run(complexity="complex")) == 22_000
    assert tried.budget(run(complexity="simple")) == 10_000
    assert tried.budget(run(complexity="multi-system")) == 20_000
    assert tried.budget(run("", complexity="expert")) == 8_192


def test_under_a_profile_every_agent_has_it_up_to_its_ceiling() -> None:
    tried = BookBudgets(book(), profile="specialist-broad")
    assert tried.budget(run("roles/research-role", complexity="simple")) == 17_500
    assert tried.budget(run("stranger", complexity="multi-system")) == 70_000
    capped = BookBudgets(with_base(50_000, max_budget=60_000), profile="specialist-narrow")
    assert capped.budget(run("roles/research-role", complexity="complex")) == 60_000


def test_manual_budgets_and_agentless_runs_are_kept_where_no_profile_decides() -> None:
    under_profile = Tried(BookBudgets(book(), profile="specialist-broad"), is_for_agents=True)
    assert under_profile(run(budget=7, profile="manual", allocation_id="alc_1", count=3)) == 7
    assert under_profile(run("", budget=8, profile="default")) == 8
    assert under_profile(run(budget=9, profile="manual")) == 35_000  # a profile of that name
    assert under_profile.kept == {"manual": 3, "without_agent": 1}
    under_policy = Tried(BookBudgets(book()))
    assert under_policy(run("", budget=8, profile="default")) == 8_192
    assert under_policy.kept == {}


class Books:
    """A policy for each day: its profile has as many tokens as `bases` says."""

    def __init__(self, bases: Sequence[int], **more: Any) -> None:
        self.since = [day * DAY for day in range(len(bases))]
        self.budgets = InForce(self.since)
        self._books = [with_base(base, **more) for base in bases]

    def budget(self, run: Runs) -> int:
        return self.budgets.budget(run, book_at=self._books.__getitem__)


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=4), st.data())
def test_what_the_policy_of_the_time_gave_is_reproduced(bases: list[int], data: Any) -> None:
    books = Books(bases)
    day = data.draw(st.integers(0, len(bases) - 1))
    opened = data.draw(st.integers(day * DAY, (day + 1) * DAY - 1))
    ended = opened + data.draw(st.integers(0, 3 * DAY))
    given_then = run(budget=bases[day], opened_at=opened, at=ended, allocation_id="alc_1")
    assert books.budget(given_then) == bases[day]
    assert books.budgets.kept == {}


def test_what_no_policy_of_the_time_gave_is_kept_with_its_reason() -> None:
    books = Books([100, 200, 300])
    yesterday, today = DAY + DAY // 2, 2 * DAY + DAY // 2
    facts: dict[str, Any] = {"opened_at": today, "at": today, "allocation_id": "alc_1"}
    assert books.budget(run(budget=300, **facts)) == 300
    assert books.budget(run(budget=200, **facts)) == 200
    assert books.budget(run(budget=300, **(facts | {"allocation_id": None}))) == 300
    assert books.budget(run(budget=77, **(facts | {"allocation_id": None}))) == 77
    assert books.budget(run(budget=78, profile="manual", **facts)) == 78
    assert books.budget(run(budget=200, **(facts | {"opened_at": yesterday}))) == 200
    assert books.budgets.kept == {"other": 1, "reported": 1, "manual": 1}


def test_a_process_may_follow_a_change_a_little_late() -> None:
    books = Books([100, 200])
    for late, reasons in ((LAG, {}), (LAG + 1, {"other": 1})):
        at = DAY + late - 1
        books.budget(run(budget=100, opened_at=at, at=at, allocation_id="alc_1"))
        assert books.budgets.kept == reasons


def test_a_raised_budget_is_kept_as_such_only_where_auto_bump_may_have_raised_it() -> None:
    for auto_bump, reason in ((True, "raised"), (False, "other")):
        books = Books([100], auto_bump=auto_bump)
        books.budget(run(budget=150, allocation_id="alc_1"))
        books.budget(run(budget=151, allocation_id="alc_1"))
        expected = {"raised": 1, "other": 1} if reason == "raised" else {"other": 2}
        assert books.budgets.kept == expected


def test_a_run_before_the_first_version_had_what_ships() -> None:
    books = Books([100, 200])
    assert books.budget(run(budget=100, opened_at=-5 * DAY, at=-5 * DAY)) == 100
    assert books.budgets.kept == {}
