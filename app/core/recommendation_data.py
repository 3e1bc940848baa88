"""Turn what a recommendation holds into plain data that JSON can carry, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from app.core.grants import Grant
from app.core.impacts import Impact
from app.core.policy_reading import read_number
from app.core.recommendations import Deed, Recommendation

COLUMNS = (
    "id",
    "workspace",
    "agent",
    "period",
    "window_days",
    "status",
    "created_at",
    "decided_at",
)
"""Fields that are columns of the table; the others are in its document."""


_IMPACT = tuple(field.name for field in fields(Impact))


def to_document(recommendation: Recommendation) -> dict[str, Any]:
    """What is no column, as plain data."""
    held = recommendation
    return {
        "since": held.since,
        "until": held.until,
        "action": held.action,
        "current": grant_data(held.current),
        "proposed": None if held.proposed is None else grant_data(held.proposed),
        "confidence": held.confidence,
        "recommended": held.is_recommended,
        "samples": held.samples,
        "exceedance_interval": list(held.exceedance_interval),
        "reason": held.reason,
        "evidence": held.evidence,
        "impact": {name: getattr(held.impact, name) for name in _IMPACT},
        "deed": None if held.deed is None else asdict(held.deed),
    }


def to_recommendation(columns: Mapping[str, Any], document: Mapping[str, Any]) -> Recommendation:
    """The recommendation of a row's columns and its document."""
    low, high = document["exceedance_interval"]
    proposed, deed = document["proposed"], document["deed"]
    return Recommendation(
        **{name: columns[name] for name in COLUMNS},
        since=document["since"],
        until=document["until"],
        action=document["action"],
        current=read_grant(document["current"]),
        proposed=None if proposed is None else read_grant(proposed),
        confidence=document["confidence"],
        is_recommended=document["recommended"],
        samples=document["samples"],
        exceedance_interval=(low, high),
        reason=document["reason"],
        evidence=document["evidence"],
        impact=Impact(**document["impact"]),
        deed=None if deed is None else Deed(**deed),
    )


def grant_data(grant: Grant) -> dict[str, Any]:
    """A grant in the words of a profile; weights keep the policy's order."""
    return {
        "profile": grant.profile,
        "base_budget": grant.base,
        "max_budget": grant.ceiling,
        "scope_weights": {name: float(weight) for name, weight in grant.weights.items()},
        "own_weights": grant.is_own,
    }


def read_grant(data: Mapping[str, Any]) -> Grant:
    """The grant of plain data."""
    return Grant(
        profile=data["profile"],
        base=data["base_budget"],
        ceiling=data["max_budget"],
        weights={name: read_number(weight) for name, weight in data["scope_weights"].items()},
        is_own=data["own_weights"],
    )
