"""Prove that an object that has a key twice is refused, wherever JSON is taken, and no other."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from app.api.strict import comes_once
from tests.api.doors import BODIES

EVENT = {"agent": "a/b", "budget_tokens": 10, "used_tokens": 5, "scopes": {"global": 5}}
CLOUD = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": EVENT}
MORE: list[tuple[str, str, Any]] = [
    ("POST", "/usage", [EVENT] * 100),
    ("POST", "/usage", {**EVENT, "metadata": {"deep": [{"a": {"b": 1}}]}}),
    ("POST", "/allocate", {"agent": "x", "task": "t", "context": {"files": ["a.py"]}}),
    ("POST", "/allocate", {"max_tokens": 9, "memories": [{"id": "1", "tokens": 1, "text": "x"}]}),
    ("POST", "/memories", [{"text": "x", "metadata": {"a": 1}}]),
    ("POST", "/operations", [BODIES["POST", "/operations"]] * 2),
]
JSON_BODIES = [
    *((method, path, body) for (method, path), body in BODIES.items() if isinstance(body, dict)),
    *MORE,
]


def repeated(value: Any) -> Iterator[str]:
    """A value as JSON, each time with another of its keys said twice."""
    if isinstance(value, dict):
        whole = json.dumps(value)
        for key, one in value.items():
            name = json.dumps(key)
            yield f"{{{name} \t: {json.dumps(one)}, {whole[1:]}"
            rest = json.dumps({other: held for other, held in value.items() if other != key})
            for inner in repeated(one):
                yield f"{rest[:-1]}{', ' * (len(value) > 1)}{name}: {inner}}}"
    elif isinstance(value, list) and value:
        before = json.dumps(value[:-1])
        for inner in repeated(value[-1]):
            yield f"{before[:-1]}{', ' * (len(value) > 1)}{inner}]"


async def test_no_route_takes_a_key_twice(light_client: httpx.AsyncClient) -> None:
    for method, path, body in JSON_BODIES:
        there = re.sub(r"\{\w+\}", "known", path.replace("{kind}", "archival"))
        for raw in repeated(body):
            answer = await light_client.request(method, there, content=raw)
            assert answer.json()["code"] == "invalid_json", (path, raw[:300], answer.text)
            assert "twice" in answer.json()["detail"]
        if path != "/keys":  # with a key others are asked for one
            fine = await light_client.request(method, there, json=body)
            assert fine.status_code < 500
            assert "twice" not in fine.text


@pytest.mark.parametrize("body", [CLOUD, [CLOUD, {**CLOUD, "id": "2"}]], ids=["one", "many"])
async def test_no_cloudevent_has_a_key_twice(light_client: httpx.AsyncClient, body: Any) -> None:
    kind = "application/cloudevents" + "-batch" * isinstance(body, list) + "+json"
    for raw in repeated(body):
        answer = await light_client.post("/usage", content=raw, headers={"content-type": kind})
        assert answer.json()["code"] == "invalid_json", raw
    assert (await light_client.get("/usage")).json()["items"] == []


async def test_a_line_with_a_key_twice_is_refused_alone(light_client: httpx.AsyncClient) -> None:
    when = "2026-01-01T00:00:00"
    line = {"timestamp": when, "agent": "a/b", "budget_allocated": 10, "tokens_loaded": 5}
    twice = json.dumps(line)[:-1] + ', "tokens_loaded": 6}'
    told = await light_client.post("/usage/import", content=f"{json.dumps(line)}\n{twice}\n")
    assert (told.json()["imported"], told.json()["refused"][0]["line"]) == (1, 2)
    assert "'tokens_loaded' twice" in told.json()["refused"][0]["reason"]
    texts = '{"text": "one"}\n{"text": "two", "text": "three"}\n{"results": [{"memory": "four"}]}\n'
    told = await light_client.post("/memories/import", content=texts)
    assert "'text' twice" in told.json()["refused"][0]["reason"]
    kept = (await light_client.get("/memories")).json()["items"]
    assert {one["text"] for one in kept} == {"one", "four"}
    whole = '[{"text": "five"},\n {"text": "six", "text": "seven"}]'
    assert (await light_client.post("/memories/import", content=whole)).status_code == 422
    profiles = '{"profiles": {}, "profiles": {}}'
    assert (await light_client.post("/config/import", content=profiles)).status_code == 422


KEYS = st.sampled_from(["a", "b", '":', "a b", "\t", "é", '\\"', ""])
VALUES = st.recursive(
    st.none() | st.integers() | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES, indent=st.sampled_from([None, 0, 2]), ascii_=st.booleans())
def test_keys_that_come_once_pass(value: Any, indent: int | None, ascii_: bool) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_).encode()
    assert comes_once(raw, from_json(raw))


@given(value=VALUES)
def test_keys_that_come_twice_do_not(value: Any) -> None:
    for text in repeated(value):
        assert not comes_once(text.encode(), from_json(text)), text


def test_an_escaped_key_is_the_same_key() -> None:
    raw = rb'{"agent": 1, "\u0061gent": 2}'
    assert not comes_once(raw, from_json(raw))
