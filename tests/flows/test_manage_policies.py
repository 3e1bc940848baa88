"""Prove that a change of policy is one transaction, planned purely, whole or not at all."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.core.errors import Conflict, InvalidPolicy, NotFound
from app.core.policy_changes import delete, merge, plan_changes, put, replace
from app.core.policy_documents import KEYS, Layer, layers_for, merge_layers
from app.core.policy_entries import Entry
from app.core.policybook import PolicyBook
from app.flows.follow_policies import follow, import_policy
from app.flows.manage_policies import (
    delete_entry,
    list_versions,
    put_entry,
    read_entry,
    restore_version,
)
from app.presets.loader import shipped
from app.presets.reading import dump_yaml, read_policy
from app.store import policies
from app.store.database import Store
from app.store.shelf import PolicyShelf

PROFILE: dict[str, Any] = {
    "base_budget": 1_000,
    "max_budget": 4_000,
    "scope_weights": {"global": 1},
}
MINE = Entry(workspace="default", section="profiles", name="mine")

profiles = st.dictionaries(
    st.sampled_from(["a", "b", "specialist-narrow", "role-architect"]),
    st.builds(
        lambda base, more: {**PROFILE, "base_budget": base, "max_budget": base + more},
        st.integers(1, 10**9),
        st.integers(0, 10**9),
    ),
    min_size=1,
)


@pytest.fixture
def store(database_url: str) -> Any:
    opened = Store(database_url)
    opened.start()
    yield opened
    opened.close()


@pytest.fixture
def shelf() -> PolicyShelf:
    return PolicyShelf(shipped())


def merged(document: dict[str, Any], workspace: str = "default") -> dict[str, Any]:
    return merge_layers(
        layers_for(workspace, shipped=shipped(), stored={workspace: document}), workspace
    )


# Planning


@given(profiles)
def test_merging_a_document_twice_is_merging_it_once(stated: dict[str, Any]) -> None:
    edits = {"default": merge({"profiles": stated}, "default")}
    (once,) = plan_changes(edits, shipped=shipped(), stored={})
    (twice,) = plan_changes(edits, shipped=shipped(), stored={"default": once.document})
    assert twice.document == once.document
    assert twice.changed == ()


@given(profiles, profiles)
def test_after_replacing_only_what_the_document_states_is_there(
    before: dict[str, Any], stated: dict[str, Any]
) -> None:
    document = {"profiles": stated, "agent_assignments": {"t/n": next(iter(stated))}}
    kept = [key for key in KEYS if key in ("budget", "projects")]
    edits = {"default": replace(document, "default", kept=kept)}
    stored = {"default": {"profiles": before, "projects": {"p": {"max_total_tokens": 5}}}}
    (plan,) = plan_changes(edits, shipped=shipped(), stored=stored)
    holds = merged(dict(plan.document))
    assert holds["profiles"] == stated
    assert holds["agent_assignments"].keys() == {"t/n"}
    assert holds["default_profile"] in stated
    assert holds["projects"] == {"p": {"max_total_tokens": 5}}


@given(profiles, st.sampled_from(["a", "specialist-broad", "role-architect"]))
def test_what_was_put_holds_and_what_was_deleted_does_not(
    stated: dict[str, Any], name: str
) -> None:
    stored = {"default": {"profiles": stated}}
    edits = {"default": put("profiles", name, PROFILE)}
    (plan,) = plan_changes(edits, shipped=shipped(), stored=stored)
    assert merged(dict(plan.document))["profiles"][name] == PROFILE
    below = [Layer(workspace="default", document=shipped()["default"])]
    gone = delete(("profiles", name))(plan.document, below)
    assert name not in merged(dict(gone))["profiles"]


@given(profiles, st.booleans())
def test_stating_what_holds_changes_nothing(stated: dict[str, Any], replaces: bool) -> None:
    stored = {"default": {"profiles": stated}}
    document = {"profiles": merged(stored["default"])["profiles"]}
    edit = replace(document, "default", kept=()) if replaces else merge(document, "default")
    (plan,) = plan_changes({"default": edit}, shipped=shipped(), stored=stored)
    assert plan.document == stored["default"]


def test_another_order_of_scopes_is_a_change() -> None:
    turned, straight = ({"a": 0.5, "b": 0.5}, {"b": 0.5, "a": 0.5})
    stored = {"default": {"profiles": {"mine": {**PROFILE, "scope_weights": straight}}}}
    edit = merge({"profiles": {"mine": {**PROFILE, "scope_weights": turned}}}, "default")
    (plan,) = plan_changes({"default": edit}, shipped=shipped(), stored=stored)
    assert plan.changed == ("profiles.mine",)


def test_an_old_fault_does_not_stop_another_change() -> None:
    stored = {
        "default": {"profiles": {}},
        "w": {"agent_assignments": {"a/b": "gone since"}},
    }
    edits = {"w": put("profiles", "mine", PROFILE)}
    (plan,) = plan_changes(edits, shipped=shipped(), stored=stored)
    assert plan.changed == ("profiles.mine",)
    for agent in ("c/d", "a/b"):
        worse = {"w": put("agent_assignments", agent, "never there")}
        with pytest.raises(InvalidPolicy) as refusal:
            plan_changes(worse, shipped=shipped(), stored=stored)
        assert [fault["loc"] for fault in refusal.value.errors] == [["agent_assignments", agent]]


def test_what_is_planned_in_default_counts_for_the_others() -> None:
    edits = {
        "a": put("agent_assignments", "x/y", "new"),
        "default": put("profiles", "new", PROFILE),
    }
    plans = plan_changes(edits, shipped=shipped(), stored={})
    assert [plan.workspace for plan in plans] == ["default", "a"]


# Recording


async def test_a_change_is_there_for_whoever_made_it(
    store: Store, shelf: PolicyShelf, now: datetime
) -> None:
    assert await put_entry(store, shelf, MINE, PROFILE, now=now) is True
    assert read_entry(shelf, MINE, bool) == PROFILE
    assert await put_entry(store, shelf, MINE, PROFILE, now=now) is False
    versions, _ = await list_versions(store, "default", before=None, limit=10)
    assert [(one.version, one.source, one.created_at) for one in versions] == [(1, "http", now)]
    other = PolicyShelf(shipped())
    assert await other.refresh(store) is True
    assert await other.refresh(store) is False
    assert read_entry(other, MINE, bool) == PROFILE


async def test_a_workspace_that_states_nothing_has_the_book_that_compiling_makes(
    store: Store, shelf: PolicyShelf, now: datetime
) -> None:
    default = Entry(workspace="default", section="budget")
    for budget in ({"max_total_tokens": 5}, {"enforcement": "hard"}):
        await put_entry(store, shelf, default, budget, now=now)
        await put_entry(store, shelf, MINE, PROFILE, now=now)
        book = shelf.book("nobody's")
        layers = layers_for("nobody's", shipped=shipped(), stored=shelf.documents())
        compiled = PolicyBook.compile(layers, workspace="nobody's", version=book.version)
        for field in fields(PolicyBook):
            if field.name != "names":
                assert getattr(book, field.name) == getattr(compiled, field.name), field.name
        asked = {"agent": "dbt-exprt", "project": "p", "user": "u"}
        assert book.resolve(**asked) == compiled.resolve(**asked)
        assert book.resolve(workspace="nobody's") == compiled.resolve(workspace="nobody's")


async def test_books_in_use_follow_a_change_of_what_lies_below_them(
    store: Store, shelf: PolicyShelf, now: datetime
) -> None:
    names = ("default", "research", "nobody's")
    for base in (1_000, 2_000):
        await put_entry(store, shelf, MINE, {**PROFILE, "base_budget": base}, now=now)
        assert [shelf.book(name).profiles["mine"].base for name in names] == [base] * 3
    own = Entry(workspace="research", section="profiles", name="mine")
    await put_entry(store, shelf, own, {**PROFILE, "base_budget": 3_000}, now=now)
    assert [shelf.book(name).profiles["mine"].base for name in names] == [2_000, 3_000, 2_000]


async def test_a_refused_change_leaves_no_trace(
    store: Store, shelf: PolicyShelf, now: datetime
) -> None:
    with pytest.raises(InvalidPolicy):
        await put_entry(store, shelf, MINE, {**PROFILE, "base_budget": 0}, now=now)
    narrow = Entry(workspace="default", section="profiles", name="specialist-narrow")
    with pytest.raises(Conflict):
        await delete_entry(store, shelf, narrow, sees=bool, now=now)
    with pytest.raises(NotFound):
        await delete_entry(store, shelf, MINE, sees=bool, now=now)
    with pytest.raises(NotFound):
        await restore_version(store, shelf, "default", 3, now=now)
    assert (await list_versions(store, "default", before=None, limit=10))[0] == []
    assert await store.read(policies.heads) == {}


async def test_an_import_of_several_workspaces_is_all_or_nothing(
    store: Store, shelf: PolicyShelf, now: datetime
) -> None:
    good, bad = {"max_total_tokens": 5}, {"tier_allocation": {"working_memory_pct": 0.9}}
    file = {"a": good, "b": {"workspace_id": "b", **bad}}
    asked: dict[str, Any] = {
        "workspace": "default",
        "replaces": False,
        "dry_run": False,
        "allow": str,
        "now": now,
    }
    with pytest.raises(InvalidPolicy):
        await import_policy(store, shelf, dump_yaml(file).encode(), **asked)
    assert await store.read(policies.heads) == {}
    del file["b"]
    done = await import_policy(store, shelf, dump_yaml(file).encode(), **asked)
    assert done.versions == {"a": 1}


async def test_a_file_is_applied_once_by_many_replicas(
    store: Store, shelf: PolicyShelf, now: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"enforcement": "hard"}')
    other = PolicyShelf(shipped())
    for replica in (shelf, other, PolicyShelf(shipped())):
        await follow(store, replica, [path], now=now)
    assert [shelf.version("default"), other.version("default")] == [1, 1]

    await put_entry(store, shelf, MINE, PROFILE, now=now)
    path.write_text('{"enforcement": "soft"}')
    await follow(store, other, [path], now=now)
    await follow(store, shelf, [path], now=now)
    assert read_entry(shelf, MINE, bool) == PROFILE, "a file changes only what it states"
    assert shelf.book("default").enforcement == "soft"
    versions, _ = await list_versions(store, "default", before=None, limit=10)
    assert [one.source for one in versions] == ["file policy.json", "http", "file policy.json"]


async def test_replicas_with_different_files_do_not_take_turns(
    store: Store, shelf: PolicyShelf, now: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    other = PolicyShelf(shipped())
    for _ in range(3):
        for replica, word in ((shelf, "hard"), (other, "soft")):
            path.write_text(json.dumps({"enforcement": word}))
            await follow(store, replica, [path], now=now)
    assert (await store.read(policies.heads))["default"] == 2


async def test_a_missing_file_is_told_once_until_it_appears(
    store: Store, shelf: PolicyShelf, now: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"
    with capture_logs() as logged:
        for content in (None, None, '{"enforcement": "hard"}', None, None, "{", None):
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content)
            await follow(store, shelf, [path], now=now)
            assert (shelf.file_errors == {}) is (content == '{"enforcement": "hard"}')
    refused = [one["reason"] for one in logged if one["event"] == "policy_file_refused"]
    assert ["does not exist" in reason for reason in refused] == [True, True, False, True]
    assert shelf.book("default").enforcement == "hard"


async def test_a_refused_file_is_tried_again_when_policy_has_changed(
    store: Store, shelf: PolicyShelf, now: datetime, tmp_path: Path
) -> None:
    path = tmp_path / "agents.json"
    path.write_text('{"agent_assignments": {"a/b": "mine"}}')
    await follow(store, shelf, [path], now=now)
    assert list(shelf.file_errors) == [str(path)]
    other = PolicyShelf(shipped())
    await put_entry(store, other, MINE, PROFILE, now=now)
    await follow(store, shelf, [path], now=now)
    assert shelf.file_errors == {}
    assert shelf.book("default").assignments["a/b"].profile == "mine"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20) | st.floats(0, 1), max_size=5))
def test_yaml_that_is_written_is_read_back(data: dict[str, Any]) -> None:
    held = {f"k {key}".encode("ascii", "ignore").decode(): value for key, value in data.items()}
    plain = {
        "".join(mark for mark in key if mark.isprintable()): (
            "".join(mark for mark in value if mark.isprintable())
            if isinstance(value, str)
            else value
        )
        for key, value in held.items()
    }
    document = {"budget": {"notes": plain}}
    assert read_policy(dump_yaml(document).encode(), "w").documents == {"w": document}
