"""Keep pools: a family in its root's row, which whoever changes it locks."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from app.core.errors import DomainError, IdempotencyMismatch
from app.core.pools import Family, Hold, Pool, carve, give, opened, pool_in, take, transfer
from app.core.values import value
from app.store.agents import register
from app.store.cell_reading import read_marks
from app.store.database import Tx, dumps, in_chunks
from app.store.tables import pools
from app.store.usage import RaceLost


class Families:
    """The families of some pools, in one transaction: read, changed, saved.

    Whoever changes any locks the workspace's mark first, as bookings do: of two replicas that
    draw and settle together, none waits in a ring.
    """

    def __init__(self, tx: Tx, workspace: str, ids: Iterable[str], *, lock: bool) -> None:
        self._tx = tx
        self._workspace = workspace
        self._root_of = _roots(tx, workspace, ids)
        if self._root_of and lock and not tx.is_sqlite:
            read_marks(tx, workspace, lock="FOR UPDATE")
        self._held = _read(tx, workspace, set(self._root_of.values()), lock=lock)
        self._changed: set[str] = set()

    def of(self, id_: str) -> Family:
        """The family of a pool; empty where there is none of this id."""
        root = self._root_of.get(id_)
        return {} if root is None else self._held.get(root, {})

    def has(self, id_: str) -> bool:
        """Whether there is a pool of this id."""
        return id_ in self.of(id_)

    def change(self, id_: str, apply: Callable[[Family], Family]) -> None:
        """Change the family of a pool. Errors: those of `apply`; nothing has changed then."""
        before = self.of(id_)
        after = apply(before)
        if after is not before:
            root = self._root_of[id_]
            self._held[root] = after
            self._changed.add(root)

    def add(self, pool: Pool, *, now: int) -> Pool:
        """Take a new pool in, as a root or carved out of its parent. Errors: as of `carve`."""
        if pool.parent is None:
            self._root_of[pool.id] = pool.id
            self._held[pool.id] = opened(pool)
        else:
            self.change(pool.parent, lambda family: carve(family, pool, now))
            self._root_of[pool.id] = self._root_of[pool.parent]
        return pool_in(self.of(pool.id), pool.id)

    def root_of(self, id_: str) -> str:
        """The root of a pool that is there."""
        return self._root_of[id_]

    def save(self) -> None:
        """Write back the families that have changed."""
        if not self._changed:
            return
        table = pools.c
        statement = (
            update(pools)
            .where(table.workspace == self._workspace, table.id == bindparam("root_id"))
            .values(family=bindparam("new_family"))
        )
        rows = [
            {"root_id": root, "new_family": dumps(to_data(self._held[root]))}
            for root in sorted(self._changed)
        ]
        self._tx.connection.execute(statement, rows)
        self._changed.clear()


def _roots(tx: Tx, workspace: str, ids: Iterable[str]) -> dict[str, str]:
    table = pools.c
    found: dict[str, str] = {}
    for chunk in in_chunks(sorted(set(ids))):
        query = select(table.id, table.root).where(table.workspace == workspace)
        rows = tx.connection.execute(query.where(table.id.in_(chunk)))
        found.update((row.id, row.root) for row in rows)
    return found


def _read(tx: Tx, workspace: str, roots: Iterable[str], *, lock: bool) -> dict[str, Family]:
    """Families by root; locked in the order of their ids, so that writers never wait in a ring."""
    table = pools.c
    found: dict[str, Family] = {}
    for chunk in in_chunks(sorted(roots)):
        query = select(table.id, table.family).where(table.workspace == workspace)
        query = query.where(table.id.in_(chunk)).order_by(table.id)
        if lock and not tx.is_sqlite:
            query = query.with_for_update()
        for row in tx.connection.execute(query):
            found[row.id] = to_core(json.loads(row.family))
    return found


@value
class NewPool:
    """A pool to make, and the key under which it may be asked for again."""

    pool: Pool
    answer: Callable[[Family], bytes]
    """What is answered, of its family."""
    idempotency_key: str | None = None
    request_hash: bytes | None = None


def add_pools(tx: Tx, workspace: str, items: Sequence[NewPool]) -> list[bytes | DomainError]:
    """Make pools; answers what the client gets: the first answer, under a known key.

    Errors: RaceLost if another replica has taken a key just now.
    """
    known = _known(tx, workspace, items)
    parents = [one.pool.parent for one in items if one.pool.parent is not None]
    families = Families(tx, workspace, parents, lock=True)
    rows: list[tuple[Any, ...]] = []
    answers: list[bytes | DomainError] = []
    for item in items:
        key = item.idempotency_key
        first = known.get(item.pool.id if key is None else key)
        if first is not None:
            answers.append(_again(item, *first))
            continue
        now = item.pool.created_at
        try:
            pool = families.add(item.pool, now=now)
        except DomainError as refusal:
            answers.append(refusal)
            continue
        answer = item.answer(families.of(pool.id))
        known[pool.id if key is None else key] = (item.request_hash, answer)
        answers.append(answer)
        is_root = pool.parent is None
        family = dumps(to_data(families.of(pool.id))) if is_root else None
        root = families.root_of(pool.id)
        rows.append(
            (
                workspace,
                pool.id,
                root,
                now,
                pool.until,
                family,
                key,
                item.request_hash,
                answer.decode(),
            )
        )
    families.save()
    if not rows:
        return answers
    rows.sort(key=lambda row: row[6] or "")  # keys in order, or two replicas could deadlock
    stored = tx.insert_many(pools, rows, tail="ON CONFLICT DO NOTHING", returning="id")
    if not tx.is_sqlite and len(stored) < len(rows):
        raise RaceLost
    register(tx, workspace, (), now=rows[0][3])
    return answers


def _known(
    tx: Tx, workspace: str, items: Sequence[NewPool]
) -> dict[str, tuple[bytes | None, bytes]]:
    """First answers by key, or by id where the request had no key."""
    table = pools.c
    ids = [one.pool.id for one in items]
    keys = [one.idempotency_key for one in items if one.idempotency_key is not None]
    query = select(table.id, table.idempotency_key, table.request_hash, table.answer)
    query = query.where(
        table.workspace == workspace, or_(table.id.in_(ids), table.idempotency_key.in_(keys))
    )
    return {
        row.idempotency_key or row.id: (
            None if row.request_hash is None else bytes(row.request_hash),
            row.answer.encode(),
        )
        for row in tx.connection.execute(query)
    }


def _again(item: NewPool, request_hash: bytes | None, answer: bytes) -> bytes | DomainError:
    if request_hash == item.request_hash:
        return answer
    return IdempotencyMismatch("This Idempotency-Key came with another body before; use a new key.")


@value
class Transfer:
    """Capacity to move from one pool to another."""

    source: str
    target: str
    tokens: int
    now: int


def transfer_many(
    tx: Tx, workspace: str, items: Sequence[Transfer]
) -> list[tuple[Family, Family] | DomainError]:
    """Move capacity; answers the families of source and target as they are then."""
    ids = [id_ for one in items for id_ in (one.source, one.target)]
    families = Families(tx, workspace, ids, lock=True)
    answers: list[tuple[Family, Family] | DomainError] = []
    for one in items:
        try:
            _transfer(families, one)
        except DomainError as refusal:
            answers.append(refusal)
            continue
        answers.append((families.of(one.source), families.of(one.target)))
    families.save()
    return answers


def _transfer(families: Families, wanted: Transfer) -> None:
    source, target, tokens, now = wanted.source, wanted.target, wanted.tokens, wanted.now
    for id_ in (source, target):
        pool_in(families.of(id_), id_)
    if families.root_of(source) == families.root_of(target):
        families.change(source, lambda family: transfer(family, source, target, tokens, now))
        return
    given = give(families.of(target), target, tokens, now)
    families.change(source, lambda family: take(family, source, tokens, now))
    families.change(target, lambda _: given)


def read_family(tx: Tx, workspace: str, id_: str) -> Family:
    """The family of a pool as it is; empty where there is none of this id."""
    return Families(tx, workspace, [id_], lock=False).of(id_)


def to_data(family: Family) -> list[dict[str, Any]]:
    """A family as plain data, which leaves out what is as usual."""
    return [
        {
            "id": one.id,
            "capacity": one.capacity,
            "created_at": one.created_at,
            "until": one.until,
            **{
                name: kept
                for name in ("name", "parent", "reserve_pct", "used", "last_used", "late")
                if (kept := getattr(one, name))
            },
            "holds": {
                key: [hold.tokens, hold.until, *([1] if hold.is_last_word else [])]
                for key, hold in one.holds.items()
            },
        }
        for one in family.values()
    ]


def to_core(data: Sequence[dict[str, Any]]) -> Family:
    """The family of plain data."""
    return {
        one["id"]: Pool(
            id=one["id"],
            name=one.get("name"),
            parent=one.get("parent"),
            capacity=one["capacity"],
            created_at=one["created_at"],
            until=one["until"],
            reserve_pct=one.get("reserve_pct", 0),
            used=one.get("used", 0),
            last_used=one.get("last_used", 0),
            late=one.get("late", 0),
            holds={
                key: Hold(tokens=hold[0], until=hold[1], is_last_word=len(hold) > 2)
                for key, hold in one["holds"].items()
            },
        )
        for one in data
    }
