"""What a request loses when Redis is killed or frozen under load, and comes back.

Every request needs texts that the service has not at hand. The service measures how long its
requests wait for Redis (`membudget_hot_seconds`): once to read and once to keep what was read,
unless the first wait was in vain.
"""

import argparse
import http.client
import json
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import Limits
from servers import Server, free_port, postgres_database, service, workplace

CLIENTS = 4
MEMORIES = 60
WORDS = [
    f"{first}{last}" for first in "bdfgklmnprst" for last in "abel elna inor osti uram".split()
]
BAR_MS = 50

Disturbance = tuple[Callable[[], None], Callable[[], None]]
"""What happens after a third of the requests, and after two."""


class Redis:
    """A Redis server of the benchmark's own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it keeps nothing."""
        words = f"redis-server --port {self.port} --bind 127.0.0.1 --appendonly no --dir".split()
        self._process = subprocess.Popen(
            [*words, str(self._folder), "--save", ""], stdout=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError("Redis did not start")

    def send(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def post(port: int, path: str, body: object) -> bytes:
    """The answer to a POST that must succeed."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    wire.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = wire.getresponse()
    read = answer.read()
    wire.close()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {read[:500]!r}")
    return read


def fill(port: int, place: str, chance: random.Random) -> None:
    """Keep memories in a workspace of their own: nobody has their texts at hand after a restart."""
    memories = [
        {"workspace": place, "text": " ".join(chance.choices(WORDS, k=30)) + f" {number}"}
        for number in range(MEMORIES)
    ]
    post(port, "/memories", memories)


def ask(port: int, places: Iterator[str], lock: threading.Lock, taken: list[float]) -> None:
    """Allocate from places that were not asked about before, one after the other."""
    while True:
        with lock:
            place = next(places, None)
        if place is None:
            return
        body = {"workspace": place, "task": "abel elna", "max_tokens": 800, "select": "stored"}
        started = time.perf_counter()
        answer = json.loads(post(port, "/allocate", body))
        taken.append(1e3 * (time.perf_counter() - started))
        if not answer["selection"]["selected"]:
            raise RuntimeError("nothing was selected")


def run(port: int, places: Sequence[str], disturbance: Disturbance) -> list[float]:
    """Milliseconds that each request took."""
    taken: list[float] = []
    lock = threading.Lock()
    waiting = iter(places)
    threads = [
        threading.Thread(target=ask, args=(port, waiting, lock, taken)) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for third, act in enumerate(disturbance, 1):
        while len(taken) < third * len(places) // 3 and any(t.is_alive() for t in threads):
            time.sleep(0.001)
        act()
    for thread in threads:
        thread.join()
    if len(taken) != len(places):
        raise RuntimeError(f"{len(places) - len(taken)} requests failed")
    return taken


def main() -> int:
    """Print the slowest requests beside the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--places", type=int, default=90, help="workspaces asked in each round")
    parser.add_argument("--folder", type=Path, help="where databases go (default: temp)")
    given = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("redis-server is not installed", file=sys.stderr)
        return 1
    failed = False
    with workplace(given.folder) as folder:
        for name in ("SQLite", "PostgreSQL"):
            with database(name, folder) as url:
                failed |= measure(name, url, folder, given.rounds, given.places)
    return int(failed)


def waits(server: Server, least_ms: float) -> tuple[int, int]:
    """How often requests waited for Redis since the service started, and how often so long."""
    counts = {}
    for line in server.get("/metrics").decode().splitlines():
        if line.startswith("membudget_hot_seconds_bucket"):
            bound, count = line.split('le="')[1].split('"} ')
            counts[float(bound)] = int(float(count))
    within = max(bound for bound in counts if bound <= least_ms / 1e3)
    return counts[float("inf")], counts[float("inf")] - counts[within]


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """An empty database."""
    if name == "SQLite":
        yield f"sqlite:///{folder}/away.db"
    else:
        with postgres_database("redis_away") as url:
            yield url


def measure(name: str, url: str, folder: Path, rounds: int, places: int) -> bool:
    """Print what requests took; true if one lost too much."""
    chance = random.Random(7)
    redis = Redis(folder)
    redis.start()
    number = 0

    def fresh(port: int) -> list[str]:
        nonlocal number
        names = [f"place-{number + n}" for n in range(places)]
        number += places
        for one in names:
            fill(port, one, chance)
        return names

    def nothing() -> None:
        pass

    with service(url, folder) as server:
        calm = run(server.port, fresh(server.port), (nothing, nothing))
    usual = statistics.median(calm)
    limits = Limits(f"{name}: requests of {CLIENTS} clients at once, every one with new texts")
    limits.show("median without Redis", usual, "ms")
    limits.show("slowest without Redis", max(calm), "ms")
    kinds: dict[str, Disturbance] = {
        "killed, then started": (redis.kill, redis.start),
        "frozen, then thawed": (
            lambda: redis.send(signal.SIGSTOP),
            lambda: redis.send(signal.SIGCONT),
        ),
    }
    try:
        with service(
            url, folder, MEMBUDGET_REDIS_URL=f"redis://127.0.0.1:{redis.port}/0"
        ) as server:
            time.sleep(1)
            for kind, disturbance in kinds.items():
                taken = [
                    one
                    for _ in range(rounds)
                    for one in run(server.port, fresh(server.port), disturbance)
                ]
                limits.show(f"{kind}: median of {len(taken)}", statistics.median(taken), "ms")
                limits.show(f"{kind}: the slowest", max(taken), "ms")
                calls, over_half = waits(server, BAR_MS / 2)
                _, over = waits(server, BAR_MS)
                limits.show(f"{kind}: waits above {BAR_MS // 2} ms", over_half, "")
                limits.judge(
                    f"{kind}: of {calls:,} waits above {BAR_MS} ms", over, "", bar=0, goal=0
                )
    finally:
        redis.kill()
    print()
    return limits.failed


if __name__ == "__main__":
    sys.exit(main())
