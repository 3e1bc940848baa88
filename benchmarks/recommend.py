"""CPU of the monthly recommendations, 30 days of 200 agents, at 1 M events and at 10 M."""

import argparse
import json
import statistics
import sys
import time
from collections import Counter

from analytics import DAYS, fill
from events import AGENTS, PROFILES
from harness import Limits, arguments
from servers import Server, service, workplace

PATH = "/recommendations/run"
BAR_MS, GOAL_MS = 500.0, 250.0
ASSIGNED = {
    f"specialists/agent-{number:03}": PROFILES[number % len(PROFILES)] for number in range(AGENTS)
}


def main() -> int:
    """Print what a first run after a start costs, when nothing is at hand, and a later one."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000])
    run = parser.parse_args()
    limits = Limits(f"POST {PATH} of {DAYS} days, 200 agents: server CPU of one run")
    for size in run.events:
        with workplace(run.folder) as place:
            url = f"sqlite:///{place}/ours.db"
            started = time.monotonic()
            fill(url, size)
            limits.show(f"{size:,} events: loaded in", time.monotonic() - started, "s ")
            for name, least in (("some agents", 0.5), ("nearly every agent", 0.99)):
                judge(limits, f"{size:,} events, another profile for {name}", url, least, run)
    return int(limits.failed)


def judge(limits: Limits, name: str, url: str, least: float, run: argparse.Namespace) -> None:
    """`least`: the average used share below which a smaller profile is recommended."""
    policy = {
        "agent_assignments": ASSIGNED,
        "tuning_parameters": {"underutilization_threshold_for_downgrade": least},
    }
    place = run.folder or None
    firsts, later = [], []
    actions: Counter[str] = Counter()
    for _ in range(run.rounds):
        with workplace(place) as beside, service(url, beside) as server:
            server.request("POST", "/config/import", json.dumps(policy).encode())
            firsts.append(_cost(server)[0])
            cost, actions = _cost(server)
            later.append(cost)
    limits.judge(f"{name}: first", statistics.median(firsts), "ms", bar=BAR_MS, goal=GOAL_MS)
    limits.show(f"{name}: later", statistics.median(later), "ms")
    print("  " + ", ".join(f"{action} {count}" for action, count in sorted(actions.items())))


def _cost(server: Server) -> tuple[float, Counter[str]]:
    """Milliseconds of CPU of all threads, and for how many agents each action is proposed."""
    before = server.cpu_seconds_fine()
    body = json.dumps({"window_days": DAYS}).encode()
    items = json.loads(server.request("POST", PATH, body))["items"]
    cost = 1000 * (server.cpu_seconds_fine() - before)
    return cost, Counter(
        item["action"] + ("" if item["proposed"] else " (nothing left)") for item in items
    )


if __name__ == "__main__":
    sys.exit(main())
