"""The container: everything starts and stops in order, at whatever moment it is stopped."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from membudget.executor import ExecutionTask, TaskStatus
from membudget.services import Services
from tests.running import Served, served, start, stop

NOWHERE = "http://127.0.0.1:9"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def process(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("service")
    shutil.copyfile(_sqlite_template, folder / "membudget.db")
    with served(f"sqlite:///{folder / 'membudget.db'}", folder) as found:
        yield found


def services_at(url: str, folder: Path, **how: Any) -> Services:
    """Services of a project that no other test has."""
    config = {"url": url, "timeout": 5.0, "retries": 0}
    return Services(config, project_id=str(folder), folder=folder / "memory", **how)


async def test_everything_starts_works_and_stops(process: Served, tmp_path: Path) -> None:
    services = services_at(process.url, tmp_path, budget_usd=1, max_tokens=5)
    assert await services.initialize_async()
    assert services.started == ["client", "memory", "executor"]
    services.memory_engine.add_memory("to be kept")
    with services.performance_profiler.measure("stage", "work"):
        results = await services.parallel_executor.execute_parallel(
            [ExecutionTask("count", services.context_minifier.count_tokens, ("hello world",))]
        )
    assert results == {"count": 2}
    services.cost_tracker.record_cost("gpt-4o-mini", 1000, 500, "work")
    assert services.performance_optimizer.get_optimization_recommendations()
    await services.shutdown()
    assert (services.started, services.problems) == ([], [])

    async with services_at(process.url, tmp_path) as again:
        assert [block.text for block in again.memory_engine.memories()] == ["to be kept"]
        assert again.started
    assert again.started == []


async def test_it_may_be_cancelled_at_every_turn_of_its_start(
    process: Served, tmp_path: Path
) -> None:
    before = asyncio.all_tasks()
    was_started_whole = False
    turns = 0
    while not was_started_whole:
        services = services_at(process.url, tmp_path / str(turns))
        task = asyncio.create_task(services.initialize_async())
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        was_started_whole = task.done()
        task.cancel()
        with anyio.fail_after(PATIENCE):
            await asyncio.gather(task, return_exceptions=True)
            if not was_started_whole:
                assert services.started == []
                assert not services.memory_persistence.status.is_running
            await services.shutdown()
        assert services.started == []
        assert not services.memory_persistence.status.is_running
        assert asyncio.all_tasks() == before
        turns = turns * 2 if turns > 40 else turns + 1
    assert turns > 3


async def test_it_may_be_stopped_while_it_starts_and_works(process: Served, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    for turns in range(0, 30, 3):
        services = services_at(process.url, tmp_path / str(turns), backup_interval_seconds=0.001)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(services.initialize_async())
            for number in range(turns):
                services.memory_engine.add_memory(f"number {number}")
                await anyio.lowlevel.checkpoint()
            group.create_task(services.shutdown())
        await services.shutdown()
        assert services.started == []
        assert asyncio.all_tasks() == before


async def test_tasks_under_way_are_cancelled_at_the_end(process: Served, tmp_path: Path) -> None:
    services = services_at(process.url, tmp_path)
    await services.initialize_async()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        running = group.create_task(
            services.parallel_executor.execute_parallel([ExecutionTask("a", work)])
        )
        await begun.wait()
        await services.shutdown()
    assert running.result().having(TaskStatus.CANCELLED) == ["a"]


async def test_without_the_service_it_starts_all_the_same_and_says_so(tmp_path: Path) -> None:
    services = services_at(NOWHERE, tmp_path)
    with anyio.fail_after(PATIENCE):
        assert not await services.initialize_async()
        assert services.problems[0].startswith("memory: could not load")
        services.memory_engine.add_memory("kept on disk")
        await services.shutdown()
    late = services_at(NOWHERE, tmp_path)
    with anyio.fail_after(PATIENCE):
        await late.initialize_async()
        assert [block.text for block in late.memory_engine.memories()] == ["kept on disk"]
        await late.shutdown()


async def test_the_service_may_be_killed_in_the_middle(sqlite_url: str, tmp_path: Path) -> None:
    process = await anyio.to_thread.run_sync(start, sqlite_url, tmp_path)
    services = services_at(process.url, tmp_path)
    assert await services.initialize_async()
    services.memory_engine.add_memory("before")
    async with asyncio.timeout(PATIENCE):
        assert await services.memory_persistence.save()
        process.kill()
        services.memory_engine.add_memory("after")
        await services.shutdown()
    assert services.started == []
    late = services_at(process.url, tmp_path)
    async with asyncio.timeout(PATIENCE), late:
        kept = sorted(block.text for block in late.memory_engine.memories())
    assert kept == ["after", "before"]
    stop(process)
