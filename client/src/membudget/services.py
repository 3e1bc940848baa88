"""Hold everything that a program needs of this package, started and stopped in order."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from anyio import to_thread

from membudget._money import Amount
from membudget._service import client_of
from membudget.async_client import AsyncClient
from membudget.costs import CostAlertLevel, CostTracker
from membudget.executor import ParallelExecutor
from membudget.minifier import ContextMinifier
from membudget.persistence import MemoryEngine, MemoryPersistence
from membudget.profiler import PerformanceOptimizer, PerformanceProfiler

__all__ = ["Services"]

log = logging.getLogger("membudget.services")

Act = Callable[[], Awaitable[object]]


class Services:
    """One of each: `client`, `cost_tracker`, `memory_engine`, `memory_persistence`,
    `performance_profiler`, `performance_optimizer`, `parallel_executor`, `context_minifier`.

    `await services.initialize_async()` after making it, `await services.shutdown()` before the
    program ends; or `async with Services(…) as services`.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        *,
        project_id: str | None = None,
        budget_usd: Amount | None = None,
        alert_thresholds: Mapping[CostAlertLevel, Amount | None] | None = None,
        prices: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        max_concurrency: int | None = 10,
        max_tokens: int = 2000,
        auto_save: bool = True,
        backup_interval_seconds: float | None = 3600,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        """config: as `MemoryEngine` takes it (`url`, `api_key`, `workspace`,
        `use_distributed_store`), and where all parts find the service; the rest as the parts of
        these names take it. What is spent and measured is one run, `run_id` if it is named."""
        self.memory_engine = MemoryEngine(config, project_id=project_id)
        self.memory_persistence = MemoryPersistence(
            self.memory_engine,
            auto_save=auto_save,
            backup_interval_seconds=backup_interval_seconds,
            folder=folder,
        )
        self._asking = client_of(self.memory_engine.config)
        asked: dict[str, Any] = {"client": self._asking}
        self.cost_tracker = CostTracker(
            budget_usd, alert_thresholds, prices=prices, run_id=run_id, **asked
        )
        self.performance_profiler = PerformanceProfiler(run_id=self.cost_tracker.run_id, **asked)
        self.performance_optimizer = PerformanceOptimizer(self.performance_profiler)
        self.parallel_executor = ParallelExecutor(max_concurrency)
        self.context_minifier = ContextMinifier(max_tokens, **asked)
        self.started: list[str] = []
        """What is running, in the order in which it was started."""
        self.problems: list[str] = []
        """What did not go well at the last start or stop."""
        self._lock = asyncio.Lock()

    @property
    def client(self) -> AsyncClient:
        """The client that memories are kept with."""
        return self.memory_engine.client

    async def initialize_async(self) -> bool:
        """Start everything; false if something has to do without the service (`problems`).

        What has started is stopped again if this is cancelled.
        """
        async with self._lock:
            if self.started:
                return not self.problems
            self.problems = []
            try:
                for name, start, _ in self._stages():
                    self.started.append(name)  # before: what is half started is stopped too
                    await start()
            except BaseException:
                await self._stop()
                raise
            if error := self.memory_persistence.error:
                self.problems.append(f"memory: {error}")
            return not self.problems

    async def shutdown(self) -> None:
        """Stop everything that was started, the last first; what fails there is in `problems` and
        keeps nothing else from being stopped. May be called at any time, more than once."""
        async with self._lock:
            await self._stop()

    async def __aenter__(self) -> Self:
        await self.initialize_async()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.shutdown()

    def _stages(self) -> tuple[tuple[str, Act, Act], ...]:
        return (
            ("client", _nothing, self._close_clients),
            ("memory", self.memory_persistence.initialize, self.memory_persistence.shutdown),
            ("executor", _nothing, self._cancel_tasks),
        )

    async def _cancel_tasks(self) -> None:
        self.parallel_executor.cancel()

    async def _close_clients(self) -> None:
        await to_thread.run_sync(self.performance_profiler.book)
        if self._asking is not None:
            self._asking.close()
        await self.memory_engine.close()

    async def _stop(self) -> None:
        for name, _, stop in reversed(self._stages()):
            if name not in self.started:
                continue
            self.started.remove(name)
            try:
                await stop()
            except Exception as error:  # the rest is stopped all the same
                log.exception("%s did not stop as it should", name)
                self.problems.append(f"{name}: {error}")


async def _nothing() -> None:
    pass
