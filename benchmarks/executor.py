"""A thousand sleeping tasks in a random dependency graph, against the graph's critical path.

The bar of 5 % is for tasks that leave the core at least half idle. A task costs the event loop
about 30 µs of CPU before any executor: a thousand of 20 to 400 ms take 0.05 s of a path of 4 s, and
what is over it is the executor's. A thousand of 2 to 20 ms take as much of a path of 0.2 s, most of
it at once, since hundreds may start when the first have ended: bare tasks alone miss 5 % there, by
more the busier the machine is. So those are shown beside bare tasks, measured in turns, and what is
judged is the CPU that the executor adds to a task.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from random import Random

import anyio
from harness import Limits, arguments

from membudget.executor import ExecutionTask, ParallelExecutor

TASKS = 1_000
DEPENDENCIES = 3
"""At most so many, on any tasks before."""
LONG, SHORT = (0.02, 0.4), (0.002, 0.02)
"""Seconds that a task sleeps."""
BAR, GOAL = 5.0, 2.0
"""Per cent over the critical path."""
CPU_BAR, CPU_GOAL = 25.0, 10.0
"""µs of a task, more than those of a bare one."""


def graph(seed: int, sleeps: tuple[float, float]) -> tuple[list[ExecutionTask], float]:
    """Tasks that sleep, and the seconds of their longest chain."""
    chance = Random(seed)
    ends: list[float] = []
    tasks = []
    for at in range(TASKS):
        needed = chance.sample(range(at), min(at, chance.randint(0, DEPENDENCIES)))
        seconds = chance.uniform(*sleeps)
        ends.append(max((ends[other] for other in needed), default=0.0) + seconds)
        tasks.append(
            ExecutionTask(
                task_id=str(at),
                func=asyncio.sleep,
                args=(seconds,),
                dependencies=[str(other) for other in needed],
            )
        )
    return tasks, max(ends)


def with_ours(tasks: list[ExecutionTask]) -> None:
    """The executor, without a limit."""
    results = anyio.run(ParallelExecutor(max_concurrency=None).execute_parallel, tasks)
    if not results.succeeded:
        raise RuntimeError(f"{len(results.errors)} tasks failed")


def bare(tasks: list[ExecutionTask]) -> None:
    """The least that can be done: an asyncio task each, which waits for the others' events."""
    asyncio.run(_bare(tasks))


async def _bare(tasks: list[ExecutionTask]) -> None:
    done = {task.task_id: asyncio.Event() for task in tasks}

    async def run(task: ExecutionTask) -> None:
        for other in task.dependencies:
            await done[other].wait()
        await asyncio.sleep(*task.args)
        done[task.task_id].set()

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(run(task))


def measured(
    way: Callable[[list[ExecutionTask]], None], tasks: list[ExecutionTask], critical: float
) -> tuple[float, float]:
    """Per cent over the critical path, and µs of CPU a task."""
    began, spent = time.perf_counter(), time.process_time()
    way(tasks)
    over = 100 * ((time.perf_counter() - began) / critical - 1)
    return over, 1e6 * (time.process_time() - spent) / len(tasks)


def main() -> int:
    """Print the figures and judge those that have a bar."""
    run = arguments((__doc__ or "").partition("\n")[0], rounds=5).parse_args()
    failed = False
    for sleeps in (LONG, SHORT):
        with_ours(graph(0, (0.0, 0.001))[0])  # what is loaded once is loaded
        limits = Limits(f"{TASKS:,} sleeping tasks, {sleeps[0]:g} to {sleeps[1]:g} s each")
        figures: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
        for seed in range(run.rounds):
            tasks, critical = graph(seed, sleeps)
            figures["ours"].append(measured(with_ours, tasks, critical))
            figures["bare"].append(measured(bare, tasks, critical))
            limits.show(f"graph {seed}: critical path", critical, "s")
            limits.show(f"graph {seed}: over it", figures["ours"][-1][0], "%")
            limits.show(f"graph {seed}: bare asyncio tasks", figures["bare"][-1][0], "%")
            busy = figures["ours"][-1][1] * len(tasks) / critical / 1e4
            limits.show(f"graph {seed}: share of a core that it takes", busy, "%")
        ours, base = (
            [statistics.median(one) for one in zip(*figures[who], strict=True)]
            for who in ("ours", "bare")
        )
        limits.show("CPU a task: median", ours[1], "µs")
        limits.show("CPU a task, bare asyncio tasks: median", base[1], "µs")
        limits.show("over the critical path, bare asyncio tasks: median", base[0], "%")
        if sleeps is LONG:
            limits.judge("over the critical path: median", ours[0], "%", bar=BAR, goal=GOAL)
        else:
            limits.show("over the critical path: median", ours[0], "%")
            more = ours[1] - base[1]
            limits.judge("CPU a task, more than bare", more, "µs", bar=CPU_BAR, goal=CPU_GOAL)
        failed = failed or limits.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
