"""Check a workspace's or project's budget in the keys of the allocator's file."""

from collections.abc import Callable, Mapping
from typing import Any

from app.core.policy_faults import Faults, Loc
from app.core.policy_fields import (
    ENFORCEMENTS,
    MAX_MULTIPLIER,
    MAX_SAMPLES,
    check_multipliers,
    check_thresholds,
)
from app.core.policy_reading import WORKSPACE_TIERS

MAX_HOURS = 10_000_000
SCORINGS = ("formula", "measured")
SHARE_KEYS = tuple(f"{name}_memory_pct" for name, _ in WORKSPACE_TIERS)
SCORE_KEYS = ("relevance", "importance", "freshness")
MAX_DAYS = 100_000
MAY_BE_NULL = ("scoring", "enforcement", "alert_thresholds", "retention")

Check = Callable[[Faults, Loc, Any], object]


def check_budget(faults: Faults, budget: Any, owner: str) -> None:
    """A budget in the allocator's own keys; what it leaves out comes from below."""
    if not faults.mapping((owner,), budget, keys=BUDGET_CHECKS):
        return
    for key, value in budget.items():
        if key in BUDGET_CHECKS and (value is not None or key not in MAY_BE_NULL):
            BUDGET_CHECKS[key](faults, (owner, key), value)


def _check_shares(faults: Faults, loc: Loc, shares: Any, keys: tuple[str, ...]) -> None:
    if faults.mapping(loc, shares, keys=keys):
        good = [
            faults.number((*loc, key), shares[key], high=MAX_MULTIPLIER)
            for key in keys
            if key in shares
        ]
        if all(good) and len(good) == len(keys):
            faults.sum_to_one(loc, {key: shares[key] for key in keys})


def _check_fields(faults: Faults, loc: Loc, value: Any, checks: Mapping[str, Check]) -> None:
    if faults.mapping(loc, value, keys=checks):
        for key, check in checks.items():
            if key in value:
                check(faults, (*loc, key), value[key])


def _check_scope_days(faults: Faults, loc: Loc, value: Any) -> None:
    """Days by scope; `null` takes away what a lower layer states."""
    if faults.mapping(loc, value):
        for scope, days in value.items():
            faults.name((*loc, scope), scope)
            _check_days(faults, (*loc, scope), days)


def _check_days(faults: Faults, loc: Loc, days: Any) -> None:
    if days is not None:
        faults.whole(loc, days, high=MAX_DAYS)


BUDGET_CHECKS: Mapping[str, Check] = {
    "workspace_id": lambda faults, loc, value: faults.name(loc, value),
    "max_total_tokens": lambda faults, loc, value: faults.whole(loc, value),
    "tier_allocation": lambda faults, loc, value: _check_shares(faults, loc, value, SHARE_KEYS),
    "complexity_multipliers": check_multipliers,
    "scoring_weights": lambda faults, loc, value: _check_shares(faults, loc, value, SCORE_KEYS),
    "freshness": lambda faults, loc, value: _check_fields(faults, loc, value, FRESHNESS_CHECKS),
    "promotion": lambda faults, loc, value: _check_fields(faults, loc, value, PROMOTION_CHECKS),
    "demotion": lambda faults, loc, value: _check_fields(faults, loc, value, DEMOTION_CHECKS),
    "tokens_per_char": lambda faults, loc, value: faults.number(
        loc, value, high=MAX_MULTIPLIER, above=True
    ),
    "overrides_agents": lambda faults, loc, value: faults.flag(loc, value),
    "rigid_tiers": lambda faults, loc, value: faults.flag(loc, value),
    "scoring": lambda faults, loc, value: faults.choice(loc, value, SCORINGS),
    "enforcement": lambda faults, loc, value: faults.choice(loc, value, ENFORCEMENTS),
    "alert_thresholds": check_thresholds,
    "retention": lambda faults, loc, value: _check_fields(faults, loc, value, RETENTION_CHECKS),
}
FRESHNESS_CHECKS: Mapping[str, Check] = {
    "half_life_hours": lambda faults, loc, value: faults.number(
        loc, value, high=MAX_HOURS, above=True
    ),
}
PROMOTION_CHECKS: Mapping[str, Check] = {
    "threshold": lambda faults, loc, value: faults.number(loc, value, high=1),
    "access_threshold": lambda faults, loc, value: faults.whole(loc, value, high=MAX_SAMPLES),
}
DEMOTION_CHECKS: Mapping[str, Check] = {
    "threshold": lambda faults, loc, value: faults.number(loc, value, high=1),
}
RETENTION_CHECKS: Mapping[str, Check] = {
    "scope_days": _check_scope_days,
    "deleted_days": _check_days,
    "archived_days": _check_days,
}
