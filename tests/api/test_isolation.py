"""Walk every route × scope × foreign object of the OpenAPI document: no leak, no change."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from pydantic import BaseModel

from app.api.reach import within_reach
from app.api.scopes import NEEDS
from app.store.database import Store
from tests.api.doors import (
    ACME,
    ADMIN,
    BODIES,
    MARKER,
    OPEN_PATHS,
    Operation,
    bearer,
    body_of,
    furnish,
    operations,
    query_of,
    rows_of,
)
from tests.running import Running, running

RIGHTS = ("use", "read", "admin")


@pytest.fixture
async def guarded(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """The service that asks for keys."""
    async with running(database_url, admin_key=ADMIN, backup_dir=tmp_path, scheduler="off") as it:
        yield it


async def make_key(client: httpx.AsyncClient, **fields: Any) -> str:
    response = await client.post("/keys", headers=bearer(ADMIN), json={"name": "k", **fields})
    assert response.status_code == 201, response.text
    secret: str = response.json()["secret"]
    return secret


def document_of(service: Running) -> list[Operation]:
    return operations(service.app.openapi())


async def ask(
    client: httpx.AsyncClient,
    operation: Operation,
    path: str,
    secret: str | None,
    *,
    workspace: str | None = None,
) -> httpx.Response:
    """A good request for an operation, naming a workspace in query and body if one is given."""
    return await client.request(
        operation.method,
        path,
        headers=bearer(secret) if secret else {},
        params=query_of(operation, workspace),
        **body_of(operation, workspace),
    )


async def test_the_table_of_scopes_has_every_route_and_no_other(guarded: Running) -> None:
    named = {one.name for one in document_of(guarded) if one.path not in OPEN_PATHS}
    assert set(NEEDS) - {("GET", "/docs")} == named
    assert {one.name for one in document_of(guarded) if one.has_body} <= set(BODIES)


async def test_what_changes_policy_or_touches_everybody_is_admins(guarded: Running) -> None:
    for operation in document_of(guarded):
        if operation.path in OPEN_PATHS:
            continue
        need = NEEDS[operation.name]
        first = operation.path.split("/")[1]
        if operation.method in ("PUT", "DELETE") and first != "memories":
            assert need.rights == frozenset(), operation
        if first in ("keys", "backups") or (first == "jobs" and operation.method == "POST"):
            assert (need.rights, need.whole_house) == (frozenset(), True), operation
        if need.rights == {"read"} and operation.method != "GET":
            assert operation.path == "/simulate"


async def test_without_a_key_nothing_but_the_open_paths_answers(guarded: Running) -> None:
    client = guarded.client
    for operation in document_of(guarded):
        path = operation.path.replace("{", "").replace("}", "")
        for secret in (None, ADMIN[:-1]):
            response = await ask(client, operation, path, secret)
            if operation.path in OPEN_PATHS:
                assert response.status_code == 200
            else:
                assert response.status_code == 401, (operation, response.text)
                assert response.headers["www-authenticate"] == "Bearer"
    for path in ("/docs", "/openapi.json", "/nowhere", "/"):
        assert (await client.get(path)).status_code == 401


async def test_each_scope_opens_its_routes_and_no_other(guarded: Running) -> None:
    client = guarded.client
    secrets = {right: await make_key(client, scopes=[right]) for right in RIGHTS}
    guarded_ones = [one for one in document_of(guarded) if one.path not in OPEN_PATHS]
    paths = {
        one.name: one.path.replace("{n}", "77").replace("{", "no-").replace("}", "")
        for one in guarded_ones
    }
    before = rows_of(guarded.house.store, "default", "*")
    for operation in guarded_ones:
        for right in set(RIGHTS) - NEEDS[operation.name].rights - {"admin"}:
            path = paths[operation.name]
            response = await ask(client, operation, path, secrets[right])
            assert response.status_code == 403, (operation, right, response.text)
            assert response.json()["code"] == "missing_scope"
    assert rows_of(guarded.house.store, "default", "*") == before
    for operation in guarded_ones:
        for right in {"admin", *NEEDS[operation.name].rights}:
            path = paths[operation.name]
            response = await ask(client, operation, path, secrets[right])
            assert response.status_code not in (401, 403), (operation, response.text)


@pytest.mark.parametrize("bound", [["beta"], ["beta", "gamma"], ["beta", "default"]], ids="-".join)
async def test_a_bound_key_neither_sees_nor_changes_anything_elsewhere(
    guarded: Running, bound: list[str]
) -> None:
    client, store = guarded.client, guarded.house.store
    acme = await furnish(client)
    secret = await make_key(client, scopes=list(RIGHTS), workspaces=bound)
    foreign = [ACME, "*"] if "default" in bound else [ACME, "default"]
    before = rows_but_heads(store, foreign)
    for operation in document_of(guarded):
        if operation.path in OPEN_PATHS:
            continue
        for path in acme.paths(operation.path):
            named = await ask(client, operation, path, secret, workspace=ACME)
            assert_hidden(operation, named)
            plain = await ask(client, operation, path, secret)
            assert plain.status_code < 500
            assert MARKER not in without_instance(plain), (operation, plain.text)
        if operation.method != "GET":
            assert rows_but_heads(store, foreign) == before, operation
    assert rows_but_heads(store, foreign) == before


async def test_a_budget_in_usd_is_made_where_its_body_says(guarded: Running) -> None:
    body = {"usd": 5, "window": "day"}

    async def put(key: str, **named: Any) -> httpx.Response:
        params = {"workspace": named.pop("query")} if "query" in named else {}
        headers, path = bearer(key), "/costs/budgets/b"
        return await guarded.client.put(
            path, headers=headers, params=params, json={**body, **named}
        )

    two = await make_key(guarded.client, scopes=["admin"], workspaces=["beta", "gamma"])
    own = await make_key(guarded.client, scopes=["admin"], workspaces=["default", "gamma"])
    for answer, home in (
        (await put(two, workspace="gamma"), "gamma"),
        (await put(two, scope={"workspace": "beta"}), "beta"),
        (await put(two, query="gamma"), "gamma"),
        (await put(own, workspace="gamma"), "gamma"),
        (await put(own), "default"),
    ):
        assert answer.status_code in (200, 201), answer.text
        assert answer.json()["workspace"] == home
    assert (await put(two)).json()["code"] == "workspace_needed"
    assert (await put(two, workspace="default")).status_code == 404
    assert (await put(two, query="gamma", workspace="beta")).status_code == 422


def rows_but_heads(store: Store, workspaces: list[str]) -> list[str]:
    """The rows of workspaces, but for the counters of everybody's changes."""
    counters = ("policy_heads", "cost_heads")
    return [one for one in rows_of(store, *workspaces) if not one.startswith(counters)]


def assert_hidden(operation: Operation, response: httpx.Response) -> None:
    """The answer to a request about somebody else's workspace or object."""
    names_it = operation.takes_workspace or "{id}" in operation.path
    names_it = names_it or "workspace" in str(response.request.content)
    need = NEEDS[operation.name]
    if need.whole_house:
        assert response.status_code == 403, (operation, response.text)
        assert response.json()["code"] == "bound_key"
    elif names_it:
        assert response.status_code == 404, (operation, response.text)
    assert response.status_code < 500
    assert MARKER not in without_instance(response), (operation, response.text)


def without_instance(response: httpx.Response) -> str:
    """The answer's text but for the path that was asked, which problems repeat."""
    return response.text.replace(response.request.url.path, "")


async def test_the_walk_meets_something_to_see(guarded: Running) -> None:
    """With a key that is bound to nothing the same requests find the marker, or work."""
    client = guarded.client
    acme = await furnish(client)
    seen, failed = set(), []
    harmless = [one for one in document_of(guarded) if one.method == "GET"]
    searching = [one for one in document_of(guarded) if one.path == "/memories/search"]
    for operation in [*harmless, *searching]:
        if operation.path in OPEN_PATHS | {"/metrics", "/complexity/signals", "/version"}:
            continue
        for path in acme.paths(operation.path):
            response = await ask(client, operation, path, ADMIN, workspace=ACME)
            if response.status_code != 200:
                failed.append((operation.name, response.text))
            elif MARKER in response.text:
                seen.add(operation.path)
    assert [one for one in failed if "of-its-own" not in str(one)] == []
    assert len(seen) >= 20, sorted(seen)


async def test_a_key_of_one_workspace_need_not_name_it(guarded: Running) -> None:
    client = guarded.client
    secret = await make_key(client, scopes=["use", "read"], workspaces=["beta"])
    headers = bearer(secret)
    made = await client.post("/allocate", headers=headers, json={"agent": "dbt-expert"})
    await client.post(
        "/usage", headers=headers, json={"agent": "a", "budget_tokens": 2, "used_tokens": 1}
    )
    kept = await client.post("/memories", headers=headers, json={"id": "mine", "text": "words"})

    assert (made.status_code, made.json()["workspace"]) == (201, "beta")
    assert kept.status_code == 201
    (event,) = (await client.get("/usage", headers=headers)).json()["items"]
    assert event["workspace"] == "beta"
    found = await client.get("/memories/mine", headers=headers)
    assert found.json()["workspace"] == "beta"
    at = f"/allocations/{made.json()['id']}"
    assert (await client.get(at, headers=headers)).status_code == 200


async def test_a_key_of_several_workspaces_says_which(guarded: Running) -> None:
    client = guarded.client
    secret = await make_key(client, scopes=["use", "read"], workspaces=["beta", "gamma"])
    headers = bearer(secret)
    body = {"agent": "dbt-expert"}
    silent = await client.post("/allocate", headers=headers, json=body)
    listed = await client.get("/usage", headers=headers)
    named = await client.post("/allocate", headers=headers, json={**body, "workspace": "gamma"})

    assert (silent.status_code, silent.json()["code"]) == (422, "workspace_needed")
    assert (listed.status_code, listed.json()["code"]) == (422, "workspace_needed")
    assert named.json()["workspace"] == "gamma"
    by_id = await client.get(f"/allocations/{named.json()['id']}", headers=headers)
    assert by_id.status_code == 200


@pytest.mark.parametrize(
    "query", ["workspace=beta&workspace=acme", "workspace=acme&workspace=beta", "workspace=%61cme"]
)
async def test_a_workspace_named_twice_or_in_disguise_is_no_way_in(
    guarded: Running, query: str
) -> None:
    client = guarded.client
    secret = await make_key(client, scopes=["read"], workspaces=["beta"])
    response = await client.get(f"/usage?{query}", headers=bearer(secret))
    assert response.status_code == 404


async def test_every_body_that_names_a_workspace_asks_whether_it_is_in_reach() -> None:
    def all_below(kind: type[BaseModel]) -> list[type[BaseModel]]:
        return [kind, *(one for sub in kind.__subclasses__() for one in all_below(sub))]

    kinds = [one for one in all_below(BaseModel) if one.__module__.startswith("app.api")]
    asked = [one for one in kinds if "workspace" in one.model_fields]
    named = [one for one in asked if not one.__name__.endswith(("Out", "Line", "Full"))]
    assert len(named) >= 7
    for kind in named:
        field = kind.model_fields["workspace"]
        inner = [more for one in get_args(field.annotation) for more in get_args(one)]
        checks = [getattr(one, "func", None) for one in (*field.metadata, *inner)]
        assert within_reach in checks, kind
        is_left_to_the_query = field.default is None
        assert is_left_to_the_query or field.default_factory is not None, kind


async def test_not_even_the_names_of_workspaces_are_told(guarded: Running) -> None:
    client = guarded.client
    profile = {"base_budget": 100, "max_budget": 200, "scope_weights": {"global": 1.0}}
    admin = bearer(ADMIN)
    assert (await client.put("/profiles/house", headers=admin, json=profile)).status_code == 201
    await client.put(f"/workspaces/{MARKER}", headers=admin, json={"max_total_tokens": 7})
    user = {"profile": "house"}
    await client.put("/users/x", headers=admin, params={"workspace": MARKER}, json=user)
    near = MARKER[:-1]
    secret = await make_key(client, scopes=["admin"], workspaces=[near, "default"])

    nearest = await client.get(f"/workspaces/{near}", headers=bearer(secret))
    in_use = await client.delete(
        "/profiles/house", headers=bearer(secret), params={"workspace": "default"}
    )
    seen = await client.delete("/profiles/house", headers=admin)

    assert (nearest.status_code, in_use.status_code, seen.status_code) == (404, 409, 409)
    assert MARKER not in nearest.text + in_use.text
    assert "another workspace" in in_use.text
    assert MARKER in seen.text


async def test_a_file_of_policy_speaks_of_the_keys_workspaces_only(guarded: Running) -> None:
    client = guarded.client
    secret = await make_key(client, scopes=["admin"], workspaces=["beta"])
    files = [
        {"acme": {"workspace_id": "acme", "max_total_tokens": 5}},
        {
            "beta": {"workspace_id": "beta", "max_total_tokens": 5},
            "project_overrides": {"acme": {"p": {"max_total_tokens": 5}}},
        },
    ]
    for file in files:
        response = await client.post("/config/import", headers=bearer(secret), json=file)
        assert response.status_code in (404, 422), response.text
    assert rows_of(guarded.house.store, "acme", "beta") == []
    good = {"beta": {"workspace_id": "beta", "max_total_tokens": 5}}
    response = await client.post("/config/import", headers=bearer(secret), json=good)
    assert response.status_code == 200
    assert list(response.json()["versions"]) == ["beta"]
