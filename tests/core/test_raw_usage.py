"""Counts of five providers' shapes, worked out by hand."""

from typing import Any

import pytest

from app.core.errors import InvalidRequest
from app.core.pricing import Counts
from app.core.raw_usage import Reported, read_usage

VECTORS: list[tuple[dict[str, Any], Reported]] = [
    (  # 1,920 of 2,006 were cached
        {
            "prompt_tokens": 2_006,
            "completion_tokens": 300,
            "total_tokens": 2_306,
            "prompt_tokens_details": {"cached_tokens": 1_920, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 128},
        },
        Reported(
            shape="openai-chat",
            counts=Counts(input=2_006, output=300, cached=1_920, reasoning=128),
        ),
    ),
    (
        {
            "input_tokens": 328,
            "input_tokens_details": {"cached_tokens": 100},
            "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 20},
            "total_tokens": 380,
        },
        Reported(
            shape="openai-responses",
            counts=Counts(input=328, output=52, cached=100, reasoning=20),
        ),
    ),
    (  # 5 + 128,955 + 1,253 = 130,213
        {
            "input_tokens": 5,
            "cache_read_input_tokens": 128_955,
            "cache_creation_input_tokens": 1_253,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 253,
                "ephemeral_1h_input_tokens": 1_000,
            },
            "output_tokens": 77,
            "service_tier": "batch",
        },
        Reported(
            shape="anthropic",
            counts=Counts(
                input=130_213, output=77, cached=128_955, cache_write=1_253, cache_write_1h=1_000
            ),
            service="batch",
        ),
    ),
    (  # the model's thoughts are paid as output, results of tools as input
        {
            "promptTokenCount": 1_000,
            "cachedContentTokenCount": 600,
            "toolUsePromptTokenCount": 50,
            "candidatesTokenCount": 200,
            "thoughtsTokenCount": 300,
            "totalTokenCount": 1_550,
        },
        Reported(shape="gemini", counts=Counts(input=1_050, output=500, cached=600, reasoning=300)),
    ),
    (
        {
            "gen_ai.usage.input_tokens": 130_213,
            "gen_ai.usage.output_tokens": 77,
            "gen_ai.usage.cache_read.input_tokens": 128_955,
            "gen_ai.usage.cache_creation.input_tokens": 1_253,
            "gen_ai.request.model": "any",
        },
        Reported(
            shape="otel",
            counts=Counts(input=130_213, output=77, cached=128_955, cache_write=1_253),
        ),
    ),
    (  # LiteLLM's prompt holds what the cache held and what was written to it
        {
            "prompt_tokens": 130_213,
            "completion_tokens": 77,
            "prompt_tokens_details": {"cached_tokens": 128_955},
            "cache_read_input_tokens": 128_955,
            "cache_creation_input_tokens": 1_253,
        },
        Reported(
            shape="litellm",
            counts=Counts(input=130_213, output=77, cached=128_955, cache_write=1_253),
        ),
    ),
    (  # and where it does not, its parts say so
        {
            "prompt_tokens": 5,
            "completion_tokens": 77,
            "cache_read_input_tokens": 128_955,
            "cache_creation_input_tokens": 1_253,
        },
        Reported(
            shape="litellm",
            counts=Counts(input=130_213, output=77, cached=128_955, cache_write=1_253),
        ),
    ),
]


@pytest.mark.parametrize(("raw", "reported"), VECTORS, ids=lambda one: getattr(one, "shape", ""))
def test_each_shape_comes_to_the_same_kind_of_counts(
    raw: dict[str, Any], reported: Reported
) -> None:
    assert read_usage(raw) == reported


@pytest.mark.parametrize("name", ["usage", "usageMetadata", "usage_metadata"])
def test_a_whole_response_will_do(name: str) -> None:
    raw, reported = VECTORS[0]
    assert read_usage({"model": "any", name: raw}) == reported


def test_the_way_of_serving_may_stand_beside_the_usage() -> None:
    found = read_usage({"service_tier": "flex", "usage": {"prompt_tokens": 1}})
    assert found.service == "flex"
    assert read_usage({"service_tier": "auto", "usage": {"prompt_tokens": 1}}).service == "standard"


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"tokens": 5},
        {"prompt_tokens": -1},
        {"prompt_tokens": 1.5},
        {"prompt_tokens": True},
        {"prompt_tokens": "7"},
        {"prompt_tokens": 10**11},
        {"prompt_tokens": 1, "prompt_tokens_details": [1]},
        {"input_tokens": 1, "cache_read_input_tokens": "many"},
    ],
)
def test_what_is_no_count_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_usage(raw)
    assert refused.value.errors[0]["loc"][:2] == ["body", "usage"]
