"""Read the values of a valid policy document: profiles, budgets, thresholds, tiers."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args

from app.core.alerts import Level, Threshold
from app.core.complexity import QUERY_TIERS, TASK_TIERS
from app.core.lifecycle_rules import RULE_SHARES, Rules
from app.core.patterns import SignalSpec
from app.core.policy_documents import Document
from app.core.profiles import (
    Assignment,
    Profile,
    Scope,
    ScoreWeights,
    Tier,
    Tuning,
    WorkspaceBudget,
)
from app.core.retention import WAY_BACK_DAYS, Retention

LEVELS: tuple[Level, ...] = get_args(Level)
WORKSPACE_TIERS = (("working", 3), ("project", 2), ("long_term", 0), ("rag", 1))
"""Names and ranks of the tiers, in the order in which the allocator lists them."""


def read_number(value: float | str | Decimal) -> Decimal:
    """The number as it is written: 0.1 is a tenth."""
    return Decimal(str(value))


def read_profile(name: str, data: Document) -> Profile:
    """A complete profile from the keys of the original's file."""
    return Profile(
        name=name,
        description=data.get("description") or "",
        base=int(data["base_budget"]),
        ceiling=int(data["max_budget"]),
        scopes=read_scopes(data["scope_weights"]),
        examples=tuple(data.get("examples") or ()),
        multipliers=read_weights(data.get("multipliers")),
        thresholds=read_thresholds(data.get("alert_thresholds")),
        enforcement=data.get("enforcement"),
        auto_bump=bool(data.get("auto_bump", False)),
    )


def override_profile(profile: Profile, data: Document) -> Profile:
    """The profile with the fields that `data` states, as users and agents override it."""
    own = read_weights(data.get("multipliers"))
    thresholds = read_thresholds(data.get("alert_thresholds"))
    return replace(
        profile,
        base=int(data.get("base_budget") or profile.base),
        ceiling=int(data.get("max_budget") or profile.ceiling or 0) or None,
        scopes=override_scopes(profile.scopes, read_weights(data.get("scope_weights"))),
        multipliers={**(profile.multipliers or {}), **own} if own else profile.multipliers,
        thresholds=override_thresholds(profile.thresholds or (), thresholds)
        if thresholds
        else profile.thresholds,
        enforcement=data.get("enforcement") or profile.enforcement,
        auto_bump=profile.auto_bump if data.get("auto_bump") is None else data["auto_bump"],
    )


def read_assignment(agent: str, data: str | Document) -> Assignment:
    """An agent's profile, written as its name or with scope weights beside it."""
    if isinstance(data, str):
        return Assignment(agent=agent, profile=data)
    return Assignment(
        agent=agent,
        profile=data["profile"],
        scope_weights=read_weights(data.get("scope_weights")),
    )


def read_weights(data: Mapping[str, Any] | None) -> dict[str, Decimal] | None:
    """Numbers by name; None where nothing is stated."""
    return None if data is None else {name: read_number(value) for name, value in data.items()}


def read_scopes(data: Mapping[str, Any]) -> tuple[Scope, ...]:
    """The scopes of a profile, in the order of the file."""
    return tuple(Scope(name=name, weight=read_number(value)) for name, value in data.items())


def override_scopes(
    scopes: tuple[Scope, ...], weights: Mapping[str, Decimal] | None
) -> tuple[Scope, ...]:
    """Scopes with other weights; names that were not there follow at the end."""
    if not weights:
        return scopes
    known = {scope.name for scope in scopes}
    return (
        *(replace(scope, weight=weights.get(scope.name, scope.weight)) for scope in scopes),
        *(Scope(name=name, weight=weights[name]) for name in weights if name not in known),
    )


def read_thresholds(data: Mapping[str, Any] | None) -> tuple[Threshold, ...] | None:
    """The thresholds stated, from info to critical; None where nothing is stated."""
    if data is None:
        return None
    return tuple(
        Threshold(level=level, share=read_number(data[level]))
        for level in LEVELS
        if data.get(level) is not None
    )


def override_thresholds(
    below: tuple[Threshold, ...], above: tuple[Threshold, ...] | None
) -> tuple[Threshold, ...]:
    """All thresholds, those of `above` in place of the same levels below, lowest share first."""
    if not above:
        return below
    shares = {threshold.level: threshold for threshold in (*below, *(above or ()))}
    return tuple(sorted(shares.values(), key=lambda item: (item.share, LEVELS.index(item.level))))


def read_tiers(data: Document) -> tuple[Tier, ...]:
    """The complexity tiers of tasks with their multipliers and the texts that explain them."""
    tiers = []
    for name in TASK_TIERS:
        stated = data.get(name, 1)
        entry = stated if isinstance(stated, Mapping) else {"multiplier": stated}
        tiers.append(
            Tier(
                name=name,
                multiplier=read_number(entry.get("multiplier", 1)),
                description=entry.get("description") or "",
                examples=tuple(entry.get("examples") or ()),
            )
        )
    return tuple(tiers)


def read_tuning(data: Document) -> Tuning:
    """The complete tuning parameters."""
    return Tuning(
        exceedance_threshold_for_upgrade=read_number(data["exceedance_threshold_for_upgrade"]),
        underutilization_threshold_for_downgrade=read_number(
            data["underutilization_threshold_for_downgrade"]
        ),
        minimum_samples_for_recommendation=int(data["minimum_samples_for_recommendation"]),
        recommendation_confidence_threshold=read_number(
            data["recommendation_confidence_threshold"]
        ),
    )


def read_rules(data: Document) -> Rules:
    """The numbers by which memories are looked after, as far as they are stated."""
    stated: dict[str, Any] = {
        name: float(number) if name in RULE_SHARES else int(number)
        for name, number in data.items()
        if number is not None
    }
    return Rules(**stated)


def read_signals(data: list[Document]) -> tuple[SignalSpec, ...]:
    """The signals that users add."""
    return tuple(
        SignalSpec(
            tier=signal["tier"],
            name=signal["name"],
            pattern=signal["pattern"],
            weight=None if signal.get("weight") is None else read_number(signal["weight"]),
        )
        for signal in data
    )


def read_budget(data: Document) -> WorkspaceBudget:
    """A complete budget from the keys of the allocator's file."""
    shares = data["tier_allocation"]
    weights = data["scoring_weights"]
    promotion = data["promotion"]
    return WorkspaceBudget(
        max_total_tokens=int(data["max_total_tokens"]),
        scopes=tuple(
            Scope(name=name, weight=read_number(shares[f"{name}_memory_pct"]), rank=rank)
            for name, rank in WORKSPACE_TIERS
        ),
        multipliers={
            tier: read_number(data["complexity_multipliers"][tier]) for tier in QUERY_TIERS
        },
        weights=ScoreWeights(
            relevance=read_number(weights["relevance"]),
            importance=read_number(weights["importance"]),
            freshness=read_number(weights["freshness"]),
        ),
        half_life_hours=read_number(data["freshness"]["half_life_hours"]),
        promotion_threshold=read_number(promotion["threshold"]),
        promotion_accesses=int(promotion["access_threshold"]),
        demotion_threshold=read_number(data["demotion"]["threshold"]),
        tokens_per_char=read_number(data["tokens_per_char"]),
        overrides_agents=bool(data.get("overrides_agents", False)),
        rigid_tiers=bool(data.get("rigid_tiers", True)),
        scoring=data.get("scoring") or "formula",
        thresholds=read_thresholds(data.get("alert_thresholds")),
        enforcement=data.get("enforcement"),
        retention=read_retention(data.get("retention") or {}),
    )


def read_retention(data: Document) -> Retention:
    """How long memories are kept, as far as a budget says so."""
    days = data.get("scope_days") or {}
    archived = data.get("archived_days")
    return Retention(
        scope_days={scope: int(number) for scope, number in days.items() if number is not None},
        deleted_days=int(data.get("deleted_days") or WAY_BACK_DAYS),
        archived_days=None if archived is None else int(archived),
    )
