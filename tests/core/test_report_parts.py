"""Parts of a report say what was found, what that means, and what to do about it."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.analytics import Group, describe
from app.core.grants import Grant
from app.core.health import NOTHING, Amount, Day, Holding, Snapshot, health_of
from app.core.impacts import Impact
from app.core.lifecycle import Card, Edit, Proposal, promotions
from app.core.recommendations import Recommendation
from app.core.report_advice import advice_part, todo_of
from app.core.report_allocations import Allocated, allocations_part
from app.core.report_commands import agent_path, get, post, put
from app.core.report_health import health_part
from app.core.report_proposals import Found, proposals_part
from app.core.report_text import shown
from app.core.report_usage import usage_part
from app.core.report_use import AgentUse, Usage, hours_of
from app.core.reporting import CALM, Heading, assemble, most_worthwhile, part_of
from app.core.reports import Figure, Part, Section, Todo
from app.core.usage import Cell, UsageEvent, measure
from tests.core.report_samples import DAY, HOSTILE, NOON
from tests.core.runs import run


def group(*events: UsageEvent) -> Group:
    """All runs in one, with their complexities and scopes."""
    found = Group()
    for event in events:
        cell = measure(event)
        found.cell.add(cell)
        found.tiers.setdefault(event.complexity or "", Cell()).add(cell)
        for scope, tokens in event.scopes.items():
            found.scopes[scope] = found.scopes.get(scope, 0) + tokens
    return found


def by_agent(*events: UsageEvent) -> tuple[AgentUse, ...]:
    cells: dict[str, Cell] = {}
    for event in events:
        cells.setdefault(event.agent, Cell()).add(measure(event))
    return tuple(AgentUse(agent=agent, cell=cells[agent]) for agent in sorted(cells))


def runs(agent: str, used: list[int], **facts: Any) -> list[UsageEvent]:
    return [
        run(f"{agent}{n}", used=tokens, agent=agent, complexity="medium", **facts)
        for n, tokens in enumerate(used)
    ]


def usage(now: list[UsageEvent], before: list[UsageEvent] | None = None, **more: Any) -> Usage:
    given: dict[str, Any] = {
        "workspace": "default",
        "days": 7,
        "now": describe(group(*now)),
        "before": describe(group(*(before or []))),
        "agents": by_agent(*now),
        "by_day": {},
        "scope_days": 7,
    }
    return Usage(**(given | more))


# Usage


def test_figures_are_those_of_the_runs() -> None:
    events = runs("a", [50] * 9 + [150]) + runs("b", [200] * 10)
    part = usage_part(usage(events))
    figures = {one.label: one for one in part.sections[0].figures}
    over = figures["Runs over their budget"]
    assert figures["Runs with a budget"].value == 20
    assert (over.value, over.note) == (pytest.approx(55), "11 of 20")
    assert (round(over.low or 0, 1), round(over.high or 0, 1)) == (34.2, 74.2)  # Wilson, by hand
    assert figures["Tokens used"].value == 2_600
    assert "Cost of the priced runs" not in figures
    assert part.sections[0].text.startswith("20 runs of 2 agents used 130.0\u00a0%")


def test_agents_that_lack_room_come_first() -> None:
    events = runs("calm", [50] * 40) + runs("short", [150] * 3) + runs("cut", [90] * 2)
    events += [run("u", used=90, agent="cut", needed_tokens=120)]
    table = usage_part(usage(events)).sections[0].tables[-1]
    assert [row[0] for row in table.rows] == ["short", "cut", "calm"]
    assert table.rows[0][4] == "43.9–100.0"


def test_only_the_first_agents_are_shown_and_the_rest_counted() -> None:
    events = [event for n in range(40) for event in runs(f"a{n:02}", [50])]
    (section,) = usage_part(usage(events)).sections
    assert (len(section.tables[-1].rows), section.tables[-1].more) == (25, 15)
    assert len(section.charts[0].bars) == 12


def test_a_clear_change_is_said_and_chance_is_not() -> None:
    many, few = runs("a", [150] * 60 + [50] * 40), runs("a", [150] * 10 + [50] * 90)
    text = usage_part(usage(few, many)).sections[0].text
    assert "The share of runs over budget went down by 50.0 points" in text
    assert "no clear change" in usage_part(usage(few, few)).sections[0].text
    assert "Too few runs" in usage_part(usage(few, runs("a", [50] * 9))).sections[0].text
    assert "nothing to compare with" in usage_part(usage(few)).sections[0].text


def test_what_changed_is_set_beside_what_was() -> None:
    part = usage_part(usage(runs("a", [100] * 10), runs("a", [50] * 20)))
    rows = {row[0]: row[1:] for row in part.sections[0].tables[0].rows}
    assert rows["Runs with a budget"] == ("10", "20", "-50.0 %")
    assert rows["Used of the budget, average"][2] == "+50.0 points"
    assert rows["Tokens used"] == ("1,000", "1,000", "+0.0 %")
    assert "Cost" not in rows


def test_scopes_and_days_are_drawn_as_they_are() -> None:
    events = [run("x", scopes={"global": 30, "agent_recent": 10})]
    (section,) = usage_part(usage(events, by_day={"2026-11-20": 40, "2026-11-21": 0})).sections
    charts = {
        chart.title: [(bar.label, bar.value) for bar in chart.bars] for chart in section.charts
    }
    assert charts["Loaded tokens by scope, last 7 days"] == [
        ("global", 75.0),
        ("agent_recent", 25.0),
    ]
    assert charts["Tokens used by day"] == [("2026-11-20", 40), ("2026-11-21", 0)]


@given(st.integers(0, 2**52), st.integers(1, 400))
def test_a_window_is_whole_hours_and_holds_its_last_moment(until: int, days: int) -> None:
    since, end = hours_of(until, days)
    assert since % 3_600_000_000 == end % 3_600_000_000 == 0
    assert until <= end < until + 3_600_000_000
    assert end - since == days * DAY


def test_no_runs_are_said_and_what_to_do() -> None:
    part = usage_part(usage([]))
    assert "No runs were reported" in part.sections[0].text
    assert part.todo == part.glance == ()
    assert "in the 7 days before there were 5" in (
        usage_part(usage([], runs("a", [1] * 5))).sections[0].text
    )


def test_events_without_a_budget_count_in_tokens_only() -> None:
    part = usage_part(usage([run("x", used=70, budget=None)]))
    figures = {one.label: one.value for one in part.sections[0].figures}
    assert figures == {"Runs with a budget": 0, "Tokens used": 70}
    assert "1 event without a budget" in part.sections[0].text


@pytest.mark.parametrize(
    ("used", "is_due"), [([150] * 10, True), ([150] * 9, False), ([150] * 3 + [50] * 7, False)]
)
def test_an_agent_that_clearly_exceeds_too_often_is_a_thing_to_do(
    used: list[int], is_due: bool
) -> None:
    found = usage_part(usage(runs("a/b", used))).todo
    assert [one.title for one in found] == (["Give a/b more room"] if is_due else [])
    advised = usage(runs("a/b", used), advised=frozenset({"a/b"}))
    assert usage_part(advised).todo == ()


@pytest.mark.parametrize(("short", "is_due"), [(10, True), (3, False)])
def test_an_agent_that_is_kept_short_is_a_thing_to_do(short: int, is_due: bool) -> None:
    events = runs("a", [100] * short, needed_tokens=300) + runs("a", [50] * (10 - short))
    found = usage_part(usage(events, advised=frozenset({"a"}))).todo
    assert [one.title for one in found] == (["See what a lacks"] if is_due else [])
    assert [one.weight for one in found] == ([1_000] if is_due else [])


def test_bars_of_nothing_are_left_out() -> None:
    titles = [chart.title for chart in usage_part(usage(runs("a", [50]))).sections[0].charts]
    assert titles == [
        "Used of the budget on average, by agent",
        "Used of the budget on average, by complexity",
    ]
    many = [event for n in range(13) for event in runs(f"a{n}", [50])]
    first = usage_part(usage(many)).sections[0].charts[0]
    assert first.title == "Used of the budget on average, by agent, the 12 that load most"


def test_an_agent_that_fails_is_a_thing_to_do() -> None:
    events = runs("a b", [50] * 30, success=False)
    (todo,) = usage_part(usage(events, workspace="team")).todo
    assert todo.title == "Look at why a b fails"
    assert todo.how.endswith('/usage?agent=a%20b&workspace=team&limit=20"')
    assert todo.weight == 1_500


# Memories


def held(tokens: int, **more: Any) -> dict[str, list[Holding]]:
    amount = Amount(tokens=tokens, files=3)
    own = Holding(agent="t/a", scope=None, state="active", amount=Amount(tokens=500, files=1))
    return {"": [Holding(agent=None, scope="global", state="active", amount=amount), own]}


@pytest.mark.parametrize(
    ("tokens", "status", "things"),
    [(49_914, "HEALTHY", 0), (150_000, "WARNING", 1), (200_000, "LIMIT", 1)],
)
def test_health_is_a_thing_to_do_from_its_warning_on(tokens: int, status: str, things: int) -> None:
    health = health_of(held(tokens), [], project=None, now=NOON)
    part = health_part(health, now=NOON, is_late=False, workspace="default")
    assert part.glance[0].value == status
    assert len(part.todo) == things
    assert part.sections[0].charts[0].bars[0].mark == 200_000


def test_a_late_look_at_health_says_so() -> None:
    health = health_of(held(10), [], project=None, now=NOON)
    late = health_part(health, now=NOON, is_late=True, workspace="default")
    assert "This run was late: these are the figures of 2026-11-21 12:00 UTC" in (
        late.sections[0].text
    )


def test_growth_and_the_day_a_threshold_is_reached_are_told() -> None:
    days = [
        Day(
            day=NOON // DAY * DAY - (9 - n) * DAY,
            projects={
                "": Snapshot(
                    everybodys=Amount(tokens=100_000 + 1_000 * n, files=1),
                    agents=NOTHING,
                    archive=NOTHING,
                )
            },
        )
        for n in range(10)
    ]
    health = health_of(held(109_000), days, project=None, now=NOON)
    (section,) = health_part(health, now=NOON, is_late=False, workspace="default").sections
    assert "warning (150,000) on 2027-01-01" in section.text  # 41 days at 1,000 a day
    assert {one.label: one.value for one in section.figures}["Growth of global memory"] == "+1,000"
    assert section.tables[0].rows[0] == ("WARNING", 150_000, 41_000, "2027-01-01")


def test_no_memories_are_said() -> None:
    health = health_of({}, [], project=None, now=NOON)
    part = health_part(health, now=NOON, is_late=False, workspace="default")
    assert part.sections[0].text.startswith("No memories are kept here")
    assert part.todo == ()


def card(id_: str, content: bytes, tokens: int = 100, **more: Any) -> Card:
    return Card(
        id=id_, content=content, tokens=tokens, created_at=0, modified_at=NOON - 3 * DAY, **more
    )


def copies(*ids: str, score: float = 1.0) -> Proposal:
    gone = tuple(Edit(memory_id=id_, fields={"state": "deleted"}) for id_ in ids[1:])
    return Proposal(memory_id=ids[0], score=score, reason="same", ids=ids, edits=gone)


def test_freed_tokens_are_those_of_the_copies_and_only_equal_ones_are_a_thing_to_do() -> None:
    cards = {
        one.id: one
        for one in (card("a", b"1"), card("b", b"1", 70), card("c", b"2", 50), card("d", b"3"))
    }
    found = Found(kind="duplicates", proposals=[copies("a", "b"), copies("d", "c")], cards=cards)
    part = proposals_part(found, now=NOON, workspace="default")
    assert part.sections[0].figures[1].value == 120
    assert part.sections[0].tables[0].rows[0] == ("a", None, 1.0, 100, 3, "same")
    (todo,) = part.todo
    assert todo.weight == 70
    assert todo.title == "Keep one of each text: 1 copy can go"
    near_only = replace(found, proposals=[copies("d", "c")])
    assert proposals_part(near_only, now=NOON, workspace="default").todo == ()


def test_promotions_name_the_best_and_nothing_is_said_to_be_freed() -> None:
    cards = [card(f"m{n}", str(n).encode(), agent="t/a", access_count=n + 3) for n in range(14)]
    found = Found(
        kind="promotions", proposals=promotions(cards), cards={one.id: one for one in cards}
    )
    part = proposals_part(found, now=NOON, workspace="w")
    (section,) = part.sections
    assert [figure.label for figure in section.figures] == ["Proposals"]
    assert (len(section.tables[0].rows), section.tables[0].more) == (10, 4)
    assert part.todo[0].title == "Make 14 memories of agents everybody's"
    assert part.todo[0].how.endswith('/memories/lifecycle/promotions/apply?workspace=w"')


@pytest.mark.parametrize("kind", ["promotions", "duplicates", "archival"])
def test_nothing_proposed_is_said(kind: Any) -> None:
    part = proposals_part(Found(kind=kind, proposals=[], cards={}), now=NOON, workspace="w")
    assert part.todo == ()
    assert part.sections[0].text.startswith("No ")
    assert part.sections[0].tables == ()


# Recommendations and allocations


def recommendation(agent: str = "t/a", **more: Any) -> Recommendation:
    grant = Grant(profile="narrow", base=20_000, ceiling=50_000, weights={})
    given: dict[str, Any] = {
        "id": f"rec_{agent}",
        "workspace": "default",
        "agent": agent,
        "period": "2026-11",
        "window_days": 30,
        "since": 0,
        "until": NOON,
        "status": "open",
        "created_at": NOON,
        "decided_at": None,
        "action": "upgrade",
        "current": grant,
        "proposed": replace(grant, profile="broad", base=35_000),
        "confidence": 0.9,
        "is_recommended": True,
        "samples": 30,
        "exceedance_interval": (0.2, 0.5),
        "reason": "12 of 30 runs exceeded their budget.",
        "evidence": {"exceeded": 12, "budget_tokens": 600_000, "used_tokens": 500_000},
        "impact": Impact(
            tokens_saved=-450_000,
            exceedances_avoided=10,
            unmet_avoided=0,
            used_tokens_saved=0,
            usd_saved=None,
        ),
    }
    return Recommendation(**(given | more))


def test_only_what_can_be_applied_and_is_sure_is_a_thing_to_do() -> None:
    others = [
        recommendation("low", is_recommended=False),
        recommendation("done", status="applied"),
        recommendation("last", proposed=None),
        recommendation("fine", action="maintain", proposed=None, is_recommended=False),
        recommendation("new", action="defer", proposed=None, is_recommended=False),
    ]
    (todo,) = todo_of([*others, recommendation()])
    assert todo.title == "Move t/a up to broad"
    assert todo.how == (
        'curl -X POST "${MEMBUDGET_URL:-http://127.0.0.1:8000}/recommendations/rec_t/a/apply"'
    )
    assert "avoided 10 exceedances and granted 450,000 tokens of budget." in todo.why
    assert todo.weight == pytest.approx(7 * 12 * 20_000 / 30)
    part = advice_part([*others, recommendation()], days=30)
    assert [figure.value for figure in part.sections[0].figures] == [1, 3, 1, 1]
    assert part.glance[0].value == 1


def downgrade(agent: str, saved: int) -> Recommendation:
    impact = replace(recommendation().impact, tokens_saved=saved, exceedances_avoided=0)
    return recommendation(agent, action="downgrade", impact=impact)


def test_who_is_far_too_short_for_the_next_profile_comes_first_and_one_downgrade_at_most() -> None:
    impact = replace(recommendation().impact, exceedances_avoided=0)
    evidence = {"exceeded": 6, "budget_tokens": 300_000, "used_tokens": 1_300_000}
    far = recommendation("far", impact=impact, samples=15, evidence=evidence)
    others = [downgrade("x", 350_000), downgrade("y", 400_000), downgrade("z", 300_000)]
    todo = most_worthwhile(todo_of([*others, far, recommendation("near")]))
    assert [one.title for one in todo] == [
        "Move far up to broad",
        "Move y down to broad",
        "Move near up to broad",
    ]


def test_what_cells_do_not_say_is_no_figure() -> None:
    unknown = replace(recommendation().impact, unmet_avoided=None, used_tokens_saved=None)
    (section,) = advice_part([recommendation(impact=unknown)], days=30).sections
    changes = next(one for one in section.tables if one.title == "Changes")
    assert shown(changes.rows[0][-1], "usd") == "–"


def test_changes_that_are_only_shown_are_called_so() -> None:
    (section,) = advice_part([recommendation(proposed=None)], days=30).sections
    assert [(one.label, one.value) for one in section.figures][1] == ("Shown only", 1)
    assert "nothing left to change to" in section.text


def test_agents_without_runs_have_no_recommendations() -> None:
    assert "nothing to judge" in advice_part([], days=30).sections[0].text


def test_allocations_are_described_by_their_scopes() -> None:
    found = Allocated(
        count=2,
        averages={
            "tokens_allocated": 10.0,
            "memories_selected": 1.5,
            "processing_ms": 2.25,
            "budget_tokens": 100.0,
        },
        complexity={"simple": 2},
        scopes={"global": {"avg_utilization_pct": 50.0, "avg_selected": 1, "avg_tokens": 10}},
    )
    (section,) = allocations_part(found, days=30).sections
    assert section.tables[0].rows == (("global", 50.0, 1, 10),)
    assert [figure.value for figure in section.figures] == [2, 100.0, 10.0, 1.5, "2.2 ms"]
    (empty,) = allocations_part(replace(found, count=0), days=30).sections
    assert empty.figures == ()


# The whole


def todo(title: str, weight: float, how: str = "") -> Todo:
    return Todo(title=title, why="", how=how or title, weight=weight)


def heading(**more: Any) -> Heading:
    given: dict[str, Any] = {
        "id": "rpt_1",
        "workspace": "default",
        "kind": "weekly",
        "period": "2026-W47",
        "day": date(2026, 11, 22),
        "since": 0,
        "until": NOON,
        "created_at": NOON,
    }
    return Heading(**(given | more))


def test_the_three_most_worthwhile_things_come_first() -> None:
    given = [todo("a", 1), todo("b", 5), todo("c", 3), todo("d", 5), todo("e", 9, how="b")]
    assert [one.title for one in most_worthwhile(given)] == ["e", "d", "c"]


def test_a_report_has_its_row_of_figures_before_its_sections() -> None:
    figure = Figure(label="Runs", value=1, unit="count")
    parts = [
        Part(sections=(Section(key="usage", title="Usage"),), glance=(figure,) * 9),
        Part(sections=(Section(key="health", title="Health"),), todo=(todo("x", 1, "curl x"),)),
    ]
    found = assemble(heading(), parts)
    assert [one.key for one in found.sections] == ["glance", "usage", "health", "commands"]
    assert len(found.sections[0].figures) == 7
    assert (found.title, found.calm) == ("Weekly report, 22 November 2026", "")
    again = part_of(found, ("health",), glance=("Runs",))
    assert [one.key for one in again.sections] == ["health"]
    assert again.todo == found.todo


def test_a_report_with_nothing_to_do_says_so() -> None:
    found = assemble(heading(kind="daily"), [])
    assert (found.todo, found.calm, found.sections) == ((), CALM, ())


@pytest.mark.parametrize("name", HOSTILE)
def test_commands_are_one_line_whatever_the_names_are(name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    for command in (
        get("/usage", agent=name),
        put(agent_path(name), {"profile": name}, workspace=name),
        post("/recommendations/run", {"workspace": name}),
    ):
        assert "\n" not in command
        assert command.startswith("curl ")
