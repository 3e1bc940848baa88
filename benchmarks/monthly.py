"""CPU of the monthly job, 30 days of 200 agents, at 1 M events and at 10 M; what others feel."""

import argparse
import json
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analytics import fill
from events import AGENTS, PROFILES
from filling import fill_by_repeats
from harness import Limits, arguments, calibrate
from servers import Server, service, workplace

PATH = "/jobs/monthly/run"
BAR_MS, GOAL_MS = 500.0, 300.0
BAR_RATIO, GOAL_RATIO = 2.0, 1.5
LOOP_MS = 29.5
"""What the calibration loop takes on a quiet machine of the kind that the bars were set on."""
ALLOCATE = json.dumps({"agent": "specialists/agent-001", "complexity": "medium"}).encode()
ASSIGNED = {
    f"specialists/agent-{number:03}": PROFILES[number % len(PROFILES)] for number in range(AGENTS)
}
BOOKED = 1_000_000
"""Events up to which each is booked; of more, most are repeats (`filling.py`)."""
LEAST = {"some agents": 0.5, "nearly every agent": 0.99}
"""The average used share below which a smaller profile is recommended, and for whom it is."""


def main() -> int:
    """Print what a run costs in a fresh process, when nothing is at hand, and what it delays."""
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--requests", type=int, default=300, help="of /allocate in each round")
    parser.add_argument(
        "--filled",
        type=Path,
        help="a database file that is copied; it is filled first where there is none",
    )
    run = parser.parse_args()
    limits = Limits(f"POST {PATH}: weekly part, archival, recommendations, comprehensive report")
    for size in run.events:
        with workplace(run.folder) as place:
            file = place / "ours.db"
            started = time.monotonic()
            if run.filled:
                if not run.filled.exists():
                    _fill(run.filled, size)
                shutil.copy(run.filled, file)
            else:
                _fill(file, size)
            limits.show(f"{size:,} events: loaded in", time.monotonic() - started, "s ")
            for whom, least in LEAST.items():
                name = f"{size:,} events, another profile for {whom}"
                _cpu(limits, name, f"sqlite:///{file}", least, run)
            _delay(limits, f"{size:,} events", f"sqlite:///{file}", run)
    return int(limits.failed)


def _fill(file: Path, size: int) -> None:
    if size > BOOKED:
        fill_by_repeats(file, size)
    else:
        fill(f"sqlite:///{file.resolve()}", size)


def _cpu(limits: Limits, name: str, url: str, least: float, run: argparse.Namespace) -> None:
    firsts, later, loops = [], [], []
    for _ in range(run.rounds):
        with workplace(run.folder) as beside, service(url, beside) as server:
            _import_policy(server, least)
            loops.append(calibrate())
            firsts.append(_cost(server))
            later.append(_cost(server))
    limits.judge(f"{name}: first", statistics.median(firsts), "ms", bar=BAR_MS, goal=GOAL_MS)
    limits.show("  least of them", min(firsts), "ms")
    limits.show("  a later run", statistics.median(later), "ms")
    limits.show("  calibration loop meanwhile", statistics.median(loops), "ms")
    alike = [LOOP_MS * first / loop for first, loop in zip(firsts, loops, strict=True)]
    limits.show(f"  first, had the loop taken {LOOP_MS} ms", statistics.median(alike), "ms")


def _delay(limits: Limits, name: str, url: str, run: argparse.Namespace) -> None:
    """Requests of /allocate in turns: with nothing beside, and with the job run again and again."""
    idle: list[float] = []
    busy: list[float] = []
    ratios = []
    with workplace(run.folder) as beside, service(url, beside) as server:
        _import_policy(server, LEAST["some agents"])
        _latencies(server, 50)
        for _ in range(run.rounds):
            quiet = _latencies(server, run.requests)
            with _running_jobs(server):
                loaded = _latencies(server, run.requests)
            idle += quiet
            busy += loaded
            ratios.append(_p99(loaded) / _p99(quiet))
    limits.show(f"{name}: /allocate alone, p50", statistics.median(idle), "ms")
    limits.show(f"{name}: /allocate alone, p99", _p99(idle), "ms")
    limits.show(f"{name}: beside monthly jobs, p50", statistics.median(busy), "ms")
    limits.show(f"{name}: beside monthly jobs, p99", _p99(busy), "ms")
    limits.show("  p99 of all rounds against alone", _p99(busy) / _p99(idle), "x ")
    ratio = statistics.median(ratios)
    limits.judge(f"{name}: p99, median ratio", ratio, "x ", bar=BAR_RATIO, goal=GOAL_RATIO)


def _import_policy(server: Server, least: float) -> None:
    policy = {
        "agent_assignments": ASSIGNED,
        "tuning_parameters": {"underutilization_threshold_for_downgrade": least},
    }
    server.request("POST", "/config/import", json.dumps(policy).encode())


def _cost(server: Server) -> float:
    """Milliseconds of CPU of all threads for one run of the job."""
    before = server.cpu_seconds_fine()
    answer = json.loads(server.request("POST", PATH))
    cost = 1000 * (server.cpu_seconds_fine() - before)
    if answer["status"] != "done" or answer["outcome"]["reports"] != 2:
        raise RuntimeError(f"the job did not leave its reports: {answer}")
    return cost


@contextmanager
def _running_jobs(server: Server) -> Iterator[None]:
    """Run the job again and again while the block lasts."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            server.request("POST", PATH)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _latencies(server: Server, count: int) -> list[float]:
    found = []
    for _ in range(count):
        started = time.perf_counter()
        server.request("POST", "/allocate", ALLOCATE)
        found.append(1000 * (time.perf_counter() - started))
    return found


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


if __name__ == "__main__":
    sys.exit(main())
