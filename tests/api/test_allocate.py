"""Prove that budgets are what the policy says, recorded before they are answered."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.data import vectors
from tests.running import Running, running

TIERS = ("simple", "medium", "complex", "multi-system")
NARROW = (10_000, 20_000, 30_000, 40_000)
BROAD = (17_500, 35_000, 52_500, 70_000)
COORDINATOR = (25_000, 50_000, 75_000, 100_000)
ARCHITECT = (37_500, 75_000, 112_500, 150_000)
AGENTS = {
    **dict.fromkeys(
        (
            f"specialists/{name}"
            for name in (
                "snowflake-expert dbt-expert tableau-expert prefect-expert orchestra-expert"
                " dlthub-expert streamlit-expert react-expert github-sleuth-expert"
                " documentation-expert business-context ui-ux-expert project-delivery-expert"
            ).split()
        ),
        NARROW,
    ),
    **dict.fromkeys(
        (
            f"specialists/{name}"
            for name in "aws-expert data-quality-specialist cost-optimization-specialist".split()
        ),
        BROAD,
    ),
    **dict.fromkeys(
        (
            f"roles/{name}-role"
            for name in (
                "analytics-engineer data-engineer bi-developer ui-ux-developer qa-engineer"
                " business-analyst project-manager"
            ).split()
        ),
        COORDINATOR,
    ),
    **dict.fromkeys(("roles/data-architect-role", "roles/research-role"), ARCHITECT),
}
"""The acceptance table of the spec: tokens by tier."""


async def allocate(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """The allocation that a request is granted."""
    response = await client.post("/allocate", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_all_shipped_agents_get_their_budget(client: httpx.AsyncClient) -> None:
    assert len(AGENTS) == 25
    wrong = {}
    for agent, tokens in AGENTS.items():
        for tier, expected in zip(TIERS, tokens, strict=True):
            answer = await allocate(client, agent=agent, complexity=tier)
            found = answer["budget"]["tokens"], answer["agent"]["name"], answer["agent"]["match"]
            if found != (expected, agent, "exact"):
                wrong[agent, tier] = found
            assert sum(scope["tokens"] for scope in answer["scopes"]) == expected
    assert wrong == {}


async def test_budgets_of_profiles_hold(light_client: httpx.AsyncClient) -> None:
    for record in vectors("A4.budget"):
        out = record["out"]
        answer = await allocate(light_client, **record["in"])
        budget = answer["budget"]
        assert (
            answer["policy"]["kind"],
            answer["policy"]["name"],
            budget["base"],
            budget["max"],
            budget["multiplier"],
            budget["tokens"],
            budget["capped"],
            {scope["name"]: scope["weight"] for scope in answer["scopes"]},
        ) == (
            "profile",
            out["profile"],
            out["base"],
            out["max"],
            out["multiplier"],
            out["tokens"],
            out["capped"],
            out["weights"],
        ), record["id"]


async def test_budgets_of_ones_own_profiles_hold(client: httpx.AsyncClient) -> None:
    for record in vectors("A4.custom"):
        given, out = record["in"], record["out"]
        name = f"own-{given['group']}"
        put = await client.put(f"/profiles/{name}", json={"description": "", **given["profile"]})
        assert put.is_success, put.text
        put = await client.put(f"/agents/specialists/{name}-agent", json={"profile": name})
        assert put.is_success, put.text

        answer = await allocate(
            client, agent=f"specialists/{name}-agent", complexity=given["complexity"]
        )

        found = answer["budget"]["tokens"], answer["budget"]["capped"]
        assert found == (out["tokens"], out["capped"]), record["id"]
        assert sum(scope["tokens"] for scope in answer["scopes"]) == out["tokens"], record["id"]


async def test_names_are_resolved_or_refused(light_client: httpx.AsyncClient) -> None:
    for record in vectors("A5.names", classes={"must"}):
        resolved = record["out"]["resolved"]
        response = await light_client.post("/allocate", json=record["in"])
        if resolved is None:
            assert response.status_code == 404, record["id"]
            assert response.json()["code"] == "unknown_agent", record["id"]
        else:
            agent = response.json()["agent"]
            assert (agent["name"], agent["requested"]) == (resolved, record["in"]["agent"])


async def test_queries_in_workspaces_are_judged(light_client: httpx.AsyncClient) -> None:
    for record in vectors("B1.query"):
        given, out = record["in"], record["out"]
        body = {"workspace": "default", "task": given["text"]}
        answer = await allocate(light_client, **body, context=given["context"] or {})
        assert answer["complexity"]["tier"] in out.get("allowed", [out["tier"]]), record["id"]


async def test_tiers_of_workspaces_are_cut_down(light_client: httpx.AsyncClient) -> None:
    for record in vectors("B2.tiers"):
        out = record["out"]
        answer = await allocate(light_client, **record["in"])
        assert answer["policy"]["kind"] == out["policy"]
        assert answer["policy"]["name"] == record["in"]["workspace"]
        assert answer["budget"]["base"] == out["max_total_tokens"]
        assert answer["budget"]["multiplier"] == out["multiplier"]
        assert {s["name"]: s["tokens"] for s in answer["scopes"]} == out["tiers"], record["id"]
        assert {s["name"]: s["weight"] for s in answer["scopes"]} == out["weights"], record["id"]


async def test_memories_are_scored_and_chosen(light_client: httpx.AsyncClient) -> None:
    for record in vectors("B3.select"):
        given, out = record["in"], record["out"]
        now = datetime.now(UTC)
        memories = [
            {
                **{key: value for key, value in one.items() if key != "age_hours"},
                "created_at": (now - timedelta(hours=one["age_hours"])).isoformat(),
            }
            for one in given["memories"]
        ]
        answer = await allocate(
            light_client,
            workspace=given["workspace"],
            complexity=given["complexity"],
            memories=memories,
            as_of=now.isoformat(),
        )

        selection = answer["selection"]
        everything = selection["selected"] + selection["dropped"]
        assert sorted(one["id"] for one in everything) == sorted(out["scores"]), record["id"]
        for one in selection["selected"]:
            total, relevance, importance, fresh = out["scores"][one["id"]]
            assert one["score"] == pytest.approx(total, abs=1e-3), record["id"]
            assert one["relevance"] == pytest.approx(relevance, abs=1e-3), record["id"]
            assert one["importance"] == pytest.approx(importance, abs=1e-3), record["id"]
            assert one["freshness"] == pytest.approx(fresh, abs=1e-3), record["id"]
        for one in selection["dropped"]:
            assert one["score"] == pytest.approx(out["scores"][one["id"]][0], abs=1e-3)
        rooms = {scope["name"]: scope for scope in answer["scopes"]}
        for tier, expected in out["tiers"].items():
            ours = [one for one in selection["selected"] if one["scope"] == tier]
            assert rooms[tier]["tokens"] == expected["budget"], record["id"]
            assert rooms[tier]["used"] == sum(one["tokens"] for one in ours), record["id"]
            assert rooms[tier]["used"] <= expected["budget"], record["id"]
            total = sum(one["score"] for one in ours)
            assert total >= expected["score"] - 1e-3, record["id"]


async def test_an_answer_is_recorded_before_it_is_given(client: httpx.AsyncClient) -> None:
    answer = await allocate(client, agent="dbt-expert", task="List all dbt models", user="u1")

    again = (await client.get(f"/allocations/{answer['id']}")).json()

    status = ("state", "loaded", "used_pct", "remaining", "exceeded", "duration_seconds")
    assert {key: again[key] for key in answer} == answer
    assert [again[key] for key in status[:5]] == ["open", 0, 0.0, 10_000, False]
    assert again["duration_seconds"] >= 0


async def test_a_manual_budget_skips_profiles(light_client: httpx.AsyncClient) -> None:
    bare = await allocate(light_client, max_tokens=12_345, complexity="complex")
    named = await allocate(light_client, max_tokens=9_999, agent="dbt-expert", complexity="simple")

    assert bare["policy"]["kind"] == named["policy"]["kind"] == "manual"
    assert (bare["budget"]["tokens"], bare["budget"]["multiplier"]) == (12_345, 1.0)
    assert (bare["scopes"], bare["agent"]) == ([], None)
    assert named["budget"]["tokens"] == 9_999
    assert {s["name"]: s["tokens"] for s in named["scopes"]} == {
        "global": 2_000,
        "agent_recent": 3_000,
        "agent_patterns": 4_999,
    }


async def test_a_budget_of_nothing_is_a_budget(light_client: httpx.AsyncClient) -> None:
    answer = await allocate(light_client, max_tokens=0)

    before = (await light_client.get(f"/allocations/{answer['id']}")).json()
    loads = {"loads": [{"scope": "global", "tokens": 1}]}
    after = (await light_client.post(f"/allocations/{answer['id']}/loads", json=loads)).json()

    assert (before["used_pct"], before["exceeded"], before["remaining"]) == (0.0, False, 0)
    assert (after["used_pct"], after["exceeded"], after["remaining"]) == (None, True, 0)
    assert [alert["level"] for alert in after["alerts"]] == ["info", "warning", "critical"]


async def test_without_an_agent_project_workspace_default_decide(client: httpx.AsyncClient) -> None:
    put = await client.put("/workspaces/research/projects/atlas", json={"max_total_tokens": 10_000})
    assert put.is_success, put.text

    project = await allocate(client, workspace="research", project="atlas", complexity="medium")
    other = await allocate(client, workspace="research", project="nobody", complexity="medium")
    nobody = await allocate(client, workspace="undeclared", complexity="medium")

    assert (project["policy"]["kind"], project["budget"]["tokens"]) == ("project", 12_000)
    assert (other["policy"]["kind"], other["budget"]["tokens"]) == ("workspace", 19_660)
    assert (nobody["policy"]["name"], nobody["budget"]["tokens"]) == ("default", 8_192)
    assert all(answer["policy"]["trace"] for answer in (project, other, nobody))
    assert "research" in project["policy"]["trace"][0]


async def test_an_agent_keeps_its_profile_in_any_workspace(client: httpx.AsyncClient) -> None:
    before = await allocate(client, agent="dbt-expert", workspace="research", complexity="medium")
    put = await client.put(
        "/workspaces/research", json={"max_total_tokens": 1_000, "overrides_agents": True}
    )
    assert put.is_success, put.text
    after = await allocate(client, agent="dbt-expert", workspace="research", complexity="medium")

    assert (before["policy"]["kind"], before["budget"]["tokens"]) == ("profile", 20_000)
    assert (after["policy"]["kind"], after["budget"]["tokens"]) == ("workspace", 1_200)
    assert after["agent"]["name"] == "specialists/dbt-expert"


async def test_a_users_profile_goes_before_the_agents(client: httpx.AsyncClient) -> None:
    put = await client.put("/users/ada", json={"profile": "role-architect"})
    assert put.is_success, put.text

    hers = await allocate(client, agent="dbt-expert", user="ada", complexity="medium")
    his = await allocate(client, agent="dbt-expert", user="bob", complexity="medium")

    assert (hers["policy"]["kind"], hers["budget"]["tokens"]) == ("user", 75_000)
    assert (his["policy"]["kind"], his["budget"]["tokens"]) == ("profile", 20_000)


async def test_an_unknown_agent_gets_the_default_profile_and_is_registered(
    client: httpx.AsyncClient,
) -> None:
    answer = await allocate(client, agent="helpers/zz-top", complexity="medium")

    listed = (await client.get("/agents")).json()["items"]

    assert answer["agent"]["match"] == "default"
    assert (answer["policy"]["name"], answer["budget"]["tokens"]) == ("specialist-narrow", 20_000)
    assert answer["enforcement"] == "soft"
    seen = {one["type"] + "/" + one["name"]: one["assigned"] for one in listed if one["type"]}
    assert seen["helpers/zz-top"] is False
    assert seen["specialists/dbt-expert"] is True


async def test_ambiguous_and_misspelt_names_say_so(light_client: httpx.AsyncClient) -> None:
    misspelt = await allocate(light_client, agent="dbt-exprt")
    ambiguous = await allocate(light_client, agent="data")
    strict = await light_client.post("/allocate", json={"agent": "data", "strict": True})

    assert misspelt["agent"]["name"] == "specialists/dbt-expert"
    assert misspelt["agent"]["match"] == "fuzzy"
    assert 0.5 < misspelt["agent"]["match_score"] < 1
    assert ambiguous["agent"]["match"] == "default"
    assert len(ambiguous["agent"]["candidates"]) > 1
    assert strict.status_code == 404
    assert {"name", "score"} <= set(strict.json()["candidates"][0])


async def test_the_same_key_and_body_is_the_same_answer(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "run-17"}
    body = {"agent": "dbt-expert", "task": "List all dbt models"}

    first = await client.post("/allocate", json=body, headers=headers)
    again = await client.post("/allocate", json=body, headers=headers)
    other = await client.post("/allocate", json={**body, "task": "x"}, headers=headers)
    elsewhere = await client.post(
        "/allocate", json={**body, "workspace": "research"}, headers=headers
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    assert elsewhere.status_code == 201
    assert elsewhere.json()["id"] != first.json()["id"]
    assert len((await client.get("/allocations")).json()["items"]) == 1


async def test_one_allocation_however_many_ask_at_once_with_one_key(
    database_url: str,
) -> None:
    """On PostgreSQL the requests come to two replicas."""
    headers = {"Idempotency-Key": "once"}
    async with running(database_url) as one:
        clients = [one.client]
        if database_url.startswith("postgresql"):
            async with running(database_url) as two:
                await _race_with_key([one.client, two.client], headers)
        else:
            await _race_with_key(clients, headers)


async def _race_with_key(clients: list[httpx.AsyncClient], headers: dict[str, str]) -> None:
    for round_ in range(5):
        key = {"Idempotency-Key": f"{headers['Idempotency-Key']}-{round_}"}
        answers = await asyncio.gather(
            *(
                clients[number % len(clients)].post(
                    "/allocate", json={"agent": "dbt-expert"}, headers=key
                )
                for number in range(20)
            )
        )
        assert {answer.status_code for answer in answers} == {201}, answers[0].text
        assert len({answer.content for answer in answers}) == 1
    assert len((await clients[0].get("/allocations")).json()["items"]) == 5


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "bell\x07"])
async def test_a_key_that_cannot_be_kept_is_refused(
    light_client: httpx.AsyncClient, key: str
) -> None:
    response = await light_client.post(
        "/allocate", json={"max_tokens": 1}, headers={"Idempotency-Key": key}
    )
    assert response.status_code == 422


async def test_texts_are_counted_exactly(light_client: httpx.AsyncClient) -> None:
    texts = {"a": "hello world", "b": "The quick brown fox jumps over the lazy dog."}
    answer = await allocate(
        light_client,
        max_tokens=1_000,
        memories=[{"id": id_, "text": text} for id_, text in texts.items()],
    )
    counts = {one["id"]: one["tokens"] for one in answer["selection"]["selected"]}
    assert counts == {"a": 2, "b": 10}


async def test_relevance_is_as_given_else_the_overlap_of_words(
    light_client: httpx.AsyncClient,
) -> None:
    answer = await allocate(
        light_client,
        max_tokens=1_000,
        scoring="formula",
        task="slow warehouse queries",
        memories=[
            {"id": "given", "text": "nothing in common", "relevance": 0.83},
            {"id": "all", "text": "Slow warehouse: its queries.", "tokens": 5},
            {"id": "third", "text": "the warehouse", "tokens": 2},
            {"id": "none", "text": "cooking", "tokens": 1},
        ],
    )
    relevance = {one["id"]: one["relevance"] for one in answer["selection"]["selected"]}
    assert relevance == pytest.approx({"given": 0.83, "all": 1.0, "third": 1 / 3, "none": 0.0})


async def test_search_results_of_memory_servers_are_taken_as_they_are(
    light_client: httpx.AsyncClient,
) -> None:
    found = {
        "id": "892db2ae-06d9-49e5-8b3e-585ef9b85b8e",
        "memory": "Likes to play cricket on weekends",
        "hash": "285d07801ae42054732314853e9eadd7",
        "metadata": {"category": "hobbies", "nested": {"deep": [1, 2, None]}},
        "score": 0.92,
        "created_at": "2026-07-30T10:29:36.580022-07:00",
        "updated_at": None,
        "user_id": "alex",
        "categories": ["sports"],
    }
    answer = await allocate(light_client, max_tokens=100, memories=[found])
    chosen = answer["selection"]["selected"][0]
    assert (chosen["id"], chosen["relevance"]) == (found["id"], 0.92)
    assert chosen["tokens"] > 3


async def test_what_is_selected_is_loaded(client: httpx.AsyncClient) -> None:
    memories = [{"id": "m1", "tokens": 15_000, "scope": "global", "relevance": 0.9}]
    answer = await allocate(client, agent="dbt-expert", complexity="medium", memories=memories)
    again = {"loads": [{"scope": "global", "tokens": 15_000, "memory_id": "m1"}]}

    status = (await client.post(f"/allocations/{answer['id']}/loads", json=again)).json()

    assert answer["selection"]["tokens"] == 15_000
    assert [alert["level"] for alert in answer["alerts"]] == ["info"]
    assert status["loaded"] == 15_000
    assert [alert["level"] for alert in status["alerts"]] == ["info"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": "x"},
        {"agent": ""},
        {"agent": "a\u0000b"},
        {"agent": 7},
        {"agent": "x", "max_tokens": -1},
        {"agent": "x", "max_tokens": 2**63},
        {"agent": "x", "max_tokens": 1.5},
        {"agent": "x", "max_tokens": "100"},
        {"agent": "x", "complexity": "hard"},
        {"agent": "x", "workspace": "a/b"},
        {"agent": "x", "workspace": "*"},
        {"agent": "x", "nonsense": 1},
        {"agent": "x", "ttl_seconds": 0},
        {"agent": "x", "ttl_seconds": 1e300},
        {"agent": "x", "task": "x" * 1_000_000},
        {"agent": "x", "as_of": "yesterday"},
        {"agent": "x", "context": {"agent_count": -1}},
        {"agent": "x", "memories": [{"id": "m"}]},
        {"agent": "x", "memories": [{"id": "m", "tokens": -5}]},
        {"agent": "x", "memories": [{"id": "m", "tokens": 5, "relevance": 1.5}]},
        {"agent": "x", "memories": {"id": "m"}},
        [],
        None,
        "agent",
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_request_that_does_not_fit_stores_nothing(
    light_client: httpx.AsyncClient, body: Any
) -> None:
    response = await light_client.post("/allocate", json=body)

    assert response.status_code == 422, response.text[:300]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json().get("errors") or response.json()["code"] == "invalid_json"
    assert len(response.content) < 5_000
    assert (await light_client.get("/allocations")).json()["items"] == []


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_times_at_the_ends_of_the_calendar_do_no_harm(
    light_client: httpx.AsyncClient, at: str
) -> None:
    memory = {"id": "m", "tokens": 1, "created_at": at, "expires_at": at, "last_accessed_at": at}
    response = await light_client.post(
        "/allocate", json={"max_tokens": 10, "as_of": at, "memories": [memory]}
    )
    assert response.status_code < 500


async def test_ids_tell_the_time_and_the_workspace(light_service: Running) -> None:
    client = light_service.client
    first = [(await allocate(client, max_tokens=1, workspace="w1"))["id"] for _ in range(3)]
    second = (await allocate(client, max_tokens=1, workspace="w2"))["id"]

    assert all(id_.startswith("alc_") for id_ in first)
    assert Counter(id_.rpartition("_")[2] for id_ in first).most_common(1)[0][1] == 3
    assert second.rpartition("_")[2] != first[0].rpartition("_")[2]
    assert (await client.get(f"/allocations/{second}")).json()["workspace"] == "w2"
