"""Kill the service under load, start it again, and count what it had acknowledged."""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers import Server, postgres_database, service, workplace

CLIENTS = 16
AGENTS = ("specialists/dbt-expert", "roles/data-architect-role", "helpers/killed")
PAGE = 1_000
AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one round found after the restart."""

    acknowledged: int
    found: int
    double: int
    lost: int
    unlike: int
    """Totals that differ from a count of the events themselves."""

    @property
    def is_clean(self) -> bool:
        """Nothing is lost, nothing counts twice, and totals are those of the events."""
        return self.lost == self.double == self.unlike == 0


@dataclass(slots=True)
class Sent:
    """What the clients of one round sent, and what of it was acknowledged."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    allocations: set[str] = field(default_factory=set)


def main() -> int:
    """Print one line for each round; the exit code says whether all were clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of load before each kill")
    parser.add_argument("--every", type=int, default=1, help="count after every so many kills")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--folder", type=Path, help="where the database goes (default: temp)")
    run = parser.parse_args()
    clean = True
    with ExitStack() as stack:
        place = stack.enter_context(workplace(run.folder))
        for name in run.databases:
            url = f"sqlite:///{place}/kill.db"
            if name == "postgresql":
                url = stack.enter_context(postgres_database("kill"))
            for number, outcome in rounds(
                url, place, count=run.rounds, seconds=run.seconds, every=run.every
            ):
                clean = clean and outcome.is_clean
                print(
                    f"{name} round {number}: acknowledged {outcome.acknowledged:,}"
                    f" found {outcome.found:,} double {outcome.double} lost {outcome.lost}"
                    f" unlike {outcome.unlike}",
                    flush=True,
                )
            is_equal = audit(url, place)
            clean = clean and is_equal
            print(f"{name} audit: {'all figures equal the events' if is_equal else 'differs'}")
    return int(not clean)


def rounds(
    url: str, folder: Path, *, count: int, seconds: float, every: int = 1
) -> Iterator[tuple[int, Outcome]]:
    """Rounds on one database that keeps what earlier rounds left: load, kill, restart, count."""
    sent = Sent()
    for number in range(count + 1):
        with service(url, folder) as server:
            if number > 0:
                send_again(server, sent)
            if number and (number % every == 0 or number == count):
                yield number, count_up(server, sent)
            if number < count:
                until_killed(server, sent, prefix=f"kill-{number}", seconds=seconds)


def until_killed(server: Server, sent: Sent, *, prefix: str, seconds: float) -> None:
    """Load the server from many clients, and kill it in the middle of their requests."""
    numbers = itertools.count()
    clients = [
        threading.Thread(target=_client, args=(server, sent, f"{prefix}-{client}", numbers))
        for client in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    time.sleep(seconds * random.uniform(0.5, 1.0))
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    for client in clients:
        client.join()


def _client(server: Server, sent: Sent, name: str, numbers: Iterator[int]) -> None:
    """Post until the server is gone: three events, then an allocation, and so on."""
    wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(wire), contextlib.suppress(OSError, http.client.HTTPException):
        for number in numbers:
            agent = AGENTS[number % len(AGENTS)]
            if number % 4 == 3:
                body = {"agent": agent, "task": "Analyze slow queries", "session_id": name}
                sent.allocations.add(_post(wire, "/allocate", body)["id"])
                continue
            event = {
                "id": f"{name}-{number}",
                "agent": agent,
                "complexity": "medium",
                "budget_tokens": 20_000,
                "used_tokens": number % 30_000,
                "scopes": {"global": number % 7},
            }
            sent.events[event["id"]] = event
            _post(wire, "/usage", event)
            sent.acknowledged.add(event["id"])


def _post(wire: http.client.HTTPConnection, path: str, body: object) -> dict[str, Any]:
    wire.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = wire.getresponse()
    raw = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"{path}: {answer.status} {raw[:300]!r}")
    found: dict[str, Any] = json.loads(raw)
    return found


def send_again(server: Server, sent: Sent) -> None:
    """What a careful client does after a crash: every event whose answer it did not see, again."""
    for id_ in sorted(set(sent.events) - sent.acknowledged):
        server.request("POST", "/usage", json.dumps(sent.events[id_]).encode())
        sent.acknowledged.add(id_)


def count_up(server: Server, sent: Sent) -> Outcome:
    """Compare the books with what was acknowledged."""
    events = list(_listed(server, "/usage"))
    times = Counter(event["id"] for event in events)
    allocations = Counter(item["id"] for item in _listed(server, "/allocations"))
    wanted = sent.acknowledged | sent.allocations
    found = wanted & (set(times) | set(allocations))
    both = [*times.values(), *allocations.values()]
    return Outcome(
        acknowledged=len(wanted),
        found=len(found),
        double=sum(count - 1 for count in both),
        lost=len(wanted) - len(found),
        unlike=_unlike(server, events),
    )


def audit(url: str, folder: Path) -> bool:
    """Whether all cells are what the service's own audit recomputes from the events."""
    audited = subprocess.run(
        [sys.executable, "-m", "app", "audit"],
        env={**os.environ, "MEMBUDGET_DATABASE_URL": url},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if audited.returncode:
        print(audited.stdout[-2000:], audited.stderr[-2000:], file=sys.stderr)
    return audited.returncode == 0


def _unlike(server: Server, events: list[dict[str, Any]]) -> int:
    analytics = json.loads(server.get("/usage/analytics?by=agent"))
    runs, tokens = Counter[str](), Counter[str]()
    for event in events:
        runs[event["agent"]] += 1
        tokens[event["agent"]] += event["used_tokens"]
    groups = {group["key"]: group for group in analytics["groups"]}
    differ = sum(
        agent not in groups
        or groups[agent]["executions"] != runs[agent]
        or groups[agent]["tokens"]["used"] != tokens[agent]
        for agent in runs
    )
    return differ + (analytics["overall"]["executions"] != len(events))


def _listed(server: Server, path: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while cursor is not None:
        query = f"?limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
        page = json.loads(_got(server, path + query))
        yield from page["items"]
        cursor = page["next_cursor"]


def _got(server: Server, path: str) -> bytes:
    """An answer; a busy machine is asked a second time."""
    try:
        return server.get(path)
    except RuntimeError:
        time.sleep(AGAIN_SECONDS)
        return server.get(path)


if __name__ == "__main__":
    sys.exit(main())
