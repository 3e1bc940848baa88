"""Scoped loading (A10): an agent's allocation loads its own and the global files of a real tree."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.data import data_dir, vectors
from tests.running import Running, running

pytestmark = pytest.mark.anyio

TIERS = ("simple", "medium", "complex", "multi-system")


@pytest.fixture
async def tree(sqlite_url: str) -> AsyncIterator[Running]:
    """The service with the real tree in its default workspace."""
    archive = (data_dir() / "claude-memory" / "claude-memory.tar.gz").read_bytes()
    async with running(sqlite_url) as service:
        kept = await service.client.post(
            "/memories/import", content=archive, headers={"content-type": "application/gzip"}
        )
        assert kept.status_code == 200, kept.text
        yield service


async def load(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/allocate", json={"select": "stored", **body})
    assert response.status_code == 201, response.text
    return response.json()


async def paths(client: httpx.AsyncClient) -> dict[str, str]:
    """The path of each memory by its id, as the vectors write it."""
    found: dict[str, str] = {}
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/memories", params={"limit": "1000", **cursor})).json()
        found |= {one["id"]: one["path"] for one in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_no_agent_of_the_tree_gets_more_than_its_budget_nor_a_text_twice(
    tree: Running,
) -> None:
    at = await paths(tree.client)
    agents = {"/".join(path.split("/")[:2]) for path in at.values() if path.count("/") > 2}
    agents = {name for name in agents if name.split("/")[0] in ("specialists", "roles")}
    assert len(agents) == 23
    for agent in sorted(agents):
        for tier in TIERS:
            answer = await load(tree.client, agent=agent, complexity=tier, task="dbt performance")
            chosen = answer["selection"]["selected"]
            others = agents - {agent}
            assert sum(one["tokens"] for one in chosen) <= answer["budget"]["tokens"]
            assert not any(
                at[one["id"]].startswith(f"{name}/") for one in chosen for name in others
            )
            assert sum(scope["used"] for scope in answer["scopes"]) == answer["selection"]["tokens"]


@pytest.mark.parametrize("record", [*vectors("A10.scoped")], ids=lambda record: record["id"])
async def test_what_is_loaded_is_worth_what_the_original_loaded(
    tree: Running, record: dict[str, Any]
) -> None:
    given, expected = record["in"], record["out"]
    at = await paths(tree.client)
    context = {name: value for name, value in given["context"].items() if value}
    answer = await load(
        tree.client,
        agent=given["agent"],
        complexity=given["complexity"],
        task=given["task"],
        context=context,
    )
    files = {one["path"]: one for one in expected["files"]}
    loaded = [files[at[one["id"]]] for one in answer["selection"]["selected"]]

    assert answer["budget"]["tokens"] == expected["budget"]
    assert len({one["content"] for one in loaded}) == len(loaded)
    if record["class"] == "must":
        worth = sum(one["relevance"] for one in loaded)
        assert worth >= expected["relevance"] - 1e-9
