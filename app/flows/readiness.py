"""Check whether everything that a recorded answer needs is there."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import DomainError
from app.store.database import Store, Tx
from app.store.migrate import pending
from app.store.shelf import PolicyShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the service is ready, and each part by name: "ok", or what is wrong."""

    ready: bool
    checks: dict[str, str]


async def check(
    store: Store, shelf: PolicyShelf, besides: Mapping[str, str | None] = {}
) -> Readiness:
    """Ask the database and its schema, the writer, and the policy files."""
    checks = {"database": "ok", "migrations": "ok", "writer": "ok", "policy": "ok"}
    try:
        if await store.read(_is_behind):
            checks["migrations"] = "The schema is of another version: run membudget-server migrate."
    except DomainError as error:
        checks["database"] = error.detail
        checks["migrations"] = "unknown"
    if not store.is_writing:
        checks["writer"] = "The writer is not running."
    ready = all(state == "ok" for state in checks.values())
    if shelf.file_errors:
        checks["policy"] = "; ".join(shelf.file_errors.values())  # the last good one serves on
    checks |= {name: state for name, state in besides.items() if state is not None}
    return Readiness(ready=ready, checks=checks)


def _is_behind(tx: Tx) -> bool:
    return pending(tx.connection)
