"""Memories over HTTP: kept, shown, changed, deleted; each in its workspace."""

from typing import Any

import httpx
import pytest

from tests.running import Running

pytestmark = pytest.mark.anyio

FULL: dict[str, Any] = {
    "id": "m-1",
    "workspace": "acme",
    "project": "shop",
    "agent": "specialists/dbt-expert",
    "scope": "agent_patterns",
    "text": "Incremental models need a unique key.",
    "path": "specialists/dbt-expert/patterns/incremental.md",
    "created_at": "2026-01-02T03:04:05.000006Z",
    "modified_at": "2026-02-02T03:04:05Z",
    "last_accessed_at": "2026-03-02T03:04:05Z",
    "access_count": 3,
    "importance": 0.75,
    "confidence": 0.9,
    "relevance": 0.25,
    "used_by_agents": ["roles/research-role"],
    "session": "s-1",
    "speaker": "Ann",
    "position": 7,
    "pinned": True,
    "group": "keys",
    "expires_at": "2027-01-01T00:00:00Z",
    "embedding": [0.5, -0.25],
    "metadata": {"b": [1, {"c": None}], "a": "ü"},
}


async def test_a_memory_is_shown_as_it_was_given(client: httpx.AsyncClient) -> None:
    kept = await client.post("/memories", json=FULL)
    shown = await client.get("/memories/m-1", params={"workspace": "acme"})

    assert kept.status_code == 201
    assert kept.json() == {"items": [{"id": "m-1", "tokens": 8}]}
    assert shown.json() == FULL | {"tokens": 8, "tier": "agent_patterns", "state": "active"}


async def test_all_but_the_text_may_be_left_out(service: Running) -> None:
    service.set_clock()
    kept = await service.client.post("/memories", json={"text": "a"})
    id_ = kept.json()["items"][0]["id"]
    shown = (await service.client.get(f"/memories/{id_}")).json()

    assert id_.startswith("mem_")
    assert shown["created_at"] == shown["modified_at"] is not None
    plain = {name: shown[name] for name in shown if not name.endswith("_at")}
    assert plain == {
        "id": id_,
        "workspace": "default",
        "project": None,
        "agent": None,
        "scope": None,
        "tier": None,
        "text": "a",
        "tokens": 1,
        "path": None,
        "access_count": 0,
        "importance": 0.5,
        "confidence": None,
        "relevance": None,
        "used_by_agents": [],
        "session": None,
        "speaker": None,
        "position": None,
        "pinned": False,
        "group": None,
        "embedding": None,
        "metadata": {},
        "state": "active",
    }


async def test_an_id_of_ours_is_found_wherever_it_is(client: httpx.AsyncClient) -> None:
    kept = await client.post("/memories", json=[{"text": "a", "workspace": "w"}, {"text": "b"}])
    first, second = (one["id"] for one in kept.json()["items"])

    assert (await client.get(f"/memories/{first}")).json()["workspace"] == "w"
    assert (await client.get(f"/memories/{second}")).json()["workspace"] == "default"
    other = await client.get(f"/memories/{first}", params={"workspace": "default"})
    assert other.status_code == 404


async def test_memories_are_listed_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    days = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)]
    await client.post("/memories", json=[{"text": day, "created_at": day} for day in days])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/memories", params=params)).json()
        seen += [one["text"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == days[::-1]


async def test_a_page_of_long_texts_ends_early_and_the_list_goes_on(
    light_client: httpx.AsyncClient,
) -> None:
    long = "word " * 190_000
    for _ in range(4):
        kept = await light_client.post("/memories", json=[{"text": long}] * 15)
        assert kept.status_code == 201
    seen: set[str] = set()
    params: dict[str, Any] = {"limit": 1000}
    while True:
        page = (await light_client.get("/memories", params=params)).json()
        assert 0 < len(page["items"]) <= 50
        seen |= {one["id"] for one in page["items"]}
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert len(seen) == 60
    exported = await light_client.get("/memories/export")
    assert len(exported.content.splitlines()) == 60


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, "dcba"),
        ({"project": "p"}, "b"),
        ({"agent": "specialists/dbt-expert"}, "b"),
        ({"agent": "dbt-expert"}, "b"),
        ({"scope": "global"}, "da"),
        ({"tier": "working"}, "dca"),
        ({"scope": "agent_patterns"}, "b"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00"}, "b"),
        ({"state": "archived"}, ""),
        ({"workspace": "other"}, "e"),
    ],
)
async def test_lists_are_filtered(
    light_client: httpx.AsyncClient, params: dict[str, str], expected: str
) -> None:
    given: list[dict[str, Any]] = [
        {"id": "a", "created_at": "2026-01-01T00:00:00Z"},
        {
            "id": "b",
            "created_at": "2026-01-02T00:00:00Z",
            "project": "p",
            "agent": "dbt-expert",
            "scope": "agent_patterns",
        },
        {"id": "c", "created_at": "2026-01-03T00:00:00Z", "tier": "working"},
        {"id": "d", "created_at": "2026-01-04T00:00:00Z", "scope": None},
        {"id": "e", "workspace": "other"},
    ]
    await light_client.post("/memories", json=[{"text": "x", **one} for one in given])
    page = (await light_client.get("/memories", params=params)).json()

    assert "".join(one["id"] for one in page["items"]) == expected


async def test_a_patch_changes_what_it_gives_and_nothing_else(service: Running) -> None:
    clock = service.set_clock()
    client, params = service.client, {"workspace": "acme"}
    await client.post("/memories", json=FULL)
    before = (await client.get("/memories/m-1", params=params)).json()
    clock.pass_(hours=1)
    patch = {
        "text": "Two words",
        "tier": "working",
        "agent": None,
        "importance": None,
        "expires_at": "2028-01-01T00:00:00Z",
        "embedding": [1, 2],
    }
    answered = await client.patch("/memories/m-1", params=params, json=patch)
    after = (await client.get("/memories/m-1", params=params)).json()

    assert answered.status_code == 200
    assert answered.json() == after
    assert after == before | {
        "text": "Two words",
        "tokens": 2,
        "tier": "working",
        "scope": "working",
        "agent": None,
        "importance": 0.5,
        "expires_at": "2028-01-01T00:00:00Z",
        "embedding": [1.0, 2.0],
        "modified_at": clock.at.isoformat().replace("+00:00", "Z"),
    }
    unchanged = await client.patch("/memories/m-1", params=params, json={"text": "Two words"})
    assert unchanged.json() == after


@pytest.mark.parametrize(
    "patch",
    [
        {"id": "other"},
        {"workspace": "other"},
        {"tokens": 1},
        {"text": None},
        {"text": ""},
        {"text": " \n"},
        {"created_at": None},
        {"importance": 1.5},
        {"scope": "a", "tier": "b"},
        {"unknown": 1},
        [],
    ],
)
async def test_a_patch_that_says_something_odd_changes_nothing(
    light_client: httpx.AsyncClient, patch: Any
) -> None:
    await light_client.post("/memories", json={"id": "a", "text": "x"})
    before = (await light_client.get("/memories/a")).json()
    refused = await light_client.patch("/memories/a", json=patch)

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await light_client.get("/memories/a")).json() == before


async def test_a_deleted_memory_is_gone(client: httpx.AsyncClient) -> None:
    await client.post("/memories", json={"id": "a", "text": "x"})

    assert (await client.delete("/memories/a")).status_code == 204
    for answer in (
        await client.delete("/memories/a"),
        await client.get("/memories/a"),
        await client.patch("/memories/a", json={"text": "y"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
    assert (await client.get("/memories")).json()["items"] == []


async def test_an_id_is_given_once(client: httpx.AsyncClient) -> None:
    body = {"id": "a", "text": "one two", "importance": 0.25}
    first = await client.post("/memories", json=body)
    again = await client.post("/memories", json=dict(reversed(body.items())))
    other = await client.post("/memories", json=[{"text": "fine"}, body | {"text": "three"}])

    assert (again.status_code, again.content) == (201, first.content)
    assert other.status_code == 409
    assert other.json()["code"] == "id_mismatch"
    assert other.json()["errors"][0]["loc"] == ["body", 1, "id"]
    assert len((await client.get("/memories")).json()["items"]) == 1


async def test_a_key_answers_the_first_answer_again(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k-1"}
    body = [{"text": "a"}, {"text": "b", "workspace": "w"}]
    first = await client.post("/memories", json=body, headers=key)
    again = await client.post("/memories", json=body, headers=key)
    other = await client.post("/memories", json={"text": "c"}, headers=key)
    odd = await client.post("/memories", json=body, headers={"Idempotency-Key": "x" * 256})

    assert (again.status_code, again.content) == (201, first.content)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    assert odd.status_code == 422
    for workspace in ("default", "w"):
        listed = await client.get("/memories", params={"workspace": workspace})
        assert len(listed.json()["items"]) == 1


async def test_a_list_over_several_workspaces_is_kept_whole_or_not_at_all(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/memories", json={"id": "a", "text": "x", "workspace": "w"})
    refused = await client.post(
        "/memories",
        json=[{"id": "b", "text": "y"}, {"id": "a", "text": "other", "workspace": "w"}],
    )

    assert refused.status_code == 409
    assert refused.json()["errors"][0]["loc"] == ["body", 1, "id"]
    assert (await client.get("/memories")).json()["items"] == []


BAD: list[Any] = [
    {},
    [],
    "text",
    None,
    {"text": ""},
    {"text": "\u00a0 "},
    {"text": 1},
    {"text": None},
    {"text": "a" * 1_000_001},
    {"text": "a\0b"},
    {"text": "a", "id": "a/b"},
    {"text": "a", "id": ""},
    {"text": "a", "id": "x" * 201},
    {"text": "a", "id": "export"},
    {"text": "a", "id": ".."},
    {"text": "a", "id": "a\u200bb"},
    {"text": "a", "workspace": "*"},
    {"text": "a", "workspace": "a/b"},
    {"text": "a", "scope": "a", "tier": "b"},
    {"text": "a", "created_at": "yesterday"},
    {"text": "a", "created_at": 12},
    {"text": "a", "access_count": -1},
    {"text": "a", "access_count": 2**64},
    {"text": "a", "access_count": 1.5},
    {"text": "a", "importance": 2},
    {"text": "a", "importance": "high"},
    {"text": "a", "position": 2**70},
    {"text": "a", "pinned": 1},
    {"text": "a", "used_by_agents": "x"},
    {"text": "a", "embedding": []},
    {"text": "a", "embedding": [1e39]},
    {"text": "a", "embedding": ["x"]},
    {"text": "a", "embedding": [0.5] * 4097},
    {"text": "a", "metadata": []},
    {"text": "a", "metadata": {"x": "y" * 70_000}},
    {"text": "a", "metadata": {"x": "\0"}},
    {"text": "a", "state": "active"},
    {"text": "a", "unknown": 1},
    [{"text": "a"}] * 1_001,
    [{"text": "a"}, {"text": ""}],
]


@pytest.mark.parametrize("body", BAD, ids=[str(body)[:40] for body in BAD])
async def test_what_is_odd_is_refused_and_nothing_is_stored(
    light_client: httpx.AsyncClient, body: Any
) -> None:
    refused = await light_client.post("/memories", json=body)

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await light_client.get("/memories")).json()["items"] == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"text": "\xff"}',
        b'{"text": "a\\ud800"}',
        b'{"text": "a", "importance": NaN}',
        b'{"text": "a", "importance": 1e999}',
        b'{"text": "a", "embedding": [1e999]}',
        b'{"text": "a", "metadata": {"x": Infinity}}',
        b'{"text": "a", "metadata": {"x": 1e999}}',
        b'{"text": "a", "metadata": {"x": "\\ud800"}}',
        b'{"text": "a", "metadata": {"x": ' + b"9" * 5_000 + b"}}",
        b'{"text": "a", "metadata": ' + b'{"x":' * 300 + b"1" + b"}" * 300 + b"}",
    ],
)
async def test_what_is_no_json_is_refused(light_client: httpx.AsyncClient, raw: bytes) -> None:
    refused = await light_client.post("/memories", content=raw)

    assert refused.status_code == 422
    assert (await light_client.get("/memories")).json()["items"] == []


async def test_metadata_is_kept_as_deep_and_as_large_as_it_is_taken(
    client: httpx.AsyncClient,
) -> None:
    deep: Any = {"n": -(10**300), "f": 1e300, "t": "\u2028\U0001f642\\u0000"}
    for _ in range(95):
        deep = {"x": [deep]}
    kept = await client.post("/memories", json={"id": "a", "text": "x", "metadata": deep})
    shown = await client.get("/memories/a")

    assert kept.status_code == 201
    assert shown.json()["metadata"] == deep


async def test_a_body_larger_than_the_limit_is_refused(light_client: httpx.AsyncClient) -> None:
    body = [{"text": "a" * 1_000_000}] * 17
    refused = await light_client.post("/memories", json=body)

    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("id", ["mem_x", "mem_00000000", "a%00b", "%F0%9F%99%82", "a b", "%2e%2e"])
async def test_an_unknown_id_is_not_found(client: httpx.AsyncClient, id: str) -> None:
    assert (await client.get(f"/memories/{id}")).status_code == 404


async def test_times_at_the_ends_of_the_calendar_are_kept(client: httpx.AsyncClient) -> None:
    ends = {"created_at": "0001-01-01T00:00:00Z", "expires_at": "9999-12-31T23:59:59.999999Z"}
    kept = await client.post("/memories", json={"id": "a", "text": "x", **ends})
    shown = (await client.get("/memories/a")).json()

    assert kept.status_code == 201
    assert {name: shown[name] for name in ends} == ends
