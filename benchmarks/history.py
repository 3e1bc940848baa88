"""Fill a fresh database with 90 days of history: the six traces of real runs, over POST /usage.

Each trace is stretched over the days; its agents get the shipped profiles in turn, and two small
ones that fit such calls. A run needs what the trace says and uses at most its budget.
"""

import argparse
import csv
import gzip
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from servers import HERE, Server, service

DAYS = 90
BATCH = 2_000
SCOPES = {"global": 0.2, "agent_recent": 0.3, "agent_patterns": 0.5}
SMALL = {"call-narrow": (1_500, 3_000), "call-broad": (4_000, 8_000)}


def main() -> int:
    """Import and say what came in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database_url", help="sqlite:///history.db, or another empty database")
    parser.add_argument("--data", type=Path, default=traces())
    parser.add_argument("--days", type=int, default=DAYS)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="membudget-bench-") as place,
        service(absolute(given.database_url), Path(place)) as server,
    ):
        accepted = import_history(server, given.data, days=given.days)
        found = json.loads(server.get("/usage/analytics?by=agent"))
    print(f"{accepted:,} runs of {len(found['groups'])} agents over {given.days} days")
    return 0


def traces() -> Path:
    """Where the traces are: `$MEMBUDGET_TEST_DATA/traces`, else beside the repository."""
    named = os.environ.get("MEMBUDGET_TEST_DATA")
    return (Path(named) if named else HERE.parent.parent / "shared" / "data") / "traces"


def absolute(database_url: str) -> str:
    """The address with the path of a SQLite file from the root: the service runs elsewhere."""
    kind, _, path = database_url.partition("sqlite:///")
    return database_url if kind or not path else f"sqlite:///{Path(path).resolve()}"


def import_history(server: Server, folder: Path, *, days: int = DAYS) -> int:
    """Book all traces as the last days before now; how many runs were new."""
    files = sorted(folder.glob("*.csv.gz"))
    rows = {file.name.removesuffix(".csv.gz"): list(_rows(file)) for file in files}
    budgets = _assign(server, sorted({row["agent"] for trace in rows.values() for row in trace}))
    accepted = 0
    for name, trace in rows.items():
        events = list(_events(name, trace, budgets, days))
        for first in range(0, len(events), BATCH):
            body = json.dumps(events[first : first + BATCH]).encode()
            accepted += json.loads(server.request("POST", "/usage", body))["accepted"]
    return accepted


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _assign(server: Server, agents: list[str]) -> dict[str, int]:
    """Give the agents profiles in turn; the budget of each."""
    for name, (base, most) in SMALL.items():
        profile = {"base_budget": base, "max_budget": most, "scope_weights": SCOPES}
        server.request("PUT", f"/profiles/{name}", json.dumps(profile).encode())
    profiles = json.loads(server.get("/profiles"))["items"]
    bases = sorted((profile["base_budget"], profile["name"]) for profile in profiles)
    budgets = {}
    for number, agent in enumerate(agents):
        budgets[agent], profile = bases[number % len(bases)]
        type_, _, name = agent.rpartition("/")
        path = f"/agents/{quote(type_ or 'traces', safe='')}/{quote(name, safe='')}"
        server.request("PUT", path, json.dumps({"profile": profile}).encode())
    return budgets


def _events(
    trace: str, rows: list[dict[str, str]], budgets: dict[str, int], days: int
) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    span = max(float(row["ts"]) for row in rows) or 1.0
    for number, row in enumerate(rows):
        ago = timedelta(days=days) * (1 - float(row["ts"]) / span)
        need, budget = int(row["need"]), budgets[row["agent"]]
        yield {
            "id": f"{trace}-{number}",
            "timestamp": (now - ago).isoformat(),
            "agent": row["agent"] if "/" in row["agent"] else f"traces/{row['agent']}",
            "complexity": "medium",
            "session_id": f"{trace}-{row['session']}" if row["session"] else None,
            "budget_tokens": budget,
            "used_tokens": min(need, budget),
            "needed_tokens": need,
            "output_tokens": int(row["out"]),
            "success": True,
        }


if __name__ == "__main__":
    sys.exit(main())
