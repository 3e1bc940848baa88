"""Every bad field of a policy document is refused by name, all of them at once."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidPolicy, NotAvailable
from app.core.policy_checks import validate_document
from app.core.policy_documents import layers_for
from app.core.policy_faults import MAX_TOKENS
from app.core.policybook import PolicyBook
from app.presets.legacy import read_allocator_file
from app.presets.loader import shipped
from tests.data import vectors

SHIPPED = shipped()
BELOW = layers_for("default", shipped=SHIPPED, stored={})
PROFILE = SHIPPED["default"]["profiles"]["specialist-narrow"]


def faults(document: Any, workspace: str = "default") -> list[dict[str, Any]]:
    below = layers_for(workspace, shipped=SHIPPED, stored={})
    try:
        validate_document(document, workspace, below=below)
    except InvalidPolicy as error:
        return list(error.errors)
    return []


def places(document: Any, workspace: str = "default") -> list[list[Any]]:
    return [fault["loc"] for fault in faults(document, workspace)]


@pytest.mark.parametrize("workspace", SHIPPED)
def test_what_ships_is_valid(workspace: str) -> None:
    assert faults(SHIPPED[workspace], workspace) == []


@pytest.mark.parametrize(
    "record", [*vectors("B5.validate", classes=("must",))], ids=lambda record: record["id"]
)
def test_workspaces_are_checked_as_the_original_checks_them(record: dict[str, Any]) -> None:
    found = [
        fault
        for workspace, document in read_allocator_file(record["in"]["doc"]).documents.items()
        for fault in faults(document, workspace)
    ]
    assert (found == []) is record["out"]["valid"]
    for fault in found:
        assert fault["loc"][0] in record["out"]["names"]
        assert fault["loc"][1] == record["out"]["field"]


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"base_budget": 0}, "base_budget"),
        ({"base_budget": -1}, "base_budget"),
        ({"base_budget": True}, "base_budget"),
        ({"base_budget": "20000"}, "base_budget"),
        ({"base_budget": 1.5}, "base_budget"),
        ({"base_budget": None}, "base_budget"),
        ({"base_budget": float("nan")}, "base_budget"),
        ({"base_budget": 60000}, "base_budget"),
        ({"max_budget": MAX_TOKENS + 1}, "max_budget"),
        ({"max_budget": 2**63}, "max_budget"),
        ({"max_budget": 10**5000}, "max_budget"),
        ({"scope_weights": {"global": 0.4, "agent_recent": 0.5}}, "scope_weights"),
        ({"scope_weights": {"global": 1.5, "agent_recent": -0.5}}, "scope_weights"),
        ({"scope_weights": {}}, "scope_weights"),
        ({"scope_weights": [1]}, "scope_weights"),
        ({"multipliers": {"simple": float("inf")}}, "multipliers"),
        ({"multipliers": {"expert": 1}}, "multipliers"),
        ({"alert_thresholds": {"info": 0.9, "warning": 0.5}}, "alert_thresholds"),
        ({"alert_thresholds": {"info": 0.95}}, "alert_thresholds"),
        ({"alert_thresholds": {"critical": 1.1}}, "alert_thresholds"),
        ({"enforcement": "strict"}, "enforcement"),
        ({"auto_bump": 1}, "auto_bump"),
        ({"examples": "dbt-expert"}, "examples"),
        ({"description": "bell\x07"}, "description"),
        ({"budget": 5}, "budget"),
    ],
)
def test_a_bad_field_of_a_profile_is_named(change: dict[str, Any], at: str) -> None:
    document = {"profiles": {"x": {**PROFILE, **change}}}
    assert places(document)[0][:3] == ["profiles", "x", at]


@pytest.mark.parametrize(
    ("document", "at"),
    [
        ({"surprise": 1}, ["surprise"]),
        ({"profiles": []}, ["profiles"]),
        ({"profiles": {"a/b": PROFILE}}, ["profiles", "a/b"]),
        ({"profiles": {"a\nb": PROFILE}}, ["profiles", "a\nb"]),
        ({"profiles": {"x" * 201: PROFILE}}, ["profiles", "x" * 201]),
        ({"agent_assignments": {"x/y": "nothing"}}, ["agent_assignments", "x/y"]),
        ({"agent_assignments": {"x/y/z": "role-architect"}}, ["agent_assignments", "x/y/z"]),
        ({"agent_assignments": {"x/y": 5}}, ["agent_assignments", "x/y"]),
        (
            {"agent_assignments": {"x/y": {"profile": "role-architect", "weight": 1}}},
            ["agent_assignments", "x/y", "weight"],
        ),
        ({"default_profile": "nothing"}, ["default_profile"]),
        ({"aliases": {"short": "x/unknown"}}, ["aliases", "short"]),
        ({"users": {"ann": {"profile": "nothing"}}}, ["users", "ann"]),
        ({"users": {"ann": {"base_budget": "many"}}}, ["users", "ann", "base_budget"]),
        ({"complexity_multipliers": {"hard": 2}}, ["complexity_multipliers", "hard"]),
        (
            {"complexity_multipliers": {"simple": {"multiplier": -1}}},
            ["complexity_multipliers", "simple", "multiplier"],
        ),
        ({"alert_thresholds": {"info": 0.95}}, ["alert_thresholds"]),
        ({"tuning_parameters": {"minimum": 1}}, ["tuning_parameters", "minimum"]),
        ({"enforcement": "firm"}, ["enforcement"]),
        ({"budget": None}, ["default", "budget"]),
        ({"budget": {"workspace_id": "other"}}, ["default", "workspace_id"]),
        ({"budget": {"max_total_tokens": 0}}, ["default", "max_total_tokens"]),
        ({"budget": {"freshness": {"half_life_hours": 0}}}, ["default", "freshness"]),
        ({"budget": {"promotion": {"access_threshold": 0}}}, ["default", "promotion"]),
        ({"budget": {"demotion": {"threshold": 1.01}}}, ["default", "demotion"]),
        ({"budget": {"tier_allocation": {"working_memory_pct": 0.9}}}, ["default"]),
        ({"budget": {"scoring_weights": {"relevance": 0.9}}}, ["default", "scoring_weights"]),
        ({"projects": {"p": {"max_total_tokens": -5}}}, ["default/p", "max_total_tokens"]),
        ({"projects": {"p": {"tier_allocation": {"rag_memory_pct": 0.9}}}}, ["default/p"]),
        ({"signals": [{"tier": "complex", "name": "n"}]}, ["signals", 0, "pattern"]),
        (
            {"signals": [{"tier": "medium", "name": "n", "pattern": "x"}]},
            ["signals", 0, "tier"],
        ),
        (
            {"signals": [{"tier": "complex", "name": "n", "pattern": "(?=x)y"}]},
            ["signals", 0, "pattern"],
        ),
        ({"profiles": {"role-architect": None}}, ["agent_assignments"]),
    ],
)
def test_a_bad_field_of_a_document_is_named(document: dict[str, Any], at: list[Any]) -> None:
    assert places(document)[0][: len(at)] == at


def test_all_bad_fields_are_named_at_once() -> None:
    document = {
        "profiles": {"x": {**PROFILE, "base_budget": -1, "scope_weights": {"global": 0.2}}},
        "enforcement": "firm",
        "budget": {"max_total_tokens": "many", "surprise": True},
    }
    assert places(document) == [
        ["profiles", "x", "base_budget"],
        ["profiles", "x", "scope_weights"],
        ["default", "surprise"],
        ["default", "max_total_tokens"],
        ["enforcement"],
    ]


def test_what_is_not_built_yet_is_said_to_be_so() -> None:
    for change in ({"mode": "adaptive"}, {"quantile": 0.9}):
        with pytest.raises(NotAvailable):
            validate_document({"profiles": {"x": {**PROFILE, **change}}}, "w", below=BELOW)
    validate_document({"profiles": {"x": {**PROFILE, "mode": "profile"}}}, "w", below=BELOW)


@pytest.mark.parametrize("workspace", ["", "*", "a/b", "x" * 201])
def test_names_that_are_no_workspace_are_refused(workspace: str) -> None:
    with pytest.raises(InvalidPolicy):
        validate_document({}, workspace)


@given(st.decimals("0.99", "1.01", places=4))
def test_shares_may_miss_one_by_a_hundredth(total: Any) -> None:
    allocation = {
        "working_memory_pct": float(total),
        "project_memory_pct": 0,
        "long_term_memory_pct": 0,
        "rag_memory_pct": 0,
    }
    assert faults({"budget": {"tier_allocation": allocation}}) == []


anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("a/b")
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        ("profiles",),
        ("profiles", "specialist-narrow"),
        ("profiles", "specialist-narrow", "scope_weights"),
        ("profiles", "specialist-narrow", "scope_weights", "global"),
        ("agent_assignments", "specialists/dbt-expert"),
        ("complexity_multipliers", "simple"),
        ("alert_thresholds", "info"),
        ("tuning_parameters",),
        ("signals",),
        ("users",),
        ("aliases",),
        ("projects",),
        ("performance",),
        ("about",),
        ("default_profile",),
        ("budget",),
        ("budget", "tier_allocation"),
        ("budget", "promotion", "threshold"),
        ("budget", "scoring_weights", "relevance"),
    ]
)


@given(paths, anything)
def test_a_document_is_refused_by_name_or_resolves(path: tuple[str, ...], value: Any) -> None:
    document = copy.deepcopy(SHIPPED["default"])
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    found = faults(document)
    assert all(fault["loc"] and fault["msg"] for fault in found)
    if not found:
        layers = layers_for("default", shipped=SHIPPED, stored={"default": document})
        book = PolicyBook.compile(layers, workspace="default", version=1)
        for agent in ("dbt-expert", "nobody"):
            assert book.resolve(agent=agent, user="a", project="a")[0].base > 0
        assert book.resolve(workspace="default", project="a")[0].base > 0
