"""`POST /allocate` with `select: stored`, and searches: what is found, for whom, and booked."""

from typing import Any

import httpx
import pytest

from app.core.recall import View, Wish
from app.store.recall import SMALL, recall
from tests.running import Running

pytestmark = pytest.mark.anyio


async def keep(client: httpx.AsyncClient, *memories: dict[str, Any]) -> None:
    for start in range(0, len(memories), 1_000):
        response = await client.post("/memories", json=list(memories[start : start + 1_000]))
        assert response.status_code == 201, response.text


async def allocate(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/allocate", json={"select": "stored", **body})
    assert response.status_code == 201, response.text
    return response.json()


async def search(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    response = await client.post("/memories/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()["items"]


def chosen(answer: dict[str, Any]) -> set[str]:
    return {one["id"] for one in answer["selection"]["selected"]}


async def test_a_request_sees_its_project_and_none_and_its_agent_and_everybody(
    client: httpx.AsyncClient,
) -> None:
    await keep(
        client,
        {"id": "all", "workspace": "w", "text": "the warehouse is slow"},
        {"id": "mine", "workspace": "w", "text": "my warehouse is slow", "agent": "roles/a"},
        {"id": "theirs", "workspace": "w", "text": "their warehouse is slow", "agent": "roles/b"},
        {"id": "p", "workspace": "w", "project": "p", "text": "a warehouse in p is slow"},
        {"id": "q", "workspace": "w", "project": "q", "text": "a warehouse in q is slow"},
        {"id": "far", "workspace": "v", "text": "a warehouse far away is slow"},
    )
    asked = {"workspace": "w", "task": "slow warehouse", "max_tokens": 1_000}

    by_agent = await allocate(client, **asked, agent="a", agent_type="roles", project="p")
    by_nobody = await allocate(client, **asked)
    found = await search(client, workspace="w", query="slow warehouse", project="q")
    own = await search(client, workspace="w", query="slow warehouse", agent="roles/b")

    assert chosen(by_agent) == {"all", "mine", "p"}
    assert chosen(by_nobody) == {"all", "mine", "theirs"}
    assert {one["id"] for one in found} == {"all", "mine", "theirs", "q"}
    assert {one["id"] for one in own} == {"all", "theirs"}


async def test_what_is_selected_is_loaded_and_its_access_noted_once(service: Running) -> None:
    client = service.client
    await keep(client, {"id": "a", "text": "cats purr"}, {"id": "b", "text": "x " * 500})
    body = {"select": "stored", "max_tokens": 50, "task": "cats"}
    key = {"idempotency-key": "k"}

    first = await client.post("/allocate", json=body, headers=key)
    again = await client.post("/allocate", json=body, headers=key)
    await search(client, query="cats")
    a, b = [(await client.get(f"/memories/{id_}")).json() for id_ in "ab"]
    standing = (await client.get(f"/allocations/{first.json()['id']}")).json()

    assert first.content == again.content
    assert standing["loaded"] == first.json()["selection"]["tokens"] == a["tokens"]
    assert (a["access_count"], b["access_count"]) == (1, 0)
    assert a["last_accessed_at"] is not None
    assert b["last_accessed_at"] is None


async def test_deleted_and_changed_memories_are_found_as_they_are_now(
    client: httpx.AsyncClient,
) -> None:
    await keep(client, {"id": "a", "text": "cats purr"}, {"id": "b", "text": "dogs bark"})
    await client.patch("/memories/a", json={"text": "birds sing"})
    await client.delete("/memories/b")

    assert [one["id"] for one in await search(client, query="birds")] == ["a"]
    assert [one["text"] for one in await search(client, query="cats")] == ["birds sing"]


async def test_expired_memories_are_dropped_by_name(client: httpx.AsyncClient) -> None:
    await keep(client, {"id": "old", "text": "cats purr", "expires_at": "2020-01-01T00:00:00Z"})
    answer = await allocate(client, max_tokens=50, task="cats")
    assert [(one["id"], one["reason"]) for one in answer["selection"]["dropped"]] == [
        ("old", "expired")
    ]


async def test_the_index_finds_the_needle_its_neighbours_and_the_pinned_in_a_large_place(
    service: Running,
) -> None:
    many = [
        {
            "id": f"m{number:04}",
            "workspace": "w",
            "text": f"turn {number} about the usual weather",
            "session": "s",
            "position": number,
        }
        for number in range(SMALL + 300)
    ]
    many[500]["text"] = "the zeppelin landed"
    many[900] |= {"text": "nothing to do with it", "pinned": True}
    await keep(service.client, *many)

    view = View(workspace="w")
    found = service.house.store.read_now(
        lambda tx: recall(tx, view, ["zeppelin"], Wish(room=0, now=0))
    )

    assert {one.id for one in found.memories} == {
        *("m0498", "m0499", "m0500", "m0501", "m0502"),
        "m0900",
    }
    best = await search(service.client, workspace="w", query="Where did the zeppelin land?")
    assert best[0]["id"] == "m0500"


@pytest.mark.parametrize(
    "useless",
    [
        {"text": "the deploy guide " + "of the payment service " * 30},
        {"group": "g"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"text": "the deploy guide " + "of the payment service " * 400},
    ],
    ids=["copies", "a group", "expired", "too large"],
)
async def test_what_cannot_be_selected_takes_nobodys_place(
    client: httpx.AsyncClient, useless: dict[str, str]
) -> None:
    guide = "the deploy guide " + "of the payment service " * 30
    best = [{"text": f"{guide} {n}", **useless} for n in range(60)]
    if len(useless.get("text", "")) > len(guide):
        best = [{**one, "text": f"{one['text']} {n}"} for n, one in enumerate(best)]
    notes = [{"text": f"note {n}: service {n} was deployed on day {n}"} for n in range(300)]
    await keep(client, *best, *notes)

    selection = (await allocate(client, task="payment deploy guide", max_tokens=1_000))["selection"]
    found = await search(client, query="payment deploy guide", limit=20)

    assert selection["utilization"] > 0.95
    assert len(found) == 20


@pytest.mark.parametrize("task", [None, "zeppelin"])
async def test_the_newest_stand_in_where_a_large_place_has_no_word_of_the_task(
    client: httpx.AsyncClient, task: str | None
) -> None:
    await keep(
        client,
        *({"workspace": "w", "text": f"note {n}"} for n in range(SMALL + 10)),
        {"workspace": "w", "id": "theirs", "text": "of another agent", "agent": "roles/b"},
        {"workspace": "w", "id": "q", "text": "of another project", "project": "q"},
        {"workspace": "v", "id": "v", "text": "of another workspace"},
    )
    await keep(client, {"workspace": "w", "id": "newest", "text": "the newest"})

    for whose in ({"max_tokens": 400}, {"agent": "a", "agent_type": "roles", "max_tokens": 400}):
        found = chosen(await allocate(client, workspace="w", task=task, **whose))
        assert len(found) >= 40
        assert "newest" in found
        assert not found & ({"q", "v"} if len(whose) == 1 else {"q", "v", "theirs"})


async def test_better_hits_of_other_agents_hide_nothing_from_an_agent(
    client: httpx.AsyncClient,
) -> None:
    theirs = [{"text": f"payment deploy guide {n}", "agent": "roles/b"} for n in range(1_000)]
    ours = [
        {"id": f"ours{n}", "text": f"deploy number {n} of something else: payment"}
        for n in range(300)
    ]
    own = [{"id": "own", "text": "a note", "agent": "roles/a"}]
    filler = [{"text": f"filler {n}"} for n in range(SMALL)]
    await keep(client, *theirs, *ours, *own, *filler)
    asked = {"agent": "a", "agent_type": "roles", "task": "payment deploy guide"}

    found = chosen(await allocate(client, **asked, max_tokens=800))

    assert sum(one.startswith("ours") for one in found) >= 40


async def test_other_workspaces_change_no_answer(client: httpx.AsyncClient) -> None:
    mine = [
        {"id": f"a{n}", "workspace": "w", "text": f"note {n} on cats {n % 7} and dogs {n % 5}"}
        for n in range(SMALL + 100)
    ]
    await keep(client, *mine)
    asked = {
        "workspace": "w",
        "query": "cats 3 dogs 4",
        "limit": 50,
        "as_of": "2030-01-01T00:00:00Z",
    }
    before = await search(client, **asked)
    await keep(client, *({**one, "workspace": "v", "text": one["text"] + " cats"} for one in mine))

    assert await search(client, **asked) == before


async def test_found_scores_add_up_and_fit(client: httpx.AsyncClient) -> None:
    await keep(client, *({"text": f"cats {'purr ' * n}"} for n in range(1, 9)))
    items = await search(client, query="cats purr", explain=True, max_tokens=12, limit=3)

    assert 0 < len(items) <= 3
    assert sum(one["tokens"] for one in items) <= 12
    assert [one["score"] for one in items] == sorted((one["score"] for one in items), reverse=True)
    for one in items:
        total = sum(value * weight for _, value, weight in one["parts"])
        assert total == pytest.approx(one["score"])


@pytest.mark.parametrize("scoring", ["measured", "formula"])
async def test_explained_parts_add_up_to_the_score(
    light_client: httpx.AsyncClient, scoring: str
) -> None:
    memories = [
        {"id": "file", "text": "cats purr", "path": "roles/a/patterns/cats.md", "agent": "roles/a"},
        {"id": "turn", "text": "cats purr loudly", "session": "s", "position": 1},
        {"id": "other", "text": "dogs"},
    ]
    await keep(light_client, *memories)
    asked = {"agent": "a", "agent_type": "roles", "task": "cats", "scoring": scoring}
    answer = await allocate(light_client, **asked, explain=True)

    assert chosen(answer) == {"file", "turn", "other"}
    for one in answer["selection"]["selected"]:
        total = sum(value * weight for _, value, weight in one["parts"])
        assert total == pytest.approx(one["score"])


async def test_tokens_are_counted_in_the_encoding_that_is_asked_for(
    client: httpx.AsyncClient,
) -> None:
    text = "naïve 東京タワー 🎉" * 5
    await keep(client, {"id": "a", "text": text})
    given = {"memories": [{"id": "a", "text": text}], "select": "given"}
    for model in ("gpt-4", "gpt-4o"):
        stored = await allocate(client, max_tokens=1_000, model=model)
        sent = await allocate(client, max_tokens=1_000, model=model, **given)
        assert stored["selection"]["tokens"] == sent["selection"]["tokens"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/allocate",
            {"max_tokens": 9, "select": "stored", "memories": [{"id": "a", "text": "b"}]},
        ),
        ("/allocate", {"max_tokens": 9, "query_embedding": []}),
        ("/memories/search", {}),
        ("/memories/search", {"query": "a", "limit": 0}),
        ("/memories/search", {"query": "a", "max_tokens": -1}),
        ("/memories/search", {"query": "a", "unknown": 1}),
    ],
)
async def test_bad_input_is_refused(
    light_client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    response = await light_client.post(path, json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["", "???", '" OR * NEAR(', "the of and", "x" * 5_000, "'' & |"])
async def test_any_query_is_answered(client: httpx.AsyncClient, query: str) -> None:
    await keep(client, *({"text": f"memory {n}"} for n in range(SMALL + 10)))
    assert isinstance(await search(client, query=query), list)


async def test_an_embedding_finds_what_has_no_word_of_the_question(service: Running) -> None:
    many = [
        {
            "id": f"m{number:04}",
            "workspace": "w",
            "text": f"turn {number} about the usual weather",
            "embedding": [1.0, 0.001 * number, 0.0],
        }
        for number in range(SMALL + 100)
    ]
    many[77] |= {"text": "the old lighthouse keeper", "embedding": [0.0, 0.1, 1.0]}
    many[78] |= {"text": "one of another model", "embedding": [0.0, 1.0]}
    await keep(service.client, *many)
    question = {"workspace": "w", "query": "zeppelin"}

    assert all(one["id"] != "m0077" for one in await search(service.client, **question))
    best = await search(service.client, **question, query_embedding=[0.0, 0.0, 1.0])
    assert best[0]["id"] == "m0077"
    elsewhere = {**question, "workspace": "v", "query_embedding": [0.0, 0.0, 1.0]}
    assert await search(service.client, **elsewhere) == []


async def selected(service: Running, **request: object) -> dict[str, Any]:
    answer = await service.client.post("/allocate", json={"select": "stored", **request})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["selection"]
    return found


async def test_many_short_ones_are_worth_more_than_few_long_ones(service: Running) -> None:
    long = [{"text": f"deploy guide {n} " + "with all its many details " * 60} for n in range(40)]
    short = [{"text": f"deploy note {n}"} for n in range(400)]
    await keep(service.client, *[{"workspace": "w", **one} for one in long + short])
    asked = {"workspace": "w", "task": "deploy guide", "max_tokens": 1000, "model": "gpt-4o"}
    stored = await selected(service, **asked)
    given = await service.client.post(
        "/allocate",
        json={
            **asked,
            "select": "given",
            "memories": [{"id": f"m{n}", **one} for n, one in enumerate(long + short)],
        },
    )
    assert stored["value"] >= 0.95 * given.json()["selection"]["value"]
    assert stored["upper_bound"] >= stored["value"]


async def test_a_room_gets_its_floor_however_well_others_match(service: Running) -> None:
    agent = "specialists/dbt-expert"
    for scope, text, its in (
        ("global", "the warehouse deploy of models, step by step", None),
        ("agent_patterns", "a habit of models", agent),
    ):
        many = [
            {"text": f"{text} {n} " + "and so on " * 30, "scope": scope, "agent": its}
            for n in range(150)
        ]
        await keep(service.client, *many)
    found = await selected(
        service, agent="dbt-expert", task="deploy the warehouse", max_tokens=9000
    )
    by_scope = {"global": 0, "agent_patterns": 0}
    for one in found["selected"]:
        by_scope[one["scope"]] += one["tokens"]
    assert by_scope["agent_patterns"] >= 0.9 * 4500


async def test_copies_and_what_has_expired_hide_nothing_in_a_large_place(service: Running) -> None:
    matching = [{"text": f"zeppelin note {n}"} for n in range(600)]
    for place, others in (
        ("copies", [{"text": "zeppelin zeppelin"} for _ in range(300)]),
        (
            "expired",
            [
                {"text": f"zeppelin zeppelin {n}", "expires_at": "2020-01-01T00:00:00Z"}
                for n in range(300)
            ],
        ),
    ):
        await keep(service.client, *[{"workspace": place, **one} for one in others + matching])
        found = await selected(service, workspace=place, task="zeppelin", max_tokens=1500)
        assert found["tokens"] > 1000, place


async def test_short_facts_fill_the_budget_of_a_large_place(service: Running) -> None:
    many = [{"workspace": "w", "text": f"zeppelin {n}"} for n in range(SMALL + 200)]
    await keep(service.client, *many)
    found = await selected(service, workspace="w", task="zeppelin", max_tokens=3000)
    assert found["tokens"] > 2500
