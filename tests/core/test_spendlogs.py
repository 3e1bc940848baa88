"""A row of LiteLLM's spend logs is one event, with whatever columns its version has."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.spendlogs import is_row, read_row
from app.core.usage import UsageEvent
from tests.conftest import NOW
from tests.transcripts import SECRET, spend_row


def read(row: Any) -> UsageEvent:
    return read_row(row, workspace="default", now=NOW)


def about(**more: Any) -> dict[str, Any]:
    """A row whose metadata says something else, and nothing of its key."""
    return spend_row(1, metadata=more)


def test_a_row_of_today() -> None:
    event = read(spend_row(1))
    assert event.id == "litellm:chatcmpl-00000000000000000000000000000001"
    assert (event.used_tokens, event.needed_tokens, event.input_tokens) == (12_000,) * 3
    assert (event.output_tokens, event.cached_tokens) == (500, 8_000)
    assert (event.cost_nano_usd, event.duration_seconds, event.success) == (12_500_000, 2.5, True)
    assert (event.agent, event.project) == ("support-bot", "support")
    assert (event.user, event.session_id) == ("default_user_id", "session-1")
    assert event.model == "anthropic/claude-sonnet-4-5"
    assert event.budget_tokens is None
    assert SECRET not in repr(event)


def test_a_row_of_2024() -> None:
    event = read(
        {
            "request_id": "chatcmpl-1",
            "call_type": "completion",
            "api_key": "hash",
            "spend": "7.25e-05",
            "total_tokens": 38,
            "prompt_tokens": 7,
            "completion_tokens": 31,
            "startTime": "2024-01-18T18:07:54.071000Z",
            "endTime": "2024-01-18T18:07:55.51",
            "model": "cohere.command",
            "user": "someone",
            "metadata": {},
            "cache_hit": "",
        }
    )
    assert (event.agent, event.used_tokens, event.cost_nano_usd) == ("litellm", 7, 72_500)
    assert event.duration_seconds == pytest.approx(1.439)
    assert (event.cached_tokens, event.success, event.session_id) == (0, None, None)


@pytest.mark.parametrize("write", [str.lower, str.upper, lambda name: f'"{name}"', str])
def test_names_of_columns_are_taken_in_any_case(write: Any) -> None:
    row = spend_row(1) | {"metadata": json.dumps(spend_row(1)["metadata"]), "spend": "0.0125"}
    assert read({write(name): value for name, value in row.items()}) == read(spend_row(1))


def test_columns_of_json_may_be_texts_of_texts() -> None:
    row = spend_row(1) | {"metadata": json.dumps(json.dumps(spend_row(1)["metadata"]))}
    assert read(row) == read(spend_row(1))


@pytest.mark.parametrize(
    ("row", "agent"),
    [
        (about(spend_logs_metadata={"agent": "from-request"}, agent="below"), "from-request"),
        (about(requester_metadata={"agent_name": "asked"}), "asked"),
        (about(agent="own"), "own"),
        (about() | {"request_tags": ["x", "Agent:tagged"]}, "tagged"),
        (about() | {"request_tags": '["agent=tagged"]'}, "tagged"),
        (about() | {"agent_id": "a2a"}, "a2a"),
        (about(user_api_key_alias="alias"), "alias"),
        (about() | {"end_user": "a person"}, "litellm"),
        (about(agent={"not": "a name"}), "litellm"),
        (about(agent="a\nb"), "litellm"),
        (about(agent="a\x9bb"), "litellm"),
    ],
)
def test_who_asked(row: dict[str, Any], agent: str) -> None:
    assert read(row).agent == agent


def test_cached_tokens_beside_the_prompt_belong_to_the_context() -> None:
    used = {"cache_read_input_tokens": 9_000, "cache_creation_input_tokens": 500}
    event = read(about(usage_object=used) | {"prompt_tokens": 12})
    assert (event.used_tokens, event.cached_tokens) == (9_512, 9_000)
    assert (event.input_tokens, event.cache_write_tokens) == (9_512, 500)


@pytest.mark.parametrize("kind", ["aembedding", "image_generation", "acreate_file", "rerank"])
def test_calls_without_a_context_cost_and_need_nothing(kind: str) -> None:
    event = read(spend_row(1, call_type=kind))
    assert (event.used_tokens, event.needed_tokens) == (0, 0)
    assert (event.input_tokens, event.cost_nano_usd) == (12_000, 12_500_000)


@pytest.mark.parametrize("where", ["row", "metadata"])
def test_a_failure_is_one(where: str) -> None:
    row = about(status="failure") | {"status": None}
    assert read(row if where == "metadata" else about() | {"status": "failure"}).success is False


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"request_id": None}, "has no request_id"),
        ({"request_id": " "}, "has no request_id"),
        ({"endTime": None, "startTime": ""}, "has neither endTime nor startTime"),
        ({"endTime": "soon"}, "endTime is no time"),
        ({"endTime": "2027-01-01T00:00:00"}, "endTime is more than an hour in the future"),
        ({"prompt_tokens": -5}, "prompt_tokens is no number of tokens"),
        ({"prompt_tokens": "many"}, "prompt_tokens is no number of tokens"),
        ({"completion_tokens": 10**12}, "completion_tokens is more than"),
        ({"spend": "nan"}, "spend is no amount of USD"),
        ({"spend": 1e9}, "spend is no amount of USD"),
    ],
)
def test_what_cannot_be_booked_says_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(spend_row(1) | change)
    assert caught.value.detail.startswith(reason)


def test_an_end_before_its_start_has_no_duration() -> None:
    assert read(spend_row(1) | {"startTime": "2026-03-01T00:00:00"}).duration_seconds is None
    assert read(spend_row(1) | {"startTime": None}).duration_seconds is None


@pytest.mark.parametrize("seconds", [1_770_110_000, 1_770_110_000_000, "1770110000.0"])
def test_times_may_be_seconds_or_milliseconds(seconds: Any) -> None:
    assert read(spend_row(1) | {"endTime": seconds}).at == 1_770_110_000_000_000


def test_rows_are_known() -> None:
    assert is_row(spend_row(1))
    assert is_row({"REQUEST_ID": "a", "StartTime": "b"})
    assert is_row({"spend": 1, "startTime": "a day's summary, which is then refused"})
    assert not is_row({"request_id": "a", "prompt_tokens": 1})
    assert not is_row({"agent": "a"})


NAMES = tuple(spend_row(1))
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(NAMES), JSON))
def test_no_row_breaks_the_reader(changes: dict[str, Any]) -> None:
    try:
        event = read(spend_row(1) | changes)
    except InvalidRequest:
        return
    assert 0 <= event.used_tokens <= 10**10
    assert event.agent
    assert len(event.id) <= 200
