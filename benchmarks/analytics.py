"""CPU of `GET /usage/analytics?days=30` with p95, 200 agents, at 1 M events and at 10 M."""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from events import figures, template
from harness import NUMBERS, Limits, arguments
from load import NUMBER
from servers import Server, service, workplace

from app.core.usage import UsageEvent
from app.store.appending import append_many
from app.store.database import Store
from app.store.migrate import upgrade

CHUNK = 20_000
DAYS = 30
PATH = f"/usage/analytics?days={DAYS}&by=agent"
BAR_MS, GOAL_MS = 40.0, 20.0
BAR_GROWTH, GOAL_GROWTH = 1.3, 1.1


def main() -> int:
    """Print cold and steady figures for each size, and how they grow."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--requests", type=int, default=30)
    run = parser.parse_args()
    limits = Limits(f"GET {PATH}, 200 agents: server CPU of one request")
    steady: list[float] = []
    for size in run.events:
        with workplace(run.folder) as place:
            url = f"sqlite:///{place}/ours.db"
            started = time.monotonic()
            fill(url, size)
            limits.show(f"{size:,} events: loaded in", time.monotonic() - started, "s ")
            with service(url, place) as server:
                steady.append(measure(limits, size, server, run))
    for size, cost in zip(run.events[1:], steady[1:], strict=True):
        limits.judge(
            f"{size:,} events against {run.events[0]:,}",
            cost / steady[0],
            "x ",
            bar=BAR_GROWTH,
            goal=GOAL_GROWTH,
        )
    return int(limits.failed)


def measure(limits: Limits, size: int, server: Server, run: argparse.Namespace) -> float:
    """Milliseconds of CPU: cold, with nothing new in between, and after a write (the claim)."""
    limits.show(f"{size:,} events: first request after start", _cost(server), "ms")
    quiet = statistics.median(_cost(server) for _ in range(run.requests))
    limits.show(f"{size:,} events: nothing new since the last one", quiet, "ms")
    first = NUMBERS.take()
    costs = []
    for number in range(run.requests):
        sent = template(number, at=datetime.now(UTC))
        body = sent.replace(NUMBER.decode(), f"{first + number:016x}")
        server.request("POST", "/usage", body.encode())
        time.sleep(0.05)  # what the write leaves behind is not the question's
        costs.append(_cost(server))
    steady = statistics.median(costs)
    name = f"{size:,} events: each after a new event"
    limits.judge(name, steady, "ms", bar=BAR_MS, goal=GOAL_MS)
    return steady


def _cost(server: Server) -> float:
    before = server.cpu_seconds_fine()
    server.get(PATH)
    return 1000 * (server.cpu_seconds_fine() - before)


def fill(url: str, size: int) -> None:
    """Store events of the last days through the service's own writer of events, in big groups."""
    upgrade(url)
    store = Store(url)
    try:
        for chunk in _chunks(size):
            store.write_now(partial(append_many, workspace="default", batches=[chunk]))
    finally:
        store.close()


def _chunks(size: int) -> Iterator[list[UsageEvent]]:
    until = int(datetime.now(UTC).timestamp() * 1e6)
    step = DAYS * 86_400_000_000 / (size + 1)
    for first in range(0, size, CHUNK):
        numbers = range(first, min(first + CHUNK, size))
        yield [event(number, until - int((size - number) * step)) for number in numbers]


def event(number: int, at: int) -> UsageEvent:
    """The event of a number, at a moment in microseconds."""
    agent, tier, profile, budget, used, scopes = figures(number)
    return UsageEvent(
        id=f"fill-{number:016x}",
        workspace="default",
        at=at,
        agent=agent,
        complexity=tier,
        profile=profile,
        budget_tokens=budget,
        used_tokens=used,
        scopes=scopes,
        duration_seconds=1.5,
        success=True,
        fingerprint=number.to_bytes(16, "big"),
    )


if __name__ == "__main__":
    sys.exit(main())
