"""Laws of laying policy documents over one another and resolving who decides."""

import json
import timeit
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest, UnknownAgent
from app.core.policy_documents import Layer, delete_entry, layers_for, overlay, put_entry
from app.core.policybook import PolicyBook
from app.presets.loader import shipped
from tests.data import vectors

SHIPPED = shipped()
BUDGET = SHIPPED["default"]["budget"]
PROFILE = {
    "base_budget": 1000,
    "max_budget": 3000,
    "scope_weights": {"global": 0.5, "agent_recent": 0.25, "agent_patterns": 0.25},
}


def book(workspace: str = "default", **stored: dict[str, Any]) -> PolicyBook:
    layers = layers_for(workspace, shipped=SHIPPED, stored=stored)
    return PolicyBook.compile(layers, workspace=workspace, version=7)


def weights(scopes: Any) -> dict[str, Decimal]:
    return {scope.name: scope.weight for scope in scopes}


def test_every_shipped_agent_resolves_to_its_own_profile() -> None:
    shipped_book = book()
    assert len(shipped_book.assignments) == 25
    for agent, assignment in shipped_book.assignments.items():
        policy, match = shipped_book.resolve(agent=agent)
        assert match is not None
        assert match.match == "exact"
        assert (policy.kind, policy.name, policy.version) == ("profile", assignment.profile, 7)
        assert policy.base == shipped_book.profiles[assignment.profile].base
        assert (policy.text_kind, policy.rounding, policy.rigid) == (
            "task",
            "largest_remainder",
            False,
        )


@pytest.mark.parametrize("record", [*vectors("B2.tiers")], ids=lambda record: record["id"])
def test_shipped_workspaces_are_those_of_the_original(record: dict[str, Any]) -> None:
    asked, expected = record["in"], record["out"]
    policy, match = book(asked["workspace"]).resolve(workspace=asked["workspace"])
    assert match is None
    assert (policy.kind, policy.name) == (expected["policy"], asked["workspace"])
    assert policy.base == expected["max_total_tokens"]
    assert policy.multipliers[asked["complexity"]] == Decimal(str(expected["multiplier"]))
    assert weights(policy.scopes) == {
        name: Decimal(str(share)) for name, share in expected["weights"].items()
    }
    assert (policy.text_kind, policy.rounding, policy.rigid) == ("query", "floor", True)


def test_tiers_are_ranked_from_long_term_to_working() -> None:
    policy, _ = book().resolve(workspace="default")
    ranked = sorted(policy.scopes, key=lambda scope: scope.rank or 0)
    assert [scope.name for scope in ranked] == ["long_term", "rag", "project", "working"]


def test_max_tokens_decides_before_everything_else() -> None:
    policy, match = book().resolve(agent="dbt-expert", max_tokens=1234)
    assert match is not None
    assert (policy.kind, policy.base, policy.ceiling) == ("manual", 1234, None)
    assert set(policy.multipliers.values()) == {Decimal(1)}
    assert [scope.name for scope in policy.scopes] == ["global", "agent_recent", "agent_patterns"]

    alone, nobody = book().resolve(max_tokens=5)
    assert nobody is None
    assert alone.scopes == ()


def test_an_agent_is_not_lost_to_the_workspace_it_runs_in() -> None:
    policy, _ = book("research").resolve(agent="dbt-expert", workspace="research")
    assert policy.name == "specialist-narrow"


def test_a_budget_that_overrides_agents_decides_for_them() -> None:
    stored = {"research": {"budget": {"overrides_agents": True}}}
    policy, match = book("research", **stored).resolve(agent="dbt-expert", workspace="research")
    assert match is not None
    assert (policy.kind, policy.name) == ("workspace", "research")
    assert policy.trace[0] == "the budget of research overrides agents"


def test_overriding_agents_in_default_stays_in_default() -> None:
    stored = {"default": {"budget": {"overrides_agents": True}}}
    assert book(**stored).resolve(agent="dbt-expert")[0].kind == "workspace"
    assert book("research", **stored).resolve(agent="dbt-expert")[0].kind == "profile"


def test_unknown_agents_get_the_default_profile_unless_strict() -> None:
    policy, match = book().resolve(agent="zzz")
    assert match is not None
    assert (policy.name, match.match) == ("specialist-narrow", "default")
    assert policy.trace == ('no agent is called "zzz"', "the default profile is specialist-narrow")
    configured = book(default={"default_profile": "role-architect"})
    assert configured.resolve(agent="zzz")[0].name == "role-architect"

    with pytest.raises(UnknownAgent) as refusal:
        book().resolve(agent="data", strict=True)
    named = [candidate["name"] for candidate in refusal.value.extensions["candidates"]]
    assert "roles/data-engineer-role" in named
    assert book().resolve(agent="dbt-exprt", strict=True)[0].name == "specialist-narrow"


def test_a_project_states_what_differs_and_takes_the_rest_from_its_workspace() -> None:
    stored = {"research": {"projects": {"p": {"max_total_tokens": 9000}}}}
    inner = book("research", **stored)
    policy, _ = inner.resolve(workspace="research", project="p")
    workspace, _ = inner.resolve(workspace="research")
    assert (policy.kind, policy.name, policy.base) == ("project", "research/p", 9000)
    assert policy.scopes == workspace.scopes
    assert policy.multipliers == workspace.multipliers
    other, _ = inner.resolve(workspace="research", project="q")
    assert (other.kind, other.base) == ("workspace", 16384)
    assert other.trace[0] == 'project "q" has no budget of its own'


def test_an_undeclared_workspace_gets_the_budget_of_default_with_soft_rooms() -> None:
    policy, _ = book("elsewhere").resolve(workspace="elsewhere")
    assert (policy.kind, policy.name, policy.base, policy.rigid) == (
        "workspace",
        "default",
        8192,
        False,
    )
    assert policy.trace[0] == 'workspace "elsewhere" has no budget of its own'


def test_a_workspace_that_says_little_takes_the_rest_from_default() -> None:
    stored = {
        "default": {"budget": {"freshness": {"half_life_hours": 48}}},
        "w": {"budget": {"max_total_tokens": 5000, "rigid_tiers": False}},
    }
    policy, _ = book("w", **stored).resolve(workspace="w")
    assert (policy.name, policy.base, policy.rigid) == ("w", 5000, False)
    assert policy.half_life_hours == 48


def test_users_have_a_profile_or_change_that_of_the_agent() -> None:
    users = {"ann": {"profile": "role-architect"}, "bob": {"base_budget": 21000}}
    with_users = book(default={"users": users})
    ann, _ = with_users.resolve(agent="dbt-expert", user="ann")
    bob, _ = with_users.resolve(agent="dbt-expert", user="bob")
    assert (ann.kind, ann.name, ann.base) == ("user", "ann", 75000)
    assert (bob.kind, bob.base, bob.ceiling) == ("user", 21000, 50000)
    assert with_users.resolve(agent="dbt-expert", user="eve")[0].kind == "profile"
    elsewhere = book("w", default={"users": users})
    assert elsewhere.resolve(agent="dbt-expert", user="ann")[0].kind == "profile"


def test_an_agent_may_have_scope_weights_of_its_own() -> None:
    own = {"global": 0.1, "agent_recent": 0.4, "agent_patterns": 0.5}
    entry = {"profile": "specialist-narrow", "scope_weights": own}
    policy, _ = book(default={"agent_assignments": {"specialists/dbt-expert": entry}}).resolve(
        agent="dbt-expert"
    )
    assert weights(policy.scopes) == {name: Decimal(str(share)) for name, share in own.items()}
    assert policy.name == "specialist-narrow"


def test_hard_enforcement_of_a_workspace_or_profile_reaches_its_agents() -> None:
    hard = book("w", w={"budget": {"enforcement": "hard"}})
    assert hard.resolve(agent="dbt-expert")[0].enforcement == "hard"
    assert book("w", default={"enforcement": "hard"}).enforcement == "hard"
    profile = {**SHIPPED["default"]["profiles"]["specialist-narrow"], "enforcement": "hard"}
    own = book(default={"profiles": {"specialist-narrow": profile}})
    assert own.resolve(agent="dbt-expert")[0].enforcement == "hard"
    assert own.resolve(agent="aws-expert")[0].enforcement == "soft"


def test_a_profile_states_multipliers_and_thresholds_that_differ() -> None:
    profile = {**PROFILE, "multipliers": {"simple": 0.25}, "alert_thresholds": {"info": 0.5}}
    stored = {"profiles": {"own": profile}, "agent_assignments": {"x/y": "own"}}
    policy, _ = book(default=stored).resolve(agent="x/y")
    assert policy.multipliers["simple"] == Decimal("0.25")
    assert policy.multipliers["multi-system"] == 2
    assert [(item.level, item.share) for item in policy.thresholds] == [
        ("info", Decimal("0.5")),
        ("warning", Decimal("0.9")),
        ("critical", Decimal("1.0")),
    ]


def test_what_default_states_falls_through_and_the_own_layer_wins() -> None:
    stored = {
        "default": {"profiles": {"shared": PROFILE}, "agent_assignments": {"x/y": "shared"}},
        "w": {"profiles": {"shared": {**PROFILE, "base_budget": 2000}}},
    }
    assert book("v", **stored).resolve(agent="x/y")[0].base == 1000
    assert book("w", **stored).resolve(agent="x/y")[0].base == 2000


def test_a_tombstone_deletes_what_lower_layers_state() -> None:
    agents = {"specialists/dbt-expert": None}
    inner = book("w", w={"agent_assignments": agents, "alert_thresholds": {"info": None}})
    assert "specialists/dbt-expert" not in inner.assignments
    assert inner.resolve(agent="specialists/dbt-expert")[0].trace[0].startswith("no agent")
    assert [item.level for item in inner.thresholds] == ["warning", "critical"]
    gone = book("research", research={"budget": None})
    assert gone.resolve(workspace="research")[0].name == "default"


def test_signals_are_added_replaced_and_deleted_by_name() -> None:
    mine = {"tier": "complex", "name": "audit", "pattern": "audit"}
    below = {"default": {"signals": [mine]}}
    specs = book("w", **below).signals.specs
    assert any(spec.name == "audit" for spec in specs)
    dropped = {**below, "w": {"signals": [{**mine, "pattern": None}]}}
    assert not any(spec.name == "audit" for spec in book("w", **dropped).signals.specs)
    assert book().signals is book("v").signals


def test_deleting_leaves_a_tombstone_only_where_a_lower_layer_states_the_entry() -> None:
    document = put_entry({}, "profiles", "own", PROFILE)
    below = [SHIPPED["default"]]
    assert delete_entry(document, "profiles", "own", below=below) == {"profiles": {}}
    hidden = delete_entry(document, "profiles", "role-architect", below=below)
    assert hidden["profiles"]["role-architect"] is None
    assert delete_entry({"budget": {}}, "budget", None) == {}
    assert delete_entry({}, "budget", None, below=below) == {"budget": None}


def test_a_profile_deleted_below_does_not_stop_the_books_above() -> None:
    stored = {
        "default": {"profiles": {"specialist-narrow": None}},
        "w": {"agent_assignments": {"x/y": "specialist-narrow"}},
    }
    policy, _ = book("w", **stored).resolve(agent="x/y")
    assert policy.name == "specialist-broad"
    assert "does not exist any more" in policy.trace[0]


def test_with_no_profile_left_the_workspace_decides() -> None:
    stored = {"w": {"profiles": dict.fromkeys(SHIPPED["default"]["profiles"])}}
    policy, _ = book("w", **stored).resolve(agent="dbt-expert")
    assert (policy.kind, policy.name) == ("workspace", "default")
    assert "no profile is left" in policy.trace


def test_a_request_that_names_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        book().resolve(user="ann", project="p")


names = st.sampled_from(["a", "b", "specialist-narrow", "role-architect"])
entries = st.one_of(st.none(), st.just(PROFILE), st.just({**PROFILE, "base_budget": 2}))
documents = st.fixed_dictionaries(
    {},
    optional={
        "profiles": st.dictionaries(names, entries, max_size=4),
        "agent_assignments": st.dictionaries(
            st.sampled_from(["x/one", "y/one", "specialists/dbt-expert"]),
            st.one_of(st.none(), names),
            max_size=3,
        ),
        "budget": st.one_of(st.none(), st.just({"max_total_tokens": 77})),
        "projects": st.just({"p": {"max_total_tokens": 5}}),
        "default_profile": names,
        "users": st.just({"ann": {"profile": "a"}}),
    },
)


@given(
    documents,
    documents.filter(lambda document: document.get("budget", {}) is not None),
    st.sampled_from(["w", "default", "research"]),
    st.sampled_from(["one", "dbt-expert", "nobody", None]),
    st.sampled_from(["p", "q", None]),
    st.sampled_from(["ann", None]),
)
def test_resolving_always_names_a_policy(
    own: dict[str, Any],
    default: dict[str, Any],
    workspace: str,
    agent: str | None,
    project: str | None,
    user: str | None,
) -> None:
    stored = {"w": own, "default": default}
    policy, match = book(workspace, **stored).resolve(
        agent=agent, workspace=workspace, project=project, user=user
    )
    assert policy.name
    assert policy.trace
    assert policy.base > 0
    assert (match is None) == (agent is None)


@given(documents, documents, documents)
def test_layers_lie_on_one_another_in_any_grouping(
    low: dict[str, Any], middle: dict[str, Any], high: dict[str, Any]
) -> None:
    assert overlay(overlay(low, middle), high) == overlay(low, overlay(middle, high)) or (
        # a deleted budget forgets what lies below it, however the layers are grouped
        middle.get("budget", {}) is None
    )


@given(documents.filter(lambda document: document.get("budget", {}) is not None))
def test_documents_round_trip_through_json(document: dict[str, Any]) -> None:
    layers = (
        *layers_for("default", shipped=SHIPPED, stored={}),
        Layer(workspace="default", document=document),
    )
    first = PolicyBook.compile(layers, workspace="default", version=1)
    again = json.loads(json.dumps(first.document))
    layer = Layer(workspace="default", document=again)
    second = PolicyBook.compile([layer], workspace="default", version=1)
    assert again == first.document == second.document
    assert second.profiles == first.profiles
    assert second.budget == first.budget


def test_an_exact_name_resolves_within_ten_microseconds() -> None:
    ready = book()
    runs = 2_000
    best = min(timeit.repeat(lambda: ready.resolve(agent="dbt-expert"), number=runs, repeat=5))
    assert best / runs < 10e-6
