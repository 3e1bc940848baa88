"""What is due is run once, whoever runs it and however it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import Conflict, JobRunning, NotAvailable, NotFound, Unavailable
from app.core.job_runs import PAUSES_SECONDS, SECOND_MICROS, JobRun
from app.core.schedule import Handler, Run
from app.core.windows import micros
from app.flows.run_jobs import Jobs
from app.jobs.runner import keep_time
from app.store import job_reading
from app.store.database import Store

DAY = 86_400 * SECOND_MICROS
JOBS = ("retention", "daily", "weekly", "monthly")


def at(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


class Clock:
    """A present that moves when it is told to."""

    def __init__(self, text: str) -> None:
        self.now = at(text)

    def __call__(self) -> int:
        return self.now


class House:
    """Replicas on one database, and what their handlers were asked for."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.ran: list[Run] = []
        self.work: Callable[[Run], Awaitable[Mapping[str, Any]]] = self._nothing
        self._owners = 0

    async def _nothing(self, run: Run) -> Mapping[str, Any]:
        return {"of": run.job}

    def replica(self, *, beat: float = 15, longest: float = 3600) -> Jobs:
        handlers: dict[str, Handler] = dict.fromkeys(JOBS, self._handle)
        return Jobs(
            self.store,
            handlers,
            ZoneInfo("UTC"),
            is_on=True,
            new_owner=self._owner,
            beat_seconds=beat,
            longest_seconds=longest,
        )

    def names(self) -> list[str]:
        return [f"{run.job} {run.period}" for run in self.ran]

    def shown(self, job: str) -> JobRun:
        return self.store.read_now(lambda tx: job_reading.last_runs(tx, [job], self.clock()))[job]

    def _owner(self) -> str:
        self._owners += 1
        return f"owner {self._owners}"

    async def _handle(self, run: Run) -> Mapping[str, Any]:
        self.ran.append(run)
        return await self.work(run)


@pytest.fixture
async def house(store: Store) -> House:
    """A house whose first start was on Saturday the 31st of October 2026, at noon."""
    house = House(store, Clock("2026-10-31 12:00"))
    assert await house.replica().run_due(house.clock) == 0
    return house


async def test_a_normal_sunday_the_first(house: House) -> None:
    jobs = house.replica()
    for moment in ("04:00", "05:00", "06:00", "07:00", "07:00", "12:00"):
        house.clock.now = at(f"2026-11-01 {moment}")
        await jobs.run_due(house.clock)
    assert house.names() == [
        "retention 2026-11-01",
        "daily 2026-11-01",
        "weekly 2026-W44",
        "monthly 2026-11",
    ]
    assert [run.covers for run in house.ran] == [frozenset()] * 4
    assert not any(run.is_catching_up or run.is_on_demand for run in house.ran)


async def test_a_sunday_the_first_after_a_week_away(house: House) -> None:
    house.clock.now = at("2026-11-01 08:00")
    assert await house.replica().run_due(house.clock) == 3
    assert house.names() == ["retention 2026-11-01", "weekly 2026-W44", "monthly 2026-11"]
    _, weekly, monthly = house.ran
    assert (weekly.covers, monthly.covers) == ({"daily"}, frozenset())
    assert all(run.is_catching_up for run in house.ran)
    assert house.shown("daily").outcome == {"included_in": {"job": "weekly", "period": "2026-W44"}}
    assert house.shown("daily").status == "done"
    assert await house.replica().run_due(house.clock) == 0


async def test_what_is_caught_up_late_is_not_the_last_day(house: House) -> None:
    """A week that is tried again after the day's run does an older day's part."""

    async def work(run: Run) -> Mapping[str, Any]:
        if run.job == "weekly" and house.clock.now < at("2026-11-05 08:02"):
            raise ValueError
        return {"of": run.job}

    house.work = work
    house.clock.now = at("2026-11-05 08:00")
    await house.replica().run_due(house.clock)
    assert house.shown("daily").period == "2026-11-05"
    house.clock.now = at("2026-11-05 08:05")
    await house.replica().run_due(house.clock)
    assert house.names()[-2:] == ["weekly 2026-W44", "monthly 2026-11"]
    assert "daily" in house.ran[-2].covers
    assert house.shown("weekly").status == "done"
    assert house.shown("daily").period == "2026-11-05"
    await house.replica().run_now("daily", house.clock)
    assert house.shown("daily").due_at == house.clock.now


async def test_three_replicas_run_each_period_once(house: House) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        await asyncio.sleep(0.001)
        return {}

    house.work = work
    house.clock.now = at("2027-03-20 12:00")

    async def replica() -> None:
        jobs = house.replica()
        for _ in range(40):
            await jobs.run_due(house.clock)
            await asyncio.sleep(0.002)

    await asyncio.gather(*(replica() for _ in range(3)))
    assert len(set(house.names())) == len(house.names()) == 20 + 5 + 2
    assert len([name for name in house.names() if name.startswith("weekly")]) == 20
    for job in ("weekly", "monthly"):
        periods = [run.due_at for run in house.ran if run.job == job]
        assert periods == sorted(periods), "not the oldest first"


async def test_an_error_is_tried_again_and_then_given_up(house: House) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        raise ValueError("what a user wrote")

    house.work = work
    jobs = house.replica()
    house.clock.now = at("2026-11-02 05:30")
    await jobs.run_due(house.clock)
    daily = [run for run in house.ran if run.job == "daily"]
    assert len(daily) == 1
    assert house.shown("daily").status == "waiting"
    for pause in PAUSES_SECONDS:
        await jobs.run_due(house.clock)
        house.clock.now += pause * SECOND_MICROS
        await jobs.run_due(house.clock)
    house.clock.now += DAY // 4
    await jobs.run_due(house.clock)

    assert house.names().count("daily 2026-11-02") == 3
    shown = house.shown("daily")
    assert (shown.status, shown.error, shown.retry_at) == ("failed", "ValueError", None)
    house.clock.now = at("2026-11-03 05:30")
    await jobs.run_due(house.clock)
    assert "daily 2026-11-03" in house.names()


async def test_a_run_that_hangs_is_stopped_and_lets_others_run(house: House) -> None:
    async def hang(run: Run) -> Mapping[str, Any]:
        return {} if run.job == "daily" else await asyncio.Event().wait() or {}

    house.work = hang
    house.clock.now = at("2026-11-01 05:30")
    await house.replica(longest=0.02).run_due(house.clock)
    assert house.names() == ["retention 2026-11-01", "daily 2026-11-01"]
    shown = house.shown("retention")
    assert (shown.status, shown.error) == ("waiting", "TimeoutError")
    assert house.shown("daily").status == "done"


async def test_a_database_that_cannot_serve_is_no_failure_of_the_job(house: House) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        raise Unavailable("The database is not answering.")

    house.work = work
    jobs = house.replica()
    house.clock.now = at("2026-11-02 05:30")
    for _ in range(20):
        await jobs.run_due(house.clock)
        house.clock.now += 60 * SECOND_MICROS
    assert house.names().count("daily 2026-11-02") == 20
    house.work = house._nothing
    await jobs.run_due(house.clock)
    assert house.shown("daily").status == "done"
    assert house.shown("daily").attempt == 1


async def test_a_run_that_is_cut_off_is_taken_up_at_once(house: House) -> None:
    begun = asyncio.Event()

    async def work(run: Run) -> Mapping[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    house.work = work
    house.clock.now = at("2026-11-02 05:30")
    running = asyncio.create_task(keep_time(house.replica(), now=house.clock))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    house.work = house._nothing
    await house.replica().run_due(house.clock)
    names = house.names()
    assert names[0] == names[1] != names[2]
    assert house.shown("daily").status == "done"


async def test_a_run_that_was_taken_over_stops_and_changes_nothing(house: House) -> None:
    stopped = asyncio.Event()
    begun = asyncio.Event()

    async def forever(run: Run) -> Mapping[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return {}

    house.work = forever
    house.clock.now = at("2026-11-01 04:30")
    first = asyncio.create_task(house.replica(beat=0.02).run_due(house.clock))
    await begun.wait()
    house.work = house._nothing
    later = Clock("2026-11-01 04:40")  # the first owner gave no sign for ten minutes
    assert await house.replica().run_due(later) >= 1
    await asyncio.wait_for(first, 10)

    assert stopped.is_set()
    assert house.names() == ["retention 2026-11-01"] * 2
    assert house.shown("retention").outcome == {"of": "retention"}
    assert house.shown("retention").attempt == 2


async def test_a_long_run_keeps_its_lease(house: House) -> None:
    may_end = asyncio.Event()
    begun = asyncio.Event()

    async def slow(run: Run) -> Mapping[str, Any]:
        begun.set()
        await may_end.wait()
        return {}

    house.work = slow
    house.clock.now = at("2026-11-01 04:30")
    first = asyncio.create_task(house.replica(beat=0.01).run_due(house.clock))
    await begun.wait()
    house.clock.now += 59 * SECOND_MICROS
    until = at("2026-11-01 04:31") + 40 * SECOND_MICROS
    for _ in range(500):  # until the owner has given a sign
        held = house.store.read_now(
            lambda tx: job_reading.states(tx, {("retention", "2026-11-01")}, until)
        )
        if held:
            break
        await asyncio.sleep(0.01)
    assert await house.replica().run_due(lambda: until) == 0
    may_end.set()
    await first
    assert house.names() == ["retention 2026-11-01"]


async def test_on_demand_takes_no_scheduled_place(house: House) -> None:
    jobs = house.replica()
    house.clock.now = at("2026-11-22 03:00")
    asked = await jobs.run_now("weekly", house.clock)
    assert (asked.period, asked.status, asked.outcome) == (
        "2026-11-22T03:00:00.000000Z",
        "done",
        {"of": "weekly"},
    )
    assert house.ran[-1].covers == {"daily"}
    assert house.ran[-1].is_on_demand
    house.clock.now = at("2026-11-22 06:00")
    await jobs.run_due(house.clock)
    assert "weekly 2026-W47" in house.names()


async def test_on_demand_one_at_a_time(house: House) -> None:
    may_end = asyncio.Event()
    begun = asyncio.Event()

    async def slow(run: Run) -> Mapping[str, Any]:
        begun.set()
        await may_end.wait()
        return {}

    house.work = slow
    first = asyncio.create_task(house.replica().run_now("daily", house.clock))
    await begun.wait()
    house.clock.now += 1
    with pytest.raises(JobRunning, match="GET /jobs"):
        await house.replica().run_now("daily", house.clock)
    may_end.set()
    assert (await first).status == "done"
    house.clock.now += 1
    assert (await house.replica().run_now("daily", house.clock)).status == "done"


async def test_many_who_ask_at_once_have_one_run(house: House) -> None:
    may_end = asyncio.Event()

    async def slow(run: Run) -> Mapping[str, Any]:
        await may_end.wait()
        return {}

    house.work = slow

    async def ask(number: int) -> str:
        try:
            await house.replica().run_now("daily", lambda: house.clock.now + number)
        except JobRunning:
            return "refused"
        return "run"

    asked = [asyncio.create_task(ask(number)) for number in range(8)]
    done: set[asyncio.Task[str]] = set()
    while len(done) < 7:
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.01)
    may_end.set()
    assert sorted(await asyncio.gather(*asked)) == ["refused"] * 7 + ["run"]


async def test_what_is_asked_for_and_fails_says_so_and_is_not_run_again(house: House) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        raise ValueError("what a user wrote")

    house.work = work
    failed = await house.replica().run_now("daily", house.clock)
    assert (failed.status, failed.error, failed.attempt) == ("failed", "ValueError", 1)
    house.clock.now += 10**9
    await house.replica().run_due(house.clock)
    assert house.names() == [f"daily {failed.period}"]


async def test_an_error_of_ours_reaches_whoever_asked(house: House) -> None:
    async def work(run: Run) -> Mapping[str, Any]:
        raise Conflict("Not now.")

    house.work = work
    with pytest.raises(Conflict, match="Not now"):
        await house.replica().run_now("daily", house.clock)
    assert house.shown("daily").error == "Not now."


async def test_unknown_jobs_are_named(house: House) -> None:
    with pytest.raises(NotFound, match="daily, weekly, monthly, retention"):
        await house.replica().run_now("yearly", house.clock)
    jobs = house.replica()
    jobs.handlers = {}
    with pytest.raises(NotAvailable):
        await jobs.run_now("daily", house.clock)
    house.clock.now += 30 * DAY
    assert await jobs.run_due(house.clock) == 0


async def test_a_clock_that_jumps_runs_nothing_twice(house: House) -> None:
    jobs = house.replica()
    for moment in (
        *("2026-11-05 12:00", "2026-11-02 12:00", "2026-12-20 12:00"),
        *("2026-11-03 12:00", "2026-11-21 12:00", "2026-12-21 12:00"),
    ):
        house.clock.now = at(moment)
        await jobs.run_due(house.clock)
        assert all(run.due_at <= house.clock.now for run in house.ran[-1:])
    assert len(set(house.names())) == len(house.names())


async def test_a_first_start_owes_nothing(store: Store) -> None:
    house = House(store, Clock("2026-11-22 12:00"))
    assert await house.replica().run_due(house.clock) == 0
    house.clock.now = at("2026-11-23 05:00")
    await house.replica().run_due(house.clock)
    assert house.names() == ["retention 2026-11-23", "daily 2026-11-23"]


async def test_a_first_start_by_a_clock_that_was_fast_is_corrected(store: Store) -> None:
    house = House(store, Clock("2036-11-22 12:00"))
    await house.replica().run_due(house.clock)
    house.clock.now = at("2026-11-22 12:00")
    await house.replica().run_due(house.clock)
    house.clock.now = at("2026-11-23 05:00")
    await house.replica().run_due(house.clock)
    assert house.names() == ["retention 2026-11-23", "daily 2026-11-23"]


async def test_two_years_away_are_at_most_forty_runs(house: House) -> None:
    house.clock.now = at("2028-11-22 12:00")
    assert await house.replica().run_due(house.clock) == 40
    assert await house.replica().run_due(house.clock) == 0
    house.clock.now += DAY
    assert await house.replica().run_due(house.clock) == 2


async def test_time_goes_on_while_the_database_is_away() -> None:
    store = Store("postgresql://127.0.0.1:1/nobody")
    store.start()
    try:
        house = House(store, Clock("2026-11-22 12:00"))
        ticking = asyncio.create_task(
            keep_time(house.replica(), now=house.clock, tick_seconds=0.01)
        )
        await asyncio.sleep(0.3)
        assert not ticking.done()
        ticking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ticking
    finally:
        store.close()


async def test_the_list_tells_the_next_run(house: House) -> None:
    lines = {line.name: line for line in await house.replica().listed(house.clock())}
    assert list(lines) == ["daily", "weekly", "monthly", "retention"]
    assert lines["weekly"].next_run == at("2026-11-01 06:00")
    assert all(line.is_on for line in lines.values())
    off = house.replica()
    off.is_on = False
    assert {line.next_run for line in await off.listed(house.clock())} == {None}
