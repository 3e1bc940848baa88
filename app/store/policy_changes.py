"""Put planned changes of policy in force, one change at a time on every replica."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.policy_changes import Edit, Planned, plan_changes
from app.core.policy_documents import DEFAULT_WORKSPACE, Document
from app.store import policies
from app.store.database import Tx, dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a change came to in one workspace."""

    workspace: str
    version: int
    """In force now; the one before if the document says the same."""
    is_new: bool
    """Whether a version was added."""
    held: Document
    """Everything that held in the workspace when the change began."""
    changed: tuple[str, ...]


def change(
    tx: Tx,
    shipped: Mapping[str, Document],
    edits: Mapping[str, Edit],
    *,
    source: str,
    now: int,
) -> tuple[Changed, ...]:
    """Edit the documents of workspaces, all or none of them.

    Errors: InvalidPolicy, NotAvailable.
    """
    policies.lock(tx)
    changed = []
    for version, plan in _planned(tx, shipped, edits):
        is_new = dumps(plan.document) != dumps(plan.before)
        if is_new:
            version = policies.add_version(
                tx, plan.workspace, plan.document, source=source, now=now
            )
        changed.append(_changed(plan, version, is_new=is_new))
    return tuple(changed)


def try_out(
    tx: Tx, shipped: Mapping[str, Document], edits: Mapping[str, Edit]
) -> tuple[Changed, ...]:
    """What `change` would do, without doing it."""
    changed = []
    for version, plan in _planned(tx, shipped, edits):
        is_new = dumps(plan.document) != dumps(plan.before)
        changed.append(_changed(plan, version + is_new, is_new=is_new))
    return tuple(changed)


def _planned(
    tx: Tx, shipped: Mapping[str, Document], edits: Mapping[str, Edit]
) -> list[tuple[int, Planned]]:
    found = policies.current(tx, {DEFAULT_WORKSPACE, *edits})
    stored = {workspace: document for workspace, (_, document) in found.items()}
    plans = plan_changes(edits, shipped=shipped, stored=stored)
    return [(found[plan.workspace][0], plan) for plan in plans]


def _changed(plan: Planned, version: int, *, is_new: bool) -> Changed:
    return Changed(
        workspace=plan.workspace,
        version=version,
        is_new=is_new,
        held=plan.held,
        changed=plan.changed,
    )
