"""Read and write usage logs in the originals' shape: one JSON object a line."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api import names
from app.api.schemas.common import AgentName, Label, Name, ShortText, Task, Tier, Tokens
from app.api.schemas.usage import Cost, EventId, Metadata, dated, nano
from app.api.strict import check_once
from app.core.analytics import usd
from app.core.errors import InvalidRequest
from app.core.ids import base32, tag_of
from app.core.pricing import Service
from app.core.usage import UsageEvent
from app.core.windows import moment

EXTRAS = (
    "project",
    "user",
    "session_id",
    "run_id",
    "model",
    "stage",
    "needed_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "service",
    "profile",
)
"""What our lines say beyond the originals', where it is known."""


class UsageLine(BaseModel):
    """One line of `budget-usage.jsonl`, with what our own export adds."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)

    id: EventId | None = None
    timestamp: datetime
    agent: AgentName | None
    """Null: a workspace's budget, no agent named (our own exports)."""
    task: Task | None = None
    complexity: Tier | None = None
    budget_allocated: Tokens | None
    tokens_loaded: Tokens
    scope_breakdown: Annotated[dict[Name, Tokens], Field(max_length=64)] = {}
    warnings: Annotated[list[dict[str, Any]], Field(max_length=100)] = []
    duration_seconds: Annotated[float, Field(ge=0, le=31_536_000)] | None = None
    success: bool | None = None
    error: ShortText | None = None
    project: Name | None = None
    user: Label | None = None
    session_id: Label | None = None
    run_id: Label | None = None
    model: Label | None = None
    stage: Label | None = None
    profile: Label | None = None
    needed_tokens: Tokens | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    cache_write_1h_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    service: Service | None = None
    cost_usd: Cost | None = None
    metadata: Metadata | None = None


def read_line(
    raw: bytes,
    *,
    workspace: str,
    identify: Callable[[str, str], tuple[str, str | None]],
    now: datetime,
) -> UsageEvent:
    """The event of a line. Errors: InvalidRequest saying what is wrong with it.

    A line's identity is its `id`, else the hash of its bytes: the same line again is the same run.
    """
    try:
        line = UsageLine.model_validate_json(raw)
        check_once(raw, line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = names.in_words(first["msg"])
        raise InvalidRequest(f"{where}: {msg}" if where else msg) from error
    if "\0" in f"{line.task}{line.error}":
        raise InvalidRequest("a text holds a NUL character")
    _check_parts(line)
    agent, profile = ("", None) if line.agent is None else identify(workspace, line.agent)
    return UsageEvent(
        id=line.id or _hashed(raw, workspace),
        workspace=workspace,
        at=dated(line.timestamp, now),
        agent=agent,
        profile=line.profile or profile,
        used_tokens=line.tokens_loaded,
        budget_tokens=line.budget_allocated,
        needed_tokens=line.needed_tokens,
        complexity=line.complexity,
        project=line.project,
        user=line.user,
        session_id=line.session_id,
        run_id=line.run_id,
        model=line.model,
        stage=line.stage,
        task=line.task,
        scopes=line.scope_breakdown,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        cached_tokens=line.cached_tokens,
        cache_write_tokens=line.cache_write_tokens,
        cache_write_1h_tokens=line.cache_write_1h_tokens,
        reasoning_tokens=line.reasoning_tokens,
        service=line.service,
        cost_nano_usd=nano(line.cost_usd),
        duration_seconds=line.duration_seconds,
        success=line.success,
        error=line.error,
        alerts=tuple(map(_alert_of_warning, line.warnings)),
        metadata=line.metadata or {},
    )


def _check_parts(line: UsageLine) -> None:
    """Errors: InvalidRequest, where a part of the tokens is more than its whole."""
    written, kept = line.cache_write_tokens or 0, line.cache_write_1h_tokens or 0
    if written and (line.cached_tokens or 0) + written > (line.input_tokens or 0):
        raise InvalidRequest("cache_write_tokens: with cached_tokens more than input_tokens")
    if kept > written:
        raise InvalidRequest("cache_write_1h_tokens: more than cache_write_tokens")
    if (line.reasoning_tokens or 0) > (line.output_tokens or 0):
        raise InvalidRequest("reasoning_tokens: more than output_tokens")


def _hashed(raw: bytes, workspace: str) -> str:
    digest = hashlib.blake2b(raw.strip(), digest_size=15).digest()
    return f"use_{base32(int.from_bytes(digest, 'big'), 24)}_{tag_of(workspace)}"


def _alert_of_warning(warning: Mapping[str, Any]) -> dict[str, Any]:
    """A warning of the originals as an alert: their share of the budget is our per cent."""
    share = warning.get("usage_pct")
    return {
        "level": str(warning.get("threshold", ""))[:40],
        "used_pct": share * 100 if isinstance(share, int | float) else None,
        "tokens": None,
        "at": str(warning.get("timestamp", ""))[:40],
        "message": str(warning.get("message", ""))[:400],
        "bump": None,
    }


def write_line(event: UsageEvent) -> dict[str, Any]:
    """An event as a line of the originals' log, with its id and what else is known of it."""
    budget = event.budget_tokens
    line: dict[str, Any] = {
        "timestamp": moment(event.at).replace(tzinfo=None).isoformat(),
        "agent": event.agent or None,
        "task": event.task,
        "complexity": event.complexity,
        "budget_allocated": budget,
        "tokens_loaded": event.used_tokens,
        "usage_pct": 100 * event.used_tokens / budget if budget else 0.0,
        "exceeded_budget": event.exceeded,
        "scope_breakdown": dict(event.scopes),
        "warnings_count": len(event.alerts),
        "warnings": [_warning_of_alert(alert) for alert in event.alerts],
        "duration_seconds": event.duration_seconds,
        "success": event.success,
        "error": event.error,
        "id": event.id,
    }
    for name in EXTRAS:
        value = getattr(event, name)
        if value is not None:
            line[name] = value
    if event.cost_nano_usd is not None:
        line["cost_usd"] = usd(event.cost_nano_usd)
    if event.metadata:
        line["metadata"] = dict(event.metadata)
    return line


def _warning_of_alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    pct = alert.get("used_pct")
    return {
        "timestamp": alert.get("at"),
        "threshold": alert.get("level"),
        "usage_pct": None if pct is None else pct / 100,
        "message": alert.get("message"),
    }
