"""Check a policy document whole, so that every bad field is named at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.core.errors import InvalidPolicy, NotAvailable
from app.core.policy_budgets import check_budget
from app.core.policy_documents import (
    DEFAULT_WORKSPACE,
    ENTRY_SECTIONS,
    KEYS,
    Document,
    Layer,
    merge_layers,
    overlay_fields,
)
from app.core.policy_faults import Faults, Loc
from app.core.policy_fields import (
    ENFORCEMENTS,
    check_detection,
    check_performance,
    check_profile,
    check_rules,
    check_signals,
    check_thresholds,
    check_tiers,
    check_tuning,
    check_user,
    check_weights,
)
from app.core.policy_reading import LEVELS, read_number

ABOUT_KEYS = ("version", "description", "last_updated")


def validate_document(document: Document, workspace: str, *, below: Sequence[Layer] = ()) -> None:
    """Refuse a document that breaks a rule, naming every field at fault.

    With the layers that lie below it, names that point at profiles and agents are checked too.
    """
    faults = Faults()
    check_document(faults, document, workspace)
    if not faults.found and below:
        layers = (*below, Layer(workspace=workspace, document=document))
        check_merged(faults, merge_layers(layers, workspace), workspace)
    raise_faults(faults)


def validate_file(documents: Mapping[str, Document], held: Callable[[str], Document]) -> None:
    """Refuse documents by workspace of which one is bad in itself, naming every field at fault.

    Names that point nowhere (not even into what is `held` there) are told beside other faults;
    else they are left to whoever lays the documents over what holds.
    """
    faults = Faults()
    for name, document in documents.items():
        check_document(faults, document, name)
    if faults.found:
        for name, document in documents.items():
            check_references(faults, document, held(name))
    raise_faults(faults)


def raise_faults(faults: Faults) -> None:
    """Raise what was found: broken rules first, else what is not built yet."""
    if faults.found:
        first = faults.found[0]
        more = len(faults.found) - 1
        raise InvalidPolicy(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            + (f" (and {more} more)" if more else ""),
            errors=faults.found,
        )
    if faults.missing_features:
        raise NotAvailable("not available yet: " + "; ".join(faults.missing_features))


def check_document(faults: Faults, document: Any, workspace: str) -> None:
    """Check what a document says by itself."""
    faults.name(("workspace",), workspace)
    if workspace == "*":
        faults.add(("workspace",), "`*` is not the name of a workspace")
    if not faults.mapping((), document, keys=KEYS):
        return
    for section in ENTRY_SECTIONS:
        entries = document.get(section)
        if entries is None or not faults.mapping((section,), entries):
            continue
        slashes = int(section == "agent_assignments")
        for name, entry in entries.items():
            if faults.name((section, name), name, slashes=slashes) and entry is not None:
                _check_entry(faults, section, name, entry, workspace)
    if document.get("budget") is not None:
        check_budget(faults, document["budget"], workspace)
        _check_identity(faults, document["budget"], workspace)
    _check_values(faults, document)


def check_merged(faults: Faults, merged: Document, workspace: str) -> None:
    """Check what the layers say together: names that point somewhere, numbers that must fit."""
    check_references(faults, merged, {})
    profiles = merged.get("profiles", {})
    for section in ("agent_assignments", "users"):
        for name, entry in merged.get(section, {}).items():
            profile = entry if isinstance(entry, str) else entry.get("profile")
            if not isinstance(entry, str) and (profile is None or profile in profiles):
                _check_override(faults, (section, name), entry, profiles.get(profile, {}))
    thresholds = merged.get("alert_thresholds", {})
    _check_order(faults, ("alert_thresholds",), thresholds)
    for name, entry in profiles.items():
        stated = entry.get("alert_thresholds")
        if stated:
            whole = overlay_fields(thresholds, stated)
            _check_order(faults, ("profiles", name, "alert_thresholds"), whole)
    check_signals(faults, ("signals",), merged.get("signals", []))
    budget = merged.get("budget")
    if budget is None and workspace == DEFAULT_WORKSPACE:
        faults.add((workspace, "budget"), "the default workspace must keep a budget")
    if budget is not None:
        _check_sums(faults, (workspace,), budget)
        for project, entry in merged.get("projects", {}).items():
            _check_sums(faults, (f"{workspace}/{project}",), overlay_fields(budget, entry))


def check_references(faults: Faults, document: Document, held: Document) -> None:
    """Check that names point at what the document states, be it at fault itself, or at what held.

    The document may be at fault anywhere: what is no name at all is noted by other checks.
    """
    profiles = {**_entries(held, "profiles"), **_entries(document, "profiles")}
    agents = {**_entries(held, "agent_assignments"), **_entries(document, "agent_assignments")}
    wanted: list[tuple[Loc, Any]] = [(("default_profile",), document.get("default_profile"))]
    for section in ("agent_assignments", "users"):
        for name, entry in _entries(document, section).items():
            profile = entry.get("profile") if isinstance(entry, Mapping) else entry
            wanted.append(((section, name), profile))
    for loc, profile in wanted:
        if isinstance(profile, str) and profiles.get(profile) is None:
            faults.add(loc, "must name a profile that exists; there are " + _listed(profiles))
    for alias, agent in _entries(document, "aliases").items():
        if isinstance(agent, str) and agents.get(agent) is None:
            faults.add(("aliases", alias), "must name an assigned agent, written `type/name`")


def _entries(document: Document, section: str) -> Mapping[str, Any]:
    entries = document.get(section)
    return entries if isinstance(entries, Mapping) else {}


def _check_entry(faults: Faults, section: str, name: str, entry: Any, workspace: str) -> None:
    if section == "profiles":
        check_profile(faults, ("profiles", name), entry)
    elif section == "users":
        check_user(faults, ("users", name), entry)
    elif section == "projects":
        check_budget(faults, entry, f"{workspace}/{name}")
    elif section == "agent_assignments" and isinstance(entry, Mapping):
        loc = ("agent_assignments", name)
        faults.mapping(loc, entry, keys=("profile", "scope_weights"))
        faults.text((*loc, "profile"), entry.get("profile"))
        check_weights(faults, (*loc, "scope_weights"), entry.get("scope_weights"))
    else:
        faults.text((section, name), entry)


def _check_identity(faults: Faults, budget: Any, workspace: str) -> None:
    if isinstance(budget, Mapping) and budget.get("workspace_id", workspace) != workspace:
        faults.add((workspace, "workspace_id"), "must be the workspace itself, or left out")


def _check_values(faults: Faults, document: Document) -> None:
    if document.get("complexity_multipliers") is not None:
        check_tiers(faults, ("complexity_multipliers",), document["complexity_multipliers"])
    if document.get("alert_thresholds") is not None:
        check_thresholds(faults, ("alert_thresholds",), document["alert_thresholds"])
    if document.get("tuning_parameters") is not None:
        check_tuning(faults, ("tuning_parameters",), document["tuning_parameters"])
    if document.get("memory_lifecycle") is not None:
        check_rules(faults, ("memory_lifecycle",), document["memory_lifecycle"])
    if document.get("detection") is not None:
        check_detection(faults, ("detection",), document["detection"])
    if document.get("performance") is not None:
        check_performance(faults, ("performance",), document["performance"])
    if document.get("about") is not None and faults.mapping(
        ("about",), document["about"], keys=ABOUT_KEYS
    ):
        for key, value in document["about"].items():
            faults.text(("about", key), value)
    if document.get("default_profile") is not None:
        faults.text(("default_profile",), document["default_profile"])
    if document.get("enforcement") is not None:
        faults.choice(("enforcement",), document["enforcement"], ENFORCEMENTS)
    if document.get("signals") is not None:
        check_signals(faults, ("signals",), document["signals"])


def _listed(names: Mapping[str, Any]) -> str:
    there = [name for name, entry in names.items() if entry is not None]
    return ", ".join(there[:10]) + (", …" if len(there) > 10 else "") if there else "none"


def _check_override(faults: Faults, loc: Loc, entry: Document, profile: Document) -> None:
    """An override states what differs: checked with what it leaves to its profile."""
    weights = entry.get("scope_weights")
    if weights:
        below = profile.get("scope_weights", {})
        faults.sum_to_one((*loc, "scope_weights"), {**below, **weights})
    base, ceiling = (entry.get(key) or profile.get(key) for key in ("base_budget", "max_budget"))
    if base is not None and ceiling is not None and base > ceiling:
        faults.add((*loc, "base_budget"), "must not exceed max_budget")


def _check_order(faults: Faults, loc: Loc, thresholds: Document) -> None:
    stated = [level for level in LEVELS if thresholds.get(level) is not None]
    shares = [read_number(thresholds[level]) for level in stated]
    if shares != sorted(shares):
        faults.add(loc, "must not fall from " + " to ".join(stated))


def _check_sums(faults: Faults, loc: Loc, budget: Document) -> None:
    for key in ("tier_allocation", "scoring_weights"):
        faults.sum_to_one((*loc, key), budget.get(key, {}))
    _check_order(faults, (*loc, "alert_thresholds"), budget.get("alert_thresholds") or {})
