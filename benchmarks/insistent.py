"""Clients that send until they are answered: what every client of a ledger should do."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CLIENTS = 8
AGENTS = ("specialists/dbt-expert", "roles/data-architect-role", "helpers/upset")
AGAIN_SECONDS = 0.1
GIVE_UP_SECONDS = 90.0
WIRE_SECONDS = 30.0


@dataclass(slots=True)
class Told:
    """What clients were told: all of it has to be in the books, once."""

    events: set[str] = field(default_factory=set)
    allocations: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers by status; 0: none came."""
    degraded: int = 0
    longest: float = 0.0
    """Seconds that the slowest answer took."""
    last: float = 0.0
    """When something was last acknowledged."""
    faults: list[str] = field(default_factory=list)
    """Answers that nobody should get."""
    acknowledged: list[float] = field(default_factory=list)
    """When each was."""


class Insistent:
    """Clients that book events, and allocate and finish, on a port where a service may be."""

    def __init__(self, port: int, told: Told, prefix: str) -> None:
        self._port = port
        self._told = told
        self._prefix = prefix
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)
        ]

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let them work while the block lasts, and then finish what they have begun."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join()

    def _work(self, client: int) -> None:
        wire = Line(self._port, self._told)
        number = 0
        while not self._ending.is_set():
            number += 1
            name = f"{self._prefix}-{client}-{number}"
            try:
                if number % 4 == 0:
                    self._run_of_an_agent(wire, name)
                else:
                    wire.insist("/usage", _event(name, number))
                    self._told.events.add(name)
            except AssertionError as fault:
                self._told.faults.append(str(fault))
        wire.close()

    def _run_of_an_agent(self, wire: "Line", name: str) -> None:
        """Ask for a budget until it is recorded, and finish the run; both may be sent again."""
        body = {"agent": AGENTS[0], "task": "Analyze slow queries", "complexity": "simple"}
        give_up = time.monotonic() + GIVE_UP_SECONDS
        allocation = wire.insist("/allocate", body, key=name)
        while allocation["id"] is None:
            self._told.degraded += 1
            assert time.monotonic() < give_up, "budgets stayed degraded"
            time.sleep(AGAIN_SECONDS)
            allocation = wire.insist("/allocate", body, key=name)
        self._told.allocations.add(allocation["id"])
        ended = {"loads": [{"scope": "global", "tokens": 100}]}
        event = wire.insist(f"/allocations/{allocation['id']}/finish", ended)
        self._told.events.add(event["id"])


class Line:
    """One client's connection, made anew as often as need be."""

    def __init__(self, port: int, told: Told) -> None:
        self._port = port
        self._told = told
        self._wire: http.client.HTTPConnection | None = None

    def insist(self, path: str, body: object, *, key: str | None = None) -> dict[str, Any]:
        """Post until it is taken. Errors: AssertionError for answers that nobody should get."""
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        raw = json.dumps(body)
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while True:
            began = time.monotonic()
            status, answer = self._ask(path, raw, headers)
            ended = time.monotonic()
            self._told.statuses[status] += 1
            self._told.longest = max(self._told.longest, ended - began)
            if 200 <= status < 300:
                found: dict[str, Any] = json.loads(answer)
                if found.get("degraded") is not True:
                    self._told.acknowledged.append(ended)
                return found
            assert status in (0, 503, 507), f"{path}: {status} {answer[:500]!r}"
            assert ended < give_up, f"{path}: not taken for {GIVE_UP_SECONDS} s, last {status}"
            time.sleep(AGAIN_SECONDS)

    def close(self) -> None:
        """Hang up."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _ask(self, path: str, raw: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._wire is None:
            self._wire = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WIRE_SECONDS)
        try:
            self._wire.request("POST", path, raw, headers)
            answer = self._wire.getresponse()
            read = answer.read()
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(OSError):
                self.close()
            return 0, b""
        if answer.status in (503, 507):
            assert answer.headers["retry-after"], f"{path}: {answer.status} without Retry-After"
        return answer.status, read


def _event(name: str, number: int) -> dict[str, Any]:
    return {
        "id": name,
        "agent": AGENTS[number % len(AGENTS)],
        "complexity": "medium",
        "budget_tokens": 20_000,
        "used_tokens": number % 30_000,
        "scopes": {"global": number % 7},
    }
