"""The service does what its OpenAPI document says of bodies; schemathesis tries more."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.api.schemas.policies import AGENT_BODY, BUDGET_BODY, PROFILE_BODY, USER_BODY

PUTS = {
    "/profiles/mine": PROFILE_BODY,
    "/agents/roles/mine": AGENT_BODY,
    "/users/mine": USER_BODY,
    "/workspaces/mine": BUDGET_BODY,
}


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    """The schema of a JSON body."""
    schema: dict[str, Any] = body["requestBody"]["content"]["application/json"]["schema"]
    return schema


def may_be_null(schema: dict[str, Any]) -> bool:
    """Whether a schema takes null."""
    return None in schema.get("enum", ()) or "null" in schema.get("type", ())


@pytest.mark.parametrize("path", PUTS)
async def test_policy_takes_null_where_the_document_says_so(
    light_client: httpx.AsyncClient, path: str
) -> None:
    schema = schema_of(PUTS[path])
    (example,) = schema["examples"]
    said = {name: may_be_null(field) for name, field in schema["properties"].items()}
    done = {}
    for name in said:
        answer = await light_client.put(path, json={**example, name: None})
        done[name] = answer.is_success

    assert done == said


@pytest.mark.parametrize("path", PUTS)
async def test_parts_of_policy_have_no_fields_that_the_document_does_not_name(
    light_client: httpx.AsyncClient, path: str
) -> None:
    schema = schema_of(PUTS[path])
    (example,) = schema["examples"]
    closed = [
        name
        for name, field in schema["properties"].items()
        if field.get("additionalProperties") is False
    ]
    for name in closed:
        answer = await light_client.put(path, json={**example, name: {"stranger": 0.5}})
        assert answer.status_code == 422, name


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Paths that take a body without an id before them, and whether one must be sent."""
    for path, operations in document["paths"].items():
        if "{" not in path and "requestBody" in operations.get("post", {}):
            yield path, operations["post"]["requestBody"].get("required", False)


async def test_a_body_is_needed_where_the_document_says_so(
    light_client: httpx.AsyncClient,
) -> None:
    document = (await light_client.get("/openapi.json")).json()
    said = dict(bodies(document))
    done = {path: (await light_client.post(path)).status_code == 422 for path in said}

    assert set(said.values()) == {True, False}
    assert done == said


@pytest.mark.parametrize("path", ["/profiles", "/agents"])
async def test_tables_to_read_are_in_the_document(
    light_client: httpx.AsyncClient, path: str
) -> None:
    document = (await light_client.get("/openapi.json")).json()
    answer = await light_client.get(path, params={"format": "text"})

    told = document["paths"][path]["get"]["responses"]["200"]["content"]
    assert answer.headers["content-type"].partition(";")[0] == "text/plain"
    assert set(told) == {"application/json", "text/plain"}
