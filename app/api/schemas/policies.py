"""Say what policy bodies may hold, in the keys of the originals' files, and what lists answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHARE = {"type": "number", "minimum": 0, "maximum": 1}
TOKENS = {"type": "integer", "minimum": 1, "maximum": 10_000_000_000}
DAYS = {"type": "integer", "minimum": 1, "maximum": 100_000}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
MULTIPLIERS = {
    "type": "object",
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1000},
}
THRESHOLDS = {
    "type": "object",
    "description": "Shares of the budget at which alerts are raised; null leaves a level out.",
    "properties": dict.fromkeys(("info", "warning", "critical"), SHARE),
}
ENFORCEMENT = {
    "enum": ["soft", "hard"],
    "description": "`hard` refuses loads over the budget.",
}

PROFILE_FIELDS: dict[str, Any] = {
    "description": {"type": "string"},
    "base_budget": {**TOKENS, "description": "Tokens at medium complexity."},
    "max_budget": {**TOKENS, "description": "Tokens that no complexity exceeds."},
    "scope_weights": {
        "type": "object",
        "description": "Share of each scope; they sum to 1 (within 0.01).",
        "additionalProperties": SHARE,
    },
    "examples": {"type": "array", "items": {"type": "string"}},
    "multipliers": {**MULTIPLIERS, "description": "By tier: simple to multi-system."},
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
    "tier_allocation": {
        "type": "object",
        "description": "Share of each tier; they sum to 1 (within 0.01).",
        "properties": {
            f"{tier}_memory_pct": SHARE for tier in ("working", "project", "long_term", "rag")
        },
    },
    "complexity_multipliers": {**MULTIPLIERS, "description": "By tier: simple to expert."},
    "scoring_weights": {
        "type": "object",
        "description": "They sum to 1 (within 0.01).",
        "properties": dict.fromkeys(("relevance", "importance", "freshness"), SHARE),
    },
    "freshness": {"type": "object", "properties": {"half_life_hours": POSITIVE}},
    "promotion": {
        "type": "object",
        "properties": {"threshold": SHARE, "access_threshold": {"type": "integer", "minimum": 1}},
    },
    "demotion": {"type": "object", "properties": {"threshold": SHARE}},
    "tokens_per_char": POSITIVE,
    "overrides_agents": {
        "type": "boolean",
        "description": "This budget decides also where an agent is named.",
    },
    "rigid_tiers": {
        "type": "boolean",
        "description": "Tiers may not borrow each other's unused room.",
    },
    "scoring": {
        "enum": ["formula", "measured"],
        "description": "How memories are scored; the formula unless stated.",
    },
    "retention": {
        "type": "object",
        "description": "How long memories are kept that nobody uses; nothing goes unless stated.",
        "properties": {
            "scope_days": {
                "type": "object",
                "description": "Days without use after which a scope's memories are deleted.",
                "additionalProperties": {**DAYS, "type": ["integer", "null"]},
            },
            "deleted_days": {
                **DAYS,
                "description": "Days until a deleted memory is gone for good; 90 if left out.",
            },
            "archived_days": {
                **DAYS,
                "description": "The same of archived memories; they stay if left out.",
            },
        },
    },
    "enforcement": ENFORCEMENT,
    "alert_thresholds": THRESHOLDS,
}


def _body(
    description: str, fields: Mapping[str, Any], required: Sequence[str], example: Any
) -> dict[str, Any]:
    """Tell of a body that the policy's own rules check: every bad field is named at once."""
    schema = {
        "type": "object",
        "description": description,
        "properties": dict(fields),
        "required": list(required),
        "additionalProperties": False,
        "examples": [example],
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


PROFILE_BODY = _body(
    "A profile, in the keys of budget-profiles.json.",
    PROFILE_FIELDS,
    ("base_budget", "max_budget", "scope_weights"),
    {
        "description": "Experts in a single tool",
        "base_budget": 20000,
        "max_budget": 50000,
        "scope_weights": {"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5},
    },
)
AGENT_BODY = _body(
    "The profile of an agent, with scope weights of its own if it has any.",
    {"profile": {"type": "string"}, "scope_weights": PROFILE_FIELDS["scope_weights"]},
    ("profile",),
    {"profile": "specialist-broad"},
)
USER_BODY = _body(
    "The name of a profile, fields that differ from the agent's profile, or both.",
    {"profile": {"type": "string"}, **PROFILE_FIELDS},
    (),
    {"profile": "role-architect", "enforcement": "hard"},
)
BUDGET_BODY = _body(
    "A budget, in the keys of memory-budget.yaml; what is left out comes from below.",
    BUDGET_FIELDS,
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
