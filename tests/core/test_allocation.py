"""Laws of deciding an allocation."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.allocation import Allocation, Decision, Request, decide, used_scopes, wants_selection
from app.core.complexity import Verdict
from app.core.memory import Candidate
from app.core.monitoring import Load, record
from app.core.profiles import AgentMatch, ResolvedPolicy
from tests.core.memories import candidates as candidates_with
from tests.core.policies import manual_policy, profile_policy, workspace_policy

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)

# the contract's response, field by field
FIELDS = {
    None: "id created_at workspace project user session_id run_id model degraded agent policy"
    " complexity budget scopes selection enforcement alerts cost expires_at",
    "agent": "name type requested match match_score",
    "policy": "kind name version trace",
    "complexity": "tier multiplier confidence source signals",
    "budget": "tokens base max multiplier capped mode bound_by predicted",
    "scopes": "name weight tokens used remaining",
    "selection": "tokens utilization value upper_bound gap_pct selected dropped context"
    " rendered_tokens",
    "selected": "id scope tokens score relevance importance freshness reason",
    "dropped": "id scope tokens score reason min_budget_to_include displaced_by",
}

MATCH = AgentMatch(
    name="dbt-expert",
    type="specialists",
    requested="dbt-exprt",
    match="fuzzy",
    match_score=0.95,
    candidates=(("specialists/dbt-expert", 0.95),),
)

candidates_lists = st.lists(
    candidates_with(
        id=st.integers(0, 40).map(lambda number: f"m{number}"),
        tokens=st.integers(0, 9000),
        scope=st.sampled_from(("global", "patterns", "notes", "working", "rag", None)),
        relevance=st.sampled_from((0.1, 0.5, 0.9)),
    ),
    max_size=12,
)
policies = st.sampled_from(
    (
        profile_policy(),
        profile_policy(enforcement="hard"),
        profile_policy(auto_bump=True),
        workspace_policy("research"),
        manual_policy(10_000),
        manual_policy(0),
    )
)


def verdict(tier: str = "medium") -> Verdict:
    return Verdict(tier=tier, confidence=0.5, source="default")


def decided(
    policy: ResolvedPolicy | None = None,
    candidates: list[Candidate] | None = None,
    *,
    tier: str = "medium",
    ttl_seconds: float | None = None,
    **request: Any,
) -> Decision:
    return decide(
        Request(**request),
        policy=policy or profile_policy(),
        agent=MATCH,
        verdict=verdict(tier),
        candidates=candidates or [],
        now=NOW,
        id="alc_1",
        ttl_seconds=ttl_seconds,
    )


def used(allocation: Allocation) -> dict[str, int]:
    return {scope.name: scope.used for scope in allocation.scopes}


@given(policies, candidates_lists)
def test_what_is_selected_is_booked(policy: ResolvedPolicy, candidates: list[Candidate]) -> None:
    decision = decided(policy, candidates, select="given")
    allocation, monitor = decision.allocation, decision.monitor
    assert allocation.selection is not None

    selected = allocation.selection.selected
    assert monitor.loaded == allocation.selection.tokens == sum(used(allocation).values())
    assert monitor.memory_ids == {one.id for one in selected}
    assert monitor.loaded <= allocation.budget.tokens
    assert allocation.alerts == monitor.alerts
    again = [Load(scope=one.scope, tokens=one.tokens, memory_id=one.id) for one in selected]
    assert record(monitor, again, NOW).loaded == monitor.loaded


@given(policies, candidates_lists)
def test_an_allocation_has_the_contracts_fields(
    policy: ResolvedPolicy, candidates: list[Candidate]
) -> None:
    answer = asdict(decided(policy, candidates, select="given").allocation)
    parts: dict[str | None, list[dict[str, Any]]] = {None: [answer]}
    for name in ("agent", "policy", "complexity", "budget", "selection"):
        parts[name] = [answer[name]]
    parts["scopes"] = answer["scopes"]
    parts["selected"] = answer["selection"]["selected"]
    parts["dropped"] = answer["selection"]["dropped"]
    for name, values in parts.items():
        for value in values:
            assert set(FIELDS[name].split()) <= value.keys()
    json.dumps(answer, default=datetime.isoformat)


def test_the_budget_follows_policy_and_tier() -> None:
    allocation = decided(tier="complex", task="Analyze slow queries", project="p").allocation
    assert (allocation.budget.tokens, allocation.budget.multiplier) == (30_000, 1.5)
    rooms = {scope.name: scope.tokens for scope in allocation.scopes}
    assert rooms == {"global": 6000, "agent_recent": 9000, "agent_patterns": 15_000}
    assert allocation.policy.name == "specialist-narrow"
    assert allocation.complexity.tier == "complex"
    assert allocation.project == "p"
    assert allocation.agent is not None
    assert allocation.agent.candidates[0].name == "specialists/dbt-expert"
    assert (allocation.selection, allocation.alerts) == (None, ())


def test_an_allocation_lives_an_hour_unless_told() -> None:
    assert decided().allocation.expires_at == NOW + timedelta(hours=1)
    assert decided(ttl_seconds=5).allocation.expires_at == NOW + timedelta(seconds=5)
    assert decide(
        Request(ttl_seconds=7, workspace="default"),
        policy=profile_policy(),
        agent=None,
        verdict=verdict(),
        now=NOW,
        id=None,
    ).allocation.expires_at == NOW + timedelta(seconds=7)


def test_selection_comes_with_memories_unless_refused() -> None:
    some = [Candidate(id="m", tokens=1)]
    assert wants_selection(Request(), some)
    assert not wants_selection(Request(), [])
    assert wants_selection(Request(select="given"), [])
    assert not wants_selection(Request(select="none"), some)


@pytest.mark.parametrize(
    ("policy", "scope"), [(profile_policy(), "global"), (workspace_policy("default"), "working")]
)
def test_a_memory_without_a_scope_has_a_default_one(policy: ResolvedPolicy, scope: str) -> None:
    allocation = decided(policy, [Candidate(id="m", tokens=10)]).allocation
    assert used(allocation)[scope] == 10


def test_freshness_is_judged_at_the_time_asked_for() -> None:
    memory = Candidate(id="m", tokens=1, created_at=NOW - timedelta(hours=168))
    then = decided(candidates=[memory], as_of=NOW - timedelta(hours=168)).allocation.selection
    today = decided(candidates=[memory]).allocation.selection
    assert then is not None
    assert today is not None
    assert then.selected[0].freshness == 1
    assert today.selected[0].freshness == pytest.approx(0.5)


def test_a_selection_that_fills_the_budget_raises_its_alerts() -> None:
    full = [Candidate(id="m", tokens=20_000)]
    allocation = decided(candidates=full).allocation
    assert [alert.level for alert in allocation.alerts] == ["info", "warning", "critical"]
    assert decided(profile_policy(auto_bump=True), full).allocation.budget.tokens == 30_000


def test_scopes_without_a_room_are_listed_with_none() -> None:
    allocation = decided().allocation
    after = used_scopes(allocation.scopes, {"patterns": 4, "notes": 3, "agent_patterns": 1})
    assert {one.name: (one.tokens, one.used, one.remaining) for one in after} == {
        "global": (4000, 0, 4000),
        "agent_recent": (6000, 0, 6000),
        "agent_patterns": (10_000, 5, 9995),
        "notes": (0, 3, 0),
    }


def test_a_manual_budget_has_no_scopes_until_something_is_loaded() -> None:
    allocation = decided(manual_policy(50), [Candidate(id="m", tokens=50)]).allocation
    assert allocation.budget.bound_by == "max_tokens"
    assert used(allocation) == {"global": 50}
