"""Make, list, rotate and revoke keys."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.keys import Key, digest_of
from app.core.windows import micros, moment
from app.store.database import SYSTEM, Store
from app.store.keyring import KeyRing
from app.store.keys import Change, change_keys
from app.store.keys import list_keys as read_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key to make."""

    name: str
    scopes: Collection[str]
    workspaces: Sequence[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """A key, without its secret."""

    id: str
    name: str
    scopes: Sequence[str]
    """What it may do: `use`, `read`, `admin`."""
    workspaces: Sequence[str] | None
    """The workspaces that it is bound to; null: all of them."""
    created_at: datetime
    expires_at: datetime | None
    old_secret_until: datetime | None
    """Until when the secret before the last rotation is good."""
    last_used_at: datetime | None
    """To half a minute, and noted half a minute later at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey(ListedKey):
    """A key with its secret, which is shown this once."""

    secret: str
    """What requests carry as `Authorization: Bearer …`. Only its SHA-256 is kept."""


async def make_key(
    store: Store, ring: KeyRing, wanted: Wanted, *, id_: str, secret: str, now: datetime
) -> MadeKey:
    """Make a key; the first one turns authentication on. Errors: InvalidRequest, Conflict."""
    key = Key(
        id=id_,
        name=wanted.name,
        rights=frozenset(wanted.scopes),
        workspaces=tuple(sorted(set(wanted.workspaces))),
        created_at=micros(now),
        expires_at=None if wanted.expires_at is None else micros(wanted.expires_at),
        digest=digest_of(secret),
    )
    made = await _change(store, ring, Change(**_common(ring, now), make=key))
    return _made(made, secret, now)


async def list_keys(store: Store, now: datetime) -> list[ListedKey]:
    """All keys, newest first."""
    return [ListedKey(**_listed(key, now)) for key in await store.read(read_keys)]


async def rotate_key(
    store: Store, ring: KeyRing, id_: str, *, secret: str, grace_seconds: int, now: datetime
) -> MadeKey:
    """Give a key a new secret; the old one is good for the grace. Errors: NotFound."""
    change = Change(
        **_common(ring, now), rotate=id_, digest=digest_of(secret), grace_seconds=grace_seconds
    )
    return _made(await _change(store, ring, change), secret, now)


async def revoke_key(store: Store, ring: KeyRing, id_: str, *, now: datetime) -> None:
    """Let a key in no more: here at once. Errors: NotFound, LastAdminKey."""
    await _change(store, ring, Change(**_common(ring, now), revoke=id_))


async def _change(store: Store, ring: KeyRing, change: Change) -> Key:
    key: Key = await store.write(SYSTEM, change_keys, change)
    await ring.refresh(store)
    return key


def _common(ring: KeyRing, now: datetime) -> dict[str, Any]:
    return {"has_setting": ring.has_setting, "now": micros(now)}


def _made(key: Key, secret: str, now: datetime) -> MadeKey:
    return MadeKey(**_listed(key, now), secret=secret)


def _listed(key: Key, now: datetime) -> dict[str, Any]:
    is_double = key.old_until is not None and key.old_until > micros(now)
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.rights),
        "workspaces": list(key.workspaces) or None,
        "created_at": moment(key.created_at),
        "expires_at": None if key.expires_at is None else moment(key.expires_at),
        "old_secret_until": moment(key.old_until) if is_double and key.old_until else None,
        "last_used_at": None if key.last_used_at is None else moment(key.last_used_at),
    }
