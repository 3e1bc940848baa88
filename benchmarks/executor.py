"""A thousand sleeping tasks in a random dependency graph, against the graph's critical path."""

import asyncio
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


async def bare(tasks: list[ExecutionTask]) -> None:
    """The least that can be done: an asyncio task each, which waits for the others' events."""
    done = {task.task_id: asyncio.Event() for task in tasks}

    async def run(task: ExecutionTask) -> None:
        for other in task.dependencies:
            await done[other].wait()
        await asyncio.sleep(*task.args)
        done[task.task_id].set()

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(run(task))


def main() -> int:
    """Print the figures and judge those that have a bar."""
    run = arguments(__doc__ or "", rounds=5).parse_args()
    limits = Limits(f"{TASKS:,} sleeping tasks, {SLEEPS[0]:g} to {SLEEPS[1]:g} s each")
    ours: list[float] = []
    base: list[float] = []
    for seed in range(run.rounds):
        tasks, critical = graph(seed)
        began = time.perf_counter()
        results = anyio.run(ParallelExecutor(max_concurrency=None).execute_parallel, tasks)
        ours.append(100 * ((time.perf_counter() - began) / critical - 1))
        if not results.succeeded:
            raise RuntimeError(f"{len(results.errors)} tasks failed")
        began = time.perf_counter()
        asyncio.run(bare(tasks))
        base.append(100 * ((time.perf_counter() - began) / critical - 1))
        limits.show(f"graph {seed}: critical path of {critical:.2f} s, over it", ours[-1], "%")
        limits.show(f"graph {seed}: bare asyncio tasks", base[-1], "%")
    limits.judge("over the critical path: median", statistics.median(ours), "%", bar=BAR, goal=GOAL)
    limits.show("bare asyncio tasks: median", statistics.median(base), "%")
    return 1 if limits.failed else 0


if __name__ == "__main__":
    sys.exit(main())
