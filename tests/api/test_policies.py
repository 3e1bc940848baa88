"""Prove that policy is read, changed, carried and followed over HTTP, and never half-changed."""

import asyncio
import json
import tarfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.data import data_dir, vectors
from tests.running import Running, running

DOCUMENTS = {record["id"]: record["in"]["doc"] for record in vectors("B5.doc")}
FILE = next(iter(DOCUMENTS.values()))
PROFILE = {
    "description": "For tests",
    "base_budget": 1_000,
    "max_budget": 4_000,
    "scope_weights": {"global": 0.25, "own": 0.75},
}
MISSING = "does not exist; the policy before it stays in force"
BUDGET = {
    "max_total_tokens": 1_000,
    "tier_allocation": {
        "working_memory_pct": 0.4,
        "project_memory_pct": 0.3,
        "long_term_memory_pct": 0.2,
        "rag_memory_pct": 0.1,
    },
}


async def version_of(client: httpx.AsyncClient, workspace: str = "default") -> int:
    answer = await client.get("/config", params={"workspace": workspace})
    version: int = answer.json()["version"]
    return version


async def load(client: httpx.AsyncClient, data: Any, **params: Any) -> httpx.Response:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return await client.post("/config/import", content=content, params=params)


async def tokens(client: httpx.AsyncClient, **asked: Any) -> int:
    answer = await client.post("/allocate", json=asked)
    assert answer.status_code == 201, answer.text
    found: int = answer.json()["budget"]["tokens"]
    return found


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 2.0) -> None:
    """Wait until something holds; fail when the time is up."""
    until = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < until, f"it does not hold after {seconds} s"
        await asyncio.sleep(0.02)


# Profiles, agents, users


async def test_what_ships_is_listed(light_client: httpx.AsyncClient) -> None:
    profiles = (await light_client.get("/profiles")).json()
    assert [item["name"] for item in profiles["items"]] == [
        "role-architect",
        "role-coordinator",
        "specialist-broad",
        "specialist-narrow",
    ]
    assert profiles["default_profile"] == "specialist-narrow"
    assert profiles["next_cursor"] is None
    tiers = profiles["complexity_multipliers"]
    assert {name: tier["multiplier"] for name, tier in tiers.items()} == {
        "simple": 0.5,
        "medium": 1.0,
        "complex": 1.5,
        "multi-system": 2.0,
    }
    assert all(tier["examples"] and tier["description"] for tier in tiers.values())

    agents = (await light_client.get("/agents")).json()["items"]
    assert len(agents) == 25
    assert all(agent["assigned"] and agent["profile"] for agent in agents)
    assert len((await light_client.get("/workspaces")).json()["items"]) == 6


async def test_lists_come_in_pages(light_client: httpx.AsyncClient) -> None:
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": "10"} | ({"cursor": cursor} if cursor else {})
        page = (await light_client.get("/agents", params=params)).json()
        seen += [agent["agent"] for agent in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == sorted(set(seen))
    assert len(seen) == 25


@pytest.mark.parametrize("path", ["/profiles", "/agents"])
@pytest.mark.parametrize(
    "way", [{"params": {"format": "text"}}, {"headers": {"Accept": "text/plain"}}]
)
async def test_people_get_a_table(
    light_client: httpx.AsyncClient, path: str, way: dict[str, Any]
) -> None:
    answer = await light_client.get(path, **way)
    assert answer.headers["content-type"].startswith("text/plain")
    heading, *lines = answer.text.splitlines()
    assert heading.startswith(path[1:-1])
    assert any("specialist-narrow" in line for line in lines)
    assert "{" not in answer.text


async def test_a_profile_is_made_used_changed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await client.put("/profiles/mine", json=PROFILE)
    assert (made.status_code, made.json()) == (201, PROFILE)
    assigned = await client.put("/agents/tests/one", json={"profile": "mine"})
    assert (assigned.status_code, assigned.json()) == (201, {"profile": "mine"})
    assert await tokens(client, agent="tests/one", complexity="complex") == 1_500

    changed = await client.put("/profiles/mine", json={**PROFILE, "base_budget": 2_000})
    assert changed.status_code == 200
    assert await tokens(client, agent="one", complexity="medium") == 2_000

    in_use = await client.delete("/profiles/mine")
    assert in_use.status_code == 409
    assert in_use.json()["used_by"] == ["tests/one"]
    assert (await client.delete("/agents/tests/one")).status_code == 204
    assert (await client.delete("/profiles/mine")).status_code == 204
    gone = await client.get("/profiles/mine")
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert await tokens(client, agent="tests/one", complexity="medium") == 20_000


async def test_a_shipped_profile_can_be_deleted_and_comes_back(client: httpx.AsyncClient) -> None:
    for agent in ("roles/data-architect-role", "roles/research-role"):
        assert (await client.delete(f"/agents/{agent}")).status_code == 204
    assert (await client.delete("/profiles/role-architect")).status_code == 204
    assert (await client.get("/profiles/role-architect")).status_code == 404
    assert (await client.delete("/profiles/role-architect")).status_code == 404
    assert len((await client.get("/agents")).json()["items"]) == 23

    restored = await client.post("/config/versions/0/restore")
    assert restored.status_code == 200
    assert "profiles.role-architect" in restored.json()["changed"]
    assert len((await client.get("/agents")).json()["items"]) == 25


async def test_a_profile_of_default_is_kept_while_another_workspace_assigns_it(
    light_client: httpx.AsyncClient,
) -> None:
    await light_client.put("/profiles/mine", json=PROFILE)
    away = {"workspace": "away"}
    await light_client.put("/agents/tests/one", json={"profile": "mine"}, params=away)
    refused = await light_client.delete("/profiles/mine")
    assert refused.json()["used_by"] == ["away: tests/one"]
    await light_client.put("/profiles/mine", json=PROFILE, params=away)
    assert (await light_client.delete("/profiles/mine")).status_code == 204
    assert await tokens(light_client, agent="tests/one", workspace="away") == 1_000


async def test_unknown_names_are_answered_with_the_nearest(light_client: httpx.AsyncClient) -> None:
    for path, near in (
        ("/profiles/specialist-narow", "specialist-narrow"),
        ("/agents/specialists/dbt-exprt", "specialists/dbt-expert"),
        ("/workspaces/developmnt", "development"),
    ):
        for method in ("GET", "DELETE"):
            answer = await light_client.request(method, path)
            assert answer.status_code == 404
            assert near in answer.json()["detail"]
    for path in ("/users/nobody", "/workspaces/default/projects/none", "/agents/bare"):
        assert (await light_client.get(path)).status_code == 404


async def test_agents_that_were_only_seen_are_listed_as_such(client: httpx.AsyncClient) -> None:
    await tokens(client, agent="strange/newcomer", complexity="medium")
    agents = {agent["agent"]: agent for agent in (await client.get("/agents")).json()["items"]}
    assert agents["strange/newcomer"] == {
        "agent": "strange/newcomer",
        "type": "strange",
        "name": "newcomer",
        "profile": None,
        "assigned": False,
    }
    assert len(agents) == 26


async def test_a_users_policy_decides_for_their_agents(client: httpx.AsyncClient) -> None:
    policy = {"profile": "role-architect", "enforcement": "hard"}
    assert (await client.put("/users/ann", json=policy)).status_code == 201
    assert (await client.get("/users")).json()["items"] == [{"user": "ann", **policy}]
    asked = {"agent": "dbt-expert", "complexity": "medium"}
    assert await tokens(client, **asked, user="ann") == 75_000
    assert await tokens(client, **asked, user="bob") == 20_000
    assert (await client.delete("/users/ann")).status_code == 204
    assert await tokens(client, **asked, user="ann") == 20_000


async def test_an_aliased_agent_is_deleted_with_its_aliases(
    light_client: httpx.AsyncClient,
) -> None:
    await load(light_client, {"aliases": {"datenbank": "specialists/dbt-expert"}})
    found = await light_client.post("/allocate", json={"agent": "datenbank"})
    assert found.json()["agent"]["match"] == "alias"
    assert (await light_client.delete("/agents/specialists/dbt-expert")).status_code == 204
    assert "aliases" not in (await light_client.get("/config/export")).json()


# Workspaces and projects


async def test_a_workspace_and_its_project_are_made_used_and_deleted(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.put("/workspaces/ws", json=BUDGET)).status_code == 201
    path = "/workspaces/ws/projects/p"
    assert (await client.put(path, json={"max_total_tokens": 500})).status_code == 201
    listed = (await client.get("/workspaces/ws/projects")).json()["items"]
    assert listed == [{"project": "p", "max_total_tokens": 500}]
    whole = (await client.get("/workspaces/ws")).json()
    assert whole["tier_allocation"] == BUDGET["tier_allocation"]
    assert whole["freshness"] == {"half_life_hours": 168}
    assert await tokens(client, workspace="ws", complexity="expert") == 2_000
    assert await tokens(client, workspace="ws", project="p", complexity="expert") == 1_000
    assert await tokens(client, workspace="ws", project="other", complexity="simple") == 500

    assert (await client.delete("/workspaces/ws")).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert await tokens(client, workspace="ws", project="p", complexity="medium") == 8_192


async def test_the_default_workspace_keeps_a_budget(light_client: httpx.AsyncClient) -> None:
    answer = await light_client.delete("/workspaces/default")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await version_of(light_client) == 0


async def test_a_project_of_an_undeclared_workspace_is_checked_over_defaults_budget(
    light_client: httpx.AsyncClient,
) -> None:
    path = "/workspaces/nowhere/projects/p"
    wrong = {"tier_allocation": {"working_memory_pct": 0.9}}
    refused = await light_client.put(path, json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_policy")
    assert (await light_client.put(path, json={"max_total_tokens": 7_000})).status_code == 201
    asked = {"workspace": "nowhere", "project": "p", "complexity": "medium"}
    assert await tokens(light_client, **asked) == 7_000


async def test_what_get_gives_put_takes(client: httpx.AsyncClient) -> None:
    await client.put("/users/ann", json={"base_budget": 9_000, "auto_bump": True})
    await client.put("/agents/bare", json={"profile": "role-architect"})
    own = {"profile": "role-architect", "scope_weights": {"global": 0.35}}
    await client.put("/agents/tests/own", json=own)
    await client.put("/workspaces/research/projects/p", json={"max_total_tokens": 5})
    await client.put("/workspaces/ws", json={**BUDGET, "enforcement": "hard"})

    async def names(path: str, key: str) -> list[str]:
        return [item[key] for item in (await client.get(path)).json()["items"]]

    paths = [
        *(f"/profiles/{name}" for name in await names("/profiles", "name")),
        *(f"/agents/{name}" for name in await names("/agents", "agent")),
        *(f"/users/{name}" for name in await names("/users", "user")),
        *(f"/workspaces/{name}" for name in await names("/workspaces", "workspace_id")),
        "/workspaces/research/projects/p",
    ]
    assert len(paths) == 4 + 27 + 1 + 7 + 1
    before = (await client.get("/config")).json()["policy"]
    for path in paths:
        given = await client.get(path)
        taken = await client.put(path, content=given.content)
        assert (taken.status_code, taken.json()) == (200, given.json()), path
    assert (await client.get("/config")).json()["policy"] == before
    version = await version_of(client)
    assert (await client.put(paths[0], content=(await client.get(paths[0])).content)).is_success
    assert await version_of(client) == version, "the same content again is no new version"


# What is refused


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (
            "/profiles/x",
            {"base_budget": -1, "max_budget": 2**63, "scope_weights": {"a": 0.9}, "surprise": 1},
            {"base_budget", "max_budget", "scope_weights", "surprise"},
        ),
        ("/profiles/x", {}, {"base_budget", "max_budget", "scope_weights"}),
        ("/profiles/x", {**PROFILE, "scope_weights": {"a": "half"}}, {"scope_weights"}),
        ("/profiles/x", {**PROFILE, "base_budget": True}, {"base_budget"}),
        ("/profiles/x", {**PROFILE, "enforcement": "firm"}, {"enforcement"}),
        ("/profiles/x", {**PROFILE, "alert_thresholds": {"info": 0.95}}, {"alert_thresholds"}),
        ("/agents/a/b", {"profile": "missing"}, {"agent_assignments"}),
        ("/agents/a/b", {}, {"profile"}),
        ("/agents/a/b", {"profile": 5}, {"profile"}),
        ("/users/u", {"profile": "missing"}, {"users"}),
        ("/users/u", {"base_budget": 0}, {"base_budget"}),
        (
            "/workspaces/ws",
            {**BUDGET, "max_total_tokens": 0, "freshness": {"half_life_hours": 0}, "tokens": 1},
            {"max_total_tokens", "half_life_hours", "tokens"},
        ),
        ("/workspaces/ws", {"scoring_weights": {"relevance": 0.4}}, {"scoring_weights"}),
        ("/workspaces/ws", {"workspace_id": "other"}, {"workspace_id"}),
        ("/workspaces/*", BUDGET, {"workspace"}),
        ("/workspaces/default/projects/p", {"demotion": {"threshold": 2}}, {"threshold"}),
        ("/workspaces/default/projects/%0A", {}, {"name"}),
    ],
)
async def test_every_bad_field_is_named_and_nothing_changes(
    light_client: httpx.AsyncClient, path: str, body: dict[str, Any], fields: set[str]
) -> None:
    answer = await light_client.put(path, json=body)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    named = {part for error in problem["errors"] for part in error["loc"]}
    assert fields <= named, problem
    assert await version_of(light_client) == 0
    assert (await light_client.get("/config/versions")).json()["items"] == []


@pytest.mark.parametrize("replace", [False, True])
async def test_names_that_point_nowhere_are_told_beside_other_faults(
    light_client: httpx.AsyncClient, replace: bool
) -> None:
    uneven = {**PROFILE, "scope_weights": {"global": 0.4, "own": 0.5}}
    refused = await load(
        light_client,
        {
            "profiles": {"mine": uneven},
            "agent_assignments": {"x/y": "nope", "x/z": "mine", "x/w": 5},
            "users": {"ann": {"profile": "gone"}, "bob": ["mine"]},
            "aliases": {"why": "x/none", "zed": "x/z"},
            "default_profile": "none",
        },
        replace=replace,
    )
    assert refused.status_code == 422
    named = {".".join(map(str, fault["loc"])) for fault in refused.json()["errors"]}
    assert named == {
        "profiles.mine.scope_weights",
        "agent_assignments.x/y",
        "agent_assignments.x/w",
        "users.ann",
        "users.bob",
        "aliases.why",
        "default_profile",
    }
    assert await version_of(light_client) == 0


async def test_of_a_user_both_the_unknown_profile_and_a_bad_field_are_told(
    light_client: httpx.AsyncClient,
) -> None:
    refused = await light_client.put("/users/ann", json={"profile": "gone", "base_budget": -1})
    named = [fault["loc"] for fault in refused.json()["errors"]]
    assert sorted(named) == [["users", "ann"], ["users", "ann", "base_budget"]]


async def test_of_many_who_make_an_entry_one_is_told_that_it_is_new(
    client: httpx.AsyncClient,
) -> None:
    for path in ("/profiles/mine", "/users/ann"):
        answers = await asyncio.gather(
            *(client.put(path, json={**PROFILE, "base_budget": n + 1}) for n in range(8))
        )
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


@pytest.mark.parametrize("raw", [b'{"base_budget": NaN}', b"[]", b"1e999", b"", b"{", b'"\\ud800"'])
@pytest.mark.parametrize("path", ["/profiles/x", "/workspaces/ws", "/agents/a/b"])
async def test_bodies_that_are_no_objects_are_refused(
    light_client: httpx.AsyncClient, path: str, raw: bytes
) -> None:
    answer = await light_client.put(path, content=raw)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await light_client.get(path)).status_code == 404


async def test_what_is_not_built_is_said_to_be_so(light_client: httpx.AsyncClient) -> None:
    for extra in ({"mode": "auto"}, {"quantile": 0.9}):
        answer = await light_client.put("/profiles/x", json={**PROFILE, **extra})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_available")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a: &x {max_total_tokens: 1}\nb: *x\n", id="aliases"),
        pytest.param(b"w:\n  max_total_tokens: 5\n  max_total_tokens: 6\n", id="duplicate key"),
        pytest.param(b"w: !!python/object:os.system {max_total_tokens: 1}", id="tag"),
        pytest.param(b"w:\n  max_total_tokens: 5 #" + b"x" * 300 * 1024, id="300 KiB of YAML"),
        pytest.param(b'{"profiles": {"p": {"base_budget": NaN}}}', id="NaN"),
        pytest.param(b"profiles: {p: {base_budget: .nan}}", id="YAML NaN"),
        pytest.param(b"[" * 100_000, id="deep JSON"),
        pytest.param(b"a: " + b"[" * 1_000, id="deep YAML"),
        pytest.param(b"\xff\xfe\x00", id="no UTF-8"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"5", id="a number"),
        pytest.param(b'{"profiles": []}', id="profiles as a list"),
        pytest.param(b'{"surprise": {}}', id="unknown key"),
        pytest.param(b'{"agent_assignments": {"a/b": "missing"}}', id="profile that is not there"),
        pytest.param(b'{"aliases": {"x": "a/b"}}', id="alias of nobody"),
        pytest.param(b'{"alert_thresholds": {"warning": 0.5}}', id="falling thresholds"),
    ],
)
async def test_broken_files_are_refused_whole(
    light_client: httpx.AsyncClient, content: bytes
) -> None:
    answer = await load(light_client, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_policy"), answer.text
    assert len(answer.json()["detail"]) < 500
    assert await version_of(light_client) == 0


@pytest.mark.parametrize("pattern", ["foo(?=bar)", r"(a)\1", "((a{100}){100}){100}", "(", ""])
async def test_patterns_that_could_hang_are_refused(
    light_client: httpx.AsyncClient, pattern: str
) -> None:
    signal = {"tier": "simple", "name": "mine", "pattern": pattern}
    started = time.monotonic()
    answer = await load(light_client, {"signals": [signal]})
    assert answer.status_code == 422
    assert "pattern" in json.dumps(answer.json()["errors"])
    assert time.monotonic() - started < 2
    assert await version_of(light_client) == 0


async def test_of_several_workspaces_one_bad_one_stops_all(client: httpx.AsyncClient) -> None:
    bad = {**FILE["cf-research"], "workspace_id": "bad", "max_total_tokens": 0, "surprise": 1}
    worse = {**FILE["cf-research"], "workspace_id": "worse", "demotion": {"threshold": -1}}
    answer = await load(client, {"good": FILE["cf-default"], "bad": bad, "worse": worse})
    assert answer.status_code == 422
    assert {".".join(error["loc"]) for error in answer.json()["errors"]} == {
        "bad.max_total_tokens",
        "bad.surprise",
        "worse.demotion.threshold",
    }
    assert len((await client.get("/workspaces")).json()["items"]) == 6


# Files


@pytest.mark.parametrize(
    "record", [*vectors("B5.validate", classes={"must"})], ids=lambda record: record["id"]
)
async def test_files_are_judged_as_the_original_judges_them(
    light_client: httpx.AsyncClient, record: dict[str, Any]
) -> None:
    answer = await load(light_client, record["in"]["doc"])
    expected = record["out"]
    assert answer.is_success is expected["valid"], answer.text
    if not expected["valid"]:
        assert all(name in answer.json()["detail"] for name in expected["names"])
        locs = [error["loc"] for error in answer.json()["errors"]]
        assert any(expected["field"] in loc for loc in locs)


@pytest.mark.parametrize("kind", ["json", "yaml", "multipart"])
async def test_the_allocators_file_is_imported_as_it_is(
    client: httpx.AsyncClient, kind: str
) -> None:
    if kind == "multipart":
        upload = {"file": ("memory-budget.yaml", yaml.safe_dump(FILE).encode())}
        answer = await client.post("/config/import", files=upload)
    else:
        content = yaml.safe_dump(FILE) if kind == "yaml" else json.dumps(FILE)
        answer = await load(client, content.encode())
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["format"] == "allocator"
    assert "logging.log_level" in told["ignored"]
    assert told["versions"]["cf-research"] == 1
    assert "budget" in told["changed"]["cf-research"]
    for record in vectors("B5.import", classes={"must"}):
        asked, expected = record["in"], record["out"]
        if "doc" in asked:
            listed = (await client.get("/workspaces")).json()["items"]
            names = [item["workspace_id"] for item in listed]
            assert [name for name in names if name.startswith("cf-")] == expected["workspaces"]
            continue
        allocation = (await client.post("/allocate", json=asked)).json()
        assert allocation["policy"]["kind"] == expected["policy"]
        assert allocation["complexity"]["multiplier"] == expected["multiplier"]
        scopes = {scope["name"]: scope["tokens"] for scope in allocation["scopes"]}
        assert scopes == expected["tiers"]


@pytest.fixture(scope="module")
def real_file() -> bytes:
    with tarfile.open(data_dir() / "claude-memory" / "claude-memory.tar.gz") as tree:
        member = tree.extractfile(".claude/memory/budget-profiles.json")
        assert member is not None
        return member.read()


async def test_the_real_profiles_file_is_imported_unchanged(
    client: httpx.AsyncClient, real_file: bytes
) -> None:
    first = (await load(client, real_file)).json()
    assert (first["format"], first["ignored"], first["versions"]) == (
        "profiles",
        [],
        {"default": 1},
    )
    again = (await load(client, real_file)).json()
    assert (again["changed"], again["versions"]) == ({}, {"default": 1})
    exported = (await client.get("/config/export")).json()
    wanted = json.loads(real_file)
    assert {key: exported[key] for key in wanted} == wanted
    assert await tokens(client, agent="data-architect", complexity="multi-system") == 150_000


@pytest.mark.parametrize(
    "asked",
    [{"format": "json"}, {"format": "yaml"}, {"format": "json", "of": "workspaces"}],
    ids=lambda asked: "-".join(asked.values()),
)
async def test_export_and_import_is_a_fixed_point(
    light_client: httpx.AsyncClient, sqlite_url: str, tmp_path: Path, asked: dict[str, str]
) -> None:
    await load(light_client, FILE)
    await light_client.put("/profiles/mine", json=PROFILE)
    await light_client.delete("/agents/roles/research-role")
    await light_client.put("/users/ann", json={"profile": "mine"})
    signal = {"tier": "simple", "name": "peek", "pattern": "peek", "weight": 0.5}
    await load(light_client, {"signals": [signal], "default_profile": "mine"})
    exported = (await light_client.get("/config/export", params=asked)).content

    before = [(await light_client.get(path)).json() for path in ("/workspaces", "/config")]
    for replace in (False, True):
        told = (await load(light_client, exported, replace=replace)).json()
        assert told["changed"] == {}
        assert told["versions"] == {
            name: await version_of(light_client, name) for name in told["versions"]
        }
    after = [(await light_client.get(path)).json() for path in ("/workspaces", "/config")]
    assert after == before, "an import of what holds made a version"
    again = (await light_client.get("/config/export", params=asked)).content
    assert again == exported
    async with running(f"sqlite:///{tmp_path / 'other.db'}") as other:
        moved = await load(other.client, exported, replace=True)
        assert moved.status_code == 200, moved.text
        copied = await other.client.get("/config/export", params=asked)
        assert copied.content == exported


async def test_workspaces_are_written_alike_as_yaml_and_as_json(
    light_client: httpx.AsyncClient,
) -> None:
    as_yaml = await light_client.get("/config/export", params={"format": "yaml"})
    as_json = await light_client.get("/config/export", params={"of": "workspaces"})
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json() == yaml.safe_load(as_yaml.text)
    refused = await light_client.get("/config/export", params={"format": "yaml", "of": "profiles"})
    assert (refused.status_code, "format=json" in refused.json()["detail"]) == (422, True)


async def test_a_dry_run_says_what_would_change_and_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    file = {"profiles": {"mine": PROFILE}}
    told = (await load(client, file, dry_run=True)).json()
    assert told["dry_run"] is True
    assert told["changed"] == {"default": ["profiles.mine"]}
    assert told["versions"] == {"default": 1}
    assert await version_of(client) == 0
    assert (await client.get("/profiles/mine")).status_code == 404
    assert (await load(client, {"profiles": {"p": {}}}, dry_run=True)).status_code == 422
    done = (await load(client, file)).json()
    assert {**done, "dry_run": True} == told


async def test_import_merges_and_replace_replaces(light_client: httpx.AsyncClient) -> None:
    await load(light_client, {"profiles": {"mine": PROFILE}})
    assert len((await light_client.get("/profiles")).json()["items"]) == 5
    file = {"profiles": {"only": PROFILE}, "agent_assignments": {"a/b": "only"}}
    assert (await load(light_client, file, replace=True)).status_code == 200
    names = [item["name"] for item in (await light_client.get("/profiles")).json()["items"]]
    assert names == ["only"]
    assert await tokens(light_client, agent="unheard-of", complexity="medium") == 1_000
    assert (await light_client.get("/workspaces/default")).status_code == 200


async def test_a_files_policy_goes_to_the_workspace_named(light_client: httpx.AsyncClient) -> None:
    file = {"profiles": {"mine": PROFILE}, "agent_assignments": {"a/b": "mine"}}
    assert (await load(light_client, file, workspace="w")).json()["versions"] == {"w": 1}
    assert (await light_client.get("/agents/a/b")).status_code == 404
    assert (await light_client.get("/agents/a/b?workspace=w")).json() == {"profile": "mine"}
    assert await tokens(light_client, agent="a/b", workspace="w", complexity="medium") == 1_000


# Versions


async def test_every_change_is_a_version_that_can_be_restored(client: httpx.AsyncClient) -> None:
    for base in (1_000, 2_000, 3_000):
        await client.put("/profiles/mine", json={**PROFILE, "base_budget": base})
    listed = (await client.get("/config/versions", params={"limit": 2})).json()
    assert [item["version"] for item in listed["items"]] == [3, 2]
    assert [item["in_force"] for item in listed["items"]] == [True, False]
    assert {item["source"] for item in listed["items"]} == {"http"}
    rest = await client.get("/config/versions", params={"cursor": listed["next_cursor"]})
    assert [item["version"] for item in rest.json()["items"]] == [1]
    assert rest.json()["next_cursor"] is None

    restored = (await client.post("/config/versions/1/restore")).json()
    assert (restored["version"], restored["changed"]) == (4, ["profiles.mine"])
    assert (await client.get("/profiles/mine")).json() == PROFILE
    newest = (await client.get("/config/versions")).json()["items"][0]
    assert (newest["version"], newest["source"]) == (4, "restore 1")
    allocation = await client.post("/allocate", json={"agent": "dbt-expert"})
    assert allocation.json()["policy"]["version"] == 4


@pytest.mark.parametrize(("n", "status"), [("9", 404), ("-1", 422), ("x", 422), (str(2**63), 422)])
async def test_versions_that_are_not_there_are_not_restored(
    light_client: httpx.AsyncClient, n: str, status: int
) -> None:
    answer = await light_client.post(f"/config/versions/{n}/restore")
    assert answer.status_code == status


# Replicas and watched files


async def test_a_change_through_one_replica_is_seen_by_the_other(postgresql_url: str) -> None:
    async with running(postgresql_url) as one, running(postgresql_url) as other:
        assert (await one.client.put("/profiles/mine", json=PROFILE)).status_code == 201
        assert (await one.client.put("/workspaces/ws", json=BUDGET)).status_code == 201

        async def seen() -> bool:
            found = [await other.client.get(path) for path in ("/profiles/mine", "/workspaces/ws")]
            return all(answer.is_success for answer in found)

        await eventually(seen)
        assert (await other.client.delete("/profiles/mine")).status_code == 204

        async def gone() -> bool:
            return (await one.client.get("/profiles/mine")).status_code == 404

        await eventually(gone)


async def test_replicas_that_change_at_once_lose_nothing(postgresql_url: str) -> None:
    async with running(postgresql_url) as one, running(postgresql_url) as other:
        answers = await asyncio.gather(
            *(
                replica.client.put(f"/profiles/p{number}", json=PROFILE)
                for number, replica in enumerate([one, other] * 6)
            )
        )
        assert {answer.status_code for answer in answers} == {201}
        assert await version_of(one.client) == 12 or await version_of(other.client) == 12
        names = [name["name"] for name in (await one.client.get("/profiles")).json()["items"]]
        await eventually(lambda: _has_all(one.client, 12 + 4))
        assert len(set(names)) == len(names)


async def _has_all(client: httpx.AsyncClient, count: int) -> bool:
    return len((await client.get("/profiles")).json()["items"]) == count


async def test_watched_files_are_applied_when_they_say_something_new(
    database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "budget-profiles.json"
    path.write_text(json.dumps({"profiles": {"mine": PROFILE}}))
    settings: dict[str, Any] = {"policy_files": (path,), "policy_poll_seconds": 0.05}

    async with running(database_url, **settings) as service:
        client = service.client
        assert (await client.get("/profiles/mine")).json() == PROFILE
        listed = (await client.get("/config/versions")).json()["items"]
        assert [item["source"] for item in listed] == ["file budget-profiles.json"]
        over_http = {**PROFILE, "base_budget": 1_111}
        await client.put("/profiles/mine", json=over_http)

    async with running(database_url, **settings) as service:
        client = service.client
        assert (await client.get("/profiles/mine")).json() == over_http, "a restart changed it"

        path.write_text('{"profiles": {"mine": {"base_budget": -5}}}')

        async def refused() -> bool:
            policy = (await client.get("/readyz")).json()["checks"]["policy"]
            return "budget-profiles.json" in policy and "base_budget" in policy

        await eventually(refused)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/profiles/mine")).json() == over_http
        assert await version_of(client) == 2

        path.write_text(json.dumps({"profiles": {"mine": {**PROFILE, "base_budget": 2_222}}}))

        async def applied() -> bool:
            return bool((await client.get("/profiles/mine")).json()["base_budget"] == 2_222)

        await eventually(applied)
        assert (await client.get("/readyz")).json()["checks"]["policy"] == "ok"

        path.unlink()

        async def missed() -> bool:
            policy = (await client.get("/readyz")).json()["checks"]["policy"]
            return bool(policy == f"{path.name}: {MISSING}")

        await eventually(missed)
        assert (await client.get("/readyz")).status_code == 200
        assert await applied()


async def test_the_service_starts_with_a_broken_policy_file(
    sqlite_url: str, tmp_path: Path
) -> None:
    folder, broken = tmp_path / "folder.yaml", tmp_path / "broken.yaml"
    folder.mkdir()
    broken.write_bytes(b"w: {max_total_tokens: &a 5, rigid_tiers: *a}")
    files = (folder, broken, tmp_path / "missing.yaml")
    async with running(sqlite_url, policy_files=files) as service:
        said = (await service.client.get("/readyz")).json()["checks"]["policy"]
        assert "folder.yaml: cannot be read" in said
        assert "broken.yaml: aliases" in said
        assert f"missing.yaml: {MISSING}" in said
        broken.unlink()

        async def missed() -> bool:
            policy = (await service.client.get("/readyz")).json()["checks"]["policy"]
            return f"broken.yaml: {MISSING}" in policy

        await eventually(missed)
        assert await tokens(service.client, agent="dbt-expert", complexity="medium") == 20_000


async def test_an_answer_that_was_given_holds_after_a_restart(database_url: str) -> None:
    async with running(database_url) as service:
        assert (await service.client.put("/workspaces/ws", json=BUDGET)).status_code == 201
    async with running(database_url) as service:
        assert (await service.client.get("/workspaces/ws")).json()["max_total_tokens"] == 1_000


async def test_policy_is_read_with_the_database_away(light_service: Running) -> None:
    light_service.house.store.engine.dispose()
    assert (await light_service.client.get("/profiles")).status_code == 200


@pytest.mark.parametrize(("scoring", "part"), [("measured", "words"), ("formula", "relevance")])
async def test_a_workspace_says_how_its_memories_are_scored(
    light_client: httpx.AsyncClient, scoring: str, part: str
) -> None:
    await light_client.put("/workspaces/scored", json={"scoring": scoring})
    body = {
        "workspace": "scored",
        "task": "Why did the nightly run fail?",
        "memories": [{"id": "m", "text": "The nightly run failed."}],
        "explain": True,
    }

    answer = await light_client.post("/allocate", json=body)

    (selected,) = answer.json()["selection"]["selected"]
    assert part in {name for name, *_ in selected["parts"]}
    listed = (await light_client.get("/workspaces/scored")).json()
    assert listed["scoring"] == scoring
