"""Race replicas over periods of jobs on PostgreSQL, kill owners in the middle, count what was done.

Each replica is a process with a runner of its own. They share a clock that jumps to the next due
time once everything is settled; a killed process is replaced by a new one.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import structlog  # noqa: E402 (the line above is for ours)
from servers import postgres_database, workplace  # noqa: E402 (found beside this file)

from app.clock import new_id  # noqa: E402 (the line above finds it)
from app.core.job_runs import SECOND_MICROS  # noqa: E402
from app.core.schedule import RULES, Key, Run, asked_about, next_due, owed  # noqa: E402
from app.core.windows import micros  # noqa: E402
from app.flows.run_jobs import Jobs  # noqa: E402
from app.jobs.runner import keep_time  # noqa: E402
from app.store import job_reading, job_runs  # noqa: E402
from app.store.database import SYSTEM, Store  # noqa: E402
from app.store.migrate import upgrade  # noqa: E402

ZONE = ZoneInfo("Europe/Berlin")
FIRST = micros(datetime(2026, 10, 22, 12, tzinfo=UTC))
"""The first start: three days before clocks go back, ten before a Sunday that is a 1st."""

LEASE_SECONDS, BEAT_SECONDS, WORK_SECONDS, TICK_SECONDS = 1.5, 0.3, 0.2, 0.05
STALL_SECONDS = 60.0


class Clock:
    """The present of all replicas: a moment that a file holds, and what has passed since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> int:
        base, since = self._path.read_text().split()
        return int(base) + round((time.time() - float(since)) * SECOND_MICROS)

    def set(self, now: int) -> None:
        """Jump to a moment."""
        growing = self._path.with_suffix(".part")
        growing.write_text(f"{now} {time.time()}")
        growing.replace(self._path)


async def replicate(url: str, folder: Path, number: int) -> None:
    """Be a replica: run what is due, and leave a line for each beginning and each end."""
    store = Store(url)
    store.start()
    with (folder / f"replica-{number}").open("a") as notes:

        def note(*words: object) -> None:
            notes.write(" ".join(map(str, words)) + "\n")
            notes.flush()

        async def work(run: Run) -> Mapping[str, Any]:
            note("begun", run.job, run.period, os.getpid())
            await asyncio.sleep(WORK_SECONDS)
            return {"by": number}

        def hear(_: object, __: str, said: MutableMapping[str, Any]) -> str:
            if said["event"] in ("job_done", "job_taken_over"):
                note(said["event"], said["job"], said["period"], os.getpid())
            return str(said)

        structlog.configure(processors=[hear])
        jobs = Jobs(
            store,
            dict.fromkeys(RULES, work),
            ZONE,
            is_on=True,
            new_owner=lambda: new_id("own", SYSTEM),
            lease_seconds=LEASE_SECONDS,
            beat_seconds=BEAT_SECONDS,
        )
        await keep_time(jobs, now=Clock(folder / "clock"), tick_seconds=TICK_SECONDS)


@dataclass(slots=True)
class Race:
    """The replicas, and what is known of them."""

    url: str
    folder: Path
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    read: dict[Path, int] = field(default_factory=dict)
    has: dict[int, Key] = field(default_factory=dict)
    """What each process is at."""
    begun: Counter[Key] = field(default_factory=Counter)
    done: Counter[Key] = field(default_factory=Counter)
    """Ends that were noted, and said to be so."""
    taken: Counter[Key] = field(default_factory=Counter)
    """Runs whose owner lived, and heard too late that somebody else had them."""
    killed: Counter[Key] = field(default_factory=Counter)

    def start(self) -> None:
        """Start one more replica."""
        number = len(self.read) + len(self.processes)
        while (self.folder / f"replica-{number}").exists():
            number += 1
        path = self.folder / f"replica-{number}"
        path.touch()
        log = (self.folder / f"log-{number}").open("wb")
        words = [sys.executable, __file__, "--replica", str(number), "--url", self.url]
        process = subprocess.Popen(
            [*words, "--folder", str(self.folder)], stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        self.processes[process.pid] = process

    def news(self) -> list[tuple[Key, int]]:
        """Runs that have begun since the last look, with the process that has them."""
        found = []
        for path in self.folder.glob("replica-*"):
            with path.open() as notes:
                notes.seek(self.read.get(path, 0))
                lines = notes.readlines()
                self.read[path] = notes.tell()
            for line in lines:
                what, job, period, pid = line.split()
                key = job, period
                if what == "begun":
                    self.begun[key] += 1
                    self.has[int(pid)] = key
                    found.append((key, int(pid)))
                else:
                    (self.done if what == "job_done" else self.taken)[key] += 1
                    self.has.pop(int(pid), None)
        return found

    def kill(self, pid: int) -> None:
        """End an owner without a warning, and start a replica in its place."""
        process = self.processes.pop(pid, None)
        if process is None:
            return
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.news()
        key = self.has.pop(pid, None)
        if key is not None:
            self.killed[key] += 1
        self.start()

    def stop(self) -> None:
        """End all replicas."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


def settle(race: Race, store: Store, clock: Clock, chance: random.Random, share: float) -> None:
    """Return when all that is due is done, killing owners meanwhile."""
    give_up = time.monotonic() + STALL_SECONDS
    while time.monotonic() < give_up:
        for key, pid in race.news():
            if race.killed[key] < 2 and chance.random() < share:
                time.sleep(chance.random() * 1.2 * WORK_SECONDS)
                race.kill(pid)
        now = clock()
        slots = owed(now, FIRST, ZONE)
        states = store.read_now(
            lambda tx, slots=slots, now=now: job_reading.states(tx, asked_about(slots, ZONE), now)
        )
        if all(states.get(slot.key) in ("done", "failed") for slot in slots):
            return
        time.sleep(0.02)
    raise RuntimeError("the replicas do not come to an end")


def race_on(url: str, folder: Path, replicas: int, periods: int, share: float, seed: int) -> int:
    """Let replicas run periods till there are enough; print what came of each."""
    upgrade(url)
    chance = random.Random(seed)
    clock = Clock(folder / "clock")
    clock.set(FIRST)
    store = Store(url)
    store.start()
    race = Race(url, folder)
    started = time.monotonic()
    try:
        store.write_now(lambda tx: job_runs.note_first_start(tx, FIRST))
        for _ in range(replicas):
            race.start()
        while len(done_of(store)) < periods:
            is_away = chance.random() < 0.1  # now and then all were down for ten days
            after = clock() + (10 * 86_400 * SECOND_MICROS if is_away else 0)
            coming = [slot for job in RULES if (slot := next_due(job, ZONE, after))]
            clock.set(min(slot.due_at for slot in coming))
            settle(race, store, clock, chance, share)
        return show(race, done_of(store), time.monotonic() - started)
    finally:
        race.stop()
        store.close()


def done_of(store: Store) -> dict[Key, tuple[str, int]]:
    """Status and attempts of each period."""
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT job, period, status, attempt FROM job_runs WHERE job <> '*' ORDER BY due_at"
        ).all()
    return {(row.job, row.period): (row.status, row.attempt) for row in rows}


def show(race: Race, rows: Mapping[Key, tuple[str, int]], seconds: float) -> int:
    """One line for each period, and the sums; 1 if any was not done exactly once."""
    race.news()
    bad = 0
    for key, (status, attempt) in rows.items():
        is_done = status == "done"
        begun, interrupted = race.begun[key], race.killed[key] + race.taken[key]
        # An owner may be killed after its commit and before it says so: said at most once.
        bad += not (is_done and race.done[key] <= 1 and begun <= 1 + interrupted)
        how = f"begun {begun}, killed {race.killed[key]}, taken over {race.taken[key]}"
        said = f"done {int(is_done)}, attempt {attempt}"
        print(f"{key[0]:>9} {key[1]:<10} {said}, {how if begun else 'included'}")
    print(
        f"{len(rows)} periods, {race.begun.total()} runs begun, {race.killed.total()} owners"
        f" killed, {race.taken.total()} taken over alive, {bad} not done exactly once,"
        f" {seconds:.0f} s"
    )
    return int(bad > 0)


def main(words: Sequence[str] | None = None) -> int:
    """Print what came of each period; the exit code says whether all were done once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--periods", type=int, default=60)
    parser.add_argument("--kill", type=float, default=0.5, help="share of runs to kill owners of")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--replica", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    run = parser.parse_args(words)
    if run.replica is not None:
        asyncio.run(replicate(run.url, run.folder, run.replica))
        return 0
    with workplace(run.folder) as place, postgres_database("jobs") as url:
        return race_on(url, place, run.replicas, run.periods, run.kill, run.seed)


if __name__ == "__main__":
    sys.exit(main())
