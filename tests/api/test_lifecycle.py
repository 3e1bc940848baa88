"""Looking after memories over HTTP: reports, applying and taking back, health, retention."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.conftest import NOW
from tests.data import vectors
from tests.running import Running
from tests.trees import packed, real_tree, vector_tree

pytestmark = pytest.mark.anyio

KINDS = ("promotions", "placements", "duplicates", "archival", "summaries", "retention")
GZIP = {"content-type": "application/gzip"}
AGENT = "specialists/dbt-expert"
LONG = "\n".join(
    [
        "# How we deploy",
        *(f"Sentence {number} of a text that nobody needs to read twice." for number in range(60)),
        "- **Never** deploy on Fridays",
        "$ make deploy",
    ]
)


async def bring(client: httpx.AsyncClient, data: bytes, **params: str) -> dict[str, Any]:
    answer = await client.post("/memories/import", content=data, headers=GZIP, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["refused"] == []
    return found


async def keep(client: httpx.AsyncClient, *memories: Mapping[str, Any]) -> list[str]:
    answer = await client.post("/memories", json=list(memories))
    assert answer.status_code == 201, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def report(client: httpx.AsyncClient, kind: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/memories/lifecycle/{kind}", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def apply(
    client: httpx.AsyncClient, kind: str, body: Any = None, **params: Any
) -> dict[str, Any]:
    url = f"/memories/lifecycle/{kind}/apply"
    answer = await client.post(url, json=body or {}, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def export(client: httpx.AsyncClient, **params: str) -> bytes:
    return (await client.get("/memories/export", params=params)).content


async def health(client: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/memories/health", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


# The originals' answers, on the real tree


async def test_reports_on_the_real_tree_are_those_of_the_originals(
    light_service: Running,
) -> None:
    light_service.set_clock(NOW)
    client = light_service.client
    await bring(client, packed(vector_tree(NOW)))
    for kind in ("promotions", "archival"):
        found = {item["path"]: item for item in await report(client, kind)}
        area = "A14.promotion" if kind == "promotions" else "A14.archival"
        for record in vectors(area, classes=["must"]):
            path, out = record["in"]["path"], record["out"]
            assert (path in found) is out["candidate"], record["id"]
            if out["candidate"]:
                assert found[path]["reason"] == out["reason"]
                assert found[path]["score"] == pytest.approx(out["score"], abs=1e-6)
                assert found[path]["age_days"] == out.get("age_days", found[path]["age_days"])

    sets = {tuple(sorted(item["paths"])): item for item in await report(client, "duplicates")}
    for record in vectors("A14.duplicates", classes=["must"]):
        if "set" in record["out"]:
            assert sets[tuple(record["out"]["set"])]["score"] == 1.0


async def test_the_real_trees_duplicates_go_and_come_back(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    await bring(client, packed(real_tree(NOW)))
    before = await export(client)

    sets = await report(client, "duplicates")
    foreseen = await apply(client, "duplicates", {"dry_run": True})
    assert (foreseen["action_id"], len(foreseen["changes"])) == (None, 183)
    assert await export(client) == before

    done = await apply(client, "duplicates")
    again = await apply(client, "duplicates")
    assert (len(sets), len(done["changes"])) == (16, 183)
    assert done["changes"] == foreseen["changes"]
    assert (again["action_id"], again["changes"]) == (None, [])
    assert (await health(client))["agents"]["files"] == 0
    assert (await health(client))["global"] == {"tokens": 49_914, "files": 19}

    undone = await client.post(f"/memories/lifecycle/actions/{done['action_id']}/undo")
    assert undone.status_code == 200
    assert await export(client) == before
    assert await report(client, "duplicates") == sets


@pytest.mark.parametrize("record", list(vectors("A15.health")), ids=lambda one: one["id"])
async def test_health_is_that_of_the_originals(
    light_service: Running, record: dict[str, Any]
) -> None:
    light_service.set_clock(NOW)
    tree = real_tree(NOW, record["in"]["edits"])
    await bring(light_service.client, packed(tree))
    found, out = await health(light_service.client), record["out"]
    assert found["status"] == out["status"]
    for name in ("global", "agents", "total", "archive"):
        assert {key: found[name][key] for key in ("tokens", "files")} == out[name]


async def test_health_of_the_tree_as_it_is(service: Running) -> None:
    service.set_clock(NOW)
    await bring(service.client, packed(real_tree(NOW)))
    found = await health(service.client)
    assert found["status"] == "HEALTHY"
    assert found["global"] == {"tokens": 49_914, "files": 19}
    assert (found["agents"]["tokens"], found["agents"]["files"]) == (609_198, 183)
    assert found["total"] == {"tokens": 659_112, "files": 202}
    assert found["other"]["files"] == 9
    assert found["used_pct"] == pytest.approx(24.957)
    assert len(found["agents"]["by_agent"]) == 23
    assert sum(one["files"] for one in found["agents"]["by_agent"].values()) == 183
    assert found["advice"] == []


async def test_placements_are_those_of_the_originals(light_service: Running) -> None:
    light_service.set_clock(NOW)
    client = light_service.client
    records = list(vectors("B4.placement"))
    for record in records:
        memory = record["in"]["memory"]
        accessed = memory["accessed_hours_ago"]
        await keep(
            client,
            {
                "id": memory["id"],
                "workspace": record["in"]["workspace"],
                "tier": memory["tier"],
                "text": f"text of {memory['id']}",
                "relevance": memory["relevance"],
                "importance": memory["importance"],
                "access_count": memory["access_count"],
                "created_at": days_ago(memory["age_hours"] / 24),
                "last_accessed_at": None if accessed is None else days_ago(accessed / 24),
            },
        )
    for record in records:
        memory, out = record["in"]["memory"], record["out"]
        items = await report(client, "placements", workspace=record["in"]["workspace"])
        found = {item["memory_id"]: item for item in items}.get(memory["id"])
        assert (found and found["to"]) == out["target"], record["id"]
        if found is not None:
            assert found["from"] == memory["tier"]
            assert found["score"] == pytest.approx(out["promotion_score"], abs=1e-4)


# Every kind: apply once, take back, leave others alone

PLACES: Mapping[str, list[dict[str, Any]]] = {
    "promotions": [
        {"agent": AGENT, "text": "Use keys", "path": f"{AGENT}/patterns/k.md", "access_count": 9}
    ],
    "placements": [{"tier": "rag", "text": "Use keys", "importance": 1.0, "access_count": 9}],
    "duplicates": [
        {"agent": AGENT, "scope": "agent_patterns", "text": "Use keys"},
        {"agent": "roles/qa-engineer-role", "scope": "agent_patterns", "text": "Use keys"},
    ],
    "archival": [{"agent": AGENT, "text": "Use keys", "created_at": days_ago(400)}],
    "summaries": [{"text": LONG, "created_at": days_ago(100), "metadata": {"a": [1]}}],
    "retention": [{"text": "Use keys", "expires_at": days_ago(1)}],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_applied_is_applied_once_and_taken_back_whole(
    service: Running, kind: str
) -> None:
    service.set_clock(NOW)
    client = service.client
    await keep(client, *({**one, "id": f"m{at}"} for at, one in enumerate(PLACES[kind])))
    await keep(client, {"text": "Another memory, of another project", "project": "p", "id": "o"})
    before = await export(client)
    proposed = await report(client, kind)
    assert len(proposed) == 1

    foreseen = await apply(client, kind, {"dry_run": True})
    assert foreseen["action_id"] is None
    assert await export(client) == before

    done = await apply(client, kind)
    after = await export(client)
    assert done["changes"] == foreseen["changes"] != []
    assert after != before
    assert await report(client, kind) == []
    assert (await apply(client, kind))["changes"] == []
    assert await export(client) == after

    for _ in range(2):
        undone = await client.post(f"/memories/lifecycle/actions/{done['action_id']}/undo")
        assert undone.status_code == 200
        assert undone.json()["undone_at"] == NOW.isoformat().replace("+00:00", "Z")
        assert await export(client) == before


async def test_each_kind_does_what_it_says(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    for kind, memories in PLACES.items():
        of_kind = [
            {**one, "id": f"{kind}{at}", "workspace": kind} for at, one in enumerate(memories)
        ]
        await keep(client, *of_kind)
        await apply(client, kind, workspace=kind)

    async def found(kind: str, at: int = 0) -> httpx.Response:
        return await client.get(f"/memories/{kind}{at}", params={"workspace": kind})

    promoted = (await found("promotions")).json()
    assert (promoted["agent"], promoted["scope"]) == (None, "global")
    assert (promoted["path"], promoted["used_by_agents"]) == ("patterns/k.md", [AGENT])
    assert (await found("placements")).json()["tier"] == "project"
    kept = (await found("duplicates")).json()
    assert (kept["agent"], kept["scope"]) == (None, "global")
    assert (await found("duplicates", 1)).status_code == 404
    assert (await found("archival")).json()["state"] == "archived"
    assert (await found("retention")).status_code == 404
    summarised = (await found("summaries")).json()
    assert summarised["tokens"] <= summarised["metadata"]["summarised_tokens"] // 4
    assert "# How we deploy" in summarised["text"]
    assert "- **Never** deploy on Fridays\n$ make deploy" in summarised["text"]
    assert summarised["metadata"]["a"] == [1]


async def test_a_memory_that_changed_since_stops_the_way_back_and_is_named(
    service: Running,
) -> None:
    service.set_clock(NOW)
    client = service.client
    old = {"agent": AGENT, "created_at": days_ago(400)}
    await keep(client, {**old, "id": "a", "text": "one"}, {**old, "id": "b", "text": "two"})
    done = await apply(client, "archival")
    await client.delete("/memories/a")
    state = await export(client)

    refused = await client.post(f"/memories/lifecycle/actions/{done['action_id']}/undo")
    assert refused.status_code == 409
    assert refused.json()["memory_ids"] == ["a"]
    assert await export(client) == state


async def test_only_what_is_chosen_is_applied(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    old = {"agent": AGENT, "created_at": days_ago(400)}
    await keep(client, {**old, "id": "a", "text": "one"}, {**old, "id": "b", "text": "two"})
    done = await apply(client, "archival", {"ids": ["b", "unknown"]})
    assert [one["memory_id"] for one in done["changes"]] == ["b"]
    assert [one["memory_id"] for one in await report(client, "archival")] == ["a"]


async def test_projects_and_workspaces_are_looked_after_apart(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    old = {"agent": AGENT, "created_at": days_ago(400), "text": "the same"}
    places = [("w", None), ("w", "p"), ("w", "q"), ("v", "p")]
    for workspace, project in places:
        one = {**old, "id": f"{workspace}{project}", "workspace": workspace, "project": project}
        await keep(client, one)

    assert await report(client, "duplicates", workspace="w") == []
    done = await apply(client, "archival", workspace="w", project="p")
    assert [one["memory_id"] for one in done["changes"]] == ["wp"]
    left = await report(client, "archival", workspace="w")
    assert [one["memory_id"] for one in left] == ["wNone", "wq"]
    assert len(await report(client, "archival", workspace="v")) == 1


async def test_near_duplicates_go_only_when_asked(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    text = " ".join(f"word{number}" for number in range(40))
    await keep(client, {"id": "a", "text": text}, {"id": "b", "text": f"{text} more"})
    (near,) = await report(client, "duplicates")
    assert near["reason"] == "near duplicates: 97 % of word triples in common"
    assert near["ids"] == ["a", "b"]
    assert await report(client, "duplicates", near=False) == []
    assert (await apply(client, "duplicates"))["changes"] == []
    done = await apply(client, "duplicates", {"near": True})
    assert [one["memory_id"] for one in done["changes"]] == ["b"]


async def test_a_memory_moves_one_tier_a_day(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    await keep(client, {"id": "a", "tier": "long_term", "text": "t", "access_count": 99})
    tiers = []
    for _ in range(6):
        await apply(client, "placements")
        tiers.append((await client.get("/memories/a")).json()["tier"])
        clock.pass_(hours=13)
    assert tiers == ["rag", "rag", "project", "project", "working", "working"]


async def test_what_was_taken_back_is_not_moved_again_at_once(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    await keep(client, {"id": "a", "tier": "long_term", "text": "t", "access_count": 99})
    done = await apply(client, "placements")
    clock.pass_(hours=20)
    await client.post(f"/memories/lifecycle/actions/{done['action_id']}/undo")
    clock.pass_(hours=23)
    assert await report(client, "placements") == []
    clock.pass_(hours=2)
    assert len(await report(client, "placements")) == 1


async def test_actions_are_listed_newest_first(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    made = []
    for kind in ("archival", "promotions"):
        await keep(client, {**PLACES[kind][0], "id": kind})
        made.append((await apply(client, kind))["action_id"])
        clock.pass_(hours=1)
    first = (await client.get("/memories/lifecycle/actions", params={"limit": 1})).json()
    assert [one["action_id"] for one in first["items"]] == made[:0:-1]
    assert (first["items"][0]["kind"], first["items"][0]["changed"]) == ("promotions", 1)
    rest = await client.get(
        "/memories/lifecycle/actions", params={"cursor": first["next_cursor"], "limit": 9}
    )
    assert [one["action_id"] for one in rest.json()["items"]] == made[:1]
    only = await client.get("/memories/lifecycle/actions", params={"kind": "archival"})
    assert [one["action_id"] for one in only.json()["items"]] == made[:1]


async def test_a_report_comes_in_pages(light_service: Running) -> None:
    light_service.set_clock(NOW)
    client = light_service.client
    old = {"agent": AGENT, "created_at": days_ago(400)}
    await keep(client, *({**old, "id": f"m{at}", "text": f"text {at}"} for at in range(5)))
    found: list[str] = []
    cursor = None
    for _ in range(3):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/memories/lifecycle/archival", params=params)).json()
        assert page["total"] == 5
        found += [one["memory_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == [f"m{at}" for at in range(5)]


# Retention


async def test_a_scope_keeps_its_memories_as_long_as_its_policy_says(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    policy = {"retention": {"scope_days": {"working": 30}, "archived_days": 10}}
    assert (await client.put("/workspaces/w", json=policy)).status_code == 201
    await keep(
        client,
        {"id": "used", "tier": "working", "text": "a", "created_at": days_ago(99)}
        | {"last_accessed_at": days_ago(30)},
        {"id": "unused", "tier": "working", "text": "b", "created_at": days_ago(31)},
        {"id": "pinned", "tier": "working", "text": "c", "created_at": days_ago(99)}
        | {"pinned": True},
        {"id": "other", "tier": "rag", "text": "d", "created_at": days_ago(99)},
        *(),
    )
    # without a workspace they are in `default`, which states no retention
    assert await report(client, "retention") == []
    lines = (await export(client)).decode().splitlines()
    await keep(client, *({**_plain(json.loads(line)), "workspace": "w"} for line in lines))

    (proposed,) = await report(client, "retention", workspace="w")
    assert (proposed["memory_id"], proposed["reason"]) == ("unused", "age=31 days > 30 of working")
    done = await apply(client, "retention", workspace="w")
    assert [one["memory_id"] for one in done["changes"]] == ["unused"]
    assert done["purged"] == 0

    clock.pass_(days=91)
    foreseen = await apply(client, "retention", {"dry_run": True}, workspace="w")
    assert foreseen["purged"] == 1
    assert (await apply(client, "retention", workspace="w"))["purged"] == 1
    assert (await apply(client, "retention", workspace="w"))["purged"] == 0


def _plain(line: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "tier", "scope", "text", "created_at", "last_accessed_at", "pinned")
    found = {name: line[name] for name in kept if line.get(name) is not None}
    if "tier" in found:
        found.pop("scope", None)
    return found


async def test_what_was_deleted_is_gone_for_good_after_ninety_days(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    old = {"agent": AGENT, "created_at": days_ago(400)}
    await keep(client, {**old, "id": "a", "text": "one"}, {**old, "id": "b", "text": "one"})
    done = await apply(client, "duplicates")
    clock.pass_(days=90)
    assert (await apply(client, "retention"))["purged"] == 0
    clock.pass_(seconds=1)
    assert (await apply(client, "retention"))["purged"] == 1
    gone = await client.post(f"/memories/lifecycle/actions/{done['action_id']}/undo")
    assert gone.status_code == 404
    assert (await client.get("/memories/a")).status_code == 200


async def test_a_project_may_keep_what_was_deleted_for_longer(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    policy = {"retention": {"deleted_days": 200}}
    assert (await client.put("/workspaces/default/projects/p", json=policy)).status_code == 201
    for project in ("p", "q"):
        await keep(client, {"id": project, "text": "t", "project": project})
        await client.delete(f"/memories/{project}")
    purged = []
    for _ in range(3):
        clock.pass_(days=91)
        purged.append((await apply(client, "retention"))["purged"])
    assert purged == [1, 0, 1]


# Health


async def test_history_has_a_row_a_day_and_a_trend(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    for day in range(5):
        for _ in range(2):
            await keep(client, {"text": "word" + " word" * 999 + f" {day}"} | {"scope": "global"})
            found = await health(client)
        clock.pass_(days=1)
    assert [row["global"]["files"] for row in found["history"]] == [2, 4, 6, 8, 10]
    assert found["history"][-1]["day"] == "2026-03-18"
    per_day = found["trend"]["tokens_per_day"]
    assert per_day == pytest.approx(found["global"]["tokens"] / 5, rel=0.01)
    assert found["trend"]["projected"]["warning"] < found["trend"]["projected"]["limit"]


async def test_health_of_a_project_is_its_own_and_that_of_no_project(service: Running) -> None:
    client = service.client
    await keep(client, {"text": "a"}, {"text": "b", "project": "p"}, {"text": "c", "project": "q"})
    assert (await health(client))["global"]["files"] == 3
    found = await health(client, project="p")
    assert (found["global"]["files"], found["history"][-1]["global"]["files"]) == (2, 2)


async def test_health_of_an_unknown_workspace_is_that_of_nothing(service: Running) -> None:
    found = await health(service.client, workspace="nobody")
    assert (found["status"], found["total"]) == ("HEALTHY", {"tokens": 0, "files": 0})
    assert (found["history"], found["trend"]["tokens_per_day"]) == ([], None)


# Wrong requests


WRONG: list[tuple[str, str, Any, int]] = [
    ("GET", "/memories/lifecycle/forgetting", None, 422),
    ("POST", "/memories/lifecycle/forgetting/apply", {}, 422),
    ("POST", "/memories/lifecycle/archival/apply", {"dry": True}, 422),
    ("POST", "/memories/lifecycle/archival/apply", {"dry_run": "yes"}, 422),
    ("POST", "/memories/lifecycle/archival/apply", {"ids": "a"}, 422),
    ("POST", "/memories/lifecycle/archival/apply", [], 422),
    ("POST", "/memories/lifecycle/archival/apply?workspace=a/b", {}, 422),
    ("POST", "/memories/lifecycle/archival/apply?dry_run=true", {}, 422),
    ("GET", "/memories/lifecycle/archival?cursor=x", None, 422),
    ("GET", "/memories/lifecycle/archival?limit=0", None, 422),
    ("GET", "/memories/lifecycle/archival?agent=x", None, 422),
    ("GET", "/memories/health?workspace=%00", None, 422),
    ("POST", "/memories/lifecycle/actions/act_unknown/undo", None, 404),
    ("POST", "/memories/lifecycle/actions/act_0_00000000/undo", None, 404),
    ("POST", "/memories/lifecycle/actions/%00/undo", None, 404),
    ("GET", "/memories/lifecycle/actions?kind=forgetting", None, 422),
]


async def test_a_wrong_request_is_refused_and_changes_nothing(light_service: Running) -> None:
    light_service.set_clock(NOW)
    client = light_service.client
    await keep(client, {**PLACES["archival"][0], "id": "a"})
    before = await export(client)
    for method, path, body, status in WRONG:
        content = None if body is None else json.dumps(body)
        answer = await client.request(method, path, content=content)
        kind = answer.headers["content-type"]
        assert (answer.status_code, kind) == (status, "application/problem+json"), path
    assert await export(client) == before


async def test_an_empty_body_applies(light_service: Running) -> None:
    light_service.set_clock(NOW)
    await keep(light_service.client, {**PLACES["archival"][0], "id": "a"})
    answer = await light_service.client.post("/memories/lifecycle/archival/apply")
    assert (answer.status_code, len(answer.json()["changes"])) == (200, 1)


@pytest.mark.parametrize(
    "retention",
    [
        5,
        {"scopes": {}},
        {"scope_days": {"working": 0}},
        {"scope_days": {"working": 1.5}},
        {"scope_days": [1]},
        {"deleted_days": -1},
        {"archived_days": "x"},
    ],
)
async def test_a_retention_that_makes_no_sense_is_refused(
    light_client: httpx.AsyncClient, retention: Any
) -> None:
    answer = await light_client.put("/workspaces/w", json={"retention": retention})
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_a_workspaces_rules_decide_its_reports_and_its_health(service: Running) -> None:
    service.set_clock(NOW)
    client = service.client
    rules = {"promotion_uses": 2, "health_warning": 3, "health_critical": 9, "health_limit": 10}
    policy = json.dumps({"profiles": {}, "memory_lifecycle": rules})
    answer = await client.post("/config/import", content=policy, params={"workspace": "w"})
    assert answer.status_code == 200, answer.text
    for workspace in ("w", "v"):
        one = {"workspace": workspace, "agent": AGENT, "text": "Use keys", "access_count": 2}
        shared = {"workspace": workspace, "text": "Everybody knows this already"}
        await keep(client, one, shared)

    (proposed,) = await report(client, "promotions", workspace="w")
    assert proposed["reason"] == "use_count=2 >= 2"
    assert await report(client, "promotions", workspace="v") == []
    found = await health(client, workspace="w")
    assert (found["status"], found["thresholds"]["limit"]) == ("WARNING", 10)
    assert found["advice"] != []
    assert (await health(client, workspace="v"))["status"] == "HEALTHY"


async def test_what_was_archived_or_deleted_is_brought_back(service: Running) -> None:
    clock = service.set_clock(NOW)
    client = service.client
    await keep(client, {**PLACES["archival"][0], "id": "a"}, {"id": "b", "text": "deleted"})
    await keep(client, {"workspace": "w", "text": "of another workspace"})
    before = await export(client)
    await apply(client, "archival")
    await client.delete("/memories/b")

    for id_ in ("a", "b", "b"):
        answer = await client.post(f"/memories/{id_}/restore")
        assert (answer.status_code, answer.json()["state"]) == (200, "active")
    assert await export(client) == before

    await client.delete("/memories/b")
    for wrong in ("unknown/restore", "a/restore?workspace=w", "%00/restore"):
        assert (await client.post(f"/memories/{wrong}")).status_code == 404
    clock.pass_(days=91)
    await apply(client, "retention")
    assert (await client.post("/memories/b/restore")).status_code == 404
