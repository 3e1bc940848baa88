"""Prove that contexts are cut over HTTP to their budget, and every cut is named."""

from typing import Any

import httpx
import pytest

SCENE = "It rains. " * 40
BIBLE = "# Bible\n\n" + "\n\n".join(
    f"## {name}\n\n{name} is old. The house of {name} stands by the sea."
    for name in "Ada Bert Carl Dora Emil Fred Gina Hugo".split()
)


async def minify(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.post("/minify", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_important_keys_are_whole_and_what_is_cut_is_named(
    light_client: httpx.AsyncClient,
) -> None:
    context = {"story_bible": BIBLE, "scene": SCENE, "name": "Zoe"}
    made = await minify(
        light_client,
        context=context,
        max_tokens=150,
        important_keys=["story_bible", "stroy"],
        task="Who is Zoe?",
    )
    assert made["context"]["story_bible"] == BIBLE
    assert made["context"]["name"] == "Zoe"
    assert made["tokens"] <= 150 < made["original_tokens"]
    assert made["max_tokens"] == 150
    assert made["unknown_keys"] == ["stroy"]
    assert (made["over_budget"], made["exactness"], made["encoding"]) == (
        False,
        "exact",
        "cl100k_base",
    )
    (dropped,) = made["dropped"]
    counts = await light_client.post(
        "/tokens/count", json={"texts": [SCENE, made["context"].get("scene", "")]}
    )
    before, after = (one["tokens"] for one in counts.json()["items"])
    assert dropped == {"key": "scene", "tokens": before - after, "sections": []}


async def test_the_section_that_the_task_is_about_stays(light_client: httpx.AsyncClient) -> None:
    made = await minify(
        light_client, context={"b": BIBLE}, max_tokens=60, task="Where does Dora live?"
    )
    assert "Dora is old. The house of Dora stands by the sea." in made["context"]["b"]
    (dropped,) = made["dropped"]
    assert "Dora" not in dropped["sections"]
    assert "Hugo" in dropped["sections"]


async def test_what_fits_comes_back_as_it_is_and_the_same_again_the_same(
    light_client: httpx.AsyncClient,
) -> None:
    whole = await minify(light_client, context={"b": BIBLE}, max_tokens=10_000)
    assert (whole["context"], whole["dropped"]) == ({"b": BIBLE}, [])
    first = await minify(light_client, context={"b": BIBLE}, max_tokens=50)
    assert await minify(light_client, context={"b": BIBLE}, max_tokens=50) == first
    assert await minify(light_client, context={"b": BIBLE}, max_tokens=40) != first
    nothing = await minify(light_client, context={}, max_tokens=0)
    assert (nothing["tokens"], nothing["context"]) == (0, {})


async def test_important_keys_that_are_too_much_are_kept_and_said(
    light_client: httpx.AsyncClient,
) -> None:
    made = await minify(
        light_client, context={"b": BIBLE, "s": SCENE}, max_tokens=5, important_keys=["b"]
    )
    assert made["over_budget"]
    assert made["context"] == {"b": BIBLE}


async def test_other_models_count_their_own_tokens(client: httpx.AsyncClient) -> None:
    reports = {"model": "claude", "reports": [{"counted_tokens": 100, "tokens": 200}] * 20}
    exact = await minify(client, context={"b": BIBLE}, max_tokens=10_000)
    guess = await minify(client, context={"b": BIBLE}, max_tokens=10_000, model="claude")
    assert guess["exactness"] == "heuristic"
    assert (await client.post("/tokens/reports", json=reports)).status_code == 200
    known = await minify(client, context={"b": BIBLE}, max_tokens=10_000, model="claude")
    assert known["exactness"] == "calibrated"
    assert known["original_tokens"] == pytest.approx(2 * exact["original_tokens"], rel=0.02)
    assert known["p95_error_pct"] is not None


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 5},
        {"context": {"a": "b"}},
        {"context": {"a": "b"}, "max_tokens": -1},
        {"context": {"a": 7}, "max_tokens": 5},
        {"context": {"": "b"}, "max_tokens": 5},
        {"context": ["b"], "max_tokens": 5},
        {"context": {"a": "x" * 4_000_001}, "max_tokens": 5},
        {"context": {"a": "b"}, "max_tokens": 5, "model": "a", "encoding": "cl100k_base"},
        {"context": {"a": "b\x00"}, "max_tokens": 5},
    ],
)
async def test_bad_requests_are_refused(
    light_client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await light_client.post("/minify", json=body)).status_code == 422
