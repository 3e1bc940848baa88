"""Each stated outcome is measured with an interval, or says what it needs to be."""

from collections.abc import Sequence

import pytest

from app.core import outcomes as told
from app.core.analytics import CellName
from app.core.measuring import Stretch, around_change, first_and_latest
from app.core.outcomes import Around, Compared, Ran
from app.core.report_outcomes import (
    Enforcement,
    Ready,
    Unassigned,
    enforcement_of,
    enforcement_part,
    outcomes_part,
    unassigned_todo,
)
from app.core.tokens_per_run import Kind, Tally, like_for_like, total_of
from app.core.usage import Cell, measure
from app.core.verdicts import Outcome
from tests.core.runs import run

DAY = 86_400_000_000


def cell(used: Sequence[int], budget: int = 20_000, needed: int | None = None) -> Cell:
    total = Cell()
    for number, tokens in enumerate(used):
        total.add(measure(run(str(number), used=tokens, budget=budget, needed_tokens=needed)))
    return total


def cells(
    used: Sequence[int], agent: str = "a", complexity: str = "medium", budget: int = 20_000
) -> dict[CellName, Cell]:
    return {(agent, complexity, "narrow"): cell(used, budget)}


def tallies(
    used: Sequence[int], agent: str = "a", days: int = 5, budget: int = 20_000
) -> dict[Kind, Tally]:
    """Runs of one kind, dealt out over some days."""
    found = Tally()
    for day in range(days):
        part = used[day::days]
        if part:
            found += Tally(
                days=1,
                runs=len(part),
                used=sum(part),
                squares=sum(part) ** 2 / len(part),
                exceeded=sum(one > budget for one in part),
            )
    return {(agent, "medium"): found}


def context(before: dict[Kind, Tally], after: dict[Kind, Tally]) -> Outcome:
    return told.less_context("c", "C", Compared(before=before, after=after, said="then, now"), "")


FULL, HALF = [19_000, 20_000, 21_000] * 10, [9_000, 10_000, 11_000] * 10


# Tokens a run


def test_a_change_of_mix_is_no_change_of_like_for_like() -> None:
    before = tallies([1_000, 1_100] * 45, "small") | tallies([30_000, 31_000] * 5, "large")
    after = tallies([1_000, 1_100] * 5, "small") | tallies([30_000, 31_000] * 45, "large")
    found = like_for_like(before, after)
    assert found.before.mean == pytest.approx(found.after.mean)
    assert (found.runs_before, found.runs_after) == (100, 100)
    assert total_of(after).mean > 5 * total_of(before).mean


def test_kinds_that_ran_on_one_side_or_one_day_only_are_left_out() -> None:
    before = tallies(FULL) | tallies([5] * 50, "gone") | tallies([7] * 50, "once", days=1)
    after = tallies(HALF) | tallies([900_000] * 50, "new") | tallies([9] * 50, "once")
    found = like_for_like(before, after)
    assert (found.runs_before, found.runs_after) == (30, 30)
    assert found.after.mean == pytest.approx(found.before.mean / 2)


def test_days_that_differ_make_the_interval_wide_and_runs_of_a_day_do_not_narrow_it() -> None:
    steady = context(tallies(FULL, days=10), tallies([14_000, 15_000, 16_000] * 10, days=10))
    swinging = [10_000] * 30 + [20_000] * 30
    waves = (
        tallies(swinging[:30], days=1)[("a", "medium")]
        + (tallies(swinging[30:], days=1)[("a", "medium")])
    )
    wide = context(tallies(FULL, days=10), {("a", "medium"): waves})
    assert steady.low is not None
    assert steady.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert steady.figure == pytest.approx(wide.figure)
    assert wide.high - wide.low > 10 * (steady.high - steady.low)


def test_the_error_is_that_of_the_days() -> None:
    daily = [(4, 40_000), (6, 66_000), (2, 18_000)]  # runs and tokens of each day
    tally = Tally()
    for runs, used in daily:
        tally += Tally(days=1, runs=runs, used=used, squares=used**2 / runs)
    mean = 124_000 / 12
    spread = sum(runs * (used / runs - mean) ** 2 for runs, used in daily) / 2
    assert tally.variance_of_mean == pytest.approx(spread / 12)


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (HALF, "met"),
        (FULL, "not met"),
        ([13_000, 15_000, 17_300] * 4, "open"),
    ],
)
def test_a_quarter_less_context_is_met_where_the_whole_interval_says_so(
    after: list[int], verdict: str
) -> None:
    found = context(tallies(FULL), tallies(after))
    assert found.verdict == verdict
    assert found.low is not None
    assert found.high is not None
    assert found.figure is not None
    assert found.low <= found.figure <= found.high


def test_half_the_context_is_fifty_percent_less() -> None:
    found = context(tallies(FULL), tallies(HALF))
    assert found.measured == "-50.0 %"
    said = "then, now; the same mix of agents and complexities"
    assert found.basis == f"{said}: 20,000 tokens a run in 30 runs, then 10,000 in 30"


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        ([], [], "needs 10 more runs before and 10 more runs since"),
        ([1] * 9, [1] * 10, "needs 1 more run before"),
        ([1] * 10, [1] * 3, "needs 7 more runs since"),
        ([0] * 10, [5] * 10, "no tokens were loaded on one side"),
    ],
)
def test_too_few_runs_say_how_many_more(before: list[int], after: list[int], missing: str) -> None:
    found = context(tallies(before), tallies(after))
    assert found.verdict == "not enough yet"
    assert found.measured == f"not enough yet: {missing}"
    assert found.figure is None


# Exceedance, accuracy, assignment, alerts


@pytest.mark.parametrize(
    ("exceeded", "runs", "verdict"),
    [(0, 100, "met"), (0, 50, "open"), (30, 100, "not met"), (5, 100, "open"), (0, 9, None)],
)
def test_exceedance_after_tuning(exceeded: int, runs: int, verdict: str | None) -> None:
    used = [30_000] * exceeded + [10_000] * (runs - exceeded)
    assert told.few_exceed(tallies(used), 1).verdict == (verdict or "not enough yet")


def test_without_a_change_there_is_no_after() -> None:
    assert told.few_exceed(None, 0).measured == "not enough yet: needs a budget that was changed"
    assert told.no_slower([]).verdict == told.no_less_success([]).verdict == "not enough yet"


def test_agents_with_too_few_runs_do_not_count_for_accuracy() -> None:
    found = told.profiles_fit(["maintain"] * 3 + ["upgrade"] + ["defer"] * 10)
    assert found.figure == 75.0
    assert found.basis.startswith("3 of 4 agents")
    assert told.profiles_fit(["defer"]).verdict == "not enough yet"
    assert told.profiles_fit(None).verdict == "not enough yet"
    assert told.profiles_fit(["maintain"] * 60).verdict == "met"
    assert told.profiles_fit(["maintain"] * 5).verdict == "open"
    assert told.profiles_fit(["upgrade"] * 60).verdict == "not met"


def test_assignment_is_counted_and_names_who_has_none() -> None:
    assert told.all_assigned(["a", "b"], []).verdict == "met"
    found = told.all_assigned([str(n) for n in range(10)], [str(n) for n in range(7)])
    assert (found.verdict, found.measured, found.interval) == ("not met", "3 of 10", "counted")
    assert found.basis == "without: 0, 1, 2, 3, 4 and 2 more"
    assert told.all_assigned([], []).verdict == "not enough yet"


@pytest.mark.parametrize(
    ("due", "raised", "verdict"), [(3, 3, "met"), (3, 2, "not met"), (0, 0, "not enough yet")]
)
def test_every_alert_that_was_due_must_have_fired(due: int, raised: int, verdict: str) -> None:
    assert told.alerts_fire(due, raised, 5).verdict == verdict


# Speed and success


def around(before: list[Ran], after: list[Ran]) -> list[Around]:
    return [Around(agent="a", before=before, after=after)]


def ran(seconds: float | None, tokens: int = 1_000, success: bool | None = True) -> Ran:
    return Ran(used=tokens, duration=seconds, success=success)


STEADY = [ran(1.0), ran(1.02), ran(0.98)] * 20


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (STEADY, "met"),
        ([ran(2.0), ran(2.1)] * 20, "not met"),
        ([ran(0.1), ran(1.0), ran(3.0)] * 4, "open"),
        ([ran(None)] * 50, "not enough yet"),
        ([ran(1.0, tokens=0)] * 50, "not enough yet"),
    ],
)
def test_speed_is_time_for_as_many_tokens(after: list[Ran], verdict: str) -> None:
    assert told.no_slower(around(STEADY, after)).verdict == verdict


def test_twice_the_tokens_in_twice_the_time_is_no_slower() -> None:
    double = [ran(2.0, 2_000), ran(2.04, 2_000), ran(1.96, 2_000)] * 20
    assert told.no_slower(around(STEADY, double)).figure == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("failures", "verdict"), [(0, "met"), (300, "not met"), (3, "met"), (45, "open")]
)
def test_success_may_not_fall_by_more_than_chance_allows(failures: int, verdict: str) -> None:
    before = [ran(1.0)] * 970 + [ran(1.0, success=False)] * 30
    after = [ran(1.0)] * (1000 - failures) + [ran(1.0, success=False)] * failures
    if verdict == "open":
        before, after = before[-100:], [ran(1.0, success=n >= 35) for n in range(100)]
    assert told.no_less_success(around(before, after)).verdict == verdict


def test_runs_that_do_not_say_whether_they_succeeded_do_not_count() -> None:
    unknown = [ran(1.0, success=None)] * 50
    found = told.no_less_success(around(unknown, STEADY))
    assert found.measured == "not enough yet: needs 10 more runs with a known success before"


# Which stretches are compared


def test_first_and_last_periods_are_equally_long_and_apart() -> None:
    window = Stretch(since=70 * DAY, until=100 * DAY)
    for start, days in ((0, 30), (60 * DAY, 20), (86 * DAY, 7)):
        found = first_and_latest(start + 5, window, most_days=30)
        assert not isinstance(found, str)
        first, latest = found
        assert first == Stretch(since=start, until=start + days * DAY)
        assert latest == Stretch(since=window.until - days * DAY, until=window.until)
        assert first.until <= latest.since


@pytest.mark.parametrize(
    ("start", "missing"),
    [(None, "needs 14 days of runs"), (87, "needs 1 more day of runs"), (95, "needs 9 more days")],
)
def test_too_short_a_record_says_how_many_days_are_missing(start: int | None, missing: str) -> None:
    window = Stretch(since=70 * DAY, until=100 * DAY)
    found = first_and_latest(None if start is None else start * DAY, window, most_days=30)
    assert isinstance(found, str)
    assert found.startswith(missing)


def test_the_hour_of_a_change_is_on_neither_side() -> None:
    hour = DAY // 24
    at = 50 * DAY + 3 * hour + 7
    before, after = around_change(at, 60 * DAY + 5, days=30)
    assert (before.since, before.until) == (20 * DAY, 50 * DAY + 3 * hour)
    assert (after.since, after.until) == (50 * DAY + 4 * hour, 60 * DAY)
    later = around_change(at, 100 * DAY, days=30)[1]
    assert (later.since, later.until) == (70 * DAY, 100 * DAY)
    just_now = around_change(at, at + 5, days=30)[1]
    assert just_now.since == just_now.until


# Hard enforcement and assignment in the report


def test_hard_enforcement_takes_thirty_days_ten_runs_and_nobody_short() -> None:
    until = 100 * DAY
    held = (
        cells([10] * 20, "safe")
        | cells([10] * 9, "rare")
        | cells([10] * 20, "young")
        | cells([10] * 19 + [30_000], "over")
        | {("unmet", "", ""): cell([10] * 20, needed=30_000)}
    )
    first = {"safe": 60 * DAY, "rare": 60 * DAY, "young": 71 * DAY, "over": 0, "unmet": 0}
    found = enforcement_of(held, first, until)
    assert [one.agent for one in found.ready] == ["safe"]
    assert [one.agent for one in found.waiting] == ["young", "rare"]
    assert found.short == 2
    rows = enforcement_part(found).sections[0].tables[0].rows
    assert [row[3] for row in rows] == ["yes", "needs 1 more day", "needs 1 more run"]


def test_nobody_ready_is_said() -> None:
    none = Enforcement(ready=[], waiting=[], short=0)
    (section,) = enforcement_part(none).sections
    assert section.text.startswith("For no agent yet")
    assert section.tables == ()
    one = Ready(agent="a", days=40, runs=100)
    (section,) = enforcement_part(Enforcement(ready=[one], waiting=[], short=0)).sections
    assert section.text.startswith("For 1 agent ")
    assert section.tables[0].rows == (("a", 100, 40, "yes", "3.7 %"),)


def test_outcomes_met_are_counted_among_those_that_could_be_measured() -> None:
    given = [told.profiles_fit(["maintain"] * 60), told.few_exceed(None, 0)]
    assert outcomes_part(given).glance[0].value == "1 of 1"
    assert outcomes_part([told.few_exceed(None, 0)]).glance[0].value is None


def test_assigning_an_agent_is_a_command_that_names_a_profile() -> None:
    found = [
        Unassigned(agent="team/my agent", runs=50, fits="specialist-broad"),
        Unassigned(agent="o'neil", runs=90, fits="narrow"),
    ]
    first, second = unassigned_todo(found, workspace="w x", weekly=0.5)
    assert (first.weight, second.weight) == (45, 25)
    assert "/agents/o%27neil?workspace=w%20x" in first.how
    assert '{"profile": "narrow"}' in first.how
    assert "/agents/team/my%20agent?" in second.how
    assert '{"profile": "specialist-broad"}' in second.how


def test_an_agent_that_no_profile_holds_is_not_to_be_assigned_one() -> None:
    none = [Unassigned(agent=f"t/{n}", runs=90 + n, fits=None) for n in range(3)]
    some = Unassigned(agent="t/a", runs=1, fits="narrow")
    (todo,) = unassigned_todo([*none, some], workspace="w", weekly=1)
    assert todo.title == "Assign t/a to a profile"
