"""CPU and memory of POST /simulate over a million runs, and what /allocate feels of it."""

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from analytics import DAYS, fill
from harness import Limits, arguments
from servers import Server, postgres_database, service, workplace

BAR_SECONDS, GOAL_SECONDS = 30.0, 15.0
BAR_MB, GOAL_MB = 100.0, 30.0
ALLOCATE = json.dumps({"agent": "specialists/agent-001", "complexity": "medium"}).encode()
TRIALS = {
    "under another profile": {"profile": "specialist-broad"},
    "under the policy then in force": {},
}


def main() -> int:
    """Print what a replay costs, on SQLite or on PostgreSQL."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    run = parser.parse_args()
    limits = Limits(f"POST /simulate over {run.events:,} runs of 200 agents")
    with ExitStack() as stack:
        place = stack.enter_context(workplace(run.folder))
        url = f"sqlite:///{place}/ours.db"
        if run.postgres:
            url = stack.enter_context(postgres_database("simulate"))
        started = time.monotonic()
        fill(url, run.events)
        limits.show("loaded in", time.monotonic() - started, "s ")
        server = stack.enter_context(service(url, place))
        _measure(limits, server, run)
    return int(limits.failed)


def _measure(limits: Limits, server: Server, run: argparse.Namespace) -> None:
    for _ in range(50):
        server.request("POST", "/allocate", ALLOCATE)
    quiet = [_latency(server) for _ in range(300)]
    limits.show("/allocate meanwhile idle, p99", _p99(quiet), "ms")
    for name, trial in TRIALS.items():
        body = json.dumps({"days": DAYS + 1, **trial}).encode()
        resting, cpu, begun = server.rss_mb(), server.cpu_seconds(), time.monotonic()
        answer = json.loads(server.request("POST", "/simulate", body))
        cpu, took = server.cpu_seconds() - cpu, time.monotonic() - begun
        assert answer["recorded"]["executions"] == run.events
        limits.judge(f"{name}: CPU", cpu, "s ", bar=BAR_SECONDS, goal=GOAL_SECONDS)
        limits.show(f"{name}: time", took, "s ")
        grown = _peak_mb(server) - resting
        limits.judge(f"{name}: RSS at most, grown by", grown, "MB", bar=BAR_MB, goal=GOAL_MB)
    with _simulating(server):
        busy = [_latency(server) for _ in range(300)]
    limits.show("/allocate beside a simulation, p50", statistics.median(busy), "ms")
    limits.show("/allocate beside a simulation, p99", _p99(busy), "ms")


@contextmanager
def _simulating(server: Server) -> Iterator[None]:
    """Simulate again and again while the block lasts."""
    is_over = threading.Event()
    body = json.dumps({"days": DAYS + 1, "profile": "specialist-broad"}).encode()

    def work() -> None:
        while not is_over.is_set():
            server.request("POST", "/simulate", body)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    yield
    is_over.set()
    thread.join()


def _latency(server: Server) -> float:
    started = time.perf_counter()
    server.request("POST", "/allocate", ALLOCATE)
    return 1000 * (time.perf_counter() - started)


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]


def _peak_mb(server: Server) -> float:
    """The most memory that the process had at any time, in millions of bytes."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
