"""The service does what its OpenAPI document says of bodies; schemathesis tries more."""

import re
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


WRONG: dict[str, Any] = {
    "object": {"stranger": []},
    "array": [[]],
    "string": "no such",
    "boolean": True,
}
"""A value of each type that is hardly ever right."""


def types_of(schema: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """The JSON types that a schema takes; all of them where it does not say."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return types_of(document["components"]["schemas"][name], document)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return set().union(*(types_of(one, document) for one in schema[several]))
    if "allOf" in schema:
        return set.intersection(*(types_of(one, document) for one in schema["allOf"]))
    said = schema.get("type", list(WRONG))
    return {said} if isinstance(said, str) else set(said)


def wrong_queries(operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Query parameters, each with a value that its schema forbids."""
    for one in operation.get("parameters", ()):
        if one["in"] != "query":
            continue
        for schema in one["schema"].get("anyOf", [one["schema"]]):
            if "enum" in schema or schema.get("type") in ("integer", "number", "boolean"):
                yield one["name"], "no such"
            if "maximum" in schema and len(one["schema"].get("anyOf", "1")) <= 2:
                yield one["name"], schema["maximum"] + 1
            if schema.get("minLength"):
                yield one["name"], ""


def wrong_bodies(operation: dict[str, Any], document: dict[str, Any]) -> Iterator[Any]:
    """Bodies of one field each, whose type the field does not take."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return
    schema = content["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for name, field in schema.get("properties", {}).items():
        for kind in WRONG.keys() - types_of(field, document):
            yield {name: WRONG[kind]}


async def test_what_the_document_forbids_is_refused_as_it_says(
    light_client: httpx.AsyncClient,
) -> None:
    document = (await light_client.get("/openapi.json")).json()
    sent, bad = 0, []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = re.sub(r"{\w+}", "1", path)
            asked = [{"params": {name: value}} for name, value in wrong_queries(operation)]
            asked += [{"json": body} for body in wrong_bodies(operation, document)]
            for one in asked:
                answer = await light_client.request(method.upper(), url, **one)
                sent += 1
                answers = operation["responses"]
                told = answers.get(str(answer.status_code), answers["default"])["content"]
                kind = answer.headers["content-type"].partition(";")[0]
                if not 400 <= answer.status_code < 500 or kind not in told:
                    bad.append((method, path, one, answer.status_code, kind))

    assert bad == []
    assert sent > 500
