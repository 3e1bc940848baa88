"""Turns with Python's lock are short while a job runs, and jobs give way to requests and end."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from time import sleep

import anyio
import pytest

from app.store.database import Store
from app.store.pacing import (
    MOST_SECONDS,
    PATIENCE,
    PAUSE_SECONDS,
    STRETCH_SECONDS,
    TRAFFIC,
    TURN_SECONDS,
    YOUNG,
    Pauses,
    Traffic,
    giving_way,
    short_turns,
)


def test_turns_are_short_until_the_last_block_ends() -> None:
    before = sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(short_turns())
    second.enter_context(short_turns())
    first.close()
    assert sys.getswitchinterval() == pytest.approx(TURN_SECONDS)
    second.close()
    assert sys.getswitchinterval() == before


def test_looks_for_cycles_are_short_until_the_last_block_ends() -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(20_000, 20, 50)
        with short_turns(), short_turns():
            assert gc.get_threshold() == (YOUNG, 20 * 20_000 // YOUNG, 50)
        assert gc.get_threshold() == (20_000, 20, 50)
        gc.set_threshold(700, 10, 10)
        with short_turns():
            assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*before)


def test_turns_are_as_before_after_an_error() -> None:
    before = sys.getswitchinterval()
    with pytest.raises(ValueError, match="trouble"), short_turns():
        raise ValueError("trouble")
    assert sys.getswitchinterval() == before


class Always:
    """Time that passes by work and sleep alone, with requests in flight all the time."""

    def __init__(self) -> None:
        self.now = 1.0
        self.came = 0
        self.waits = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        self.came += 1
        self.now += seconds / 3
        return True


def test_a_job_ends_however_many_requests_come() -> None:
    time = Always()
    pauses = Pauses(time, clock=lambda: time.now, sleep=time.sleep)
    with giving_way():
        for _ in range(4_000):  # 0.4 s of work
            time.now += 0.000_1
            pauses.pause()
    assert time.waits > 0
    first = 2 * STRETCH_SECONDS * PATIENCE  # how long the thread had worked was not known
    assert time.now - 1.0 <= 0.4 * (1 + PATIENCE) + first


def test_a_run_gives_way_for_a_minute_at_most() -> None:
    time = Always()
    pauses = Pauses(time, clock=lambda: time.now, sleep=time.sleep)
    with giving_way():
        for _ in range(100_000):  # 50 s of work
            time.now += 2 * STRETCH_SECONDS
            pauses.pause()
    assert time.now - 1.0 <= 50 + MOST_SECONDS + 100_000 * 2 * PAUSE_SECONDS


def test_only_jobs_give_way() -> None:
    time = Always()
    pauses = Pauses(time, clock=lambda: time.now, sleep=time.sleep)
    pauses.pause()
    assert time.waits == 0
    assert time.now == pytest.approx(1.0 + PAUSE_SECONDS)


def test_nobody_pauses_before_a_stretch_is_over() -> None:
    time = Always()
    pauses = Pauses(time, clock=lambda: time.now, sleep=time.sleep)
    pauses.pause()
    before = time.now
    with giving_way():
        pauses.pause()
    assert time.now == before


def test_who_waits_goes_on_when_the_last_request_ends() -> None:
    traffic = Traffic()
    assert not traffic.wait(60)
    traffic.begin("one")
    traffic.begin("two")
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(traffic.wait, 60) for _ in range(3)]
        traffic.end("one")
        traffic.end("never began")
        traffic.end("two")
        assert all(each.result(timeout=30) for each in waiting)
    assert not traffic.wait(60)


def test_who_waits_gives_up_after_its_time() -> None:
    traffic = Traffic()
    traffic.begin("one")
    assert traffic.wait(0.001)
    traffic.end("one")
    assert not traffic.wait(60)


def test_what_a_job_reads_pauses_in_its_threads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'some.db'}"
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    counted = f"{many} SELECT count(*) FROM n"
    waited, over = Event(), Event()

    def watch() -> None:
        while not over.is_set() and not waited.is_set():
            if TRAFFIC._waiting:
                waited.set()
                TRAFFIC.end("one")
            sleep(0.000_5)

    async def read() -> list[tuple[int]]:
        store = Store(url)
        try:
            with giving_way():
                TRAFFIC.begin("one")
                return await store.read(lambda tx: tx.fetch(counted, []))
        finally:
            TRAFFIC.end("one")
            store.close()

    watching = Thread(target=watch)
    watching.start()
    try:
        assert anyio.run(read) == [(20_000,)]
    finally:
        over.set()
        watching.join()
    assert waited.is_set()
