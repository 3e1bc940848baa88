"""Say what a usage event looks like on the wire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Required

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from app.api import names
from app.api.reach import home
from app.api.schemas.amounts import PLAIN, to_nano
from app.api.schemas.common import AgentName, Label, Name, Reached, ShortText, Task, Tier, Tokens
from app.api.schemas.counts import RawUsage, bounded, counts_in, priced
from app.api.strict import check_list_once
from app.core.analytics import usd
from app.core.charging import PriceOf
from app.core.errors import InvalidRequest
from app.core.pricing import Service
from app.core.usage import UsageEvent
from app.core.windows import micros, moment

Identify = Callable[[str, str, str | None], tuple[str, str | None]]
"""workspace, agent, agent type → the agent's full name and its profile, if it has one."""

MAX_SCOPES = 64
MAX_BATCH = 10_000
AHEAD = timedelta(hours=1)
"""How far a client's clock may run ahead of ours."""


EventId = Annotated[str, Field(min_length=1, max_length=200, pattern=names.ID)]
Cost = Annotated[Decimal, Field(strict=False, ge=0, le=100_000), PLAIN, AfterValidator(to_nano)]
Metadata = Annotated[dict[str, Any], AfterValidator(bounded)]
InReach = Annotated[Reached, Field(json_schema_extra={"default": "default"})]


@with_config(
    ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
)
class UsageEventIn(TypedDict, total=False):
    """One agent execution, as an agent (or an importer) reports it."""

    id: EventId | None
    """Your own id: the same id counts once in a workspace. One is made if you give none."""
    timestamp: datetime | None
    """When the run ended; now if left out. Without a zone it is UTC."""
    agent: Required[AgentName]
    """`dbt-expert` or `specialists/dbt-expert`."""
    agent_type: Name | None
    """`specialists`, `roles`, or any other."""
    task: Task | None
    complexity: Tier | None
    workspace: InReach
    project: Name | None
    user: Label | None
    session_id: Label | None
    run_id: Label | None
    allocation_id: Label | None
    """The allocation that this run spent: the event finishes it."""
    model: Label | None
    stage: Label | None
    budget_tokens: Required[Tokens | None]
    """Tokens allocated; null counts in tokens and cost only."""
    used_tokens: Required[Tokens]
    """Tokens loaded."""
    needed_tokens: Tokens | None
    """Demand before anything was cut."""
    scopes: Annotated[dict[Name, Tokens], Field(max_length=MAX_SCOPES)] | None
    """Tokens by scope."""
    input_tokens: Tokens | None
    """Tokens sent to the model, cached ones included."""
    output_tokens: Tokens | None
    cached_tokens: Tokens | None
    """The part of `input_tokens` that was read from a cache."""
    cache_write_tokens: Tokens | None
    """The part of `input_tokens` that was written to a cache."""
    reasoning_tokens: Tokens | None
    """The part of `output_tokens` that was reasoning."""
    usage: RawUsage | None
    """In place of the counts above: the usage that the provider reported, as it is (OpenAI,
    Anthropic, Gemini, LiteLLM, OpenTelemetry attributes)."""
    service: Service | None
    """How the provider served the call, if not the standard way: `batch` and others have prices of
    their own."""
    cost_usd: Cost | None
    """Cost in USD, as a number or a string; worked out from the model's price if left out."""
    duration_seconds: Annotated[float, Field(ge=0, le=31_536_000)] | None
    success: bool | None
    error: ShortText | None
    metadata: Metadata | None
    """Anything else, up to 64 KiB."""


FIELDS = tuple(UsageEventIn.__annotations__)
"""In the order in which what was sent is digested, whatever order it came in."""

HOLDERS = ("scopes", "metadata", "usage")
"""The fields that hold objects."""

EVENT = TypeAdapter(UsageEventIn)
EVENTS = TypeAdapter(Annotated[list[UsageEventIn], Field(min_length=1, max_length=MAX_BATCH)])

_APART = frozenset({"workspace", "timestamp", "agent", "agent_type", "usage", "cost_usd"})
"""Fields that an event does not take over as they are."""

USAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/UsageEventIn"},
                        {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/UsageEventIn"},
                            "minItems": 1,
                            "maxItems": MAX_BATCH,
                        },
                    ]
                }
            },
            "application/cloudevents+json": {"schema": {"type": "object"}},
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": {"type": "object"}}
            },
        },
    }
}


def describe_usage(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the shape of an event, which `USAGE_BODY` names."""
    shape = EVENT.json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].setdefault("UsageEventIn", shape)
    return document


def read_events(raw: bytes) -> list[UsageEventIn]:
    """The events of a body that is one event or a list of them."""
    is_list = raw.lstrip()[:1] == b"["
    events = EVENTS.validate_json(raw) if is_list else [EVENT.validate_json(raw)]
    check_list_once(raw, events, HOLDERS)
    return events


def to_event(
    given: UsageEventIn,
    *,
    index: int,
    identify: Identify,
    new_id: Callable[[str, str], str],
    now: datetime,
    price_of: PriceOf | None = None,
) -> UsageEvent:
    """The event as it is booked: named, dated, priced, and with a digest of what was sent.

    Errors: InvalidRequest naming the event's index.
    """
    sent: Mapping[str, Any] = given
    said = sent.get
    workspace = said("workspace") or home()
    id_, model, timestamp = said("id"), said("model"), said("timestamp")
    agent, profile = identify(workspace, given["agent"], said("agent_type"))
    facts = {name: one for name, one in sent.items() if one is not None and name not in _APART}
    if id_ is not None or said("allocation_id") is not None:
        facts["fingerprint"] = blake2b(to_json(sent), digest_size=16).digest()
    at = micros(now) if timestamp is None else dated(timestamp, now, index)
    if said("usage") is not None:
        facts |= counts_in(sent, index)
    cost = said("cost_usd")
    if cost is not None:
        facts["cost_nano_usd"] = nano(cost)
    elif price_of is not None and model is not None:
        counts = counts_in(sent, index)
        facts["cost_nano_usd"], facts["price_version"] = priced(
            model, workspace, at, counts, price_of
        )
    if id_ is None:
        facts["id"] = new_id("use", workspace)
    return UsageEvent(workspace=workspace, at=at, agent=agent, profile=profile, **facts)


def nano(usd: Decimal | None) -> int | None:
    """USD as nano-USD."""
    return None if usd is None else int(usd * 1_000_000_000)


def dated(timestamp: datetime, now: datetime, index: int = 0) -> int:
    """The microsecond of a client's time stamp, which is UTC where it has no zone.

    Errors: InvalidRequest, if it is absurd.
    """
    at = micros(timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC))
    if at > _latest(now):
        raise InvalidRequest(
            "An event's timestamp is more than an hour in the future; check the sender's clock.",
            errors=[{"loc": ["body", index, "timestamp"], "msg": "lies in the future"}],
        )
    if at < 0:
        raise InvalidRequest(
            "An event's timestamp lies before 1970.",
            errors=[{"loc": ["body", index, "timestamp"], "msg": "lies before 1970"}],
        )
    return at


@lru_cache(maxsize=8)
def _latest(now: datetime) -> int:
    return micros(now + AHEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEventOut:
    """One agent execution as it is booked."""

    id: str
    timestamp: datetime
    workspace: str
    agent: str | None
    """`type/name` where the type is known; null for a workspace's budget without an agent."""
    profile: str | None
    """The profile (or workspace policy) that the budget came from."""
    task: str | None
    complexity: str | None
    project: str | None
    user: str | None
    session_id: str | None
    run_id: str | None
    allocation_id: str | None
    model: str | None
    stage: str | None
    budget_tokens: int | None
    used_tokens: int
    used_pct: float | None
    exceeded: bool
    needed_tokens: int | None
    unmet: bool
    """Needed more than the budget and kept to it."""
    scopes: Mapping[str, int]
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    service: str | None
    cost_usd: str | None
    """Null where nobody knows the price: unpriced, not free."""
    price_version: str | None
    """The prices that the cost was worked out with; null where the sender gave it."""
    duration_seconds: float | None
    success: bool | None
    error: str | None
    alerts: Sequence[Mapping[str, Any]]
    late: bool
    """Booked after its allocation had expired."""
    metadata: Mapping[str, Any]


def event_out(event: UsageEvent) -> UsageEventOut:
    """An event as it is shown."""
    budget = event.budget_tokens
    pct = 100 * event.used_tokens / budget if budget else None
    if budget == 0 and event.used_tokens == 0:
        pct = 0.0
    cost = event.cost_nano_usd
    return UsageEventOut(
        id=event.id,
        timestamp=moment(event.at),
        workspace=event.workspace,
        agent=event.agent or None,
        profile=event.profile,
        task=event.task,
        complexity=event.complexity,
        project=event.project,
        user=event.user,
        session_id=event.session_id,
        run_id=event.run_id,
        allocation_id=event.allocation_id,
        model=event.model,
        stage=event.stage,
        budget_tokens=budget,
        used_tokens=event.used_tokens,
        used_pct=pct,
        exceeded=event.exceeded,
        needed_tokens=event.needed_tokens,
        unmet=event.unmet,
        scopes=event.scopes,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        cached_tokens=event.cached_tokens,
        cache_write_tokens=event.cache_write_tokens,
        reasoning_tokens=event.reasoning_tokens,
        service=event.service,
        cost_usd=None if cost is None else usd(cost),
        price_version=event.price_version,
        duration_seconds=event.duration_seconds,
        success=event.success,
        error=event.error,
        alerts=event.alerts,
        late=event.late,
        metadata=event.metadata,
    )
