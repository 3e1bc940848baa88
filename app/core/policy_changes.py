"""Plan changes of policy documents: edit plain data, check it in its layers, say what differs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.policy_checks import check_document, check_merged, check_references, raise_faults
from app.core.policy_documents import (
    DEFAULT_WORKSPACE,
    ENTRY_SECTIONS,
    KEYS,
    Document,
    Layer,
    delete_entry,
    layers_for,
    merge_layers,
    overlay,
    put_entry,
)
from app.core.policy_faults import Faults

Edit = Callable[[Document, Sequence[Layer]], Document]
"""From a workspace's own document and the layers below it to what is to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What an edit comes to in one workspace."""

    workspace: str
    before: Document
    """The workspace's own document before the edit."""
    held: Document
    """Everything that held before the edit."""
    document: Document
    """The workspace's own document after the edit."""
    changed: tuple[str, ...]
    """What will differ in effect: `section.name`, or the section."""


def plan_changes(
    edits: Mapping[str, Edit],
    *,
    shipped: Mapping[str, Document],
    stored: Mapping[str, Document],
) -> tuple[Planned, ...]:
    """The documents after the edits, all of them good, `default` first.

    Errors: InvalidPolicy names every field that an edit breaks, NotAvailable what is not built.
    A fault that was there before (a profile deleted in a lower layer) does not stop an edit.
    """
    documents = dict(stored)
    faults = Faults()
    planned = []
    for workspace in sorted(edits, key=lambda name: (name != DEFAULT_WORKSPACE, name)):
        before = documents.get(workspace, {})
        others = {name: document for name, document in documents.items() if name != workspace}
        below = layers_for(workspace, shipped=shipped, stored=others)
        after = edits[workspace](before, below)
        held, holds = _check(faults, before, after, workspace, below)
        documents[workspace] = after
        planned.append(
            Planned(
                workspace=workspace,
                before=before,
                held=held,
                document=after,
                changed=tell_changes(held, holds),
            )
        )
    raise_faults(faults)
    return tuple(planned)


def put(section: str, name: str | None, value: Any) -> Edit:
    """State one entry of a section; without a name, the whole section."""
    return lambda own, below: put_entry(own, section, name, value)


def delete(*entries: tuple[str, str | None]) -> Edit:
    """Take entries away, also where a lower layer states them."""

    def edit(own: Document, below: Sequence[Layer]) -> Document:
        for section, name in entries:
            own = delete_entry(own, section, name, below=[layer.document for layer in below])
        return own

    return edit


def restore(document: Document) -> Edit:
    """Put an earlier document in force again."""
    return lambda own, below: document


def merge(document: Document, workspace: str) -> Edit:
    """Lay a document over what the workspace states, unless all of it holds already."""
    return lambda own, below: _if_new(own, overlay(own, document), workspace, below)


def replace(document: Document, workspace: str, *, kept: Sequence[str]) -> Edit:
    """Put a document in the place of what the workspace states, but for the sections kept.

    Entries that a lower layer states in a section of the document go away too; where the default
    profile is among them, the smallest one of the document takes its place. Where all of that
    holds already, nothing changes.
    """

    def edit(own: Document, below: Sequence[Layer]) -> Document:
        visible = merge_layers(below, workspace)
        buried: dict[str, Any] = {
            section: dict.fromkeys(name for name in visible[section] if name not in entries)
            for section, entries in document.items()
            if section in ENTRY_SECTIONS and entries is not None and section in visible
        }
        gone = visible.get("default_profile") in buried.get("profiles", {})
        if gone and "default_profile" not in document:
            bases = {name: entry["base_budget"] for name, entry in document["profiles"].items()}
            buried["default_profile"] = min(bases, key=bases.__getitem__, default=None)
        rest = {key: value for key, value in own.items() if key in kept and key not in document}
        return _if_new(own, overlay(overlay(rest, document), buried), workspace, below)

    return edit


def tell_changes(before: Document, after: Document) -> tuple[str, ...]:
    """The entries and sections that two merged documents do not share."""
    changed = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if key in ENTRY_SECTIONS:
            one, other = old or {}, new or {}
            names = dict.fromkeys((*one, *other))
            changed += [
                f"{key}.{name}" for name in names if not _is_same(one.get(name), other.get(name))
            ]
        elif old != new:
            changed.append(key)
    return tuple(changed)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two entries say the same; scopes count in their order."""
    return one == other and _scopes(one) == _scopes(other)


def _scopes(entry: Any) -> list[str]:
    return list(entry.get("scope_weights") or ()) if isinstance(entry, Mapping) else []


def _if_new(own: Document, after: Document, workspace: str, below: Sequence[Layer]) -> Document:
    """`after` if anything else would hold then, else `own`."""
    held, holds = (
        merge_layers((*below, Layer(workspace=workspace, document=document)), workspace)
        for document in (own, after)
    )
    return after if tell_changes(held, holds) else own


def _check(
    faults: Faults, before: Document, after: Document, workspace: str, below: Sequence[Layer]
) -> tuple[Document, Document]:
    """Note what the edit breaks; the merged documents before and after it."""
    held = merge_layers((*below, Layer(workspace=workspace, document=before)), workspace)
    count = len(faults.found)
    check_document(faults, after, workspace)
    if len(faults.found) > count:
        dangling = Faults()
        check_references(dangling, after, held)
        faults.found += [
            fault
            for fault in dangling.found
            if _stated(before, fault["loc"]) != _stated(after, fault["loc"])
        ]
        return held, held
    holds = merge_layers((*below, Layer(workspace=workspace, document=after)), workspace)
    old, new = Faults(), Faults()
    check_merged(old, _with_budget(held, before, workspace, below), workspace)
    check_merged(new, _with_budget(holds, after, workspace, below), workspace)
    known = [fault["loc"] for fault in old.found]
    faults.found += [
        fault
        for fault in new.found
        if fault["loc"] not in known or _stated(held, fault["loc"]) != _stated(holds, fault["loc"])
    ]
    return held, holds


def _stated(document: Document, loc: Sequence[Any]) -> Any:
    """What a document states where a fault was found."""
    if loc[0] in ENTRY_SECTIONS:
        return document.get(loc[0], {}).get(loc[1])
    if loc[0] in KEYS:
        return document.get(loc[0])
    return document.get("budget"), document.get("projects")  # faults of budgets name the owner


def _with_budget(
    merged: Document, document: Document, workspace: str, below: Sequence[Layer]
) -> Document:
    """Projects of a workspace without a budget lie over that of `default`."""
    if merged.get("budget") is not None or not merged.get("projects"):
        return merged
    stating = Layer(workspace=workspace, document={**document, "budget": {}})
    return merge_layers((*below, stating), workspace)
