"""64 clients spend against a hard budget in USD until it refuses them: not one nano-dollar over."""

import argparse
import http.client
import json
import sys
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from servers import Server, postgres_database, service, workplace

CLIENTS = 64
LIMIT = Decimal("3.141592653")


@dataclass(slots=True)
class Taken:
    """What the clients were told."""

    events: int = 0
    refused: int = 0
    usd: Decimal = Decimal()
    others: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> int:
    """Print one line for each database; the exit code says whether all budgets held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--replicas", type=int, default=2, help="of the service, on PostgreSQL")
    run = parser.parse_args()
    failed = False
    with workplace(None) as place:
        if "sqlite" in run.databases:
            with service(f"sqlite:///{place}/ours.db", place) as server:
                failed |= not spend("SQLite", [server])
        if "postgresql" in run.databases:
            with postgres_database("spenders") as url, service(url, place) as first:
                if run.replicas < 2:
                    failed |= not spend("PostgreSQL", [first])
                else:
                    with service(url, place) as second:
                        failed |= not spend("PostgreSQL × 2", [first, second])
    return int(failed)


def spend(name: str, servers: list[Server]) -> bool:
    """Spend until every client is refused; whether the books say what the clients were told."""
    body = {"usd": str(LIMIT), "window": "month", "enforcement": "hard"}
    servers[0].request("PUT", "/costs/budgets/hard", json.dumps(body).encode())
    taken = Taken()
    threads = [
        threading.Thread(target=client, args=(servers[n % len(servers)], n, taken))
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    status = _get(servers[0], "/costs/budgets/hard")["status"]
    books = _get(servers[0], "/costs/breakdown?by=day")
    levels = [alert["level"] for alert in _get(servers[0], "/costs/alerts")["items"]]
    used = Decimal(status["used_usd"])
    holds = used <= LIMIT and used == Decimal(books["total_usd"]) == taken.usd
    is_once = len(set(levels)) == len(levels) and not taken.others
    verdict = "PASS" if holds and is_once else "FAIL"
    print(
        f"{name:<16}{taken.events:>8,} events took {used} of {LIMIT} USD,"
        f" {taken.refused:,} were refused; alerts {', '.join(sorted(levels))}  {verdict}"
    )
    return holds and is_once


def client(server: Server, number: int, taken: Taken) -> None:
    """Book events of ever smaller cost until the smallest is refused, too."""
    wire = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    cost = Decimal("0.010000001") + Decimal(number) / 1_000_000
    while cost >= Decimal("0.000000001"):
        event = {"agent": "a", "budget_tokens": None, "used_tokens": 1, "cost_usd": f"{cost:f}"}
        wire.request(
            "POST", "/usage", json.dumps(event), headers={"content-type": "application/json"}
        )
        answer = wire.getresponse()
        answer.read()
        with taken.lock:
            if answer.status == 201:
                taken.events += 1
                taken.usd += cost.quantize(Decimal("1e-9"))
            elif answer.status == 409:
                taken.refused += 1
            else:
                taken.others.append(answer.status)
        if answer.status != 201:
            cost = (cost / 2).quantize(Decimal("1e-9"))
    wire.close()


def _get(server: Server, path: str) -> Any:
    return json.loads(server.get(path))


if __name__ == "__main__":
    sys.exit(main())
