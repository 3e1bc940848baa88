"""Turn rows of LiteLLM's spend logs into usage events: one for each request to the proxy.

Rows come from `/spend/logs` or the table `LiteLLM_SpendLogs`, with whatever columns the proxy's
version has; names are taken in any case. The context is the prompt, cached parts included. Keys,
their hashes, messages, responses, addresses and error texts are not kept.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.errors import InvalidRequest
from app.core.logged import (
    MAX_SECONDS,
    agent_of,
    event_id,
    label_of,
    moment_of,
    name_of,
    nano_usd_of,
    tokens_of,
)
from app.core.usage import MAX_TOKENS, UsageEvent
from app.core.windows import micros

SOURCE = "litellm"
AGENT = "litellm"
"""The name of the agent where nothing in a row says which it was."""

CONTEXT_FREE = ("embedding", "moderation", "image", "speech", "transcription", "rerank", "batch")
"""Parts of the `call_type`s that hold nothing in a context; they cost, and need no budget."""

FILES = ("file", "ocr", "vector_store", "mcp")
TAGS = ("agent:", "agent=")


def column(name: str) -> str:
    """A column's name without what versions and exports differ in: `startTime`, `start_time`."""
    return name.strip().strip('"').replace("_", "").lower()


def is_row(row: Mapping[str, Any]) -> bool:
    """Whether something is a row of a spend log."""
    names = set(map(column, map(str, row)))
    return len(names & {"requestid", "spend", "starttime"}) > 1


def read_row(row: Any, *, workspace: str, now: datetime) -> UsageEvent:
    """The event of a row. Errors: InvalidRequest saying what is wrong with it."""
    if not isinstance(row, Mapping):
        raise InvalidRequest("is no JSON object")
    given = {column(str(name)): value for name, value in row.items()}
    request = given.get("requestid")
    if not isinstance(request, str) or not request.strip():
        raise InvalidRequest("has no request_id; a summary by day? Export with summarize=false")
    about = _object(given.get("metadata"))
    started = given.get("starttime")
    ended = given.get("endtime") or started
    if ended is None or ended == "":
        raise InvalidRequest("has neither endTime nor startTime")
    at = moment_of(ended, "endTime", now)
    context, cached, written = _context(given, about)
    loads = _holds_context(str(given.get("calltype") or ""))
    return UsageEvent(
        id=event_id(SOURCE, request.strip()),
        workspace=workspace,
        at=micros(at),
        agent=_agent(given, about),
        used_tokens=context if loads else 0,
        needed_tokens=context if loads else 0,
        project=_first_name(about.get("user_api_key_team_alias"), given.get("teamid")),
        user=_first_label(given.get("enduser"), given.get("user")),
        session_id=label_of(given.get("sessionid")),
        model=label_of(given.get("model")),
        input_tokens=context,
        output_tokens=tokens_of(given.get("completiontokens"), "completion_tokens"),
        cached_tokens=cached,
        cache_write_tokens=written,
        cost_nano_usd=nano_usd_of(given.get("spend"), "spend"),
        duration_seconds=_duration(started, at, now),
        success=_succeeded(given, about),
        metadata={"source": SOURCE},
    )


def _context(given: Mapping[str, Any], about: Mapping[str, Any]) -> tuple[int, int, int]:
    """Tokens of the prompt, and how many of them were read from a cache and written to it.

    Most providers count cached tokens in the prompt; where there are more of them than the prompt
    has, they were counted beside it.
    """
    prompt = tokens_of(given.get("prompttokens"), "prompt_tokens")
    usage = _object(about.get("usage_object")) or _object(about.get("additional_usage_values"))
    details = _object(usage.get("prompt_tokens_details"))
    read = tokens_of(
        usage.get("cache_read_input_tokens") or details.get("cached_tokens"), "cached_tokens"
    )
    written = tokens_of(
        usage.get("cache_creation_input_tokens") or details.get("cache_creation_tokens"),
        "cache_creation_tokens",
    )
    context = prompt if read + written <= prompt else prompt + read + written
    if context > MAX_TOKENS:
        raise InvalidRequest(f"the context is more than {MAX_TOKENS:,} tokens")
    return context, read, written


def _agent(given: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Who asked: as the request says, else its tag, the agent behind it, the key's alias."""
    own = _object(about.get("spend_logs_metadata"))
    asked = _object(about.get("requester_metadata"))
    for place in (own, asked, about):
        for name in ("agent", "agent_name"):
            if found := agent_of(place.get(name)):
                return found
    for tag in _list(given.get("requesttags")):
        is_ours = isinstance(tag, str) and tag.lower().startswith(TAGS)
        if is_ours and (found := agent_of(tag[len(TAGS[0]) :])):
            return found
    return agent_of(given.get("agentid")) or agent_of(about.get("user_api_key_alias")) or AGENT


def _holds_context(call_type: str) -> bool:
    return not any(part in call_type.lower() for part in (*CONTEXT_FREE, *FILES))


def _duration(started: Any, ended: datetime, now: datetime) -> float | None:
    if started is None or started == "":
        return None
    seconds = (ended - moment_of(started, "startTime", now)).total_seconds()
    return seconds if 0 <= seconds <= MAX_SECONDS else None


def _succeeded(given: Mapping[str, Any], about: Mapping[str, Any]) -> bool | None:
    status = str(given.get("status") or about.get("status") or "").lower()
    return None if not status else status != "failure"


def _object(given: Any) -> Mapping[str, Any]:
    found = _parsed(given)
    return found if isinstance(found, Mapping) else {}


def _list(given: Any) -> list[Any]:
    found = _parsed(given)
    return found if isinstance(found, list) else []


def _parsed(given: Any) -> Any:
    """JSON, or the JSON that a text holds: exports write columns of JSON as texts."""
    for _ in range(2):
        if not isinstance(given, str):
            break
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return given


def _first_label(*given: Any) -> str | None:
    return next(filter(None, map(label_of, given)), None)


def _first_name(*given: Any) -> str | None:
    return next(filter(None, map(name_of, given)), None)
