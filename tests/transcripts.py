"""Write transcripts and spend logs as Claude Code and LiteLLM write them, of several versions.

Every field that holds words of people or models holds `SECRET`, so that a test can look for it.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SECRET = "XYZZY-nobody-may-keep-this"
START = datetime(2026, 2, 3, 9, 30, tzinfo=UTC)
SESSION = "6f2d8f0a-91c4-4f0b-8a57-0d2c6c1be001"
CWD = f"/srv/{SECRET}/code/webshop"
MODEL = "claude-sonnet-4-5-20250929"


def at(seconds: float) -> str:
    """A time stamp, so many seconds after the start."""
    moment = START + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def usage(context: int, output: int, *, read: int = 0, written: int = 0) -> dict[str, Any]:
    """What a call used: a context, of which some was read from a cache or written to it."""
    return {
        "input_tokens": context - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def said(
    id_: str,
    seconds: float,
    spent: Mapping[str, Any],
    *,
    block: Mapping[str, Any] | None = None,
    stop: str | None = None,
    model: str = MODEL,
    session: str = SESSION,
    **more: Any,
) -> dict[str, Any]:
    """A line of an answer: one block of what the model said."""
    return {
        "parentUuid": f"user-{id_}",
        "isSidechain": False,
        "userType": "external",
        "cwd": CWD,
        "sessionId": session,
        "version": "2.1.29",
        "gitBranch": SECRET,
        "type": "assistant",
        "message": {
            "model": model,
            "id": id_,
            "type": "message",
            "role": "assistant",
            "content": [block or {"type": "text", "text": SECRET}],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": dict(spent),
        },
        "requestId": f"req_{id_}",
        "uuid": f"line-{id_}-{seconds}",
        "timestamp": at(seconds),
        **more,
    }


def asked(seconds: float, content: Any = SECRET, **more: Any) -> dict[str, Any]:
    """A line of a person, or of what a tool answered."""
    return {
        "parentUuid": None,
        "isSidechain": False,
        "cwd": CWD,
        "sessionId": SESSION,
        "version": "2.1.29",
        "type": "user",
        "message": {"role": "user", "content": content},
        "uuid": f"user-{seconds}",
        "timestamp": at(seconds),
        **more,
    }


def spawn(tool_id: str, kind: str | None, name: str = "Task") -> dict[str, Any]:
    """The block by which an agent starts a sub-agent."""
    given = {"description": SECRET, "prompt": f"{SECRET} for {tool_id}"}
    if kind is not None:
        given["subagent_type"] = kind
    return {"type": "tool_use", "id": tool_id, "name": name, "input": given}


def returned(tool_id: str, seconds: float, agent_id: str, **more: Any) -> dict[str, Any]:
    """The line in which a sub-agent's result comes back."""
    content = [{"type": "tool_result", "tool_use_id": tool_id, "content": SECRET}]
    result = {"status": "completed", "agentId": agent_id, "content": SECRET, "prompt": SECRET}
    return asked(seconds, content, toolUseResult={**result, **more})


def session_lines() -> list[dict[str, Any]]:
    """A session: three calls, of which two come in several lines, and two sub-agents' starts."""
    return [
        {"type": "summary", "summary": SECRET, "leafUuid": "leaf-1"},
        {"type": "file-history-snapshot", "messageId": "m", "snapshot": {"tracked": SECRET}},
        asked(0),
        said("msg_01AAAAAAAAAAAAAAAA", 4, usage(21_000, 8, written=18_000)),
        said(
            "msg_01AAAAAAAAAAAAAAAA",
            5,
            usage(21_000, 310, written=18_000),
            block=spawn("toolu_01", "Explore"),
        ),
        {"type": "system", "subtype": "compact_boundary", "content": SECRET, "sessionId": SESSION},
        returned("toolu_01", 60, "a1b2c3d"),
        said("msg_01BBBBBBBBBBBBBBBB", 70, usage(44_000, 1, read=21_000)),
        said(
            "msg_01BBBBBBBBBBBBBBBB",
            71,
            usage(44_000, 95, read=21_000),
            block=spawn("toolu_02", "feature-dev:code-reviewer", "Agent"),
        ),
        returned("toolu_02", 100, "e4f5a6b", agentType="feature-dev:code-reviewer"),
        said(
            "msg_synthetic",
            101,
            usage(0, 0),
            model="<synthetic>",
            isApiErrorMessage=True,
        ),
        said("msg_01CCCCCCCCCCCCCCCC", 120, usage(61_000, 777, read=44_000), stop="end_turn"),
    ]


def side_lines(agent_id: str, calls: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """A sub-agent's own file: ids and contexts of its calls."""
    lines = [asked(10, isSidechain=True, agentId=agent_id)]
    for number, (id_, context) in enumerate(calls):
        for second, output in ((0, 1), (1, 40)):
            line = said(
                id_,
                20 + 5 * number + second,
                usage(context, output, read=context // 2),
                model="claude-haiku-4-5-20251001",
                isSidechain=True,
                agentId=agent_id,
            )
            lines.append(line)
    return lines


def write_lines(path: Path, lines: Iterable[Any], *, age: float = 86_400, end: str = "\n") -> None:
    """A file of JSON Lines that was last written so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(line) for line in lines) + end, encoding="utf-8")
    then = datetime.now(UTC).timestamp() - age
    os.utime(path, (then, then))


def write_projects(folder: Path) -> Path:
    """A `projects` folder: a session, its two sub-agents, and a fork that copies its history."""
    project = folder / f"-srv-{SECRET}-code-webshop"
    sides = project / SESSION / "subagents"
    write_lines(project / f"{SESSION}.jsonl", session_lines(), age=90_000)
    write_lines(
        sides / "agent-a1b2c3d.jsonl",
        side_lines(
            "a1b2c3d", [("msg_01EEEEEEEEEEEEEEEE", 12_000), ("msg_01FFFFFFFFFFFFFFFF", 15_000)]
        ),
    )
    write_lines(
        sides / "agent-e4f5a6b.jsonl", side_lines("e4f5a6b", [("msg_01GGGGGGGGGGGGGGGG", 30_000)])
    )
    (sides / "agent-e4f5a6b.meta.json").write_text('{"agentType": "code-reviewer"}')
    fork = [{**line, "sessionId": "fork"} for line in session_lines()]
    fork.append(
        said("msg_01HHHHHHHHHHHHHHHH", 500, usage(65_000, 12), session="fork", stop="end_turn")
    )
    write_lines(project / "0a0a0a0a-0000-4000-8000-000000000000.jsonl", fork, age=80_000)
    (project / "memory").mkdir()
    (project / "memory" / "MEMORY.md").write_text(SECRET)
    (project / "sessions-index.json").write_text(json.dumps({"version": 1, "entries": [SECRET]}))
    return folder


def spend_row(number: int, **more: Any) -> dict[str, Any]:
    """A row of `/spend/logs` of a proxy of 2026, with prompts kept."""
    started = START + timedelta(minutes=number)
    return {
        "request_id": f"chatcmpl-{number:032d}",
        "call_type": "acompletion",
        "api_key": f"{SECRET}-hash",
        "spend": 0.0125,
        "total_tokens": 12_500,
        "prompt_tokens": 12_000,
        "completion_tokens": 500,
        "startTime": started.isoformat(),
        "endTime": (started + timedelta(seconds=2.5)).isoformat(),
        "completionStartTime": started.isoformat(),
        "model": "anthropic/claude-sonnet-4-5",
        "model_id": "",
        "model_group": "claude",
        "custom_llm_provider": "anthropic",
        "api_base": f"https://{SECRET}/v1",
        "user": "default_user_id",
        "metadata": {
            "user_api_key": f"{SECRET}-hash",
            "user_api_key_alias": "support-bot",
            "user_api_key_team_alias": "support",
            "requester_ip_address": SECRET,
            "status": "success",
            "error_information": {"error_message": SECRET},
            "usage_object": {
                "prompt_tokens": 12_000,
                "completion_tokens": 500,
                "prompt_tokens_details": {"cached_tokens": 8_000},
            },
        },
        "cache_hit": "None",
        "cache_key": "Cache OFF",
        "request_tags": ["User-Agent: curl"],
        "team_id": "team-1",
        "end_user": "",
        "requester_ip_address": SECRET,
        "messages": [{"role": "user", "content": f'{SECRET}, "quoted",\nand broken'}],
        "response": {"choices": [{"message": {"content": SECRET}}]},
        "session_id": f"session-{number % 3}",
        "status": "success",
        **more,
    }


def as_csv(rows: Iterable[Mapping[str, Any]], *, delimiter: str = ",", lower: bool = False) -> str:
    """Rows as a database exports them: JSON columns as texts."""
    listed = list(rows)
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(name.lower() if lower else name for name in listed[0])
    for row in listed:
        cells = [json.dumps(one) if isinstance(one, dict | list) else one for one in row.values()]
        writer.writerow(cells)
    return out.getvalue()
