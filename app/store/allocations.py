"""Keep allocations: what was decided, as it was answered, and how each stands."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, or_, select, update

from app.core.allocation import Allocation, Decision
from app.core.errors import DomainError, IdempotencyMismatch
from app.core.filters import AllocationFilter
from app.core.monitor_data import from_data, to_data
from app.core.monitoring import Monitor
from app.core.settling import Opened
from app.core.values import value
from app.core.windows import micros
from app.store.agents import register
from app.store.database import Tx, dumps, in_chunks
from app.store.drawing import draw
from app.store.pools import Families
from app.store.tables import allocations
from app.store.usage import RaceLost

_ANSWER = TypeAdapter(Allocation)

encode = _ANSWER.dump_json
"""An allocation as the JSON that is answered, stored and answered again."""


@value
class New:
    """A decision to record, and the key under which it may be asked for again."""

    decision: Decision
    answer: bytes
    """The allocation as it is answered."""
    task: str | None
    processing_us: int
    idempotency_key: str | None = None
    request_hash: bytes | None = None
    is_last_word: bool = False
    """May draw the share that its pool keeps for the last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An allocation as it stands."""

    opened: Opened
    answer: dict[str, Any]
    monitor: Monitor
    event_id: str | None
    """The usage event that closed it."""

    @property
    def pool(self) -> str | None:
        """The pool that it was drawn from."""
        found: str | None = self.answer.get("pool")
        return found


def add_many(tx: Tx, workspace: str, items: Sequence[New]) -> list[bytes | DomainError]:
    """Record decisions; answers what the client gets: the first answer, under a known key.

    What is drawn from a pool is reserved there. Errors: BudgetExceeded, PoolClosed, NotFound of a
    pool; RaceLost if another replica has taken a key, and something was drawn.
    """
    keys = [item.idempotency_key for item in items if item.idempotency_key is not None]
    known = _by_key(tx, workspace, keys) if keys else {}
    drawn = {pool for item in items if (pool := item.decision.allocation.pool) is not None}
    families = Families(tx, workspace, drawn, lock=True) if drawn else None
    refused: dict[int, DomainError] = {}
    rows = []
    for index, item in enumerate(items):
        key = item.idempotency_key
        if key is None or key not in known:
            try:
                if families is not None:
                    draw(families, item.decision, is_last_word=item.is_last_word)
            except DomainError as refusal:
                refused[index] = refusal
                continue
            rows.append(to_row(item))
            if key is not None:
                known[key] = (item.request_hash, item.answer)
    if families is not None:
        families.save()
    if rows:
        if _insert(tx, rows, keyed=bool(keys)):
            if families is not None:
                raise RaceLost
            known.update(_by_key(tx, workspace, keys))
        named = {row[_AGENT]: None for row in rows if row[_AGENT]}
        register(tx, workspace, named, now=rows[0][2])
    return [refused.get(index) or _answer_of(item, known) for index, item in enumerate(items)]


def _insert(tx: Tx, rows: Sequence[tuple[Any, ...]], *, keyed: bool) -> bool:
    """Insert rows; answers whether another replica took the key of one of them just now.

    An id that is there is our own: a commit whose answer was lost.
    """
    if tx.is_sqlite:
        tx.insert_many(allocations, rows)
        return False
    if not keyed:
        tx.insert_many(allocations, rows, tail="ON CONFLICT DO NOTHING")
        return False
    in_order = sorted(rows, key=lambda row: row[_KEY] or "")  # or two replicas could deadlock
    stored = tx.insert_many(allocations, in_order, tail="ON CONFLICT DO NOTHING", returning="id")
    return len(stored) < len(rows)


def _answer_of(item: New, known: Mapping[str, tuple[bytes | None, bytes]]) -> bytes | DomainError:
    if item.idempotency_key is None:
        return item.answer
    request_hash, answer = known[item.idempotency_key]
    if request_hash == item.request_hash:
        return answer
    return IdempotencyMismatch("This Idempotency-Key came with another body before; use a new key.")


def _by_key(tx: Tx, workspace: str, keys: list[str]) -> dict[str, tuple[bytes | None, bytes]]:
    table = allocations.c
    found: dict[str, tuple[bytes | None, bytes]] = {}
    for chunk in in_chunks(keys):
        query = select(table.idempotency_key, table.request_hash, table.decision).where(
            table.workspace == workspace, table.idempotency_key.in_(chunk)
        )
        for row in tx.connection.execute(query):
            found[row.idempotency_key] = (bytes(row.request_hash), row.decision.encode())
    return found


_AGENT, _KEY = (
    [column.name for column in allocations.columns].index(name)
    for name in ("agent", "idempotency_key")
)


def to_row(item: New) -> tuple[Any, ...]:
    """A new allocation as a row, in column order."""
    allocation, monitor = item.decision.allocation, item.decision.monitor
    selection = allocation.selection
    chosen: dict[str, int] = {}
    for one in selection.selected if selection else ():
        chosen[one.scope] = chosen.get(one.scope, 0) + 1
    scopes = [[s.name, s.tokens, s.used, chosen.get(s.name, 0)] for s in allocation.scopes]
    return (
        allocation.workspace,
        allocation.id,
        micros(allocation.created_at),
        micros(monitor.expires_at),
        None,
        allocation.agent.name if allocation.agent else None,
        allocation.project,
        allocation.user,
        allocation.session_id,
        allocation.run_id,
        allocation.model,
        item.task,
        allocation.policy.name,
        allocation.complexity.tier,
        item.processing_us,
        len(selection.selected) if selection else 0,
        selection.tokens if selection else 0,
        allocation.budget.tokens,
        dumps(scopes),
        item.answer.decode(),
        dumps(to_data(monitor)),
        item.idempotency_key,
        item.request_hash,
        None,
    )


def to_core(row: Row[Any]) -> Held:
    """The allocation of a row."""
    return Held(
        opened=Opened(
            id=row.id,
            workspace=row.workspace,
            agent=row.agent,
            project=row.project,
            user=row.user,
            session_id=row.session_id,
            run_id=row.run_id,
            model=row.model,
            task=row.task,
            policy=row.policy,
            complexity=row.complexity,
        ),
        answer=json.loads(row.decision),
        monitor=from_data(json.loads(row.monitor)),
        event_id=row.event_id,
    )


def get_many(tx: Tx, workspace: str, ids: Iterable[str], *, lock: bool = False) -> dict[str, Held]:
    """Allocations by id, those that exist; `lock`: nobody else changes them until the commit."""
    table = allocations.c
    found: dict[str, Held] = {}
    for chunk in in_chunks(sorted(set(ids))):
        query = select(allocations).where(table.workspace == workspace, table.id.in_(chunk))
        query = query.order_by(table.id)
        if lock and not tx.is_sqlite:
            query = query.with_for_update()
        found.update((row.id, to_core(row)) for row in tx.connection.execute(query))
    return found


def save_monitors(
    tx: Tx, workspace: str, monitors: dict[str, Monitor], event_ids: dict[str, str]
) -> None:
    """Write back how allocations stand, and the events that closed them."""
    if not monitors:
        return
    table = allocations.c
    statement = (
        update(allocations)
        .where(table.workspace == workspace, table.id == bindparam("the_id"))
        .values(
            monitor=bindparam("new_monitor"),
            expires_at=bindparam("new_expiry"),
            finished_at=bindparam("new_end"),
            event_id=bindparam("new_event"),
        )
    )
    tx.connection.execute(
        statement,
        [
            {
                "the_id": id_,
                "new_monitor": dumps(to_data(monitor)),
                "new_expiry": micros(monitor.released_at or monitor.expires_at),
                "new_end": None if monitor.finished_at is None else micros(monitor.finished_at),
                "new_event": event_ids.get(id_),
            }
            for id_, monitor in sorted(monitors.items())
        ],
    )


def list_many(
    tx: Tx, wanted: AllocationFilter, *, before: tuple[int, str] | None, limit: int
) -> list[Held]:
    """Allocations newest first; `before` is a cursor of creation time and id."""
    table = allocations.c
    query = select(allocations).where(matching(wanted))
    if before is not None:
        at, id_ = before
        query = query.where(
            table.created_at <= at,
            or_(table.created_at < at, and_(table.created_at == at, table.id < id_)),
        )
    query = query.order_by(table.created_at.desc(), table.id.desc()).limit(limit)
    return [to_core(row) for row in tx.connection.execute(query)]


def delete_many(tx: Tx, wanted: AllocationFilter) -> int:
    """Delete matching allocations but those still open; usage events stay. How many went."""
    table = allocations.c
    closed = or_(table.finished_at.is_not(None), table.expires_at <= wanted.now)
    return tx.connection.execute(delete(allocations).where(matching(wanted), closed)).rowcount


def matching(wanted: AllocationFilter) -> ColumnElement[bool]:
    """The condition of the rows that a filter lets through."""
    table = allocations.c
    conditions = [table.workspace == wanted.workspace]
    if wanted.project is not None:
        conditions.append(table.project == wanted.project)
    if wanted.agents:
        conditions.append(table.agent.in_(wanted.agents))
    if wanted.since is not None:
        conditions.append(table.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.created_at < wanted.until)
    if wanted.state == "finished":
        conditions.append(table.finished_at.is_not(None))
    elif wanted.state == "open":
        conditions += [table.finished_at.is_(None), table.expires_at > wanted.now]
    elif wanted.state == "expired":
        conditions += [table.finished_at.is_(None), table.expires_at <= wanted.now]
    return and_(*conditions)
