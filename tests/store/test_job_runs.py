"""A period belongs to one owner at a time, and what a former owner does changes nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from app.core.errors import Conflict
from app.core.job_runs import (
    FARTHEST_MICROS,
    MOST_ATTEMPTS,
    MOST_FAILURES,
    PAUSES_SECONDS,
    SECOND_MICROS,
    Claim,
)
from app.core.schedule import Key, State
from app.store import job_reading, job_runs
from app.store.database import Store

NOW = 1_795_000_000 * SECOND_MICROS
LEASE = 60 * SECOND_MICROS
KEY: Key = ("weekly", "2026-W47")
DAILY: Key = ("daily", "2026-11-22")
ASKED: Key = ("weekly", "2026-11-22T08:00:00.000000Z")


def claim(
    store: Store,
    owner: str,
    *,
    key: Key = KEY,
    now: int = NOW,
    includes: list[tuple[Key, int]] | None = None,
) -> Claim | None:
    """Claim a run, or None if it is somebody's."""
    try:
        return store.write_now(
            lambda tx: job_runs.claim(
                tx,
                key,
                due_at=NOW - 1,
                includes=includes or [],
                owner=owner,
                now=now,
                lease=LEASE,
            )
        )
    except Conflict:
        return None


def claimed(store: Store, owner: str, *, key: Key = KEY, now: int = NOW) -> Claim:
    found = claim(store, owner, key=key, now=now)
    assert found is not None
    return found


def state(store: Store, key: Key = KEY, now: int = NOW) -> State | None:
    return store.read_now(lambda tx: job_reading.states(tx, {key}, now)).get(key)


def finish(store: Store, held: Claim, now: int = NOW) -> bool:
    return store.write_now(lambda tx: job_runs.finish(tx, held, now=now, outcome={"reports": 1}))


def fail(store: Store, held: Claim, now: int = NOW) -> bool:
    return store.write_now(lambda tx: job_runs.fail(tx, held, now=now, error="ValueError"))


def test_a_period_is_claimed_once(store: Store) -> None:
    assert state(store) is None
    held = claimed(store, "a")
    assert state(store) == "running"
    assert claim(store, "b") is None
    assert finish(store, held)
    assert state(store) == "done"
    assert claim(store, "b") is None
    assert claim(store, "b", now=NOW + 10**15) is None
    assert not finish(store, held)


def test_a_run_without_a_sign_of_life_is_taken_over(store: Store) -> None:
    first = claimed(store, "a")
    assert claim(store, "b", now=NOW + LEASE - 1) is None
    assert state(store, now=NOW + LEASE) is None
    second = claimed(store, "b", now=NOW + LEASE)

    assert second.own.attempt == first.own.attempt + 1
    later = NOW + LEASE + 1
    assert not store.write_now(lambda tx: job_runs.beat(tx, first, now=later, lease=LEASE))
    assert not finish(store, first, later)
    assert not fail(store, first, later)
    assert not store.write_now(lambda tx: job_runs.release(tx, first, now=later, until=later))
    assert state(store, now=later) == "running"
    assert finish(store, second, later)
    assert not finish(store, first, later)


def test_a_sign_of_life_keeps_a_run(store: Store) -> None:
    held = claimed(store, "a")
    at = NOW + LEASE - 1
    assert store.write_now(lambda tx: job_runs.beat(tx, held, now=at, lease=LEASE))
    assert claim(store, "b", now=NOW + LEASE) is None
    assert claim(store, "b", now=at + LEASE) is not None


def test_the_same_owner_of_another_attempt_is_a_former_owner(store: Store) -> None:
    first = claimed(store, "a")
    second = claimed(store, "a", now=NOW + LEASE)
    assert not finish(store, first)
    assert finish(store, second)


def test_an_error_is_tried_again_with_growing_pauses(store: Store) -> None:
    at = NOW
    for pause in PAUSES_SECONDS:
        held = claimed(store, f"at {at}", now=at)
        assert fail(store, held, at)
        assert state(store, now=at) == "waiting"
        until = at + pause * SECOND_MICROS
        assert claim(store, "early", now=until - 1) is None
        at = until
    last = claimed(store, "last", now=at)
    assert last.failures == MOST_FAILURES - 1
    assert fail(store, last, at)
    assert state(store, now=at) == "failed"
    assert claim(store, "late", now=at + 10**12) is None
    shown = store.read_now(lambda tx: job_reading.last_runs(tx, ["weekly"], at))["weekly"]
    assert (shown.status, shown.error, shown.attempt) == ("failed", "ValueError", MOST_FAILURES)


def test_a_run_that_ends_its_process_is_given_up_at_last(store: Store) -> None:
    at = NOW
    for number in range(MOST_ATTEMPTS):
        claimed(store, str(number), now=at)
        at += LEASE
    assert state(store, now=at) == "failed"
    assert claim(store, "one more", now=at) is None
    shown = store.read_now(lambda tx: job_reading.last_runs(tx, ["weekly"], at))["weekly"]
    assert (shown.status, shown.error) == ("failed", job_reading.ENDED)


def test_a_run_that_was_cut_off_is_free_at_once_and_no_failure(store: Store) -> None:
    for number in range(3 * MOST_ATTEMPTS):
        held = claimed(store, str(number))
        assert store.write_now(lambda tx, h=held: job_runs.release(tx, h, now=NOW, until=NOW))
    assert state(store) is None
    assert claimed(store, "z").own.attempt == 1


def test_a_lease_of_a_clock_that_was_fast_does_not_hold(store: Store) -> None:
    claimed(store, "fast", now=NOW + 2 * FARTHEST_MICROS)
    assert state(store) is None
    assert claim(store, "right") is not None


def test_a_run_includes_periods_all_or_none(store: Store) -> None:
    other = claimed(store, "d", key=DAILY)
    assert claim(store, "w", includes=[(DAILY, NOW)]) is None
    assert state(store) is None, "half a claim stayed"

    assert fail(store, other)
    assert state(store, DAILY) == "waiting"
    held = claim(store, "w", includes=[(DAILY, NOW)])
    assert held is not None
    assert state(store, DAILY) == "running"
    assert finish(store, held)
    assert state(store, DAILY) == "done"
    shown = store.read_now(lambda tx: job_reading.last_runs(tx, ["daily"], NOW))["daily"]
    assert shown.outcome == {"included_in": {"job": "weekly", "period": "2026-W47"}}


def test_what_a_failed_run_included_is_free_again(store: Store) -> None:
    for undo in (
        lambda held: fail(store, held),
        lambda held: store.write_now(lambda tx: job_runs.release(tx, held, now=NOW, until=NOW)),
    ):
        held = claim(store, "w", now=NOW + 10**9, includes=[(DAILY, NOW)])
        assert held is not None
        assert undo(held)
        assert state(store, DAILY, NOW + 10**9) is None


def test_on_demand_has_one_at_a_time(store: Store) -> None:
    def ask(period: str, now: int = NOW) -> Claim:
        return store.write_now(
            lambda tx: job_runs.claim_on_demand(
                tx, ("weekly", period), owner=period, now=now, lease=LEASE
            )
        )

    first = ask(ASKED[1])
    with pytest.raises(Conflict):
        ask("2026-11-22T08:00:00.000001Z")
    assert state(store) is None, "it took a scheduled run's place"
    assert finish(store, first)
    second = ask("2026-11-22T08:00:00.000002Z")
    assert fail(store, second)
    third = ask("2026-11-22T08:00:00.000003Z")
    shown = store.read_now(
        lambda tx: job_reading.get_run(tx, ("weekly", "2026-11-22T08:00:00.000002Z"), NOW)
    )
    assert shown is not None
    assert (shown.status, shown.retry_at) == ("failed", None)
    ask("2026-11-22T09:00:00.000000Z", now=NOW + LEASE)
    gone = store.read_now(lambda tx: job_reading.get_run(tx, third.own.key, NOW + LEASE))
    assert gone is not None
    assert (gone.status, gone.error) == ("failed", job_reading.ENDED)


def test_the_first_start_is_noted_once_and_never_in_the_future(store: Store) -> None:
    assert store.read_now(job_reading.first_start) is None
    assert store.write_now(lambda tx: job_runs.note_first_start(tx, NOW)) == NOW
    assert store.write_now(lambda tx: job_runs.note_first_start(tx, NOW + 5)) == NOW
    assert store.write_now(lambda tx: job_runs.note_first_start(tx, NOW - 5)) == NOW - 5
    assert store.read_now(job_reading.first_start) == NOW - 5


def test_rows_that_are_no_runs_are_not_shown(store: Store) -> None:
    store.write_now(lambda tx: job_runs.note_first_start(tx, NOW))
    held = store.write_now(
        lambda tx: job_runs.claim_on_demand(tx, ASKED, owner="a", now=NOW, lease=LEASE)
    )
    assert finish(store, held)
    assert store.read_now(job_reading.last_done) == {"weekly": NOW}


@pytest.mark.parametrize("is_first", [True, False], ids=["new", "taken over"])
def test_of_many_who_claim_at_once_one_has_it(
    database_url: str, open_store: Callable[[str], Store], is_first: bool
) -> None:
    stores = [open_store(database_url) for _ in range(3)]
    at = NOW if is_first else NOW + LEASE
    if not is_first:
        claimed(stores[0], "dead")
    barrier = Barrier(6)

    def race(number: int) -> Claim | None:
        barrier.wait()
        return claim(stores[number % 3], str(number), now=at, includes=[(DAILY, NOW)])

    with ThreadPoolExecutor(6) as pool:
        winners = [one for one in pool.map(race, range(6)) if one is not None]
    assert len(winners) == 1
    assert finish(stores[0], winners[0])
