"""The originals' files are read as they are, and written so that reading them changes nothing."""

import json
import tarfile
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidPolicy
from app.core.policy_checks import validate_document
from app.core.policy_documents import layers_for, overlay
from app.core.policybook import PolicyBook
from app.presets.legacy import (
    detect_format,
    read_allocator_file,
    read_profiles_file,
    write_allocator_file,
    write_profiles_file,
)
from app.presets.loader import load_json, shipped
from tests.data import data_dir, vectors

DOCUMENTS = {record["id"]: record["in"]["doc"] for record in vectors("B5.doc")}
IMPORTS = [*vectors("B5.import")]


def book(workspace: str, stored: dict[str, Any]) -> PolicyBook:
    layers = layers_for(workspace, shipped=shipped(), stored=stored)
    return PolicyBook.compile(layers, workspace=workspace, version=1)


@pytest.fixture(scope="module")
def profiles_file() -> dict[str, Any]:
    archive = data_dir() / "claude-memory" / "claude-memory.tar.gz"
    with tarfile.open(archive) as tree:
        member = tree.extractfile(".claude/memory/budget-profiles.json")
        assert member is not None
        data = load_json(member.read().decode())
    assert isinstance(data, dict)
    return data


def test_the_real_profiles_file_is_read_as_it_is(profiles_file: dict[str, Any]) -> None:
    assert detect_format(profiles_file) == "profiles"
    document = read_profiles_file(profiles_file)
    below = layers_for("w", shipped=shipped(), stored={})
    validate_document(document, "w", below=below)
    read = book("w", {"w": document})
    assert len(read.assignments) == 25
    assert (
        read.profiles["role-architect"].description
        == (profiles_file["profiles"]["role-architect"]["description"])
    )
    assert document["about"]["version"] == "1.0.0"


def test_the_real_profiles_file_means_what_ships(profiles_file: dict[str, Any]) -> None:
    read = book("w", {"w": read_profiles_file(profiles_file)})
    plain = book("v", {})
    for agent in plain.assignments:
        mine, _ = read.resolve(agent=agent)
        theirs, _ = plain.resolve(agent=agent)
        assert (mine.base, mine.ceiling, mine.scopes) == (
            theirs.base,
            theirs.ceiling,
            theirs.scopes,
        )
        assert mine.multipliers == theirs.multipliers
        assert mine.thresholds == theirs.thresholds
    assert read.tuning == plain.tuning


def test_exported_profiles_are_the_file_again(profiles_file: dict[str, Any]) -> None:
    stored = {"default": read_profiles_file(profiles_file)}
    written = write_profiles_file(book("default", stored))
    kept = {key: written[key] for key in profiles_file}
    assert kept == profiles_file
    again = write_profiles_file(book("default", {"default": read_profiles_file(written)}))
    assert json.dumps(again) == json.dumps(written)


@pytest.mark.parametrize("record", IMPORTS, ids=lambda record: record["id"])
def test_the_allocator_file_is_read_as_the_original_reads_it(record: dict[str, Any]) -> None:
    asked, expected = record["in"], record["out"]
    if "doc" in asked:
        read = read_allocator_file(DOCUMENTS[asked["doc"]])
        assert sorted(read.documents.keys() - {"default"}) == expected["workspaces"]
        return
    documents = read_allocator_file(next(iter(DOCUMENTS.values()))).documents
    for workspace, document in documents.items():
        below = layers_for(workspace, shipped=shipped(), stored={})
        validate_document(document, workspace, below=below)
    policy, _ = book(asked["workspace"], dict(documents)).resolve(
        workspace=asked["workspace"], project=asked["project"]
    )
    assert policy.kind == expected["policy"]
    assert policy.base == expected["max_total_tokens"]
    assert policy.multipliers[asked["complexity"]] == Decimal(str(expected["multiplier"]))
    assert {scope.name: float(scope.weight) for scope in policy.scopes} == expected["weights"]
    assert policy.rounding == "floor"


def test_what_has_no_meaning_here_is_listed() -> None:
    data = next(iter(DOCUMENTS.values()))
    assert detect_format(data) == "allocator"
    read = read_allocator_file(data)
    assert read.ignored == (
        "logging.enable_allocation_logging",
        "logging.log_level",
        "logging.export_directory",
    )
    assert read.settings == data["performance"]
    assert read.documents["default"]["performance"] == data["performance"]


def test_a_workspace_is_named_by_its_id_else_by_its_key() -> None:
    data = {
        "first": {"workspace_id": "one", "max_total_tokens": 5},
        "two": {"max_total_tokens": 6},
        "project_overrides": {"first": {"p": {"max_total_tokens": 1}}, "two": {"q": {}}},
    }
    documents = read_allocator_file(data).documents
    assert documents["one"]["budget"]["max_total_tokens"] == 5
    assert documents["one"]["projects"] == {"p": {"max_total_tokens": 1}}
    assert documents["two"]["projects"] == {"q": {}}


@pytest.mark.parametrize(
    ("data", "at"),
    [
        ([], []),
        ({"w": 5}, ["w"]),
        ({"w": {"workspace_id": 5}}, ["w", "workspace_id"]),
        ({"v": {"workspace_id": "w"}, "w": {}}, ["w", "workspace_id"]),
        ({"project_overrides": []}, ["project_overrides"]),
        ({"project_overrides": {"w": 1}}, ["project_overrides", "w"]),
        ({"performance": 1}, ["performance"]),
    ],
)
def test_a_file_of_another_shape_is_refused_by_name(data: Any, at: list[str]) -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        read_allocator_file(data)
    assert refusal.value.errors[0]["loc"] == at


def test_exported_workspaces_are_read_back_unchanged() -> None:
    documents = dict(read_allocator_file(next(iter(DOCUMENTS.values()))).documents)
    names = sorted({*documents, *shipped()})
    written = write_allocator_file([book(name, documents) for name in names])
    stored = dict(read_allocator_file(written).documents)
    again = write_allocator_file([book(name, stored) for name in names])
    assert json.dumps(again) == json.dumps(written)
    assert written["project_overrides"].keys() == {"cf-default"}
    assert written["cf-research"] == next(iter(DOCUMENTS.values()))["cf-research"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"profiles": {}}, "profiles"),
        ({"version": "1", "agent_assignments": {}}, "profiles"),
        ({"w": {"max_total_tokens": 1}}, "allocator"),
        ({"budget": {"workspace_id": "w", "max_total_tokens": 1}}, "document"),
        ({"budget": {"workspace_id": "budget"}}, "allocator"),
        ({"users": {}}, "document"),
        ({}, "document"),
    ],
)
def test_the_format_of_a_file_is_seen_from_its_keys(data: Any, expected: str) -> None:
    assert detect_format(data) == expected


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "logging", "performance", "project_overrides"]),
        st.fixed_dictionaries(
            {"max_total_tokens": st.integers(1, 10**9)},
            optional={"rigid_tiers": st.booleans(), "enforcement": st.just("hard")},
        ),
        min_size=1,
    )
)
def test_any_workspaces_survive_export_and_import(budgets: dict[str, Any]) -> None:
    stored = {name: {"budget": budget} for name, budget in budgets.items()}
    written = write_allocator_file([book(name, stored) for name in budgets])
    read = read_allocator_file(written)
    assert read.ignored == ()
    assert read.documents.keys() == budgets.keys()
    for name in budgets:
        assert book(name, dict(read.documents)).budget == book(name, stored).budget


def test_importing_twice_is_importing_once(profiles_file: dict[str, Any]) -> None:
    document = read_profiles_file(profiles_file)
    once = overlay({}, document)
    assert overlay(once, document) == once
