"""Ask the rules of recommendations (spec A12) about an analysis in the originals' shape."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from membudget import _core

Analysis = Mapping[str, Any]


def recommended(
    analysis: Analysis, config: Mapping[str, Any], tuning: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What is recommended for an agent, in the originals' shape; None where nothing is."""
    rules: Any = _core.recommending
    grant = _grant(config, analysis["agent"])
    limits = _core.profiles.Tuning(
        exceedance_threshold_for_upgrade=_decimal(tuning["exceedance_threshold_for_upgrade"]),
        underutilization_threshold_for_downgrade=_decimal(
            tuning["underutilization_threshold_for_downgrade"]
        ),
        minimum_samples_for_recommendation=int(tuning["minimum_samples_for_recommendation"]),
        recommendation_confidence_threshold=_decimal(tuning["recommendation_confidence_threshold"]),
    )
    ruling = rules.rule(_evidence(analysis), grant, _ladder(config), limits)
    if not ruling.is_recommended(limits):
        return None
    if ruling.action == "adjust_weights" and not grant.weights:
        return None
    return {
        "current_profile": grant.profile or "unknown",
        "recommended_action": ruling.action,
        "reason": ruling.reason,
        "confidence": float(ruling.confidence),
        "details": _details(ruling, analysis, grant),
        "proposed_profile": None if ruling.proposed is None else ruling.proposed.profile,
    }


def _details(ruling: Any, analysis: Analysis, grant: Any) -> dict[str, Any]:
    figures = {name: analysis[name] for name in ("avg_usage_pct", "max_usage_pct")}
    if ruling.action == "upgrade":
        return {**figures, "exceedance_rate": analysis["exceedance_rate"]}
    if ruling.action == "downgrade":
        return {**figures, "potential_savings": f"{100 - analysis['avg_usage_pct']:.1f}%"}
    rules: Any = _core.recommending
    named = rules.by_weight_names(analysis["scope_tokens"], grant.weights)
    total = sum(named.values())
    shares = {scope: tokens / total for scope, tokens in named.items()}
    weights = {scope: float(weight) for scope, weight in grant.weights.items()}
    return {
        "scope_differences": {
            scope: _difference(weights.get(scope, 0.0), shares.get(scope, 0.0))
            for scope in ruling.off_scopes
        },
        "current_weights": weights,
        "actual_distribution": shares,
    }


def _difference(expected: float, actual: float) -> dict[str, float]:
    return {"expected": expected, "actual": actual, "diff": abs(expected - actual)}


def _evidence(analysis: Analysis) -> Any:
    runs = analysis["total_executions"]
    return _core.recommending.Evidence(
        samples=runs,
        exceeded=analysis["exceedance_count"],
        unmet=0,
        rated=runs,
        pct_sum=round(analysis["avg_usage_pct"] * runs * _core.usage.PERCENT),
        budget=analysis["total_budget"],
        used=analysis["total_tokens"],
        scopes=analysis["scope_tokens"],
    )


def _ladder(config: Mapping[str, Any]) -> list[Any]:
    grants = [_granted(name, profile) for name, profile in (config.get("profiles") or {}).items()]
    return sorted(grants, key=lambda grant: (grant.base, grant.profile or ""))


def _grant(config: Mapping[str, Any], agent: str) -> Any:
    """What the agent's profile gives; nothing where it has none."""
    entry = (config.get("agent_assignments") or {}).get(agent)
    name = entry.get("profile") if isinstance(entry, Mapping) else entry
    profile = (config.get("profiles") or {}).get(name)
    if profile is None:
        rules: Any = _core.recommending
        return rules.Grant(profile=None, base=0, ceiling=None, weights={})
    own = entry.get("scope_weights") if isinstance(entry, Mapping) else None
    return _granted(str(name), profile, own)


def _granted(name: str, profile: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> Any:
    rules: Any = _core.recommending
    weights = own or profile.get("scope_weights") or {}
    return rules.Grant(
        profile=name,
        base=int(profile.get("base_budget") or 0),
        ceiling=profile.get("max_budget"),
        weights={scope: _decimal(weight) for scope, weight in weights.items()},
        is_own=own is not None,
    )


def _decimal(given: Any) -> Decimal:
    return Decimal(str(given))
