"""Load servers in turns, and print what they did beside the bar they must clear."""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import HERE, Server

WARM_SECONDS = 0.7
BUSY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Requests for one server; `weight` is how many things (events) one request carries."""

    server: Server
    path: str
    templates: tuple[str, ...]
    weight: int = 1
    connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one server did in one round, per second and per thing."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A claim: the ratio must reach `at_least`; `goal` is what we are after."""

    at_least: float
    goal: float


def arguments(description: str, **defaults: Any) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=defaults.get("seconds", 3.0))
    parser.add_argument("--rounds", type=int, default=defaults.get("rounds", 3))
    parser.add_argument(
        "--folder", type=Path, help="where databases go; take a disk, not a tmpfs (default: temp)"
    )
    return parser


def calibrate() -> float:
    """CPU milliseconds of a fixed loop: says how fast this machine is at this moment."""
    started = time.process_time()
    total = 0
    for number in range(1_000_000):
        total += number % 7
    assert total == 2_999_997
    return 1000 * (time.process_time() - started)


class Numbers:
    """Hands out ranges, so that no two runs send the same id."""

    def __init__(self) -> None:
        self._next = time.time_ns()

    def take(self) -> int:
        self._next += 1 << 32
        return self._next & ((1 << 63) - 1)


NUMBERS = Numbers()


def load(target: Target, connections: int, seconds: float) -> Round:
    """Load one server for some seconds."""
    job = {
        "method": "POST",
        "path": target.path,
        "port": target.server.port,
        "templates": target.templates,
        "connections": target.connections or connections,
        "seconds": seconds,
        "first": NUMBERS.take(),
    }
    before = target.server.cpu_seconds()
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py")],
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    cpu = target.server.cpu_seconds() - before
    outcome = json.loads(done.stdout)
    bad = {status: n for status, n in outcome["statuses"].items() if not status.startswith("2")}
    if bad or not outcome["statuses"]:
        raise RuntimeError(f"{target.server.name}: answers {bad}\n{outcome['sample']}")
    if outcome["own_cpu_seconds"] > BUSY * outcome["seconds"]:
        print("the load generator was busy all the time: the server may be faster than this")
    things = sum(outcome["statuses"].values()) * target.weight
    return Round(
        rate=things / outcome["seconds"],
        cpu_us=1e6 * cpu / things,
        p50_ms=outcome["p50_ms"],
        p99_ms=outcome["p99_ms"],
    )


class Report:
    """A table that is printed row by row; knows at the end whether all bars were cleared."""

    def __init__(self, title: str, thing: str = "req") -> None:
        self.failed = False
        print(f"{title}\n")
        print(
            f"{'':<24}{'ours ' + thing + '/s':>14}{'base ' + thing + '/s':>14}{'ratio':>8}"
            f"{'CPU us':>9}{'base':>9}{'ratio':>8}{'p99 ms':>8}{'base':>8}"
            f"{'bar':>7}{'goal':>7}{'calib':>7}"
        )

    def compare(
        self, name: str, ours: Target, base: Target, *, connections: int, bar: Bar, run: Any
    ) -> None:
        """Rounds in turns (A B A B), so that a busy machine is busy for both; print a row."""
        for target in (ours, base):
            load(target, connections, min(WARM_SECONDS, run.seconds))
        loops: list[float] = []
        pairs: list[tuple[Round, Round]] = []
        for number in range(run.rounds):
            loops.append(calibrate())
            order = (ours, base) if number % 2 == 0 else (base, ours)
            done = {id(target): load(target, connections, run.seconds) for target in order}
            pairs.append((done[id(ours)], done[id(base)]))
        ratio = statistics.median(a.rate / b.rate for a, b in pairs)
        cpu_ratio = statistics.median(b.cpu_us / a.cpu_us for a, b in pairs if a.cpu_us)
        mine, other = _middle([a for a, _ in pairs]), _middle([b for _, b in pairs])
        verdict = self._judge(ratio >= bar.at_least, ratio >= bar.goal)
        print(
            f"{name:<24}{mine.rate:>14,.0f}{other.rate:>14,.0f}{ratio:>8.2f}"
            f"{mine.cpu_us:>9,.0f}{other.cpu_us:>9,.0f}{cpu_ratio:>8.2f}"
            f"{mine.p99_ms:>8.1f}{other.p99_ms:>8.1f}"
            f"{bar.at_least:>7.2f}{bar.goal:>7.2f}{statistics.median(loops):>7.1f}  {verdict}",
            flush=True,
        )

    def _judge(self, passed: bool, reached: bool) -> str:
        self.failed |= not passed
        return "PASS, goal reached" if reached else "PASS" if passed else "FAIL"


class Limits:
    """The same for figures that must stay below a bar."""

    def __init__(self, title: str) -> None:
        self.failed = False
        print(f"{title}   (calibration loop {calibrate():.1f} ms)\n")
        print(f"{'':<52}{'measured':>12}{'bar':>9}{'goal':>9}")

    def show(self, name: str, value: float, unit: str) -> None:
        """A figure without a bar."""
        print(f"{name:<52}{value:>9.2f} {unit}", flush=True)

    def judge(self, name: str, value: float, unit: str, *, bar: float, goal: float) -> None:
        """A figure, its bar and its goal."""
        self.failed |= value > bar
        verdict = "PASS, goal reached" if value <= goal else "PASS" if value <= bar else "FAIL"
        print(f"{name:<52}{value:>9.2f} {unit}{bar:>9.2f}{goal:>9.2f}  {verdict}", flush=True)


def _middle(rounds: list[Round]) -> Round:
    def of(read: Callable[[Round], float]) -> float:
        return statistics.median(map(read, rounds))

    return Round(
        rate=of(lambda r: r.rate),
        cpu_us=of(lambda r: r.cpu_us),
        p50_ms=of(lambda r: r.p50_ms),
        p99_ms=of(lambda r: r.p99_ms),
    )
