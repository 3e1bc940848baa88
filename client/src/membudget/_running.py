"""Run one plan of tasks: who may start, what an end sets free, when to try again."""

import heapq
import math
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from anyio import from_thread
from anyio.lowlevel import EventLoopToken, current_token

from membudget._starting import Scope, Starter, starter
from membudget._threads import TaskAborted, call, is_async

Order = tuple[int, int, int, str]
"""The smallest of the tasks that could start goes first; its last member is the task's id."""


class Task(Protocol):
    """What running needs of a task."""

    @property
    def task_id(self) -> str: ...
    @property
    def func(self) -> Callable[..., Any]: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> dict[str, Any]: ...
    @property
    def max_retries(self) -> int | None: ...
    @property
    def timeout_seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When a failed attempt is followed by another."""

    most: int
    delay: float
    """Seconds before the second attempt, at most; twice as long before each further one."""
    longest: float
    on: tuple[type[Exception], ...]

    def pause(self, attempts: int) -> float:
        """Seconds to wait after so many attempts: half of it by chance, so that not all tasks that
        failed together come back together."""
        whole: float = min(self.longest, self.delay * 2.0 ** min(attempts - 1, 60))
        return whole * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known before the first task starts."""

    tasks: Mapping[str, Task]
    waits_for: Mapping[str, int]
    dependents: Mapping[str, Sequence[str]]
    order: Mapping[str, Order]
    limit: int | None
    batch_size: int | None
    """Not None: tasks start in batches."""
    retries: Retries
    timeout: float | None
    stop_on_error: bool


@dataclass(slots=True)
class Ended:
    """A task, as far as it has come; ended when `status` is there."""

    status: str = ""
    value: Any = None
    error: BaseException | None = None
    attempts: int = 0
    started: float | None = None
    duration: float = 0.0
    because: str | None = None


@dataclass(slots=True, eq=False)
class Execution:
    """One run of a plan. All of it happens on the event loop's thread."""

    plan: Plan
    _states: dict[str, Ended] = field(default_factory=dict)
    _waits_for: dict[str, int] = field(default_factory=dict)
    _ready: list[Order] = field(default_factory=list)
    """Tasks whose dependencies are done."""
    _admitted: list[Order] = field(default_factory=list)
    """Those of them that may start as soon as a place is free: the batch, or the same list."""
    _batch: set[str] = field(default_factory=set)
    _scopes: dict[str, Scope] = field(default_factory=dict)
    _running: int = 0
    _started: Starter | None = None
    _token: EventLoopToken | None = None
    _thread: int = 0
    _began: float = 0.0

    async def run(self) -> Mapping[str, Ended]:
        """How each task ended."""
        self._states = {id_: Ended() for id_ in self.plan.tasks}
        self._waits_for = dict(self.plan.waits_for)
        if self.plan.batch_size is None:
            self._admitted = self._ready
        self._token, self._thread = current_token(), threading.get_ident()
        self._began = time.monotonic()
        async with starter(lambda: self._cancel(None)) as started:
            self._started = started
            for id_, count in self._waits_for.items():
                if count == 0:
                    heapq.heappush(self._ready, self.plan.order[id_])
            self._start_ready()
        return self._states

    def cancel_soon(self, task_id: str | None) -> None:
        """Cancel a task, or all, from whatever thread."""
        if threading.get_ident() == self._thread:
            self._cancel(task_id)
        elif self._token is not None:
            from_thread.run_sync(self._cancel, task_id, token=self._token)

    def _cancel(self, task_id: str | None) -> None:
        chosen = self._states if task_id is None else {task_id} & self._states.keys()
        waiting = [
            id_ for id_ in chosen if not self._states[id_].status and id_ not in self._scopes
        ]
        for id_ in waiting:  # all of them before any is settled, or they would count as skipped
            self._states[id_].status = "cancelled"
        for id_ in chosen:
            if id_ in self._scopes:
                self._scopes[id_].cancel()
        for id_ in waiting:
            self._settle(id_, "cancelled")

    def _start_ready(self) -> None:
        if self.plan.batch_size is not None and not self._batch:
            self._admit(self.plan.batch_size)
        assert self._started is not None
        while self._admitted and (self.plan.limit is None or self._running < self.plan.limit):
            id_ = heapq.heappop(self._admitted)[-1]
            if self._states[id_].status:
                continue
            self._running += 1
            scope = self._scopes[id_] = self._started.scope()
            self._started.start(self._attempt, id_, scope)

    def _admit(self, most: int) -> None:
        """Begin a batch."""
        while self._ready and len(self._batch) < most:
            place = heapq.heappop(self._ready)
            if not self._states[place[-1]].status:
                self._batch.add(place[-1])
                heapq.heappush(self._admitted, place)

    async def _attempt(self, id_: str, scope: Scope) -> None:
        task, state = self.plan.tasks[id_], self._states[id_]
        if scope.cancel_called:  # before it has begun
            self._running -= 1
            del self._scopes[id_]
            return self._settle(id_, "cancelled")
        if state.started is None:
            state.started = time.monotonic() - self._began
        with scope:
            state.attempts += 1
            try:
                status = await self._called(task, state, scope)
            finally:
                self._running -= 1
            pause = self._pause(task, state, status)
            if pause is not None:
                self._start_ready()  # the place is free while this one waits
                await anyio.sleep(pause)
                del self._scopes[id_]
                heapq.heappush(self._admitted, self.plan.order[id_])
                return self._start_ready()
        del self._scopes[id_]
        return self._settle(id_, "cancelled" if scope.cancelled_caught else status)

    async def _called(self, task: Task, state: Ended, scope: Scope) -> str:
        limit = self.plan.timeout if task.timeout_seconds is None else task.timeout_seconds
        state.error = None
        try:
            if limit is None:
                state.value = await call(task.func, task.args, task.kwargs)
                return "succeeded"
            with anyio.move_on_after(limit):
                state.value = await call(task.func, task.args, task.kwargs)
                return "succeeded"
        except Exception as error:  # noqa: BLE001 (whatever a caller's function raises is its result)
            state.error = error
            return "failed"
        except anyio.get_cancelled_exc_class() as error:
            if scope.cancel_called or anyio.current_effective_deadline() == -math.inf:
                raise
            state.error = TaskAborted("the function was cancelled from within")
            state.error.__cause__ = error
            return "failed"
        state.error = TimeoutError(f"task {task.task_id!r} took longer than {limit:g} seconds")
        return "timed_out"

    def _pause(self, task: Task, state: Ended, status: str) -> float | None:
        """Seconds until the next attempt; None if there is none."""
        most = self.plan.retries.most if task.max_retries is None else task.max_retries
        if status == "succeeded" or state.attempts > most:
            return None
        if status == "timed_out":
            return self.plan.retries.pause(state.attempts) if is_async(task.func) else None
        if isinstance(state.error, self.plan.retries.on):
            return self.plan.retries.pause(state.attempts)
        return None

    def _settle(self, id_: str, status: str) -> None:
        self._end(id_, status)
        if status == "succeeded":
            for following in self.plan.dependents[id_]:
                self._waits_for[following] -= 1
                if self._waits_for[following] == 0 and not self._states[following].status:
                    heapq.heappush(self._ready, self.plan.order[following])
        else:
            self._skip_after(id_)
            if self.plan.stop_on_error and status in ("failed", "timed_out"):
                self._cancel(None)
        self._start_ready()

    def _skip_after(self, id_: str) -> None:
        following = list(self.plan.dependents[id_])
        while following:
            other = following.pop()
            if not self._states[other].status:
                self._states[other].because = id_
                self._end(other, "skipped")
                following += self.plan.dependents[other]

    def _end(self, id_: str, status: str) -> None:
        state = self._states[id_]
        state.status = status
        if state.started is not None:
            state.duration = time.monotonic() - self._began - state.started
        self._batch.discard(id_)
