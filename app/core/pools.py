"""Share one budget among the agents of one task: reserve, settle, hand on, and never spend twice.

Pools stand in a family: a root, and pools that were carved out of others. What a pool has given to
a living child is gone for its other draws; what a child leaves when its time is over comes back.
Nothing happens by itself: what time does to a reservation shows as soon as somebody looks.
Amounts are tokens, moments microseconds since 1970.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from app.core.errors import BudgetExceeded, Conflict, InvalidRequest, NotFound
from app.core.usage import MAX_TOKENS
from app.core.values import value

MOST_HELD = 1_000
"""Reservations that a family may hold at once: its row is written whole with each of them."""
MOST_POOLS = 100
"""Pools of a family."""


class PoolClosed(Conflict):
    """The pool's time is over: make another one."""

    code = "pool_closed"


@value
class Hold:
    """Tokens that are reserved, and not used yet."""

    tokens: int
    until: int
    """When they come back by themselves."""
    is_last_word: bool = False
    """Drawn from the share that is ring-fenced first."""


@value
class Pool:
    """A budget that several runs draw from."""

    id: str
    name: str | None
    parent: str | None
    capacity: int
    created_at: int
    until: int
    """When it closes, with all that is reserved in it."""
    reserve_pct: int = 0
    """Share of the capacity, 0-100, that only a last word may draw."""
    used: int = 0
    last_used: int = 0
    """Of `used`, what last words took."""
    late: int = 0
    """Of `used`, what was settled after its reservation had come back."""
    holds: Mapping[str, Hold] = field(default_factory=dict)


Family = Mapping[str, Pool]
"""Pools by id: one root and all that was carved out of it."""


@value
class Standing:
    """How a pool stands at one moment."""

    pool: Pool
    held: int
    given: int
    """What its children hold of it: their capacity while they live, then what they used."""
    reserve: int
    """What is still ring-fenced for the last word."""
    is_open: bool
    more_at: int | None
    """When the next reservation comes back by itself; None: nothing is reserved."""

    @property
    def taken(self) -> int:
        """All that is used, held or given."""
        return self.pool.used + self.held + self.given

    @property
    def room(self) -> int:
        """What a last word may draw."""
        return max(0, self.pool.capacity - self.taken)

    @property
    def available(self) -> int:
        """What anybody may draw."""
        return max(0, self.pool.capacity - self.taken - self.reserve)

    @property
    def overdrawn(self) -> int:
        """What was settled beyond the capacity: late, or more than was reserved."""
        return max(0, self.taken - self.pool.capacity)


def standing(family: Family, id_: str, now: int) -> Standing:
    """How a pool stands. Errors: NotFound."""
    pool = pool_in(family, id_)
    live = _live(pool, now)
    last = pool.last_used + sum(one.tokens for one in live.values() if one.is_last_word)
    return Standing(
        pool=pool,
        held=sum(one.tokens for one in live.values()),
        given=sum(_weight(family, one, now) for one in family.values() if one.parent == id_),
        reserve=max(0, pool.capacity * pool.reserve_pct // 100 - last),
        is_open=now < pool.until,
        more_at=min((one.until for one in live.values()), default=None),
    )


def pool_in(family: Family, id_: str) -> Pool:
    """A pool of a family. Errors: NotFound."""
    if id_ not in family:
        raise NotFound("No pool of this id in this workspace.")
    return family[id_]


def opened(pool: Pool) -> Family:
    """The family of a new root."""
    return {pool.id: pool}


def carve(family: Family, child: Pool, now: int) -> Family:
    """The family with a new pool, made of what its parent has available.

    It closes no later than its parent. Errors: NotFound, PoolClosed, BudgetExceeded, Conflict.
    """
    if child.id in family:
        return family
    if child.parent is None:
        raise InvalidRequest("A pool is carved out of a parent.")
    if len(family) >= MOST_POOLS:
        raise Conflict(f"A family has at most {MOST_POOLS} pools; make one without a parent.")
    parent = _open(family, child.parent, now)
    _require(standing(family, parent.id, now), child.capacity, is_last_word=False)
    return {**family, child.id: replace(child, until=min(child.until, parent.until))}


def reserve(family: Family, id_: str, key: str, hold: Hold, now: int) -> Family:
    """The family with tokens of a pool reserved under a key; the same key again changes nothing.

    All or nothing, and no longer than the pool lives. Errors: NotFound, PoolClosed,
    BudgetExceeded, Conflict.
    """
    pool = _open(family, id_, now)
    live = _live(pool, now)
    if key in live:
        return family
    if sum(len(_live(one, now)) for one in family.values()) >= MOST_HELD:
        raise Conflict(
            f"{MOST_HELD:,} reservations are open in this pool and those about it, which is all"
            " there may be: finish or release some."
        )
    _require(standing(family, id_, now), hold.tokens, is_last_word=hold.is_last_word)
    kept = replace(hold, until=min(hold.until, pool.until))
    return {**family, id_: replace(pool, holds={**live, key: kept})}


def extend(family: Family, id_: str, key: str, until: int, now: int) -> Family:
    """The family with a reservation that lasts till a moment; nothing is taken back that was
    given back before."""
    pool = pool_in(family, id_)
    live = _live(pool, now)
    if key not in live:
        return family
    kept = replace(live[key], until=min(max(until, live[key].until), pool.until))
    return {**family, id_: replace(pool, holds={**live, key: kept})}


def release(family: Family, id_: str, key: str) -> Family:
    """The family with a reservation given back."""
    pool = pool_in(family, id_)
    return {**family, id_: replace(pool, holds=_without(pool, key))}


def settle(family: Family, id_: str, key: str, tokens: int, now: int) -> Family:
    """The family with what a reservation really used; the rest comes back.

    What happened is booked, however late and however much: it may overdraw the pool.
    """
    pool = pool_in(family, id_)
    hold = pool.holds.get(key)
    is_late = hold is None or now >= hold.until
    is_last = hold is not None and hold.is_last_word
    settled = replace(
        pool,
        used=pool.used + tokens,
        last_used=pool.last_used + (tokens if is_last else 0),
        late=pool.late + (tokens if is_late else 0),
        holds=_without(pool, key),
    )
    return {**family, id_: settled}


def take(family: Family, id_: str, tokens: int, now: int, *, below: str | None = None) -> Family:
    """The family with capacity taken from what a pool has available, and from all above it.

    `below`: as far as a pool that keeps its own. Errors: NotFound, PoolClosed, BudgetExceeded.
    """
    _require(standing(family, _open(family, id_, now).id, now), tokens, is_last_word=False)
    return _changed(family, id_, -tokens, below)


def give(family: Family, id_: str, tokens: int, now: int, *, below: str | None = None) -> Family:
    """The family with capacity added to a pool, and to all above it. Errors: as of `take`."""
    _open(family, id_, now)
    after = _changed(family, id_, tokens, below)
    if any(one.capacity > MAX_TOKENS for one in after.values()):
        raise InvalidRequest(
            f"A pool holds at most {MAX_TOKENS:,} tokens; transfer fewer.",
            errors=[{"loc": ["body", "tokens"], "msg": "is too much for a pool"}],
        )
    return after


def transfer(family: Family, source: str, target: str, tokens: int, now: int) -> Family:
    """The family with capacity moved between two of its pools. Errors: as of `take`."""
    shared = _meeting(family, source, target)
    if shared == source:  # it is carved out further: what it has available must do
        _require(standing(family, _open(family, source, now).id, now), tokens, is_last_word=False)
        return give(family, target, tokens, now, below=shared)
    return give(take(family, source, tokens, now, below=shared), target, tokens, now, below=shared)


def _meeting(family: Family, one: str, other: str) -> str:
    """The nearest pool that is, or is above, both."""
    above = _path(family, one)
    return next(id_ for id_ in _path(family, other) if id_ in above)


def _path(family: Family, id_: str) -> Sequence[str]:
    """A pool and those above it, up to the root."""
    pool = pool_in(family, id_)
    return [id_] if pool.parent is None else [id_, *_path(family, pool.parent)]


def _changed(family: Family, id_: str, tokens: int, below: str | None) -> Family:
    after = dict(family)
    for one in _path(family, id_):
        if one == below:
            break
        after[one] = replace(after[one], capacity=after[one].capacity + tokens)
    return after


def _weight(family: Family, child: Pool, now: int) -> int:
    """What a child takes of its parent."""
    taken = standing(family, child.id, now).taken
    return max(child.capacity, taken) if now < child.until else taken


def _without(pool: Pool, key: str) -> dict[str, Hold]:
    return {one: hold for one, hold in pool.holds.items() if one != key}


def _live(pool: Pool, now: int) -> dict[str, Hold]:
    """Reservations whose time is not over."""
    return {key: hold for key, hold in pool.holds.items() if now < hold.until}


def _open(family: Family, id_: str, now: int) -> Pool:
    pool = pool_in(family, id_)
    if now >= pool.until:
        raise PoolClosed("This pool's time is over, and nothing more can be drawn: make another.")
    return pool


def _require(found: Standing, tokens: int, *, is_last_word: bool) -> None:
    left = found.room if is_last_word else found.available
    if tokens > left:
        raise BudgetExceeded(
            f"{tokens:,} tokens are asked of this pool, and {left:,} are available: nothing was"
            " reserved. Ask for fewer, or wait for what is held to come back.",
            pool=found.pool.id,
            available=left,
            more_at=found.more_at,
        )
