"""Every call of a transcript is one event, however often and in whatever order lines tell of it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.transcripts import HELD, Transcript, is_line, project_of
from app.core.usage import UsageEvent
from tests.conftest import NOW
from tests.transcripts import (
    MODEL,
    SECRET,
    SESSION,
    asked,
    at,
    returned,
    said,
    session_lines,
    side_lines,
    spawn,
    usage,
)

Line = dict[str, Any]


def read(
    lines: Iterable[Any], *, is_over: bool = True, **about: Any
) -> tuple[list[UsageEvent], int]:
    """The events of a file, and how many calls are still being written."""
    reader = Transcript(workspace="default", now=NOW, **about)
    found = [one for number, line in enumerate(lines, 1) for one in reader.take(line, number)]
    ready, waiting = reader.rest(is_over=is_over)
    return [one.event for one in (*found, *ready)], waiting


def by_id(events: Iterable[UsageEvent]) -> dict[str, UsageEvent]:
    """As the database keeps them: the first of an id counts."""
    kept: dict[str, UsageEvent] = {}
    for event in events:
        kept.setdefault(event.id, event)
    return kept


def one(line: Line, **about: Any) -> UsageEvent:
    (event,), _ = read([line], **about)
    return event


def test_a_session_is_its_calls() -> None:
    events, waiting = read(session_lines())
    assert waiting == 0
    told = [(e.id, e.agent, e.used_tokens, e.cached_tokens, e.output_tokens) for e in events]
    assert told == [
        ("claude-code:msg_01AAAAAAAAAAAAAAAA", "claude-code", 21_000, 0, 310),
        ("claude-code:msg_01BBBBBBBBBBBBBBBB", "claude-code", 44_000, 21_000, 95),
        ("claude-code:msg_01CCCCCCCCCCCCCCCC", "claude-code", 61_000, 44_000, 777),
    ]
    first = events[0]
    assert (first.needed_tokens, first.input_tokens) == (21_000, 21_000)
    assert (first.session_id, first.run_id, first.project) == (SESSION, None, "webshop")
    assert (first.model, first.budget_tokens, first.duration_seconds) == (MODEL, None, None)
    assert first.cost_nano_usd is None
    assert SECRET not in repr(events)


def test_cached_tokens_are_told_apart_and_counted_once() -> None:
    spent = usage(130_213, 10, read=128_955, written=1_253)
    event = one(said("msg_01AAAAAAAAAAAAAAAA", 1, spent))
    assert (event.used_tokens, event.input_tokens) == (130_213, 130_213)
    assert (event.cached_tokens, event.cache_write_tokens) == (128_955, 1_253)
    assert event.cache_write_1h_tokens == 0
    spent["cache_creation"] = {"ephemeral_1h_input_tokens": 1_000}
    assert one(said("msg_01AAAAAAAAAAAAAAAA", 1, spent)).cache_write_1h_tokens == 1_000


def test_what_old_versions_knew_of_costs_is_kept() -> None:
    event = one(said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1), costUSD=0.0123))
    assert event.cost_nano_usd == 12_300_000


@pytest.mark.parametrize(
    "line",
    [
        said("msg_01AAAAAAAAAAAAAAAA", 1, usage(0, 0)),
        said("msg_01AAAAAAAAAAAAAAAA", 1, usage(5, 5), model="<synthetic>"),
        said("msg_01AAAAAAAAAAAAAAAA", 1, usage(5, 5), isApiErrorMessage=True),
        asked(1),
        {"type": "summary", "summary": SECRET, "leafUuid": "x"},
        {"type": "attachment", "attachment": {"usage": {"input_tokens": 1}}},
        {"type": "user", "toolUseResult": "Error", "message": {"content": "x"}},
        {"type": "assistant", "message": {"usage": None}},
        {"type": "assistant", "message": "words"},
        {},
    ],
)
def test_what_was_not_sent_to_a_model_is_no_call(line: Line) -> None:
    assert read([line]) == ([], 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": None}, "timestamp is no time"),
        ({"timestamp": "yesterday"}, "timestamp is no time"),
        ({"timestamp": "2026-03-14T16:10:00Z"}, "timestamp is more than an hour in the future"),
        ({"timestamp": "9999-12-31T23:59:59.999999-23:59"}, "timestamp is no time"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "timestamp lies before 1970"),
        ({"costUSD": -1}, "costUSD is no amount of USD"),
        ({"message": {"id": "m" * 20, "usage": {"input_tokens": -1}}}, "input_tokens is no number"),
        ({"message": {"id": "m" * 20, "usage": {"input_tokens": 1.5}}}, "input_tokens is no numb"),
        ({"message": {"id": "m" * 20, "usage": {"input_tokens": True}}}, "input_tokens is no num"),
        (
            {"message": {"id": "m" * 20, "usage": {"output_tokens": 10**11}}},
            "output_tokens is more",
        ),
        ({"message": {"id": "m" * 20, "usage": {"output_tokens": "9e999999999"}}}, "output_tokens"),
        (
            {
                "message": {
                    "id": "m" * 20,
                    "usage": {"input_tokens": 10**10, "cache_read_input_tokens": 1},
                }
            },
            "the context is more than",
        ),
        (
            {"message": {"usage": {"input_tokens": 1}}, "requestId": None, "uuid": 7},
            "has neither message.id nor requestId nor uuid",
        ),
    ],
)
def test_what_cannot_be_booked_says_why_and_quotes_nothing(change: Line, reason: str) -> None:
    line = said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1)) | change
    with pytest.raises(InvalidRequest) as caught:
        read([line])
    assert caught.value.detail.startswith(reason)


@pytest.mark.parametrize("line", [[], "x", 7, None, True])
def test_a_line_that_is_no_object_is_refused(line: Any) -> None:
    with pytest.raises(InvalidRequest, match="is no JSON object"):
        read([line])


def test_old_calls_are_taken() -> None:
    event = one(said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1)) | {"timestamp": "1999-01-01T00:00Z"})
    assert event.at == 915_148_800_000_000


# Sub-agents


def agents_of(*files: tuple[dict[str, Any], Sequence[Line]]) -> list[str]:
    """Names of the agents of the calls of several files of one import."""
    shared: dict[str, str] = {}
    return [
        event.agent for about, lines in files for event in read(lines, agents=shared, **about)[0]
    ]


SIDE = side_lines("a1b2c3d", [("msg_01EEEEEEEEEEEEEEEE", 12_000)])


def test_a_sub_agent_is_named_by_the_line_that_says_so() -> None:
    lines = [{**line, "attributionAgent": "Explore"} for line in SIDE]
    assert agents_of(({"agent": "from the file beside it"}, lines)) == ["Explore"]


def test_a_sub_agent_is_named_by_the_file_beside_its_own() -> None:
    assert agents_of(({"is_side": True, "agent": "code-reviewer"}, SIDE)) == ["code-reviewer"]


@pytest.mark.parametrize(
    "result",
    [
        returned("toolu_01", 60, "a1b2c3d"),
        returned("toolu_99", 60, "a1b2c3d", agentType="Explore"),
        returned("toolu_01", 11, "a1b2c3d", status="async_launched"),
    ],
)
def test_a_sub_agent_is_named_by_the_session_that_started_it(result: Line) -> None:
    call = said("msg_01AAAAAAAAAAAAAAAA", 5, usage(9, 1), block=spawn("toolu_01", "Explore"))
    main = ({}, [call, result])
    assert agents_of(main, ({"is_side": True}, SIDE)) == ["claude-code", "Explore"]


def test_a_sub_agent_between_the_lines_of_its_session_is_named_by_its_prompt() -> None:
    start = said("msg_01AAAAAAAAAAAAAAAA", 5, usage(9, 1), block=spawn("toolu_01", "Explore"))
    other = said("msg_01AAAAAAAAAAAAAAAA", 5, usage(9, 1), block=spawn("toolu_02", "planner"))
    prompt = asked(6, f"{SECRET} for toolu_01", isSidechain=True, uuid="p1")
    inner = said("msg_01SSSSSSSSSSSSSSSS", 7, usage(8, 1), isSidechain=True) | {
        "parentUuid": "p1",
        "uuid": "s1",
    }
    last = said("msg_01TTTTTTTTTTTTTTTT", 8, usage(8, 1), isSidechain=True) | {"parentUuid": "s1"}
    assert agents_of(({}, [start, other, prompt, inner, last])) == [
        "claude-code",
        "Explore",
        "Explore",
    ]


def test_a_sub_agent_in_lines_of_progress_is_named_by_the_tool_call() -> None:
    start = said("msg_01AAAAAAAAAAAAAAAA", 5, usage(9, 1), block=spawn("toolu_01", "Explore"))
    inner = said("msg_01SSSSSSSSSSSSSSSS", 7, usage(8, 1))
    progress = {
        "type": "progress",
        "sessionId": SESSION,
        "parentToolUseID": "toolu_01",
        "timestamp": at(8),
        "data": {
            "type": "agent_progress",
            "agentId": "a1b2c3d",
            "prompt": SECRET,
            "message": {name: inner[name] for name in ("type", "message", "requestId", "uuid")},
        },
    }
    events, _ = read([start, progress])
    assert [(e.agent, e.run_id, e.session_id) for e in events] == [
        ("claude-code", None, SESSION),
        ("Explore", "a1b2c3d", SESSION),
    ]


def test_a_sub_agent_that_nothing_names_is_called_so() -> None:
    assert agents_of(({}, SIDE)) == ["subagent"]
    assert agents_of(({"is_side": True, "agent": "\x00"}, SIDE)) == ["subagent"]
    assert agents_of(({"is_side": True}, [said("m" * 20, 1, usage(9, 1))])) == ["subagent"]


def test_an_aside_that_replays_its_session_changes_nothing() -> None:
    main = session_lines()
    aside = [
        {**line, "isSidechain": True, "agentId": "aside", "requestId": "other"} for line in main
    ]
    apart = by_id([*read(main)[0], *read(aside, is_side=True)[0]])
    assert apart == by_id(read(main)[0])
    assert by_id(read([*aside, *main])[0]) == apart


# Identity


def test_calls_without_a_request_id_are_told_apart_by_their_message() -> None:
    lines = [
        said("msg_01AAAAAAAAAAAAAAAA", second, usage(9, second), requestId=None)
        for second in (1, 2)
    ]
    events, _ = read(lines)
    assert [event.output_tokens for event in events] == [2]


def test_short_ids_of_gateways_are_of_their_session() -> None:
    same = [one(said("chat-1", 1, usage(9, 1), session=name)).id for name in "aab"]
    assert same[0] == same[1] != same[2]


@given(id_=st.text(min_size=1, max_size=300))
def test_any_id_makes_an_id_that_can_be_kept(id_: str) -> None:
    event = one(said(id_, 1, usage(9, 1)))
    assert event.id.startswith("claude-code:")
    assert 0 < len(event.id) <= 200
    assert "/" not in event.id
    assert event.id.isprintable()
    assert event.id == one(said(id_, 2, usage(9, 1))).id


@pytest.mark.parametrize(
    ("cwd", "project"),
    [
        ("/srv/code/webshop", "webshop"),
        ("/srv/code/webshop/", "webshop"),
        ("C:\\code\\webshop", "webshop"),
        ("webshop", "webshop"),
        ("/", None),
        ("", None),
        ("/a*b", None),
        ("/a\nb", None),
        ("/a\x9b2Jb", None),
        (None, None),
        (7, None),
    ],
)
def test_a_project_is_the_last_part_of_its_path(cwd: Any, project: str | None) -> None:
    assert project_of(cwd) == project


# Laws


@st.composite
def sessions(draw: st.DrawFn) -> list[Line]:
    """Lines of a session and its sub-agents, those of a call after each other in their thread."""
    threads = []
    for agent in (None, "a1", "a2"):
        lines = []
        for number in range(draw(st.integers(0, 3))):
            id_ = f"msg_{agent}_{number:016d}"
            context = draw(st.integers(1, 200_000))
            outputs = sorted(draw(st.lists(st.integers(1, 9_000), min_size=1, max_size=3)))
            for place, output in enumerate(outputs):
                more = {} if agent is None else {"isSidechain": True, "agentId": agent}
                stop = "end_turn" if place + 1 == len(outputs) and draw(st.booleans()) else None
                lines.append(
                    said(id_, 10 * number + place, usage(context, output), stop=stop, **more)
                )
        threads.append(lines)
    merged: list[Line] = []
    while any(threads):
        thread = draw(st.sampled_from([lines for lines in threads if lines]))
        merged.append(thread.pop(0))
    return merged


def counts(lines: Iterable[Line]) -> dict[str, tuple[int, int]]:
    """Context and output by message, counted anew."""
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        message = line["message"]
        spent = message["usage"]
        context = spent["input_tokens"]
        before = found.get(message["id"], (0, 0))
        found[message["id"]] = (context, max(before[1], spent["output_tokens"]))
    return found


@given(lines=sessions(), data=st.data())
def test_any_order_and_any_repetition_of_lines_gives_the_same_events(
    lines: list[Line], data: st.DataObject
) -> None:
    expected, _ = read(lines)
    again = data.draw(st.lists(st.sampled_from(lines), max_size=10)) if lines else []
    shuffled = data.draw(st.permutations([*lines, *again]))
    assert by_id(read(shuffled)[0]) == by_id(expected)
    told = {
        event.id.removeprefix("claude-code:"): (event.used_tokens, event.output_tokens)
        for event in expected
    }
    assert told == counts(lines)


@given(lines=sessions(), data=st.data())
def test_imports_of_a_growing_file_come_to_what_one_import_does(
    lines: list[Line], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=4)))
    booked = [event for cut in cuts for event in read(lines[:cut], is_over=False)[0]]
    booked += read(lines)[0]
    assert by_id(booked) == by_id(read(lines)[0])


@given(lines=sessions(), data=st.data())
def test_a_fork_that_copies_history_adds_only_what_is_its_own(
    lines: list[Line], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(lines)))
    own = said("msg_own_0000000000000000", 99, usage(7, 7), session="fork")
    fork = [{**line, "sessionId": "fork", "uuid": "new"} for line in lines[:cut]]
    whole = by_id(read(lines)[0])
    with_fork = by_id([*whole.values(), *read([*fork, own])[0]])
    assert len(with_fork) == len(whole) + 1
    assert {id_: with_fork[id_] for id_ in whole} == whole


def test_the_last_call_of_a_growing_file_waits_until_it_is_told_to_the_end() -> None:
    open_ = said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1))
    assert read([open_], is_over=False) == ([], 1)
    done = said("msg_01AAAAAAAAAAAAAAAA", 2, usage(9, 5), stop="tool_use")
    assert read([open_, done], is_over=False)[1] == 0
    following = said("msg_01BBBBBBBBBBBBBBBB", 3, usage(9, 1))
    events, waiting = read([open_, following], is_over=False)
    assert ([event.output_tokens for event in events], waiting) == ([1], 1)


def test_memory_is_bounded_whatever_the_length_of_a_file() -> None:
    reader = Transcript(workspace="default", now=NOW)
    given_up = 0
    for number in range(3 * HELD):
        line = said(f"msg_{number:020d}", number, usage(9, 1), block=spawn(f"t{number}", "Explore"))
        given_up += len(list(reader.take(line, number)))
    assert given_up == 2 * HELD
    assert len(reader.rest(is_over=True)[0]) == HELD


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
FIELDS = (
    "message",
    "timestamp",
    "sessionId",
    "cwd",
    "agentId",
    "isSidechain",
    "toolUseResult",
    "data",
    "parentUuid",
    "attributionAgent",
    "costUSD",
    "type",
)


@given(changes=st.dictionaries(st.sampled_from(FIELDS), JSON), inner=JSON)
def test_no_line_breaks_the_reader(changes: Line, inner: Any) -> None:
    line = said("msg_01AAAAAAAAAAAAAAAA", 1, usage(9, 1)) | changes
    if isinstance(line.get("message"), dict) and "usage" in line["message"]:
        line["message"] = {**line["message"], "content": inner}
    try:
        events, _ = read([line, json.loads(json.dumps(line, default=str))])
    except InvalidRequest:
        return
    for event in events:
        assert 0 <= event.used_tokens <= 10**10
        assert replace(event) == event


def test_a_transcript_is_known_by_its_lines() -> None:
    assert all(is_line(line) for line in session_lines() if line["type"] != "file-history-snapshot")
    assert not is_line({"type": "x"})
    assert not is_line({"agent": "a", "sessionId": "s"})
