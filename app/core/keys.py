"""Say what a key lets its bearer do, in which workspaces, and until when."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, get_args

from app.core.errors import BoundKey, Conflict, InvalidRequest, MissingScope, NotFound
from app.core.values import value

Right = Literal["use", "read", "admin"]
RIGHTS: tuple[Right, ...] = get_args(Right)

DEFAULT_WORKSPACE = "default"
MAX_WORKSPACES = 50
MAX_KEYS = 10_000
MAX_GRACE_SECONDS = 90 * 86_400
SECOND = 1_000_000


class LastAdminKey(Conflict):
    """Without this key nobody could make keys any more."""

    code = "last_admin_key"


class WorkspaceNeeded(InvalidRequest):
    """The key is bound to several workspaces, and the request names none of them."""

    code = "workspace_needed"


@value
class Key:
    """A key as it is kept: what it may do, and digests of its secrets."""

    id: str
    name: str
    rights: frozenset[str]
    workspaces: tuple[str, ...]
    """The workspaces that it is bound to, in order; none: it is not bound."""
    created_at: int
    expires_at: int | None
    digest: bytes
    old_digest: bytes | None = None
    """Of the secret before the last rotation, which is good until `old_until`."""
    old_until: int | None = None
    last_used_at: int | None = None


def digest_of(secret: str | bytes) -> bytes:
    """SHA-256 of a secret: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def secrets_of(key: Key) -> list[tuple[bytes, int | None]]:
    """The digests that let a key in, each with the moment (µs) from which it no longer does."""
    found = [(key.digest, key.expires_at)]
    if key.old_digest is not None and key.old_until is not None:
        ends = key.old_until if key.expires_at is None else min(key.old_until, key.expires_at)
        found.append((key.old_digest, ends))
    return found


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal; takes as long whatever they are."""
    return hmac.compare_digest(one, other)


def may(key: Key, needed: Collection[str]) -> bool:
    """Whether a key has one of the rights; `admin` has them all."""
    return "admin" in key.rights or not key.rights.isdisjoint(needed)


def require_right(key: Key, needed: Collection[str], *, whole_house: bool) -> None:
    """Refuse what the key does not allow. Errors: MissingScope, BoundKey."""
    if not may(key, needed):
        names = " or ".join(f"`{name}`" for name in RIGHTS if name in needed or name == "admin")
        raise MissingScope(f"This path asks for a key with the scope {names}.")
    if whole_house and key.workspaces:
        raise BoundKey(
            "This path is about all workspaces, and this key is bound to some: ask with a key that "
            "is bound to none."
        )


def reaches(key: Key | None, workspace: str) -> bool:
    """Whether a key (None: none was asked for) reaches a workspace."""
    return key is None or not key.workspaces or workspace in key.workspaces


def require_reach(key: Key | None, workspace: str) -> None:
    """Refuse a workspace that the key does not reach, whether or not it exists. Errors: NotFound"""
    if not reaches(key, workspace):
        raise NotFound("No such workspace for this key; name one that the key is bound to.")


def home_of(key: Key | None) -> str:
    """The workspace of requests that name none. Errors: WorkspaceNeeded."""
    if key is None or not key.workspaces or DEFAULT_WORKSPACE in key.workspaces:
        return DEFAULT_WORKSPACE
    if len(key.workspaces) == 1:
        return key.workspaces[0]
    raise WorkspaceNeeded("This key is bound to several workspaces: say which as `workspace`.")


def is_keeper(key: Key) -> bool:
    """Whether a key can look after keys, for good: admin, bound to nothing, without an end."""
    return "admin" in key.rights and not key.workspaces and key.expires_at is None


def admit(key: Key, held: Sequence[Key], *, has_setting: bool, now: int) -> None:
    """Refuse a key that must not be made now.

    `has_setting`: there is a MEMBUDGET_ADMIN_KEY beside those held. Errors: InvalidRequest, for an
    end that is past and a first key that could not make others; Conflict beyond `MAX_KEYS`.
    """
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidRequest(
            "expires_at: must be later than now.",
            errors=[{"loc": ["body", "expires_at"], "msg": "must be later than now"}],
        )
    if not has_setting and not any(map(is_keeper, (*held, key))):
        raise InvalidRequest(
            "The first key turns authentication on, so it must be able to make the others: "
            'scopes ["admin"], no workspaces, no expires_at.',
            errors=[{"loc": ["body", "scopes"], "msg": "the first key must be admin"}],
        )
    if len(held) >= MAX_KEYS:
        raise Conflict(f"There are {MAX_KEYS:,} keys, which is all there may be; delete some.")


def require_spare(key: Key, held: Sequence[Key], *, has_setting: bool) -> None:
    """Refuse to take the last key away that can look after keys. Errors: LastAdminKey."""
    others = (one for one in held if one.id != key.id)
    if is_keeper(key) and not has_setting and not any(is_keeper(one) for one in others):
        raise LastAdminKey(
            "This is the last key that can make keys: make another one with the scope admin first, "
            "without workspaces and expires_at, or set MEMBUDGET_ADMIN_KEY."
        )


def rotated(key: Key, digest: bytes, *, grace_seconds: int, now: int) -> Key:
    """The key with a new secret; the one before it is good for the grace, and no third one is."""
    if not grace_seconds:
        return replace(key, digest=digest, old_digest=None, old_until=None)
    until = now + grace_seconds * SECOND
    return replace(key, digest=digest, old_digest=key.digest, old_until=until)
