"""A thousand sleeping tasks in a random dependency graph, against the graph's critical path."""

import statistics
import sys
import time
from random import Random

import anyio
from harness import Limits, arguments

from membudget.executor import ExecutionTask, ParallelExecutor

TASKS = 1_000
DEPENDENCIES = 3
"""At most so many, on any tasks before."""
SLEEPS = (0.02, 0.4)
BAR, GOAL = 5.0, 2.0
"""Per cent over the critical path."""


def graph(seed: int) -> tuple[list[ExecutionTask], float]:
    """Tasks that sleep, and the seconds of their longest chain."""
    chance = Random(seed)
    ends: list[float] = []
    tasks = []
    for at in range(TASKS):
        needed = chance.sample(range(at), min(at, chance.randint(0, DEPENDENCIES)))
        seconds = chance.uniform(*SLEEPS)
        ends.append(max((ends[other] for other in needed), default=0.0) + seconds)
        tasks.append(
            ExecutionTask(
                task_id=str(at),
                func=anyio.sleep,
                args=(seconds,),
                dependencies=[str(other) for other in needed],
            )
        )
    return tasks, max(ends)


def main() -> int:
    """Print the figures and judge those that have a bar."""
    run = arguments(__doc__ or "").parse_args()
    limits = Limits(f"{TASKS:,} sleeping tasks, {SLEEPS[0]:g} to {SLEEPS[1]:g} s each")
    over = []
    for seed in range(run.rounds):
        tasks, critical = graph(seed)
        began = time.perf_counter()
        results = anyio.run(ParallelExecutor(max_concurrency=None).execute_parallel, tasks)
        elapsed = time.perf_counter() - began
        if not results.succeeded:
            raise RuntimeError(f"{len(results.errors)} tasks failed")
        over.append(100 * (elapsed / critical - 1))
        limits.show(f"graph {seed}: critical path", critical, "s")
        limits.show(f"graph {seed}: all done after", elapsed, "s")
    limits.judge("over the critical path: worst", max(over), "%", bar=BAR, goal=GOAL)
    limits.show("over the critical path: median", statistics.median(over), "%")
    return 1 if limits.failed else 0


if __name__ == "__main__":
    sys.exit(main())
