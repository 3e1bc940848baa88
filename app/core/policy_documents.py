"""Lay policy documents over one another and change single entries of them.

A document is plain JSON data: what a workspace states about itself. Sections map a name to an
entry; `null` as an entry deletes what a lower layer states.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]

DEFAULT_WORKSPACE = "default"

ENTRY_SECTIONS = ("profiles", "agent_assignments", "aliases", "projects", "users")
FIELD_SECTIONS = (
    "alert_thresholds",
    "tuning_parameters",
    "memory_lifecycle",
    "detection",
    "performance",
    "about",
)
VALUE_KEYS = ("default_profile", "enforcement")
OWN_SECTIONS = ("budget", "projects", "users")
"""What `default` states here holds for `default` alone."""
BUDGET_NUMBERS = (
    "max_total_tokens",
    "tier_allocation",
    "complexity_multipliers",
    "scoring_weights",
    "freshness",
    "promotion",
    "demotion",
    "tokens_per_char",
)
"""What a budget that leaves them out takes from that of `default`."""
KEYS = (
    *ENTRY_SECTIONS,
    *FIELD_SECTIONS,
    *VALUE_KEYS,
    "complexity_multipliers",
    "signals",
    "budget",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One document and the workspace that states it."""

    workspace: str
    document: Document


def layers_for(
    workspace: str,
    *,
    shipped: Mapping[str, Document],
    stored: Mapping[str, Document],
) -> tuple[Layer, ...]:
    """The layers of a workspace, lowest first: `default`'s two, then its own two."""
    names = dict.fromkeys((DEFAULT_WORKSPACE, workspace))
    return tuple(
        Layer(workspace=name, document=source[name])
        for name in names
        for source in (shipped, stored)
        if name in source
    )


def merge_layers(layers: Sequence[Layer], workspace: str) -> dict[str, Any]:
    """What holds in a workspace: one document without tombstones.

    Its `budget` is complete, or absent where the workspace has no budget of its own.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        own = layer.workspace == workspace
        visible = {
            key: value
            for key, value in layer.document.items()
            if key != "budget" and (own or key not in OWN_SECTIONS)
        }
        merged = overlay(merged, visible)

    budget = merge_budgets(layers, workspace)
    if budget is not None:
        merged["budget"] = budget
    return _without_tombstones(merged)


def merge_budgets(layers: Sequence[Layer], workspace: str) -> dict[str, Any] | None:
    """The complete budget of a workspace over that of `default`; None if it states none."""
    own: dict[str, Any] | None = None
    for layer in layers:
        if layer.workspace != workspace or "budget" not in layer.document:
            continue
        stated = layer.document["budget"]
        own = None if stated is None else overlay_fields(own or {}, stated)
    if own is None or workspace == DEFAULT_WORKSPACE:
        return own
    common = merge_budgets(layers, DEFAULT_WORKSPACE) or {}
    filled = {key: common[key] for key in BUDGET_NUMBERS if key in common}
    return overlay_fields({"workspace_id": workspace, **filled}, own)


def overlay(below: Document, above: Document) -> dict[str, Any]:
    """`below` with everything that `above` states, tombstones kept."""
    merged = dict(below)
    for key, value in above.items():
        if key in ENTRY_SECTIONS:
            merged[key] = {**(merged.get(key) or {}), **(value or {})}
        elif key == "complexity_multipliers":
            merged[key] = _overlay_tiers(merged.get(key) or {}, value or {})
        elif key in FIELD_SECTIONS:
            merged[key] = overlay_fields(merged.get(key) or {}, value or {})
        elif key == "signals":
            merged[key] = _overlay_signals(merged.get(key) or (), value or ())
        elif key == "budget" and value is not None:
            merged[key] = overlay_fields(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def overlay_fields(below: Document, above: Document) -> dict[str, Any]:
    """Fields of `above` over those of `below`, mappings within them likewise."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = overlay_fields(under, value)
        else:
            merged[key] = value
    return merged


def put_entry(document: Document, section: str, name: str | None, value: Any) -> dict[str, Any]:
    """The document with one entry of a section replaced; without a name, the whole section."""
    if name is None:
        return {**document, section: value}
    return {**document, section: {**(document.get(section) or {}), name: value}}


def delete_entry(
    document: Document, section: str, name: str | None, *, below: Sequence[Document] = ()
) -> dict[str, Any]:
    """The document without one entry; a tombstone stays if a layer below states that entry."""
    if _states(below, section, name):
        return put_entry(document, section, name, None)
    if name is None:
        return {key: value for key, value in document.items() if key != section}
    kept = {key: value for key, value in (document.get(section) or {}).items() if key != name}
    return {**document, section: kept}


def _states(documents: Iterable[Document], section: str, name: str | None) -> bool:
    stated = False
    for document in documents:
        if section not in document:
            continue
        if name is None:
            stated = document[section] is not None
        elif name in (document[section] or {}):
            stated = document[section][name] is not None
    return stated


def _overlay_tiers(below: Document, above: Document) -> dict[str, Any]:
    """A tier may be stated as its bare multiplier: the texts of the layer below stay."""
    return overlay_fields(
        below,
        {
            tier: entry if isinstance(entry, Mapping) else {"multiplier": entry}
            for tier, entry in above.items()
        },
    )


def _overlay_signals(below: Sequence[Any], above: Sequence[Any]) -> list[Any]:
    """Signals are known by tier and name: the later statement of one replaces the earlier."""
    merged = {(signal["tier"], signal["name"]): signal for signal in below}
    merged.update({(signal["tier"], signal["name"]): signal for signal in above})
    return list(merged.values())


def _without_tombstones(document: dict[str, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for key, value in document.items():
        if value is None:
            continue
        if key in ENTRY_SECTIONS or key == "alert_thresholds":
            clean[key] = {name: entry for name, entry in value.items() if entry is not None}
        elif key == "signals":
            clean[key] = [signal for signal in value if signal.get("pattern") is not None]
        else:
            clean[key] = value
    return clean
