"""64 clients draw on pools, settle, hand on and carve at random, through a kill -9: nothing is ever
spent twice, nothing that was settled is lost, and everything else comes back."""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers import Server, postgres_database, service, workplace

CLIENTS = 64
OPERATIONS = 100_000
CAPACITY = 1_000_000
ROOTS = 4
MOST_TTL = 15
KINDS = ("draw", "finish", "release", "extend", "transfer", "carve", "look")
WEIGHTS = (40, 36, 4, 4, 8, 1, 7)


@dataclass(slots=True, kw_only=True)
class World:
    """What all clients share."""

    servers: list[Server]
    operations: int
    ttl: int = MOST_TTL
    """Seconds that an allocation lives at most."""
    pools: list[str] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    """Tokens of acknowledged settlements, by pool."""
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class Client:
    """One agent: its connection, its runs, its chance."""

    world: World
    number: int
    chance: random.Random
    runs: list[tuple[str, str, int]] = field(default_factory=list)
    """Allocation, pool, tokens reserved."""
    wire: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, *, again: bool = False) -> Any:
        """Status and answer; None where it was lost. `again`: ask until there is one."""
        while True:
            try:
                return self._ask(method, path, body)
            except (OSError, http.client.HTTPException):
                self.wire = None
                time.sleep(0.05)
                if not again:
                    return None

    def _ask(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if self.wire is None:
            servers = self.world.servers
            port = servers[self.number % len(servers)].port
            self.wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        data = None if body is None else json.dumps(body).encode()
        self.wire.request(method, path, data, {"content-type": "application/json"})
        answer = self.wire.getresponse()
        raw = answer.read()
        if answer.status >= 500:
            raise OSError(raw.decode())
        return answer.status, json.loads(raw)

    def work(self) -> None:
        """Do something at random until enough is done, then finish what is open."""
        while self.world.done.total() < self.world.operations:
            kind = self.chance.choices(KINDS, WEIGHTS)[0]
            getattr(self, kind)()
            with self.world.lock:
                self.world.done[kind] += 1
        while self.runs:
            self.finish()

    def a_pool(self) -> str:
        with self.world.lock:
            return self.chance.choice(self.world.pools)

    def draw(self) -> None:
        pool, tokens = self.a_pool(), self.chance.randrange(60_000)
        body = {
            "max_tokens": tokens,
            "pool": pool,
            "ttl_seconds": self.chance.choice((1, self.world.ttl)),
            "last_word": self.chance.random() < 0.05,
        }
        found = self.ask("POST", "/allocate", body)
        if found is not None and found[0] == 201:
            self.runs.append((found[1]["id"], pool, tokens))
        elif found is not None and found[0] != 409:
            self.world.wrong.append(f"draw: {found}")

    def finish(self) -> None:
        if not self.runs:
            return
        id_, pool, tokens = self.runs.pop(self.chance.randrange(len(self.runs)))
        used = self.chance.randrange(tokens + 1) // 50
        body = {"loads": [{"scope": "global", "tokens": used}]}
        status, answer = self.ask("POST", f"/allocations/{id_}/finish", body, again=True)
        if status == 200:
            with self.world.lock:
                self.world.used[pool] += used
        else:
            self.world.wrong.append(f"finish: {status} {answer}")

    def release(self) -> None:
        if self.runs:
            id_, _, _ = self.runs.pop()
            self.ask("POST", f"/allocations/{id_}/release", again=True)

    def extend(self) -> None:
        if self.runs:
            id_, _, _ = self.runs[-1]
            self.ask("POST", f"/allocations/{id_}/extend", {"ttl_seconds": self.world.ttl})

    def transfer(self) -> None:
        body = {"to": self.a_pool(), "tokens": 1 + self.chance.randrange(20_000)}
        found = self.ask("POST", f"/pools/{self.a_pool()}/transfer", body)
        if found is not None and found[0] not in (200, 409):
            self.world.wrong.append(f"transfer: {found}")

    def carve(self) -> None:
        with self.world.lock:
            if len(self.world.pools) >= 60:
                return
        body = {"tokens": self.chance.randrange(50_000), "parent": self.a_pool()}
        found = self.ask("POST", "/pools", {**body, "ttl_seconds": 3_600, "reserve_pct": 5})
        if found is not None and found[0] == 201:
            with self.world.lock:
                self.world.pools.append(found[1]["id"])

    def look(self) -> None:
        """A pool never holds more than it has, but for what was settled late."""
        check(self.world, [self.look_at(self.a_pool())], self)

    def look_at(self, pool: str) -> dict[str, Any]:
        status, found = self.ask("GET", f"/pools/{pool}", again=True)
        assert status == 200, found
        return dict(found)


def check(world: World, pools: list[dict[str, Any]], client: Client) -> None:
    """Note pools that are overdrawn by more than all pools have settled late by now."""
    for one in pools:
        taken = one["used"] + one["held"] + one["given"]
        over = max(0, taken - one["capacity"])
        if over != one["overdrawn"]:
            world.wrong.append(f"figures: {one}")
        if over and over > sum(client.look_at(pool)["late"] for pool in list(world.pools)):
            world.wrong.append(f"spent twice: {one}")


def main() -> int:
    """Print one line for each database; the exit code says whether every law held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--ttl", type=int, default=MOST_TTL, help="seconds that a run may take")
    run = parser.parse_args()
    failed = False
    with workplace(None) as place:
        if "sqlite" in run.databases:
            url = f"sqlite:///{place}/ours.db"
            failed |= not contend("SQLite", url, place, 1, run)
        if "postgresql" in run.databases:
            with postgres_database("pools") as url:
                name = "PostgreSQL × 2"
                failed |= not contend(name, url, place, 2, run)
    return int(failed)


def contend(name: str, url: str, place: Path, replicas: int, run: argparse.Namespace) -> bool:
    """Let clients at the pools, kill a server half way, and hold the end against the account."""
    with ExitStack() as stack:
        servers = [stack.enter_context(service(url, place)) for _ in range(replicas)]
        world = World(servers=servers, operations=run.operations, ttl=run.ttl)
        watcher = Client(world, 0, random.Random(0))
        for number in range(ROOTS):
            body = {"tokens": CAPACITY, "reserve_pct": 10 * number}
            world.pools.append(watcher.ask("POST", "/pools", body)[1]["id"])
        threads = [
            threading.Thread(target=Client(world, n, random.Random(n)).work)
            for n in range(run.clients)
        ]
        for thread in threads:
            thread.start()
        while world.done.total() < run.operations // 2:
            time.sleep(0.05)
        servers[0].process.kill()
        servers[0].process.wait()
        servers[0] = stack.enter_context(service(url, place))
        for thread in threads:
            thread.join()
        time.sleep(run.ttl + 1)
        watcher.wire = None
        found = [watcher.look_at(pool) for pool in world.pools]
    return judge(name, world, found)


def judge(name: str, world: World, found: list[dict[str, Any]]) -> bool:
    """Whether the end is what it must be."""
    roots = [one for one in found if one["parent"] is None]
    if sum(one["capacity"] for one in roots) != ROOTS * CAPACITY:
        world.wrong.append("capacity was lost or made")
    for one in found:
        if one["held"]:
            world.wrong.append(f"not given back: {one}")
        if one["used"] != world.used[one["id"]]:
            world.wrong.append(f"used {one['used']}, told {world.used[one['id']]}")
    used, late = (sum(one[key] for one in found) for key in ("used", "late"))
    verdict = "FAIL" if world.wrong else "PASS"
    print(
        f"{name:<16}{world.done.total():>8,} operations on {len(found)} pools, one kill -9:"
        f" {used:,} tokens used ({late:,} late), {len(world.wrong)} violations  {verdict}"
    )
    for one in world.wrong[:5]:
        print(f"  {one}")
    return not world.wrong


if __name__ == "__main__":
    sys.exit(main())
