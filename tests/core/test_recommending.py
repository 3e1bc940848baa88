"""The rules of A12, case by case: each boundary on both sides, each formula, and their laws."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import grant_of, ladder_of
from app.core.recommending import Ruling, rule
from app.core.usage import UsageEvent
from tests.core.advice import (
    AGENT,
    BOOK,
    LADDER,
    TUNING,
    book,
    evidence_from,
    grant,
    ruled,
    used,
    weights,
)
from tests.core.runs import BASE, DAY_US, run
from tests.data import vectors

WELL = {"global": 25, "agent_recent": 25, "agent_patterns": 50}
"""Tokens exactly as `specialist-broad` weighs its scopes."""


def runs_of(exceeded: int, of: int, *, within: int = 800) -> tuple[int, ...]:
    """Tokens used on budgets of 1,000: some exceed, the others use `within`."""
    return (1_001,) * exceeded + (within,) * (of - exceeded)


def told(ruling: Ruling) -> tuple[str, float | None, str | None]:
    """Action, confidence and the profile proposed."""
    sure = None if ruling.confidence is None else float(ruling.confidence)
    return ruling.action, sure, None if ruling.proposed is None else ruling.proposed.profile


@pytest.mark.parametrize("record", list(vectors("A12.recommend")), ids=lambda one: one["id"])
def test_the_originals_cases(record: dict[str, Any]) -> None:
    asked, expected = record["in"], record["out"]
    events = [
        run(
            str(number),
            used=sum(one["scopes"].values()),
            budget=one["budget"],
            scopes=one["scopes"],
            at=BASE - int(one["age_days"] * DAY_US),
        )
        for number, one in enumerate(asked["events"])
        if one["age_days"] <= asked["window_days"]
    ]
    evidence = evidence_from(events)

    ruling = ruled(evidence, grant(asked["profile"]))

    if expected["action"] is None:  # the original keeps silent where it is not sure enough
        assert not ruling.is_recommended(TUNING)
        assert (ruling.action == "defer") == (expected["samples"] < 10)
    else:
        assert ruling.is_recommended(TUNING)
        assert ruling.action == expected["action"]
        assert told(ruling)[1] == pytest.approx(expected["confidence"], abs=1e-9)
    assert evidence.samples == expected["samples"]
    assert float(evidence.exceedance_rate) == pytest.approx(expected["exceedance_rate"])
    assert evidence.average_used is not None
    assert float(100 * evidence.average_used) == pytest.approx(expected["avg_used_pct"], abs=1e-4)
    if ruling.action == "adjust_weights":
        assert list(ruling.off_scopes) == expected["off_scopes"]


@pytest.mark.parametrize(
    ("tokens", "scopes", "expected"),
    [
        # fewer than ten runs are too few, whatever they say
        (runs_of(9, 9), {}, ("defer", None, None)),
        (runs_of(0, 9, within=1), {}, ("defer", None, None)),
        (runs_of(10, 10), {}, ("upgrade", 1.0, "role-coordinator")),
        (runs_of(0, 10), {}, ("maintain", None, None)),
        # exactly 20 % exceeded is not more than 20 %
        (runs_of(2, 10), {}, ("maintain", None, None)),
        (runs_of(200, 1_000), {}, ("maintain", None, None)),
        (runs_of(201, 1_000), {}, ("upgrade", 0.701, "role-coordinator")),
        (runs_of(3, 10), {}, ("upgrade", 0.8, "role-coordinator")),
        (runs_of(5, 10), {}, ("upgrade", 1.0, "role-coordinator")),
        (runs_of(6, 10), {}, ("upgrade", 1.0, "role-coordinator")),
        # exactly its budget is not exceeded
        ((1_000,) * 10, {}, ("maintain", None, None)),
        # exactly 50 % used on average is not less than 50 %
        ((500,) * 10, {}, ("maintain", None, None)),
        ((0,) * 5 + (1_000,) * 5, {}, ("maintain", None, None)),
        ((500,) * 9 + (499,), {}, ("downgrade", 0.6001, "specialist-narrow")),
        ((400,) * 10, {}, ("downgrade", 0.7, "specialist-narrow")),
        ((200,) * 10, {}, ("downgrade", 0.9, "specialist-narrow")),
        ((0,) * 10, {}, ("downgrade", 0.9, "specialist-narrow")),
        # many exceeded comes before little used, little used before scopes that are off
        (runs_of(3, 10, within=10), {}, ("upgrade", 0.8, "role-coordinator")),
        ((400,) * 10, {"global": 1}, ("downgrade", 0.7, "specialist-narrow")),
        # scopes: exactly ten points are not more than ten points
        ((800,) * 10, WELL, ("maintain", None, None)),
        (
            (800,) * 10,
            {"global": 35, "agent_recent": 25, "agent_patterns": 40},
            ("maintain", None, None),
        ),
        (
            (800,) * 10,
            {"global": 3501, "agent_recent": 2500, "agent_patterns": 3999},
            ("adjust_weights", 0.8, "specialist-broad"),
        ),
        (
            (800,) * 10,
            {"global": 3501, "agent_recent": 2000, "agent_patterns": 4499},
            ("adjust_weights", 0.7, "specialist-broad"),
        ),
        ((800,) * 10, {"global": 1}, ("adjust_weights", 0.85, "specialist-broad")),
        # names that the originals also used
        (
            (800,) * 10,
            {"global": 25, "recent": 15, "intermediate": 10, "agent-specific": 20, "patterns": 30},
            ("maintain", None, None),
        ),
    ],
)
def test_the_rules(
    tokens: tuple[int, ...], scopes: dict[str, int], expected: tuple[str, float | None, str | None]
) -> None:
    action, confidence, profile = told(ruled(used(*tokens, scopes=scopes)))

    assert (action, profile) == (expected[0], expected[2])
    assert confidence == (None if expected[1] is None else pytest.approx(expected[1], abs=1e-6))


def test_thirds_that_rounding_makes_less_than_half_are_half() -> None:
    events = [
        run(str(number), used=one, budget=6) for number, one in enumerate((2, 2, 5, 2, 2, 5) * 2)
    ]
    evidence = evidence_from(events)

    assert evidence.average_used is not None
    assert evidence.average_used < Fraction(1, 2)  # 33.333333 % twice, 83.333333 %: just below
    assert ruled(evidence).action == "maintain"


def test_what_is_less_than_half_by_a_millionth_is_less() -> None:
    tokens = (500_000,) * 9 + (499_900,)

    assert ruled(used(*tokens, budget=1_000_000)).action == "downgrade"


def test_too_few_runs_say_how_many_more() -> None:
    assert ruled(used(*runs_of(0, 3))).reason == "Deferred, needs 7 more runs."
    assert ruled(used(*runs_of(0, 9))).reason == "Deferred, needs 1 more run."


def test_the_next_profile_is_by_base_and_the_last_has_none() -> None:
    ladder = ["specialist-narrow", "specialist-broad", "role-coordinator", "role-architect"]
    over, under = used(*runs_of(9, 10)), used(*(100,) * 10)

    for number, name in enumerate(ladder):
        larger, smaller = ruled(over, grant(name)), ruled(under, grant(name))
        assert (larger.action, smaller.action) == ("upgrade", "downgrade")
        assert (larger.proposed and larger.proposed.profile) == (
            ladder[number + 1] if number < 3 else None
        )
        assert (smaller.proposed and smaller.proposed.profile) == (
            ladder[number - 1] if number else None
        )

    assert (
        "no profile has a larger base than role-architect" in ruled(over, grant(ladder[3])).reason
    )
    assert "no profile has a smaller base" in ruled(under, grant(ladder[0])).reason


def test_profiles_of_the_same_base_are_not_next() -> None:
    twin = {"base_budget": 35_000, "max_budget": 40_000, "scope_weights": {"global": 1}}
    ours = book(default={"profiles": {"a-twin": twin}})
    found = grant_of(ours, "specialists/aws-expert")

    ladder = ladder_of(ours)
    up = rule(used(*runs_of(9, 10)), found, ladder, TUNING).proposed
    down = rule(used(*(1,) * 10), grant("role-coordinator"), ladder, TUNING).proposed
    assert up is not None
    assert up.profile == "role-coordinator"
    assert down is not None
    assert down.profile == "a-twin"  # of two that are next, the first by name


def test_weights_of_the_agents_own_go_with_it_to_another_profile() -> None:
    own = weights(**{"global": "0.6", "agent_recent": "0.4", "agent_patterns": "0"})
    ruling = ruled(used(*runs_of(9, 10)), grant(weights=own, is_own=True))

    assert ruling.proposed is not None
    assert ruling.proposed.weights == own
    assert (ruling.proposed.profile, ruling.proposed.is_own) == ("role-coordinator", True)


def test_adjusting_keeps_the_profile_and_gives_the_agent_weights_of_its_own() -> None:
    ruling = ruled(used(*(800,) * 10, scopes={"global": 60, "patterns": 40}))

    assert ruling.proposed == grant(
        weights=weights(**{"global": "0.58", "agent_recent": "0.03", "agent_patterns": "0.39"}),
        is_own=True,
    )
    assert ruling.off_scopes == ("agent_recent", "global")
    assert "agent_recent 0 % (weight 25 %), global 60 % (weight 25 %)" in ruling.reason


def test_where_a_workspace_decides_nothing_is_proposed_and_the_reason_says_so() -> None:
    current = grant(profile="specialist-broad")
    ours = type(current)(
        profile=None, base=4096, ceiling=None, weights=weights(working="0.5", rag="0.5")
    )

    for evidence in (
        used(*runs_of(9, 10)),
        used(*(1,) * 10),
        used(*(800,) * 10, scopes={"working": 1}),
    ):
        ruling = ruled(evidence, ours)
        assert ruling.proposed is None
        assert "workspace" in ruling.reason


def test_weights_that_cannot_come_nearer_are_not_proposed_again() -> None:
    names = [f"scope-{number}" for number in range(30)]
    tenth = weights(**dict.fromkeys(names[1:], "0.01")) | {names[0]: Decimal("0.71")}
    ruling = ruled(used(*(800,) * 10, scopes={names[0]: 1}), grant(weights=tenth))

    assert (ruling.action, ruling.proposed) == ("adjust_weights", None)
    assert "as near as" in ruling.reason


def test_reasons_have_the_figures() -> None:
    assert ruled(used(*runs_of(3, 10))).reason == (
        "3 of 10 runs (30 %) exceeded their budget, more than 20 %: the next larger profile is"
        " role-coordinator (50,000 tokens) after specialist-broad (35,000)."
    )
    assert ruled(used(*(316,) * 12)).reason == (
        "12 runs used 31.6 % of their budget on average, less than 50 %: the next smaller profile"
        " is specialist-narrow (20,000 tokens) after specialist-broad (35,000)."
    )
    assert ruled(used(*runs_of(1, 10), scopes=WELL)).reason == (
        "1 of 10 runs (10 %) exceeded their budget, 82.01 % of it is used on average, and every"
        " scope is within 10 points of its weight."
    )
    assert "(20.04 %)" in ruled(used(*runs_of(501, 2_500))).reason


def test_names_in_reasons_are_short_and_few() -> None:
    scopes = {f"{number}" * 400: 100 for number in range(1, 9)}
    reason = ruled(used(*(800,) * 10, scopes=scopes)).reason

    assert len(reason) < 900
    assert " and " in reason


def test_runs_on_no_budget_at_all_are_judged_by_what_exceeded() -> None:
    nothing = ruled(used(*(5,) * 10, budget=0))

    assert told(nothing)[:2] == ("upgrade", 1.0)
    assert told(ruled(used(*(0,) * 10, budget=0)))[0] == "downgrade"


def test_recommended_is_what_reaches_the_policys_confidence() -> None:
    sure = {
        tokens: ruled(used(*(tokens,) * 10)).is_recommended(TUNING) for tokens in (400, 401, 900)
    }

    assert sure == {400: True, 401: False, 900: False}
    assert not ruled(used(*runs_of(9, 9))).is_recommended(TUNING)
    assert ruled(
        used(*(800,) * 10, scopes={"global": 3501, "agent_recent": 2000, "agent_patterns": 4499})
    ).is_recommended(TUNING)  # 0.6 + 0.1 is 0.7


def test_the_policys_numbers_decide() -> None:
    ours = book(
        default={
            "tuning_parameters": {
                "exceedance_threshold_for_upgrade": 0.5,
                "underutilization_threshold_for_downgrade": 0.9,
                "minimum_samples_for_recommendation": 3,
                "recommendation_confidence_threshold": 0.95,
            }
        }
    ).tuning

    assert rule(used(*runs_of(0, 2)), grant(), LADDER, ours).action == "defer"
    assert rule(used(*runs_of(1, 2)), grant(), LADDER, ours).reason == "Deferred, needs 1 more run."
    half = rule(used(*runs_of(2, 4, within=999)), grant(), LADDER, ours)
    low = rule(used(*(899,) * 3), grant(), LADDER, ours)
    assert (half.action, low.action) == ("maintain", "downgrade")
    assert not low.is_recommended(ours)


# Laws

shares = st.dictionaries(
    st.sampled_from(("global", "recent", "agent_patterns", "agent-specific", "notes")),
    st.integers(0, 10**9),
)
some_runs = st.lists(st.integers(0, 3_000), min_size=1, max_size=60)
profiles = st.sampled_from([one.profile for one in LADDER])


@given(tokens=some_runs, scopes=shares, profile=profiles)
def test_confidence_keeps_its_bounds_and_what_it_stands_for(
    tokens: list[int], scopes: dict[str, int], profile: str
) -> None:
    evidence = used(*tokens, scopes=scopes)
    ruling = ruled(evidence, grant(profile))
    bounds = {
        "upgrade": (Fraction(7, 10), Fraction(1)),
        "downgrade": (Fraction(6, 10), Fraction(9, 10)),
        "adjust_weights": (Fraction(7, 10), Fraction(85, 100)),
    }

    if ruling.action in ("maintain", "defer"):
        assert (ruling.confidence, ruling.proposed) == (None, None)
        return
    assert ruling.confidence is not None
    assert bounds[ruling.action][0] <= ruling.confidence <= bounds[ruling.action][1]
    assert ruling.reason.endswith(".")


@given(tokens=some_runs, scopes=shares)
def test_the_first_rule_that_fires_decides(tokens: list[int], scopes: dict[str, int]) -> None:
    evidence = used(*tokens, scopes=scopes)
    ruling = ruled(evidence)
    exceeded = sum(one > 1_000 for one in tokens)

    if len(tokens) < 10:
        assert ruling.action == "defer"
    elif 5 * exceeded > len(tokens):
        assert ruling.action == "upgrade"
    elif 2 * sum(tokens) < 1_000 * len(tokens):
        assert ruling.action == "downgrade"
    else:
        assert ruling.action == ("adjust_weights" if ruling.off_scopes else "maintain")


@given(tokens=st.lists(st.integers(0, 3_000), min_size=10, max_size=40), more=st.integers(0, 39))
def test_one_more_run_that_exceeds_never_speaks_for_less(tokens: list[int], more: int) -> None:
    other = list(tokens)
    other[more % len(tokens)] = 4_000
    order = {"downgrade": 0, "maintain": 1, "adjust_weights": 1, "upgrade": 2}
    one, two = ruled(used(*tokens)), ruled(used(*other))

    assert order[one.action] <= order[two.action]
    if one.action == two.action == "upgrade":
        assert one.confidence is not None
        assert two.confidence is not None
        assert one.confidence <= two.confidence


@given(tokens=some_runs, scopes=shares, profile=profiles)
def test_what_is_proposed_is_another_grant_with_weights_that_sum_to_one(
    tokens: list[int], scopes: dict[str, int], profile: str
) -> None:
    current = grant(profile)
    proposed = ruled(used(*tokens, scopes=scopes), current).proposed

    if proposed is not None:
        assert proposed != current
        assert sum(proposed.weights.values()) == 1


@given(events=st.lists(st.integers(0, 2_000), min_size=1, max_size=30))
def test_the_interval_holds_the_rate(events: list[int]) -> None:
    evidence = used(*events)
    interval = evidence.exceedance_interval

    assert interval is not None
    assert interval[0] <= float(evidence.exceedance_rate) <= interval[1]


def test_what_agents_get_is_what_the_book_resolves() -> None:
    ours = book(
        default={
            "agent_assignments": {
                AGENT: {
                    "profile": "role-architect",
                    "scope_weights": {"global": 0.85, "agent_patterns": 0},
                },
            }
        }
    )

    found = grant_of(ours, AGENT)
    assert (found.profile, found.base, found.ceiling) == ("role-architect", 75_000, 150_000)
    assert found.weights == weights(
        **{"global": "0.85", "agent_recent": "0.15", "agent_patterns": "0"}
    )
    assert found.is_own
    unknown = grant_of(ours, "nobody")
    assert (unknown.profile, unknown.is_own) == ("specialist-narrow", False)
    assert grant_of(ours, "t" * 150 + "/" + "n" * 190).profile == "specialist-narrow"


def test_a_misspelt_agent_is_another_agent() -> None:
    assert grant_of(BOOK, "roles/data-architect-role").profile == "role-architect"
    assert grant_of(BOOK, "roles/data-architect-rolf").profile == "specialist-narrow"


def test_where_the_workspaces_budget_overrides_agents_no_profile_decides() -> None:
    found = grant_of(book("research", research={"budget": {"overrides_agents": True}}), AGENT)

    assert (found.profile, found.base) == (None, 16_384)
    assert list(found.weights) == ["working", "project", "long_term", "rag"]


def test_every_shipped_profile_is_on_the_ladder_the_smallest_first() -> None:
    assert [(one.profile, one.base) for one in LADDER] == [
        ("specialist-narrow", 20_000),
        ("specialist-broad", 35_000),
        ("role-coordinator", 50_000),
        ("role-architect", 75_000),
    ]


def test_events_and_their_cells_are_the_same_evidence() -> None:
    events: list[UsageEvent] = [
        run(str(n), used=n * 7, budget=100, at=BASE - n * DAY_US, scopes={"recent": n, "global": n})
        for n in range(20)
    ]
    evidence = evidence_from(events)

    assert evidence.samples == 20
    assert evidence.exceeded == Counter(one.exceeded for one in events)[True]
    assert evidence.scopes == {"recent": 190, "global": 190}
