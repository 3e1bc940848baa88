"""CPU from start to the first 200 with a fresh SQLite file, and idle memory before any count."""

import statistics
import sys
import time

from harness import Limits, arguments
from servers import service, workplace

IDLE_SECONDS = 1.5
BAR_CPU, GOAL_CPU = 2.5, 2.0
BAR_MB, GOAL_MB = 130.0, 110.0


def main() -> int:
    """Print the medians of some starts: with the migration of a fresh file, and again."""
    run = arguments(__doc__ or "", rounds=5).parse_args()
    fresh: list[tuple[float, float, float]] = []
    again: list[tuple[float, float, float]] = []
    with workplace(run.folder) as place:
        for number in range(run.rounds):
            url = f"sqlite:///{place}/start-{number}.db"
            for found in (fresh, again):
                started = time.monotonic()
                with service(url, place) as server:
                    cpu, wall = server.cpu_seconds(), time.monotonic() - started
                    time.sleep(IDLE_SECONDS)
                    found.append((cpu, wall, server.rss_mb()))
    limits = Limits("python -m app serve on a SQLite file")
    for name, found in (("a fresh file", fresh), ("a migrated file", again)):
        cpu, wall, rss = (statistics.median(column) for column in zip(*found, strict=True))
        limits.judge(f"{name}: CPU to the first 200", cpu, "s ", bar=BAR_CPU, goal=GOAL_CPU)
        limits.show(f"{name}: wall clock to the first 200", wall, "s ")
        limits.judge(f"{name}: resident when idle", rss, "MB", bar=BAR_MB, goal=GOAL_MB)
    return int(limits.failed)


if __name__ == "__main__":
    sys.exit(main())
