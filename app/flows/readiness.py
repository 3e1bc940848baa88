"""Check whether everything that a recorded answer needs is there."""

from collections.abc import Mapping
from dataclasses import dataclass

import anyio
from prometheus_client import Gauge

from app.core.audit_pace import Sweep, from_data
from app.core.errors import DomainError
from app.core.job_runs import SECOND_MICROS
from app.store import job_reading
from app.store.database import Store, Tx
from app.store.migrate import pending
from app.store.shelf import PolicyShelf

DIFFERENCES = Gauge(
    "membudget_audit_differences",
    "Known differences between figures, runs, allocations and totals of budgets in USD.",
)
SWEPT = Gauge(
    "membudget_audit_swept_seconds",
    "When the last audit that looked at everything was begun (seconds since 1970).",
)

PROBE_SECONDS = 1.0
HELD = "The database can be read and takes no writes: does another program hold it?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the service is ready, and each part by name: "ok", or what is wrong."""

    ready: bool
    checks: dict[str, str]


async def check(
    store: Store, shelf: PolicyShelf, besides: Mapping[str, str | None] = {}
) -> Readiness:
    """Ask the database and its schema, the writer, and the policy files."""
    differences = 0
    checks = {"database": "ok", "migrations": "ok", "writer": "ok", "policy": "ok"}
    try:
        is_behind, sweep = await store.read(_ask)
        show(sweep)
        differences = sweep.differences
        if is_behind:
            checks["migrations"] = "The schema is of another version: run membudget-server migrate."
    except DomainError as error:
        checks["database"] = error.detail
        checks["migrations"] = "unknown"
    if not store.is_writing:
        checks["writer"] = "The writer is not running."
    elif store.is_refusing and checks["database"] == "ok":
        checks["writer"] = await _try_again(store)
    ready = all(state == "ok" for state in checks.values())
    if shelf.file_errors:
        checks["policy"] = "; ".join(shelf.file_errors.values())  # the last good one serves on
    if store.full is not None:
        checks["disk"] = store.full  # ready all the same: only a write finds out that it has room
    if differences:
        checks["books"] = (
            f"{differences} differences between figures, runs, allocations and budgets in USD; "
            "nothing was repaired. membudget-server audit names them."
        )
    checks |= {name: state for name, state in besides.items() if state is not None}
    return Readiness(ready=ready, checks=checks)


async def _try_again(store: Store) -> str:
    """Whether the database, which did not take the last write, takes one that changes nothing."""
    if store.waiting:
        return HELD
    try:
        with anyio.fail_after(PROBE_SECONDS):
            await store.write_alone(lambda tx: None)
    except TimeoutError:
        return HELD
    except DomainError as error:
        return error.detail
    return "ok"


def show(sweep: Sweep) -> None:
    """Let metrics tell what the audit knows, on every replica."""
    DIFFERENCES.set(sweep.differences)
    if sweep.swept_at is not None:
        SWEPT.set(sweep.swept_at / SECOND_MICROS)


def _ask(tx: Tx) -> tuple[bool, Sweep]:
    """Whether the schema is another, and what the last audit knew."""
    if pending(tx.connection):
        return True, Sweep()
    return False, from_data(job_reading.last_outcome(tx, "audit"))
