"""Prove that tokens are counted over HTTP exactly where they can be, and say where not."""

from typing import Any

import httpx
import pytest

TEXT = "Budgets are tokens that a run may load, counted before it begins. " * 6


async def count(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.post("/tokens/count", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_counts_of_openai_models_and_encodings_are_exact(
    light_client: httpx.AsyncClient,
) -> None:
    exact = {"exactness": "exact", "family": None, "p95_error_pct": None}
    for asked, tokens, encoding in (
        ({}, 2, "cl100k_base"),
        ({"encoding": "o200k_base"}, 2, "o200k_base"),
        ({"model": "gpt-4"}, 2, "cl100k_base"),
        ({"model": "openai/gpt-4o-mini"}, 2, "o200k_base"),
    ):
        found = await count(light_client, text="hello world", **asked)
        assert found == {
            "items": [{"tokens": tokens, "encoding": encoding, **exact}],
            "total": tokens,
        }
    found = await count(light_client, texts=["hello world", "", "<|endoftext|>"])
    assert [one["tokens"] for one in found["items"]] == [2, 0, 7]
    assert found["total"] == 9
    assert (await count(light_client, texts=[]))["items"] == []


async def test_other_models_are_scaled_and_say_that_nobody_measured(
    light_client: httpx.AsyncClient,
) -> None:
    exact = (await count(light_client, text=TEXT))["total"]
    (one,) = (await count(light_client, text=TEXT, model="anthropic/claude-x"))["items"]
    assert (one["exactness"], one["family"], one["p95_error_pct"]) == ("heuristic", "claude", None)
    assert one["tokens"] == round(exact * 1.2)


async def test_reports_calibrate_a_family_of_their_workspace(client: httpx.AsyncClient) -> None:
    exact = (await count(client, text=TEXT))["total"]
    reported = round(exact * 1.4)
    report = {"text": TEXT, "tokens": reported}
    known = (
        await client.post("/tokens/reports", json={"model": "claude-a", "reports": [report] * 12})
    ).json()
    assert (known["taken"], known["pairs"], known["exactness"]) == (12, 12, "heuristic")
    more = [{"counted_tokens": 500, "tokens": 700}] * 10 + [{"counted_tokens": 9, "tokens": 30}]
    body = {"model": "claude-b", "reports": more}
    known = (await client.post("/tokens/reports", json=body)).json()
    assert (known["taken"], known["left_out"], known["pairs"]) == (10, 1, 22)
    assert known["exactness"] == "calibrated"

    (one,) = (await count(client, text=TEXT, model="claude-c"))["items"]
    assert (one["exactness"], one["family"]) == ("calibrated", "claude")
    assert one["tokens"] == pytest.approx(reported, rel=0.02)
    assert one["p95_error_pct"] < 3
    (one,) = (await count(client, text=TEXT, model="claude-c", workspace="other"))["items"]
    assert one["exactness"] == "heuristic"


async def test_usage_calibrates_where_events_say_what_was_counted(
    client: httpx.AsyncClient,
) -> None:
    event = {
        "agent": "a",
        "budget_tokens": None,
        "used_tokens": 1000,
        "model": "gemini-9",
        "input_tokens": 1300,
        "metadata": {"counted_tokens": 1000},
    }
    sent = [{**event, "id": f"e{at}"} for at in range(25)]
    for _ in range(2):  # delivered twice, counted once
        assert (await client.post("/usage", json=sent)).status_code == 201
    (one,) = (await count(client, text=TEXT, model="gemini-9"))["items"]
    assert one["exactness"] == "calibrated"
    reports = {"model": "gemini-9", "reports": [{"counted_tokens": 100, "tokens": 130}]}
    assert (await client.post("/tokens/reports", json=reports)).json()["pairs"] == 26


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a", "texts": ["a"]},
        {"text": "a", "model": "gpt-4", "encoding": "cl100k_base"},
        {"text": "a", "encoding": "p50k_base"},
        {"text": "a", "model": "gpt-4\nx"},
        {"text": 7},
        {"texts": ["a"] * 10_001},
        {"text": "a", "stray": 1},
        {"text": "a\x00"},
    ],
)
async def test_bad_requests_are_refused(
    light_client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await light_client.post("/tokens/count", json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"model": "gpt-4o", "reports": [{"text": "a", "tokens": 1}]},
        {"model": "claude", "reports": []},
        {"model": "claude", "reports": [{"tokens": 1}]},
        {"model": "claude", "reports": [{"text": "a", "counted_tokens": 1, "tokens": 1}]},
        {"model": "claude", "reports": [{"counted_tokens": -1, "tokens": 1}]},
    ],
)
async def test_bad_reports_are_refused(
    light_client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await light_client.post("/tokens/reports", json=body)
    assert answer.status_code == 422, answer.text


async def test_texts_that_would_take_long_are_refused_with_what_to_do(
    light_client: httpx.AsyncClient,
) -> None:
    most = "word " * 600_000
    assert (await count(light_client, text=most))["total"] == 600_001
    for path, body, words in (
        ("/tokens/count", {"text": most + "x"}, "several requests"),
        ("/tokens/count", {"texts": [most, "x"]}, "several requests"),
        ("/tokens/count", {"text": "ab" * 400_000}, "without a blank"),
        ("/tokens/count", {"texts": [" " * 9_999] * 110}, "without a blank"),
        ("/minify", {"context": {"a": "ab" * 400_000}, "max_tokens": 9}, "without a blank"),
        (
            "/tokens/reports",
            {"model": "claude", "reports": [{"text": most + "x", "tokens": 9}]},
            "several requests",
        ),
    ):
        answer = await light_client.post(path, json=body)
        assert answer.status_code == 422, answer.text
        assert words in answer.text
