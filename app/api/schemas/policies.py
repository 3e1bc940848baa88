"""Say what policy bodies may hold, in the keys of the originals' files, and what lists answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.complexity import QUERY_TIERS, TASK_TIERS

SHARE = {"type": "number", "minimum": 0, "maximum": 1}
WEIGHT = {"type": "number", "minimum": 0, "maximum": 1000}
TOKENS = {"type": "integer", "minimum": 1, "maximum": 10_000_000_000}
DAYS = {"type": "integer", "minimum": 1, "maximum": 100_000}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}


def _record(properties: Mapping[str, Any], description: str | None = None) -> dict[str, Any]:
    """An object with these fields and no others, none of which it must have."""
    told = {} if description is None else {"description": description}
    return {
        "type": "object",
        **told,
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same, or null: it takes away what a lower layer states."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


def _by_tier(tiers: Sequence[str]) -> dict[str, Any]:
    return _record(dict.fromkeys(tiers, WEIGHT), f"By tier: {tiers[0]} to {tiers[-1]}.")


THRESHOLDS = _record(
    dict.fromkeys(("info", "warning", "critical"), _or_null(SHARE)),
    "Shares of the budget at which alerts are raised; null leaves a level out.",
)
ENFORCEMENT = {
    "enum": ["soft", "hard"],
    "description": "`hard` refuses loads over the budget.",
}
WEIGHTS = {
    "type": "object",
    "description": "Share of each scope; they sum to 1 (within 0.01).",
    "additionalProperties": WEIGHT,
}

REQUIRED_PROFILE_FIELDS: dict[str, Any] = {
    "base_budget": {**TOKENS, "description": "Tokens at medium complexity."},
    "max_budget": {**TOKENS, "description": "Tokens that no complexity exceeds."},
    "scope_weights": WEIGHTS,
}
OTHER_PROFILE_FIELDS: dict[str, Any] = {
    "description": {"type": "string", "maxLength": 2000},
    "examples": {"type": "array", "items": {"type": "string", "maxLength": 2000}},
    "multipliers": _by_tier(TASK_TIERS),
    "alert_thresholds": THRESHOLDS,
    "enforcement": ENFORCEMENT,
    "auto_bump": {
        "type": "boolean",
        "description": "Raise an allocation to the tier that an alert advises, once per tier.",
    },
    "mode": {"enum": ["profile"]},
}
BUDGET_FIELDS: dict[str, Any] = {
    "workspace_id": {"type": "string", "description": "The workspace itself, or left out."},
    "max_total_tokens": {**TOKENS, "description": "Tokens at a multiplier of 1."},
    "tier_allocation": _record(
        {f"{tier}_memory_pct": WEIGHT for tier in ("working", "project", "long_term", "rag")},
        "Share of each tier; they sum to 1 (within 0.01).",
    ),
    "complexity_multipliers": _by_tier(QUERY_TIERS),
    "scoring_weights": _record(
        dict.fromkeys(("relevance", "importance", "freshness"), WEIGHT),
        "They sum to 1 (within 0.01).",
    ),
    "freshness": _record({"half_life_hours": {**POSITIVE, "maximum": 10_000_000}}),
    "promotion": _record(
        {
            "threshold": SHARE,
            "access_threshold": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        }
    ),
    "demotion": _record({"threshold": SHARE}),
    "tokens_per_char": {**POSITIVE, "maximum": 1000},
    "overrides_agents": {
        "type": "boolean",
        "description": "This budget decides also where an agent is named.",
    },
    "rigid_tiers": {
        "type": "boolean",
        "description": "Tiers may not borrow each other's unused room.",
    },
}
NULLABLE_BUDGET_FIELDS: dict[str, Any] = {
    "scoring": {
        "enum": ["formula", "measured"],
        "description": "How memories are scored; the formula unless stated.",
    },
    "retention": _record(
        {
            "scope_days": {
                "type": "object",
                "description": "Days without use after which a scope's memories are deleted.",
                "additionalProperties": _or_null(DAYS),
            },
            "deleted_days": {
                **_or_null(DAYS),
                "description": "Days until a deleted memory is gone for good; 90 if left out.",
            },
            "archived_days": {
                **_or_null(DAYS),
                "description": "The same of archived memories; they stay if left out.",
            },
        },
        "How long memories are kept that nobody uses; nothing goes unless stated.",
    ),
    "enforcement": ENFORCEMENT,
    "alert_thresholds": THRESHOLDS,
}


def _all_or_null(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _or_null(schema) for name, schema in fields.items()}


def _body(
    description: str, fields: Mapping[str, Any], required: Sequence[str], example: Any
) -> dict[str, Any]:
    """Tell of a body that the policy's own rules check: every bad field is named at once."""
    schema = {
        **_record(fields, description),
        "required": list(required),
        "examples": [example],
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


PROFILE_BODY = _body(
    "A profile, in the keys of budget-profiles.json.",
    {**REQUIRED_PROFILE_FIELDS, **_all_or_null(OTHER_PROFILE_FIELDS)},
    tuple(REQUIRED_PROFILE_FIELDS),
    {
        "description": "Experts in a single tool",
        "base_budget": 20000,
        "max_budget": 50000,
        "scope_weights": {"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5},
    },
)
AGENT_BODY = _body(
    "The profile of an agent, with scope weights of its own if it has any.",
    {"profile": {"type": "string", "maxLength": 2000}, "scope_weights": _or_null(WEIGHTS)},
    ("profile",),
    {"profile": "specialist-broad"},
)
USER_BODY = _body(
    "The name of a profile, fields that differ from the agent's profile, or both.",
    _all_or_null(
        {"profile": {"type": "string"}, **REQUIRED_PROFILE_FIELDS, **OTHER_PROFILE_FIELDS}
    ),
    (),
    {"profile": "role-architect", "enforcement": "hard"},
)
BUDGET_BODY = _body(
    "A budget, in the keys of memory-budget.yaml; what is left out comes from below.",
    {**BUDGET_FIELDS, **_all_or_null(NULLABLE_BUDGET_FIELDS)},
    (),
    {"max_total_tokens": 8192, "enforcement": "soft"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryList:
    """Entries of a policy by name, with their own fields."""

    items: Sequence[Mapping[str, Any]]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileList:
    """The profiles of a workspace, and what holds for all of them."""

    items: Sequence[Mapping[str, Any]]
    """Each with its `name` and the agents assigned to it."""
    next_cursor: str | None
    default_profile: str | None
    """Whose budget agents get that nobody has assigned."""
    complexity_multipliers: Mapping[str, Any]
    """By tier of a task: the multiplier, what it means, and examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAgent:
    """An agent that is known in a workspace."""

    agent: str
    """`type/name`, or the bare name."""
    type: str | None
    name: str
    profile: str | None
    assigned: bool
    """False for one that was only seen: it gets the default profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that holds in a workspace, as one document."""

    workspace: str
    version: int
    """0: as shipped."""
    policy: Mapping[str, Any]
