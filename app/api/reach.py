"""Hold what the key of the request that is being answered reaches: schemas and routes ask here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.core.keys import Key, home_of, reaches, require_reach

BEARER = "key"

_asking: ContextVar[Key | None] = ContextVar("asking", default=None)
"""The key of this request, where it is bound to workspaces; None: everything is in reach."""


@contextmanager
def asked_by(key: Key) -> Iterator[None]:
    """While the block lasts, requests are read as the key's."""
    token = _asking.set(key if key.workspaces else None)
    try:
        yield
    finally:
        _asking.reset(token)


def bearer() -> Key | None:
    """The key of the request, where it is bound to workspaces."""
    return _asking.get()


def home() -> str:
    """The workspace of a request that names none. Errors: WorkspaceNeeded."""
    return home_of(_asking.get())


def within_reach(workspace: str) -> str:
    """A workspace that a request names. Errors: NotFound for one that its key is not bound to."""
    require_reach(_asking.get(), workspace)
    return workspace


def is_in_reach(workspace: str) -> bool:
    """Whether the request's key reaches a workspace."""
    return reaches(_asking.get(), workspace)


def bound_to() -> tuple[str, ...]:
    """The workspaces that the request's key is bound to; none: all of them are in reach."""
    key = _asking.get()
    return () if key is None else key.workspaces
