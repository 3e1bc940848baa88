"""Laws of applying a recommendation and taking it back: only the agent's assignment changes."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.grants import Grant, grant_of
from app.core.impacts import Impact
from app.core.policy_changes import plan_changes
from app.core.policy_documents import Document, layers_for
from app.core.recommendation_changes import (
    NothingToApply,
    RecommendationNotApplied,
    RecommendationNotOpen,
    RecommendationOutdated,
    application,
    stated_in,
    take_back,
)
from app.core.recommendation_data import to_document, to_recommendation
from app.core.recommendations import Deed, Recommendation
from tests.core.advice import AGENT, SHIPPED, book, grant, weights

PROFILE = {"base_budget": 60_000, "max_budget": 90_000, "scope_weights": {"global": 1}}
NO_IMPACT = Impact(
    tokens_saved=0,
    exceedances_avoided=0,
    unmet_avoided=0,
    used_tokens_saved=0,
    usd_saved=None,
)


def recommended(
    own: Document, proposed: Grant | None, workspace: str = "default", **changes: Any
) -> Recommendation:
    """A recommendation made while `own` held."""
    stored = {workspace: own}
    given = {
        "id": "rec_1",
        "workspace": workspace,
        "agent": AGENT,
        "period": "2026-11",
        "window_days": 30,
        "since": 0,
        "until": 1,
        "status": "open",
        "created_at": 2,
        "decided_at": None,
        "action": "upgrade",
        "current": grant_of(book(workspace, **stored), changes.get("agent", AGENT)),
        "proposed": proposed,
        "confidence": 0.8,
        "is_recommended": True,
        "samples": 10,
        "exceedance_interval": (0.1, 0.6),
        "reason": "because",
        "evidence": {"executions": 10},
        "impact": NO_IMPACT,
    }
    return Recommendation(**(given | changes))


def change(own: Document, edit: Any, workspace: str = "default") -> Document:
    stored = {workspace: own}
    (planned,) = plan_changes({workspace: edit}, shipped=SHIPPED, stored=stored)
    return planned.document


def apply(one: Recommendation, own: Document) -> tuple[Recommendation, Document]:
    workspace = one.workspace
    below = layers_for(workspace, shipped=SHIPPED, stored={})
    entry, edit = application(one, own, below)
    stated, before = stated_in(own, one.agent)
    deed = Deed(version=1, was_stated=stated, before=before, after=entry)
    return replace(one, status="applied", deed=deed), change(own, edit, workspace)


entries = st.sampled_from(
    [
        None,
        "specialist-broad",
        "role-architect",
        {"profile": "specialist-broad"},
        {"profile": "specialist-broad", "scope_weights": {"global": 0.5, "agent_patterns": 0.25}},
    ]
)
documents = st.builds(
    lambda entry, others, more: {
        **({"agent_assignments": {**others, **entry}} if entry or others else {}),
        **more,
    },
    st.just({}) | entries.map(lambda entry: {AGENT: entry}),
    st.just({}) | st.just({"specialists/aws-expert": "role-architect"}),
    st.just({}) | st.just({"default_profile": "role-coordinator"}),
)
proposals = st.sampled_from(
    [
        grant("role-coordinator"),
        grant("specialist-narrow"),
        grant(
            "role-architect",
            is_own=True,
            weights=weights(**{"global": "0.9", "notes": "0.1"})
            | weights(agent_recent="0", agent_patterns="0"),
        ),
    ]
)


@given(own=documents, proposed=proposals, workspace=st.sampled_from(("default", "team")))
def test_what_is_applied_holds_and_what_is_taken_back_was_never_there(
    own: Document, proposed: Grant, workspace: str
) -> None:
    one = recommended(own, proposed, workspace)

    applied, after = apply(one, own)

    held = grant_of(book(workspace, **{workspace: after}), AGENT)
    assert (held.profile, held.base, held.is_own) == (
        proposed.profile,
        proposed.base,
        proposed.is_own,
    )
    assert {name: held.weights[name] for name in proposed.weights} == proposed.weights
    assert change(after, take_back(applied, after), workspace) == own


@given(own=documents, proposed=proposals)
def test_taking_back_leaves_other_changes_made_since(own: Document, proposed: Grant) -> None:
    applied, after = apply(recommended(own, proposed), own)
    later = {**after, "enforcement": "hard", "profiles": {"mine": PROFILE}}
    later["agent_assignments"] = {**after["agent_assignments"], "roles/x": "mine"}

    back = change(later, take_back(applied, later))

    assert back["enforcement"] == "hard"
    assert back["agent_assignments"]["roles/x"] == "mine"
    assert stated_in(back, AGENT) == stated_in(own, AGENT)


def test_an_agent_that_had_no_line_of_its_own_gets_one_and_loses_it_again() -> None:
    one = recommended({}, grant("specialist-broad"), agent="newcomer")

    applied, after = apply(one, {})

    assert after == {"agent_assignments": {"newcomer": "specialist-broad"}}
    assert change(after, take_back(applied, after)) == {}


@pytest.mark.parametrize("status", ["applied", "dismissed", "superseded", "rolled_back"])
def test_only_what_is_open_can_be_applied(status: Any) -> None:
    one = recommended({}, grant("role-architect"), status=status)

    with pytest.raises(RecommendationNotOpen, match=status) as error:
        apply(one, {})
    assert error.value.extensions == {"current_status": status}


def test_without_a_proposal_there_is_nothing_to_apply() -> None:
    with pytest.raises(NothingToApply, match="maintain"):
        apply(recommended({}, None, action="maintain"), {})


@pytest.mark.parametrize(
    "since",
    [
        {"agent_assignments": {AGENT: "role-architect"}},
        {"agent_assignments": {AGENT: None}, "default_profile": "role-architect"},
        {
            "agent_assignments": {
                AGENT: {
                    "profile": "specialist-narrow",
                    "scope_weights": {"global": 0.3, "agent_recent": 0.2},
                }
            }
        },
        {"profiles": {"specialist-narrow": {**PROFILE, "base_budget": 21_000}}},
        {"profiles": {"role-coordinator": PROFILE}},
        {
            "profiles": {"role-coordinator": None},
            "agent_assignments": dict.fromkeys(
                [
                    agent
                    for agent, name in SHIPPED["default"]["agent_assignments"].items()
                    if name == "role-coordinator"
                ]
            ),
        },
        {"budget": {"overrides_agents": True}},
    ],
)
def test_where_policy_has_changed_since_it_is_outdated(since: Document) -> None:
    one = recommended({}, grant("role-coordinator"))

    with pytest.raises(RecommendationOutdated, match="POST /recommendations/run"):
        apply(one, since)


def test_another_agents_changes_do_not_outdate_it() -> None:
    one = recommended({}, grant("role-coordinator"))

    apply(one, {"agent_assignments": {"specialists/aws-expert": "role-architect"}})


@pytest.mark.parametrize("entry", ["specialist-broad", None, {"profile": "role-coordinator"}])
def test_an_assignment_that_was_changed_since_is_not_taken_back(entry: Any) -> None:
    applied, after = apply(recommended({}, grant("role-coordinator")), {})
    changed = {**after, "agent_assignments": {AGENT: entry}}

    with pytest.raises(RecommendationOutdated, match="PUT /agents"):
        take_back(applied, changed)
    with pytest.raises(RecommendationOutdated):
        take_back(applied, {})


@pytest.mark.parametrize("status", ["open", "dismissed", "superseded", "rolled_back"])
def test_only_what_was_applied_is_taken_back(status: Any) -> None:
    with pytest.raises(RecommendationNotApplied, match=status):
        take_back(recommended({}, grant("role-coordinator"), status=status), {})


@given(own=documents, proposed=st.none() | proposals, is_applied=st.booleans())
def test_what_is_written_reads_the_same(
    own: Document, proposed: Grant | None, is_applied: bool
) -> None:
    one = recommended(own, proposed)
    if is_applied and proposed is not None:
        one, _ = apply(one, own)
    columns = {name: getattr(one, name) for name in Recommendation.__slots__}

    read = to_recommendation(columns, to_document(one))

    assert read == one
    assert all(isinstance(weight, Decimal) for weight in read.current.weights.values())
