"""Laws of grouping: groups add up to the whole, and the figures say what they promise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.analytics import (
    Analytics,
    CellName,
    Group,
    Groups,
    Window,
    add_scopes,
    describe,
    describe_all,
    flat,
    group_dimension,
    group_runs,
    merge,
    usd,
)
from app.core.usage import HOUR, RUN, Cell, UsageEvent, fold_hours
from tests.core.runs import run, run_lists

NO_WINDOW = Window(since=None, until=None)


def cells(events: list[UsageEvent], family: str) -> dict[CellName, Cell]:
    found: dict[CellName, Cell] = {}
    for (its, grain, _, agent, key, key2), cell in fold_hours(events).items():
        if its == family and grain == HOUR:
            found.setdefault((agent, key, key2), Cell()).add(cell)
    return found


def groups_by(events: list[UsageEvent], by: str) -> Groups:
    groups = group_runs(cells(events, RUN), by)
    if by in ("agent", ""):
        add_scopes(groups, cells(events, "scope"), by)
    return groups


@pytest.mark.parametrize("by", ["agent", "complexity", "profile"])
@given(events=run_lists)
def test_groups_of_runs_add_up_to_all_runs(by: str, events: list[UsageEvent]) -> None:
    whole = groups_by(events, "").get("", Group())
    total = Cell()
    for group in groups_by(events, by).values():
        total.add(group.cell)

    assert total == whole.cell


@pytest.mark.parametrize("by", ["agent", "complexity", "profile"])
@given(events=run_lists)
def test_a_group_of_runs_is_the_runs_of_its_key(by: str, events: list[UsageEvent]) -> None:
    for key, group in groups_by(events, by).items():
        own = [event for event in events if (getattr(event, by) or "") == key]
        assert group.cell == groups_by(own, "")[""].cell


@given(events=run_lists)
def test_a_group_of_a_dimension_is_the_runs_that_name_its_key(events: list[UsageEvent]) -> None:
    groups = group_dimension(cells(events, "model"))

    assert set(groups) == {event.model for event in events if event.model is not None}
    for key, group in groups.items():
        own = [event for event in events if event.model == key]
        assert group.cell == groups_by(own, "")[""].cell


@pytest.mark.parametrize("by", ["agent", ""])
@given(ours=run_lists, theirs=run_lists)
def test_merged_groups_are_the_groups_of_all(
    by: str, ours: list[UsageEvent], theirs: list[UsageEvent]
) -> None:
    parts = [groups_by(ours, by), groups_by(theirs, by)]

    assert describe_all(merge(parts), parts=True) == describe_all(
        groups_by([*ours, *theirs], by), parts=True
    )


@given(ours=run_lists, theirs=run_lists)
def test_merging_leaves_its_parts_as_they_were(
    ours: list[UsageEvent], theirs: list[UsageEvent]
) -> None:
    parts = [groups_by(ours, "agent"), groups_by(theirs, "agent")]
    before = [describe_all(part, parts=True) for part in parts]

    merge([merge(parts), *parts])

    assert [describe_all(part, parts=True) for part in parts] == before


@given(events=run_lists)
def test_rates_and_shares_are_shares(events: list[UsageEvent]) -> None:
    found = describe(groups_by(events, "").get("", Group()))

    assert 0 <= found.exceedance_rate <= 1
    assert 0 <= found.unmet_rate <= 1
    assert found.exceedance_rate * found.executions == pytest.approx(found.exceeded)
    assert found.scope_share is not None
    assert sum(found.scope_share.values()) == pytest.approx(1 if found.scope_share else 0)
    assert found.tokens.used == sum(event.used_tokens for event in events)
    assert found.tokens.unbudgeted <= found.tokens.used


def test_what_is_not_known_is_null_and_not_zero() -> None:
    found = describe(Group())

    assert (found.used_pct, found.cost_usd, found.avg_duration_seconds) == (None, None, None)
    assert (found.executions, found.exceedance_rate, found.scope_share) == (0, 0.0, {})


def test_tiers_show_executions_of_known_complexity_only() -> None:
    events = [
        run("1", used=50, complexity="simple"),
        run("2", used=100, complexity="simple"),
        run("3", used=1, complexity=None),
        run("4", used=1, budget=None, complexity="complex"),
    ]

    tiers = describe(groups_by(events, "")[""]).by_complexity

    assert tiers is not None
    assert {tier: (one.executions, one.avg_used_pct) for tier, one in tiers.items()} == {
        "simple": (2, 75.0)
    }


def test_the_share_of_a_scope_is_its_tokens_over_the_tokens_of_all() -> None:
    events = [
        run("1", scopes={"global": 10, "notes": 30}),
        run("2", scopes={"global": 60}),
        run("3"),
    ]

    assert describe(groups_by(events, "agent")["specialists/dbt-expert"]).scope_share == {
        "global": 0.7,
        "notes": 0.3,
    }


@given(nano=st.integers(0, 10**18))
def test_money_is_exact_and_without_trailing_zeros(nano: int) -> None:
    written = usd(nano)
    whole, _, fraction = written.partition(".")

    assert int(whole) * 10**9 + int(fraction.ljust(9, "0")) == nano
    assert not fraction.endswith("0")
    assert "e" not in written.lower()


def test_a_table_has_the_whole_first_and_the_same_columns_in_every_row() -> None:
    events = [run("1"), replace(run("2"), agent="roles/dba", cost_nano_usd=1)]
    groups = groups_by(events, "agent")
    found = Analytics(
        window=NO_WINDOW,
        by="agent",
        overall=describe(groups_by(events, "")[""]),
        groups=describe_all(groups, parts=True),
    )

    rows = flat(found)

    assert [row["key"] for row in rows] == ["(all)", "roles/dba", "specialists/dbt-expert"]
    assert [row["executions"] for row in rows] == [2, 1, 1]
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
