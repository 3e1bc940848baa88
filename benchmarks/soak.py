"""Keep the service busy for an hour or more with a bit of everything; its memory must not grow.

Requests come at a steady pace, jobs are asked for in turns, and resident memory is read once a
minute. After a third of the time everything that is bounded should be full: the slope of what
follows is judged, with the interval that its scatter leaves.
"""

import argparse
import http.client
import itertools
import json
import math
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from servers import Server, postgres_database, service, workplace

AGENTS = [f"specialists/soaked-{number}" for number in range(20)]
JOBS = ("daily", "weekly", "monthly", "audit", "retention", "backup")
JOB_SECONDS = 30
SAMPLE_SECONDS = 60.0
IDS = 500
"""How many memories later a client deletes one; one of three."""
WORDS = "warehouse nightly schema retry budget token index cache deploy rollback query plan".split()
BAR = 5.0
"""Megabytes an hour that the upper end of the interval may show: 120 a day, a restart a month."""

Sample = tuple[float, float]
"""Hours since the start, megabytes."""


class Client:
    """One client that does a bit of everything, over one connection, in a steady pace."""

    def __init__(self, server: Server, number: int, pace: float, statuses: Counter[str]) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self._chance = random.Random(number)
        self._name = f"soak-{number}"
        self._pace = pace
        self._statuses = statuses
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        due = time.monotonic()
        for turn in itertools.count():
            for method, path, body in self._turn(turn):
                self.ask(method, path, body)
            due = max(due + self._pace, time.monotonic() - 10 * self._pace)
            if self.ending.wait(max(0.0, due - time.monotonic())):
                break
        self._wire.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask, and count the status."""
        try:
            raw = None if body is None else json.dumps(body)
            self._wire.request(method, path, raw, {"content-type": "application/json"})
            answer = self._wire.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._statuses[type(error).__name__] += 1
            self._wire.close()
            return None
        self._statuses[str(answer.status)] += 1
        is_json = answer.headers.get_content_type() == "application/json"
        return json.loads(text) if is_json and answer.status < 300 else None

    def _turn(self, turn: int) -> Iterator[tuple[str, str, object]]:
        chance, agent = self._chance, self._chance.choice(AGENTS)
        words = " ".join(chance.choices(WORDS, k=12))
        asked = {"agent": agent, "task": f"Why did the {words} fail?", "user": f"u{turn % 50}"}
        if turn % 2:
            asked |= {"select": "stored", "render": "markdown", "max_tokens": 2_000}
        allocation = self.ask("POST", "/allocate", asked)
        if allocation is not None and allocation["id"]:
            at = f"/allocations/{allocation['id']}"
            loads = [{"scope": "global", "tokens": chance.randrange(2_000)}]
            yield "POST", at + "/loads", {"loads": loads}
            yield "GET", at, None
            yield "POST", at + "/finish", {"success": True}
        yield "POST", "/usage", [self._event(agent, turn, n) for n in range(20)]
        yield "POST", "/memories", [self._memory(3 * turn + n) for n in range(3)]
        if 3 * turn >= IDS:
            yield "DELETE", f"/memories/{self._name}-{3 * turn - IDS}", None
        yield "POST", "/memories/search", {"query": words, "limit": 5}
        others = (
            ("POST", "/complexity", {"text": words}),
            ("POST", "/tokens/count", {"texts": [words * 20]}),
            ("POST", "/minify", {"context": {"notes": words * 30}, "max_tokens": 100}),
            ("POST", "/allocate", {"agent": agent, "stranger": words}),
            ("GET", "/usage?limit=100", None),
            ("GET", "/memories/health", None),
            ("GET", "/costs/breakdown?days=7", None),
            ("GET", f"/nothing/{turn}", None),
            ("GET", "/metrics", None),
            ("GET", "/readyz", None),
            ("GET", "/recommendations", None),
            ("GET", "/allocations?limit=100", None),
            (
                "GET",
                f"/usage/analytics?days=30&by={chance.choice(('agent', 'model', 'day'))}",
                None,
            ),
        )
        yield others[turn % len(others)]

    def _event(self, agent: str, turn: int, number: int) -> dict[str, Any]:
        return {
            "id": f"{self._name}-{turn}-{number}-{time.time_ns()}",
            "agent": agent,
            "complexity": self._chance.choice(("simple", "medium", "complex")),
            "budget_tokens": 20_000,
            "used_tokens": self._chance.randrange(25_000),
            "model": "claude-sonnet-4-5",
            "input_tokens": self._chance.randrange(20_000),
            "output_tokens": 500,
            "scopes": {"global": number},
        }

    def _memory(self, number: int) -> dict[str, Any]:
        return {
            "id": f"{self._name}-{number}",
            "text": " ".join(self._chance.choices(WORDS, k=40)),
        }


def soak(server: Server, *, minutes: float, clients: int, pace: float) -> Iterator[str | Sample]:
    """Load the server; a line and a sample for each minute."""
    statuses: Counter[str] = Counter()
    asking = [Client(server, number, pace, statuses) for number in range(clients)]
    caller = Client(server, clients, pace, statuses)
    for client in asking:
        client.thread.start()
    began = time.monotonic()
    jobs = itertools.cycle(JOBS)
    next_job, next_sample = began + JOB_SECONDS, began + SAMPLE_SECONDS
    runs: Counter[str] = Counter()
    try:
        while (now := time.monotonic()) < began + 60 * minutes + 1:
            if now >= next_job:
                name = next(jobs)
                done = caller.ask("POST", f"/jobs/{name}/run")
                runs["none" if done is None else str(done["status"])] += 1
                next_job = max(next_job + JOB_SECONDS, now)
            if now >= next_sample:
                used = server.rss_mb()
                passed = now - began
                next_sample = max(next_sample + SAMPLE_SECONDS, now)
                told = json.dumps(dict(sorted(statuses.items())))
                yield (
                    f"minute {passed / 60:3.0f}: RSS {used:6.1f} MB, CPU"
                    f" {server.cpu_seconds():5.0f} s, answers {told}, jobs {json.dumps(dict(runs))}"
                )
                yield passed / 3600, used
            time.sleep(0.2)
    finally:
        for client in asking:
            client.ending.set()
        for client in asking:
            client.thread.join()
    faults = sum(count for status, count in statuses.items() if not "200" <= status < "500")
    yield f"answers that nobody should get: {faults}"


def slope(samples: Sequence[Sample]) -> tuple[float, float]:
    """Least squares: units of y for one of x, and half of its 95 % interval.

    Samples that follow each other are alike, so they count as fewer (by their autocorrelation).
    """
    count = len(samples)
    middle_x = sum(x for x, _ in samples) / count
    middle_y = sum(y for _, y in samples) / count
    spread = sum((x - middle_x) ** 2 for x, _ in samples)
    found = sum((x - middle_x) * (y - middle_y) for x, y in samples) / spread
    rest = [y - middle_y - found * (x - middle_x) for x, y in samples]
    squares = sum(one * one for one in rest)
    alike = sum(a * b for a, b in itertools.pairwise(rest)) / squares if squares else 0.0
    alike = min(max(alike, 0.0), 0.9)
    effective = max(3.0, count * (1 - alike) / (1 + alike))
    return found, 2.0 * math.sqrt(squares / count / (effective - 2) / (spread / count))


def main() -> int:
    """0 if memory stayed flat and nothing was answered that should not be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pace", type=float, default=0.7, help="seconds from turn to turn")
    parser.add_argument("--folder", type=Path, help="where databases go (default: temp)")
    given = parser.parse_args()
    samples: list[Sample] = []
    faults = 0
    with workplace(given.folder) as place, ExitStack() as stack:
        url = f"sqlite:///{place}/soak.db"
        if given.database == "postgresql":
            url = stack.enter_context(postgres_database("soak"))
        folder = str(place / "backups")
        server = stack.enter_context(
            service(url, place, MEMBUDGET_SCHEDULER="on", MEMBUDGET_BACKUP_DIR=folder)
        )
        said = soak(server, minutes=given.minutes, clients=given.clients, pace=given.pace)
        for one in said:
            if isinstance(one, str):
                print(one, flush=True)
                faults = int(one.rpartition(": ")[2]) if one.startswith("answers that") else faults
            else:
                samples.append(one)
    later = [one for one in samples if one[0] >= given.minutes / 60 / 3]
    if len(later) < 10:
        print("too short to judge")
        return 1
    found, half = slope(later)
    is_flat = found + half <= BAR
    print(
        f"{given.database}: {found:+.2f} ± {half:.2f} MB an hour over {len(later)} minutes,"
        f" {later[0][1]:.1f} to {later[-1][1]:.1f} MB (bar {BAR:g}):"
        f" {'PASS' if is_flat and not faults else 'FAIL'}"
    )
    return int(not is_flat or faults > 0)


if __name__ == "__main__":
    sys.exit(main())
