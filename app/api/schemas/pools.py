"""Say what pools look like on the wire."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.allocations import MAX_TTL_SECONDS
from app.api.schemas.common import Label, Tokens, Workspace
from app.api.schemas.costs import Usd
from app.core.errors import InvalidRequest, NotAvailable
from app.core.pools import Pool, Standing
from app.core.windows import micros, moment

DEFAULT_TTL_SECONDS = 86_400.0
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class PoolIn(BaseModel):
    """A budget that several runs share."""

    model_config = STRICT

    name: Label | None = None
    """For your own records."""
    tokens: Tokens | None = None
    """What it holds; of a pool with a `parent`, taken from what that has available."""
    usd: Usd | None = None
    """Not available yet: a budget in USD of `window` `run` or `event` holds what is spent."""
    parent: Label | None = None
    """The pool that it is carved out of; what it leaves unused comes back when it expires."""
    reserve_pct: Annotated[int, Field(ge=0, le=100)] = 0
    """Share that only allocations with `last_word` may draw, 0-100."""
    ttl_seconds: Annotated[float, Field(gt=0, le=MAX_TTL_SECONDS)] = DEFAULT_TTL_SECONDS
    """How long it may be drawn from; no longer than its parent."""
    workspace: Workspace

    def to_core(self, id_: str, now: datetime) -> Pool:
        """The pool as a core value. Errors: NotAvailable, InvalidRequest."""
        if self.usd is not None:
            raise NotAvailable(
                "Pools of USD are not available in this version: leave `usd` out, and make a"
                " budget in USD (PUT /costs/budgets/{name}) beside the pool.",
                errors=[{"loc": ["body", "usd"], "msg": "is not available yet"}],
            )
        if self.tokens is None:
            raise InvalidRequest(
                "Say how many tokens the pool holds.",
                errors=[{"loc": ["body", "tokens"], "msg": "is needed"}],
            )
        return Pool(
            id=id_,
            name=self.name,
            parent=self.parent,
            capacity=self.tokens,
            created_at=micros(now),
            until=micros(now + timedelta(seconds=self.ttl_seconds)),
            reserve_pct=self.reserve_pct,
        )


class TransferIn(BaseModel):
    """Tokens to hand on to another pool of the same workspace."""

    model_config = STRICT

    to: Label
    """The pool that gets them."""
    tokens: Annotated[int, Field(ge=1, le=10_000_000_000)]
    """At most what this pool has available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOut:
    """A pool, and how it stands. Tokens all over."""

    id: str
    workspace: str
    name: str | None
    parent: str | None
    state: Literal["open", "closed"]
    capacity: int
    used: int
    """By runs that are settled, its own and not its children's."""
    held: int
    """Reserved by open allocations."""
    given: int
    """What its children hold of it: their capacity while they live, then what they used."""
    reserve: int
    """What is still kept for the last word."""
    reserve_pct: int
    available: int
    """What may be drawn: neither used, held, given nor kept."""
    late: int
    """Of `used`, what was settled after its reservation had expired."""
    overdrawn: int
    """What was settled beyond the capacity: late, or more than was reserved."""
    reservations: int
    """How many are open."""
    more_at: datetime | None
    """When the next reservation comes back by itself, if it is not settled before."""
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """How both pools stand after a transfer."""

    source: PoolOut
    target: PoolOut


def pool_out(workspace: str, found: Standing, now: int) -> PoolOut:
    """A pool as it is answered."""
    pool = found.pool
    return PoolOut(
        id=pool.id,
        workspace=workspace,
        name=pool.name,
        parent=pool.parent,
        state="open" if found.is_open else "closed",
        capacity=pool.capacity,
        used=pool.used,
        held=found.held,
        given=found.given,
        reserve=found.reserve,
        reserve_pct=pool.reserve_pct,
        available=found.available if found.is_open else 0,
        late=pool.late,
        overdrawn=found.overdrawn,
        reservations=sum(now < hold.until for hold in pool.holds.values()),
        more_at=None if found.more_at is None else moment(found.more_at),
        created_at=moment(pool.created_at),
        expires_at=moment(pool.until),
    )
