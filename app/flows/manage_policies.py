"""Read policy, change single entries of it, and go back to an earlier version."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.errors import NotFound
from app.core.names import MAX_NAME_LENGTH, names_near
from app.core.policy_changes import Edit, delete, put, restore
from app.core.policy_documents import DEFAULT_WORKSPACE, Document
from app.core.policy_entries import (
    Entry,
    deleted_with,
    find_entry,
    has_entry,
    require_names,
    require_unused,
    unknown,
)
from app.core.windows import micros, moment
from app.presets.legacy import write_allocator_file, write_profiles_file
from app.presets.reading import dump_yaml
from app.store import policies
from app.store.agents import list_agents
from app.store.database import Store, Tx
from app.store.policy_changes import Changed, change
from app.store.shelf import PolicyShelf

Sees = Callable[[str], bool]
"""Whether a caller may hear of a workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of a workspace's policy."""

    version: int
    created_at: datetime
    source: str
    """What made it: `http`, `import`, `restore 3`, `file budget-profiles.json`."""
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of going back to an earlier version."""

    workspace: str
    restored: int
    """The version whose content holds again; 0: as shipped."""
    version: int
    """The version in force now."""
    changed: Sequence[str]
    """What differs now, as `section.name` or the section."""


def read_policy(shelf: PolicyShelf, workspace: str) -> tuple[int, Document]:
    """The version in force, and everything that holds in a workspace as one document."""
    return shelf.version(workspace), shelf.book(workspace).document


def read_entry(shelf: PolicyShelf, entry: Entry, sees: Sees) -> Any:
    """What holds for one entry, in the keys that putting it takes.

    Errors: NotFound, with the nearest names; of workspaces those that the caller `sees`.
    """
    document = shelf.book(entry.workspace).document
    if entry.section == "budget":
        return find_entry(document, entry, known=filter(sees, shelf.budgets()))
    if entry.section == "agent_assignments" and entry.name is not None:
        if not has_entry(document, entry):
            near = names_near(entry.name[:MAX_NAME_LENGTH], shelf.book(entry.workspace).names)
            raise unknown("assigned agent", entry.name, near)
        assigned = document["agent_assignments"][entry.name]
        return {"profile": assigned} if isinstance(assigned, str) else assigned
    return find_entry(document, entry, known=document.get(entry.section, {}))


def list_entries(shelf: PolicyShelf, workspace: str, section: str) -> Mapping[str, Any]:
    """All entries of a section, by name."""
    entries: Mapping[str, Any] = shelf.book(workspace).document.get(section, {})
    return dict(sorted(entries.items()))


def list_budgets(shelf: PolicyShelf) -> Mapping[str, Any]:
    """The budget of every workspace that has one, by name."""
    return shelf.budgets()


async def list_known_agents(
    store: Store, shelf: PolicyShelf, workspace: str
) -> list[dict[str, Any]]:
    """The agents that have a profile, and those that were only seen."""
    seen = await store.read(lambda tx: list_agents(tx, workspace))
    assigned = shelf.book(workspace).assignments

    return [
        {
            "agent": agent,
            "type": agent.partition("/")[0] if "/" in agent else None,
            "name": agent.partition("/")[2] or agent,
            "profile": assigned[agent].profile if agent in assigned else None,
            "assigned": agent in assigned,
        }
        for agent in sorted({*assigned, *seen})
    ]


async def put_entry(
    store: Store, shelf: PolicyShelf, entry: Entry, value: Any, *, now: datetime
) -> bool:
    """State an entry in place of what held; whether it is new.

    Errors: InvalidPolicy names every bad field, and nothing changes.
    """
    require_names(entry)
    if entry.section == "agent_assignments" and isinstance(value.get("profile"), str):
        value = value["profile"] if len(value) == 1 else value

    edit = put(entry.section, entry.name, value)
    changed = await _change(store, shelf, entry.workspace, edit, "http", now)
    return not has_entry(changed.held, entry)


async def delete_entry(
    store: Store, shelf: PolicyShelf, entry: Entry, *, sees: Sees, now: datetime
) -> None:
    """Take an entry away, with what hangs on it.

    A workspace takes its projects along, an agent its aliases; a lower layer's entry is hidden.
    Errors: NotFound; Conflict for a profile in use and for the budget of `default`.
    """
    await shelf.refresh(store)
    read_entry(shelf, entry, sees)
    document = shelf.book(entry.workspace).document
    if entry.section == "profiles" and entry.name is not None:
        others = shelf.documents() if entry.workspace == DEFAULT_WORKSPACE else {}
        require_unused(
            entry.name, entry.workspace, {**others, entry.workspace: document}, sees=sees
        )
    gone = tuple(deleted_with(document, entry))

    await _change(store, shelf, entry.workspace, delete(*gone), "http", now)


async def list_versions(
    store: Store, workspace: str, *, before: int | None, limit: int
) -> tuple[list[PolicyVersion], int | None]:
    """A workspace's versions, newest first, and where the next page begins."""

    def work(tx: Tx) -> tuple[list[policies.Version], int]:
        found = policies.list_versions(tx, workspace, before=before, limit=limit + 1)
        return found, policies.current(tx, [workspace])[workspace][0]

    found, head = await store.read(work)
    items = [
        PolicyVersion(
            version=one.version,
            created_at=moment(one.created_at),
            source=one.source,
            in_force=one.version == head,
        )
        for one in found[:limit]
    ]
    return items, items[-1].version if len(found) > limit else None


async def restore_version(
    store: Store, shelf: PolicyShelf, workspace: str, version: int, *, now: datetime
) -> Restored:
    """Put an earlier version's content in force as a new version; 0 is what ships.

    Errors: NotFound; InvalidPolicy if the layers below no longer carry it.
    """
    document: Document = {}
    if version:
        found = await store.read(lambda tx: policies.read_documents(tx, {workspace: version}))
        if workspace not in found:
            raise NotFound(
                f"This workspace has no version {version}; GET /config/versions lists them."
            )
        document = found[workspace]

    changed = await _change(store, shelf, workspace, restore(document), f"restore {version}", now)
    return Restored(
        workspace=workspace, restored=version, version=changed.version, changed=changed.changed
    )


def export_profiles(shelf: PolicyShelf, workspace: str) -> str:
    """What holds in a workspace as a budget-profiles.json."""
    return _dump_json(write_profiles_file(shelf.book(workspace)))


def export_budgets(shelf: PolicyShelf, workspace: str | None, format: str = "yaml") -> str:
    """The budgets and projects of one workspace, or of all, as a memory-budget.yaml or as JSON."""
    names = shelf.documented() if workspace is None else [workspace]
    data = write_allocator_file([shelf.book(name) for name in names])
    return _dump_json(data) if format == "json" else dump_yaml(data)


def _dump_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


async def _change(
    store: Store, shelf: PolicyShelf, workspace: str, edit: Edit, source: str, now: datetime
) -> Changed:
    (changed,) = await store.write_alone(
        lambda tx: change(tx, shelf.shipped, {workspace: edit}, source=source, now=micros(now))
    )
    await shelf.refresh(store)
    return changed
