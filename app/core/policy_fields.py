"""Check the parts of a policy document: a profile, a user, tiers, thresholds, signals."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from app.core.complexity import QUERY_TIERS, TASK_TIERS
from app.core.detection import BIAS_LIMIT, COST_RANGE, DETECTORS, TEMPERATURE_RANGE
from app.core.errors import InvalidPattern
from app.core.lifecycle_rules import RULE_SHARES, Rules
from app.core.patterns import MAX_USER_SIGNALS, SignalTable
from app.core.policy_documents import Document
from app.core.policy_faults import Faults, Loc
from app.core.policy_reading import LEVELS, read_number, read_signals

MAX_MULTIPLIER = 1_000
MAX_SAMPLES = 1_000_000
BUILT_MODES = ("profile",)
ENFORCEMENTS = ("soft", "hard")
PROFILE_FIELDS = (
    "description",
    "base_budget",
    "max_budget",
    "scope_weights",
    "examples",
    "multipliers",
    "alert_thresholds",
    "enforcement",
    "auto_bump",
    "mode",
    "quantile",
)
REQUIRED_PROFILE_FIELDS = ("base_budget", "max_budget", "scope_weights")
TUNING_SHARES = (
    "exceedance_threshold_for_upgrade",
    "underutilization_threshold_for_downgrade",
    "recommendation_confidence_threshold",
)
TUNING_SAMPLES = "minimum_samples_for_recommendation"
SIGNAL_TIERS = ("simple", "complex", "multi-system", "simplicity", "complexity")
RULES = tuple(field.name for field in fields(Rules))
DETECTION_RANGES = {"under_allocation_cost": COST_RANGE, "temperature": TEMPERATURE_RANGE}
DETECTION_KEYS = ("detector", "learns", "bias", *DETECTION_RANGES)
PERFORMANCE_KEYS = ("track_history", "max_history_size", "auto_export_interval")


def check_profile(faults: Faults, loc: Loc, profile: Any) -> None:
    """A complete profile in the file's own keys."""
    if not faults.mapping(loc, profile, keys=PROFILE_FIELDS):
        return
    for key in REQUIRED_PROFILE_FIELDS:
        if profile.get(key) is None:
            faults.add((*loc, key), "is required")
    _check_profile_fields(faults, loc, profile)
    weights = profile.get("scope_weights")
    if isinstance(weights, Mapping) and _all_numbers(weights):
        faults.sum_to_one((*loc, "scope_weights"), weights)


def check_user(faults: Faults, loc: Loc, user: Any) -> None:
    """A user: the name of a profile, fields of a profile, or both."""
    if not faults.mapping(loc, user, keys=("profile", *PROFILE_FIELDS)):
        return
    if user.get("profile") is not None:
        faults.text((*loc, "profile"), user["profile"])
    _check_profile_fields(faults, loc, user)


def _check_profile_fields(faults: Faults, loc: Loc, data: Document) -> None:
    sizes = [
        faults.whole((*loc, key), data[key])
        for key in ("base_budget", "max_budget")
        if data.get(key) is not None
    ]
    if len(sizes) == 2 and all(sizes) and data["base_budget"] > data["max_budget"]:
        faults.add((*loc, "base_budget"), "must not exceed max_budget")
    check_weights(faults, (*loc, "scope_weights"), data.get("scope_weights"))
    if data.get("multipliers") is not None:
        check_multipliers(faults, (*loc, "multipliers"), data["multipliers"], TASK_TIERS)
    if data.get("alert_thresholds") is not None:
        check_thresholds(faults, (*loc, "alert_thresholds"), data["alert_thresholds"])
    if data.get("description") is not None:
        faults.text((*loc, "description"), data["description"])
    if data.get("examples") is not None:
        faults.texts((*loc, "examples"), data["examples"])
    if data.get("enforcement") is not None:
        faults.choice((*loc, "enforcement"), data["enforcement"], ENFORCEMENTS)
    if data.get("auto_bump") is not None:
        faults.flag((*loc, "auto_bump"), data["auto_bump"])
    check_built(faults, (*loc, "mode"), data.get("mode"), BUILT_MODES)
    if data.get("quantile") is not None:
        faults.missing_features.append(".".join(map(str, (*loc, "quantile"))))


def check_weights(faults: Faults, loc: Loc, weights: Any) -> None:
    """Weights of scopes by name, none negative."""
    if weights is None or not faults.mapping(loc, weights):
        return
    for name, weight in weights.items():
        faults.name((*loc, name), name)
        faults.number((*loc, name), weight, high=MAX_MULTIPLIER)


def check_multipliers(
    faults: Faults, loc: Loc, multipliers: Any, tiers: tuple[str, ...] = QUERY_TIERS
) -> None:
    """Multipliers by complexity tier; zero makes a budget of nothing."""
    if faults.mapping(loc, multipliers, keys=tiers):
        for tier, multiplier in multipliers.items():
            faults.number((*loc, tier), multiplier, high=MAX_MULTIPLIER)


def check_tiers(faults: Faults, loc: Loc, tiers: Any) -> None:
    """The complexity tiers of tasks: a multiplier, or one with a description and examples."""
    if not faults.mapping(loc, tiers, keys=TASK_TIERS):
        return
    for tier, entry in tiers.items():
        here = (*loc, tier)
        if not isinstance(entry, Mapping):
            faults.number(here, entry, high=MAX_MULTIPLIER)
            continue
        faults.mapping(here, entry, keys=("multiplier", "description", "examples"))
        if "multiplier" in entry:
            faults.number((*here, "multiplier"), entry["multiplier"], high=MAX_MULTIPLIER)
        if entry.get("description") is not None:
            faults.text((*here, "description"), entry["description"])
        if entry.get("examples") is not None:
            faults.texts((*here, "examples"), entry["examples"])


def check_thresholds(faults: Faults, loc: Loc, thresholds: Any) -> None:
    """Shares at which alerts are raised, in rising order; `null` leaves a level out."""
    if not faults.mapping(loc, thresholds, keys=LEVELS):
        return
    stated = [level for level in LEVELS if thresholds.get(level) is not None]
    checked = [faults.number((*loc, level), thresholds[level], high=1) for level in stated]
    shares = [read_number(thresholds[level]) for level in stated] if all(checked) else []
    if shares != sorted(shares):
        faults.add(loc, "must not fall from " + " to ".join(stated))


def check_tuning(faults: Faults, loc: Loc, tuning: Any) -> None:
    """The tuning parameters of the original's file."""
    if faults.mapping(loc, tuning, keys=(*TUNING_SHARES, TUNING_SAMPLES)):
        for key, value in tuning.items():
            if key == TUNING_SAMPLES:
                faults.whole((*loc, key), value, high=MAX_SAMPLES)
            elif key in TUNING_SHARES:
                faults.number((*loc, key), value, high=1)


def check_rules(faults: Faults, loc: Loc, rules: Any) -> None:
    """The numbers by which memories are looked after; `null` takes a lower layer's away."""
    if faults.mapping(loc, rules, keys=RULES):
        for key, value in rules.items():
            if key in RULE_SHARES and value is not None:
                faults.number((*loc, key), value, high=1, above=True)
            elif key in RULES and value is not None:
                faults.whole((*loc, key), value)


def check_detection(faults: Faults, loc: Loc, detection: Any) -> None:
    """How tasks are judged; `null` takes a lower layer's away."""
    if not faults.mapping(loc, detection, keys=DETECTION_KEYS):
        return
    stated = {key: value for key, value in detection.items() if value is not None}
    if "detector" in stated:
        faults.choice((*loc, "detector"), stated["detector"], DETECTORS)
    if "learns" in stated:
        faults.flag((*loc, "learns"), stated["learns"])
    for key, (low, high) in DETECTION_RANGES.items():
        if key in stated:
            faults.number((*loc, key), stated[key], low=Decimal(str(low)), high=high)
    if "bias" in stated:
        bias = stated["bias"]
        if not isinstance(bias, list | tuple) or len(bias) != 3:
            faults.add((*loc, "bias"), "must be a list of three numbers")
            return
        for at, value in enumerate(bias):
            faults.number((*loc, "bias", at), value, low=-BIAS_LIMIT, high=BIAS_LIMIT)


def check_performance(faults: Faults, loc: Loc, performance: Any) -> None:
    """What the allocator's file says about the history of allocations."""
    if faults.mapping(loc, performance, keys=PERFORMANCE_KEYS):
        for key, value in performance.items():
            if key == "track_history":
                faults.flag((*loc, key), value)
            elif key in PERFORMANCE_KEYS and value is not None:
                faults.whole((*loc, key), value)


def check_signals(faults: Faults, loc: Loc, signals: Any) -> None:
    """Signals that users add: each complete, each pattern one that RE2 takes."""
    if not isinstance(signals, list | tuple) or len(signals) > MAX_USER_SIGNALS:
        faults.add(loc, f"must be a list of at most {MAX_USER_SIGNALS} signals")
        return
    before = len(faults.found)
    for at, signal in enumerate(signals):
        here = (*loc, at)
        if not faults.mapping(here, signal, keys=("tier", "name", "pattern", "weight")):
            continue
        good = [
            faults.choice((*here, "tier"), signal.get("tier"), SIGNAL_TIERS),
            faults.name((*here, "name"), signal.get("name")),
        ]
        if signal.get("weight") is not None:
            good.append(faults.number((*here, "weight"), signal["weight"], high=MAX_MULTIPLIER))
        if "pattern" not in signal:
            faults.add((*here, "pattern"), "is required")
            continue
        pattern = signal["pattern"]
        if pattern is None or not faults.text((*here, "pattern"), pattern):
            continue
        if all(good):
            _check_patterns(faults, (*here, "pattern"), [signal])
    if len(faults.found) == before:
        stated = [signal for signal in signals if signal["pattern"] is not None]
        _check_patterns(faults, loc, stated)


def _check_patterns(faults: Faults, loc: Loc, signals: list[Document]) -> None:
    try:
        SignalTable.compile(read_signals(signals))
    except InvalidPattern as error:
        faults.add(loc, error.detail)


def check_built(faults: Faults, loc: Loc, value: Any, built: tuple[str, ...]) -> None:
    """A word that is built already; another word is noted as not available yet."""
    if value is None or value in built:
        return
    if faults.text(loc, value, longest=50):
        faults.missing_features.append(f"{'.'.join(map(str, loc))} other than {built[0]}")


def _all_numbers(values: Mapping[str, Any]) -> bool:
    probe = Faults()
    return all(probe.number((), value, high=MAX_MULTIPLIER) for value in values.values())
