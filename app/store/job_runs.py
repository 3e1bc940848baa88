"""Keep which period of which job is done, who runs it, and how runs ended.

A run is claimed by inserting its row, or by taking over a row whose lease is over; whoever holds a
row names it by owner and attempt, so that a former owner who wakes up changes nothing. All rows
are in the workspace `*`; those of the job `*` are no runs: the first start, and a seat for each
job on demand.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.core.errors import Conflict
from app.core.job_runs import (
    FARTHEST_MICROS,
    FIRST_START,
    HOUSE,
    MOST_ATTEMPTS,
    Claim,
    Hold,
    after_failure,
    is_on_demand,
    seat_of,
)
from app.core.schedule import Key
from app.store.database import SYSTEM, Tx, dumps
from app.store.job_reading import is_run, read_outcome
from app.store.tables import job_runs

CUT_OFF = "It was cut off by a stop of the service."
NO_LIMIT = 2**31 - 1
"""How often a seat may be taken."""


def note_first_start(tx: Tx, now: int) -> int:
    """Note that jobs are run from now on, unless that is known; answers since when."""
    row = _row(FIRST_START, due_at=now, owner="", now=now, lease_until=now)
    statement = _insert(tx).values({**row, "status": "done"})
    kept = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={"due_at": statement.excluded.due_at},
        where=job_runs.c.due_at > now,  # noted by a clock that was fast
    )
    tx.connection.execute(kept)
    return int(
        tx.connection.execute(select(job_runs.c.due_at).where(is_run(FIRST_START))).scalar_one()
    )


def claim(
    tx: Tx,
    key: Key,
    *,
    due_at: int,
    includes: Sequence[tuple[Key, int]] = (),
    owner: str,
    now: int,
    lease: int,
) -> Claim:
    """Claim a run, and the periods that it includes with when they were due, all or none.

    `lease` in microseconds. Errors: Conflict if somebody has one of them, or has done it.
    """
    own, failures = _take(tx, key, due_at, owner=owner, now=now, lease=lease)
    holds = [own]
    for other, its_due_at in sorted(includes):
        hold, _ = _take(tx, other, its_due_at, owner=owner, now=now, lease=lease, waits=False)
        holds.append(hold)
    return Claim(owner=owner, holds=tuple(holds), failures=failures)


def claim_on_demand(tx: Tx, key: Key, *, owner: str, now: int, lease: int) -> Claim:
    """Claim a run that is due now and has the job's seat. Errors: Conflict if it is taken."""
    seat, _ = _take(tx, seat_of(key[0]), now, owner=owner, now=now, lease=lease)
    own, _ = _take(tx, key, now, owner=owner, now=now, lease=lease)
    return Claim(owner=owner, holds=(own, seat), failures=0)


def _take(
    tx: Tx, key: Key, due_at: int, *, owner: str, now: int, lease: int, waits: bool = True
) -> tuple[Hold, int]:
    """Have a row that is new or free; with its errors so far. `waits`: for its pause to end."""
    statement = _insert(tx).values(_row(key, due_at, owner, now, now + lease))
    table, new = job_runs.c, statement.excluded
    is_over = or_(table.lease_until <= now, table.lease_until > now + FARTHEST_MICROS)
    is_open = table.status.in_(("running", "waiting"))
    may_run = is_over if waits else or_(is_over, table.status == "waiting")
    most = NO_LIMIT if key[0] == HOUSE else MOST_ATTEMPTS
    taken = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "due_at": new.due_at,
            "status": new.status,
            "owner": new.owner,
            "attempt": table.attempt + 1,
            "lease_until": new.lease_until,
            "started_at": new.started_at,
            "finished_at": None,
        },
        where=or_(table.status == "idle", and_(is_open, may_run, table.attempt < most)),
    ).returning(table.attempt, table.outcome)
    row = tx.connection.execute(taken).one_or_none()
    if row is None:
        raise Conflict("Somebody else runs this period, or has run it.")
    return Hold(key=key, attempt=row.attempt), read_outcome(row.outcome).get("failures", 0)


def beat(tx: Tx, held: Claim, *, now: int, lease: int) -> bool:
    """Hold on to a run for another lease; whether it is still the owner's."""
    alive = [_change(tx, held, hold, {"lease_until": now + lease}) for hold in held.holds]
    return alive[0]


def finish(tx: Tx, held: Claim, *, now: int, outcome: Mapping[str, Any]) -> bool:
    """Note that a run is done; whether it was still the owner's: nothing changes if not."""
    own = held.own
    ended = {"status": "done", "finished_at": now, "lease_until": now}
    if not _change(tx, held, own, {**ended, "outcome": dumps(outcome)}):
        return False
    job, period = own.key
    included = dumps({"included_in": {"job": job, "period": period}})
    for hold in held.holds[1:]:
        of_run = {**ended, "outcome": included}
        _change(tx, held, hold, _idle(now) if hold.key[0] == HOUSE else of_run)
    return True


def fail(tx: Tx, held: Claim, *, now: int, error: str) -> bool:
    """Note that a run ended in an error: it is tried again later, or given up."""
    failures = held.failures + 1
    status, until = (
        ("failed", now) if is_on_demand(held.own.key[1]) else after_failure(failures, now)
    )
    changes = {
        "status": status,
        "lease_until": until,
        "finished_at": now,
        "outcome": dumps({"failures": failures, "error": error}),
    }
    return _change(tx, held, held.own, changes) and _let_go(tx, held, now)


def release(tx: Tx, held: Claim, *, now: int, until: int) -> bool:
    """Give a run back that could not be ended; it may be claimed from `until` on.

    What was asked for is not run again by itself.
    """
    changes: dict[str, Any] = {
        "status": "waiting",
        "lease_until": until,
        "attempt": held.own.attempt - 1,
    }
    if is_on_demand(held.own.key[1]):
        outcome = dumps({"failures": 1, "error": CUT_OFF})
        changes = {"status": "failed", "finished_at": now, "lease_until": now, "outcome": outcome}
    return _change(tx, held, held.own, changes) and _let_go(tx, held, now)


def _let_go(tx: Tx, held: Claim, now: int) -> bool:
    """Give back what a run holds besides its own row."""
    for hold in held.holds[1:]:
        given = {"status": "waiting", "lease_until": now, "attempt": hold.attempt - 1}
        _change(tx, held, hold, _idle(now) if hold.key[0] == HOUSE else given)
    return True


_KEY = ("workspace", "job", "period")


def _insert(tx: Tx) -> Any:
    """INSERT with ON CONFLICT: both dialects spell it alike."""
    return sqlite.insert(job_runs) if tx.is_sqlite else postgresql.insert(job_runs)


def _row(key: Key, due_at: int, owner: str, now: int, lease_until: int) -> dict[str, Any]:
    job, period = key
    return {
        "workspace": SYSTEM,
        "job": job,
        "period": period,
        "due_at": due_at,
        "status": "running",
        "owner": owner,
        "attempt": 1,
        "lease_until": lease_until,
        "started_at": now,
    }


def _idle(now: int) -> dict[str, Any]:
    return {"status": "idle", "lease_until": now, "finished_at": now}


def _change(tx: Tx, held: Claim, hold: Hold, changes: Mapping[str, Any]) -> bool:
    """Change a row if it is still held under this claim; whether it was."""
    table = job_runs.c
    is_held = and_(
        is_run(hold.key),
        table.owner == held.owner,
        table.attempt == hold.attempt,
        table.status == "running",
    )
    return tx.connection.execute(update(job_runs).where(is_held).values(**changes)).rowcount == 1
