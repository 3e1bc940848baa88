"""Keep policy documents, each change a version, and count changes for the replicas to see."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.store.database import SYSTEM, Tx, dumps, in_chunks
from app.store.tables import policy_files, policy_heads, policy_versions

Document = Mapping[str, Any]

GENERATION = 1 << 32
"""Changes that are counted before all policy is said to be another: when a backup is restored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a workspace's policy."""

    workspace: str
    version: int
    created_at: int
    source: str
    """What made it: `http`, `import`, `restore 3`, `file budget-profiles.json`."""


def epoch(tx: Tx) -> int:
    """How many changes there have been in all workspaces together."""
    table = policy_heads.c
    query = select(table.version).where(table.workspace == SYSTEM)
    return tx.connection.execute(query).scalar() or 0


def begin_generation(tx: Tx, *, after: int) -> None:
    """Count on where no earlier count can have been, past what was counted `after` too."""
    fresh = (max(after, epoch(tx)) // GENERATION + 1) * GENERATION
    tx.insert_many(
        policy_heads,
        [(SYSTEM, fresh)],
        tail='ON CONFLICT ("workspace") DO UPDATE SET version = excluded.version',
    )


def heads(tx: Tx) -> dict[str, int]:
    """The version in force of every workspace that has a policy of its own (a sweep)."""
    rows = tx.connection.execute(select(policy_heads)).all()
    return {row.workspace: row.version for row in rows if row.workspace != SYSTEM}


def lock(tx: Tx) -> None:
    """Let one policy change in at a time, on every replica, until this transaction ends."""
    tx.insert_many(policy_heads, [(SYSTEM, 0)], tail="ON CONFLICT DO NOTHING")
    table = policy_heads.c
    tx.connection.execute(
        update(policy_heads).where(table.workspace == SYSTEM).values(version=table.version + 1)
    )


def read_documents(tx: Tx, wanted: Mapping[str, int]) -> dict[str, Document]:
    """The documents of workspaces at given versions."""
    found: dict[str, Document] = {}
    for chunk in in_chunks(wanted):
        versions = {wanted[workspace] for workspace in chunk}
        sql = (
            "SELECT workspace, version, document FROM policy_versions"
            f" WHERE workspace IN ({tx.marks(len(chunk))})"
            f" AND version IN ({tx.marks(len(versions), first=1 + len(chunk))})"
        )
        for workspace, version, document in tx.fetch(sql, [*chunk, *versions]):
            if wanted[workspace] == version:
                found[workspace] = json.loads(document)
    return found


def current(tx: Tx, workspaces: Iterable[str]) -> dict[str, tuple[int, Document]]:
    """Version and document in force of workspaces; (0, {}) where a workspace has none."""
    table = policy_heads.c
    names = list(workspaces)
    versions: dict[str, int] = {}
    for chunk in in_chunks(names):
        rows = tx.connection.execute(select(policy_heads).where(table.workspace.in_(chunk)))
        versions.update((row.workspace, row.version) for row in rows)
    documents = read_documents(tx, versions)
    return {name: (versions.get(name, 0), documents.get(name, {})) for name in names}


def add_version(tx: Tx, workspace: str, document: Document, *, source: str, now: int) -> int:
    """Put a document in force as the workspace's next version; `lock` is held."""
    version = current(tx, [workspace])[workspace][0] + 1
    tx.insert_many(policy_versions, [(workspace, version, now, source, dumps(document))])
    tx.insert_many(
        policy_heads,
        [(workspace, version)],
        tail='ON CONFLICT ("workspace") DO UPDATE SET version = excluded.version',
    )
    return version


def list_versions(tx: Tx, workspace: str, *, before: int | None, limit: int) -> list[Version]:
    """A workspace's versions, newest first."""
    table = policy_versions.c
    query = select(table.workspace, table.version, table.created_at, table.source).where(
        table.workspace == workspace
    )
    if before is not None:
        query = query.where(table.version < before)
    rows = tx.connection.execute(query.order_by(table.version.desc()).limit(limit))
    return [Version(**row._mapping) for row in rows]


def file_hash(tx: Tx, path: str) -> str | None:
    """The SHA-256 of a watched file as it was last applied."""
    table = policy_files.c
    query = select(table.sha256).where(table.workspace == SYSTEM, table.path == path)
    return tx.connection.execute(query).scalar()


def note_file(tx: Tx, path: str, sha256: str, *, now: int) -> None:
    """Note that a watched file has been applied."""
    tx.insert_many(
        policy_files,
        [(SYSTEM, path, sha256, now)],
        tail='ON CONFLICT ("workspace", "path") DO UPDATE '
        "SET sha256 = excluded.sha256, applied_at = excluded.applied_at",
    )
