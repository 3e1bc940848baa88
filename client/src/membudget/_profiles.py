"""Read budget profiles in the keys of the originals' file: from a file, or as they ship."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

Config = dict[str, Any]
"""What `budget-profiles.json` holds."""

PROFILES_FILE = Path(".claude/memory/budget-profiles.json")
"""Where the originals look for it, from the working folder."""

THRESHOLDS = {"info": 0.75, "warning": 0.90, "critical": 1.0}
TUNING = {
    "exceedance_threshold_for_upgrade": 0.2,
    "underutilization_threshold_for_downgrade": 0.5,
    "minimum_samples_for_recommendation": 10,
    "recommendation_confidence_threshold": 0.7,
}


def read_config(path: Path) -> Config:
    """The file as it stands. Errors: OSError; ValueError where it is no JSON object."""
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold an object with `profiles` and `agent_assignments`")
    return config


def thresholds_in(config: Mapping[str, Any]) -> dict[str, float]:
    """Shares of a budget at which someone is told; those of the originals where none are given."""
    given = config.get("alert_thresholds")
    stated = given if isinstance(given, Mapping) else {}
    return {level: _share(stated.get(level), usual) for level, usual in THRESHOLDS.items()}


def _share(given: object, usual: float) -> float:
    return float(given) if isinstance(given, int | float) and given > 0 else usual


class UnknownTier(ValueError):
    """A complexity that the configuration does not have."""


def multiplier_of(config: Mapping[str, Any], profile: Mapping[str, Any], tier: str) -> Decimal:
    """The multiplier of a tier: the profile's own, else everybody's. Errors: UnknownTier."""
    tiers = config.get("complexity_multipliers") or {}
    own = (profile.get("multipliers") or {}).get(tier)
    if own is None and tier not in tiers:
        raise UnknownTier(f"Invalid complexity {tier!r}. Valid options: {', '.join(tiers)}")
    stated = tiers.get(tier) if own is None else own
    plain = stated.get("multiplier") if isinstance(stated, Mapping) else stated
    return Decimal(str(plain))
