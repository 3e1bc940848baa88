"""Keep keys, and count changes to them for the replicas to see."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, inspect, select, update

from app.core.errors import DomainError, NotFound
from app.core.keys import Key, admit, require_spare, rotated
from app.core.values import value
from app.store.database import SYSTEM, Tx, dumps
from app.store.tables import key_changes, keys


@value
class Change:
    """A key to make, to take away, or to give a new secret; one of the three."""

    has_setting: bool
    """Whether there is a MEMBUDGET_ADMIN_KEY beside the keys that are kept."""
    now: int
    make: Key | None = None
    revoke: str | None = None
    rotate: str | None = None
    digest: bytes = b""
    grace_seconds: int = 0


def epoch(tx: Tx) -> int:
    """How many changes to keys there have been."""
    table = key_changes.c
    return (
        tx.connection.execute(select(table.version).where(table.workspace == SYSTEM)).scalar() or 0
    )


def list_keys(tx: Tx) -> list[Key]:
    """All keys, newest first."""
    table = keys.c
    query = select(keys).where(table.workspace == SYSTEM).order_by(table.id.desc())
    return [to_core(row._asdict()) for row in tx.connection.execute(query)]


def has_keys(tx: Tx) -> bool:
    """Whether there is a key; False where there is no table for them yet."""
    if not inspect(tx.connection).has_table(keys.name):
        return False
    table = keys.c
    query = select(table.id).where(table.workspace == SYSTEM).limit(1)
    return tx.connection.execute(query).scalar() is not None


def change_keys(tx: Tx, workspace: str, items: Sequence[Change]) -> list[Key | DomainError]:
    """Make, take away and rotate keys, one after the other; what each is (or was)."""
    _lock(tx, workspace)
    answers: list[Key | DomainError] = []
    for item in items:
        try:
            answers.append(_change(tx, item))
        except DomainError as refusal:
            answers.append(refusal)
    return answers


def note_uses(tx: Tx, workspace: str, items: Sequence[Mapping[str, int]]) -> list[None]:
    """Note when keys were last used."""
    table = keys.c
    uses = {id_: at for item in items for id_, at in item.items()}
    for id_, at in sorted(uses.items()):
        tx.connection.execute(
            update(keys)
            .where(table.workspace == workspace, table.id == id_)
            .where((table.last_used_at.is_(None)) | (table.last_used_at < at))
            .values(last_used_at=at)
        )
    return [None] * len(items)


def _lock(tx: Tx, workspace: str) -> None:
    """Let one change in at a time, on every replica, and count it."""
    tx.insert_many(
        key_changes,
        [(workspace, 1)],
        tail='ON CONFLICT ("workspace") DO UPDATE SET version = key_changes.version + 1',
    )


def _change(tx: Tx, item: Change) -> Key:
    held = list_keys(tx)
    table = keys.c
    if item.make is not None:
        admit(item.make, held, has_setting=item.has_setting, now=item.now)
        tx.insert_many(keys, [to_row(item.make)])
        return item.make
    id_ = item.revoke or item.rotate
    key = next((one for one in held if one.id == id_), None)
    if key is None:
        raise NotFound("No key of this id; GET /keys lists them.")
    its = (table.workspace == SYSTEM, table.id == key.id)
    if item.revoke is not None:
        require_spare(key, held, has_setting=item.has_setting)
        tx.connection.execute(delete(keys).where(*its))
        return key
    key = rotated(key, item.digest, grace_seconds=item.grace_seconds, now=item.now)
    tx.connection.execute(
        update(keys)
        .where(*its)
        .values(digest=key.digest, old_digest=key.old_digest, old_until=key.old_until)
    )
    return key


def to_core(row: Mapping[str, Any]) -> Key:
    """A row as a value."""
    return Key(
        id=row["id"],
        name=row["name"],
        rights=frozenset(json.loads(row["rights"])),
        workspaces=tuple(json.loads(row["workspaces"])),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        digest=bytes(row["digest"]),
        old_digest=None if row["old_digest"] is None else bytes(row["old_digest"]),
        old_until=row["old_until"],
        last_used_at=row["last_used_at"],
    )


def to_row(key: Key) -> tuple[Any, ...]:
    """A value as a row."""
    return (
        SYSTEM,
        key.id,
        key.name,
        dumps(sorted(key.rights)),
        dumps(key.workspaces),
        key.created_at,
        key.expires_at,
        key.digest,
        key.old_digest,
        key.old_until,
        key.last_used_at,
    )
