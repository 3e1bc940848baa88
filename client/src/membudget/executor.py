"""Run functions side by side: in order, in batches, or as soon as what they depend on is done."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from membudget._graph import TaskGraphError, dependents_of, distances
from membudget._running import Execution, Plan, Retries
from membudget._threads import TaskAborted

__all__ = [
    "ExecutionResults",
    "ExecutionStrategy",
    "ExecutionTask",
    "ParallelExecutor",
    "TaskAborted",
    "TaskGraphError",
    "TaskNotDone",
    "TaskResult",
    "TaskStatus",
]


class ExecutionStrategy(Enum):
    """How tasks follow each other. None of them starts a task before its dependencies are done."""

    SEQUENTIAL = "sequential"
    """One at a time."""
    PARALLEL = "parallel"
    """As many at once as the limit allows; with dependencies the same as `DEPENDENCY_AWARE`."""
    BATCHED = "batched"
    """In batches; the next one starts when the last of a batch has ended."""
    DEPENDENCY_AWARE = "dependency_aware"
    """Each as soon as its dependencies are done and a place is free, long chains first."""


class TaskStatus(Enum):
    """How a task ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """Never started: something it depends on did not succeed."""


@dataclass
class ExecutionTask:
    """A function to call, and what must be done before."""

    task_id: str
    func: Callable[..., Any]
    """Asynchronous, or plain: plain ones run in threads."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    dependencies: Sequence[str] = field(default_factory=list)
    """Ids of tasks that must have succeeded before this one starts."""
    priority: int = 0
    """Of the tasks that could start, the highest goes first."""
    max_retries: int | None = None
    """Attempts after the first; the executor's if None."""
    timeout_seconds: float | None = None
    """Of each attempt; the executor's if None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """How a task went."""

    task_id: str
    status: TaskStatus
    value: Any = None
    """What its function returned."""
    error: BaseException | None = None
    """What its last attempt raised."""
    attempts: int = 0
    started_seconds: float | None = None
    """When its first attempt began, after the start of all; None if none did."""
    duration_seconds: float = 0.0
    """From its first attempt to its end, waiting between attempts included."""
    skipped_because: str | None = None
    """The task that did not succeed."""

    @property
    def succeeded(self) -> bool:
        """Whether its function returned."""
        return self.status is TaskStatus.SUCCEEDED


class TaskNotDone(KeyError):
    """There is no value of this task; the message says why."""

    def __str__(self) -> str:
        return str(self.args[0])


class ExecutionResults(dict[str, Any]):
    """What each task that succeeded returned, by id in the order given; `tasks` has them all."""

    def __init__(self, tasks: Mapping[str, TaskResult]) -> None:
        super().__init__({id_: one.value for id_, one in tasks.items() if one.succeeded})
        self.tasks = dict(tasks)
        """Every task's result, by id."""

    @property
    def errors(self) -> dict[str, BaseException]:
        """What tasks raised, time-outs included, by id."""
        return {id_: one.error for id_, one in self.tasks.items() if one.error is not None}

    @property
    def succeeded(self) -> bool:
        """Whether every task succeeded."""
        return all(one.succeeded for one in self.tasks.values())

    def having(self, status: TaskStatus) -> list[str]:
        """Ids of the tasks that ended so."""
        return [id_ for id_, one in self.tasks.items() if one.status is status]

    def raise_for_errors(self) -> None:
        """Raise all errors as one group, if there are any."""
        if errors := self.errors:
            named = ", ".join(map(repr, errors))
            raise BaseExceptionGroup(f"tasks failed: {named}", list(errors.values()))

    def __missing__(self, task_id: str) -> Any:
        found = self.tasks.get(task_id)
        if found is None:
            raise TaskNotDone(f"no task {task_id!r} was given")
        reason = found.error or found.skipped_because
        why = "" if reason is None else f": {reason!r}"
        raise TaskNotDone(f"task {task_id!r} {found.status.value}{why}") from found.error


class ParallelExecutor:
    """Runs tasks on the event loop that it is awaited on."""

    def __init__(
        self,
        max_concurrency: int | None = 10,
        *,
        max_retries: int = 0,
        retry_delay_seconds: float = 0.5,
        max_retry_delay_seconds: float = 30.0,
        retry_on: tuple[type[Exception], ...] = (Exception,),
        timeout_seconds: float | None = None,
        batch_size: int | None = None,
        stop_on_error: bool = False,
    ) -> None:
        """
        max_concurrency: tasks at once in one call; None: no limit.
        max_retries: attempts after the first that a failing task gets; the delay before each is
            twice the one before, the first at most `retry_delay_seconds`. A task that waits takes
            no place. Only errors that are `retry_on` and time-outs are tried again, and time-outs
            of plain functions are not: their thread may still be at work.
        batch_size: tasks of a batch; `max_concurrency` if None.
        stop_on_error: the first failure cancels all others.
        """
        for name, number, least in (
            ("max_concurrency", max_concurrency, 1),
            ("batch_size", batch_size, 1),
            ("max_retries", max_retries, 0),
            ("retry_delay_seconds", retry_delay_seconds, 0),
            ("max_retry_delay_seconds", max_retry_delay_seconds, 0),
            ("timeout_seconds", timeout_seconds, 0),
        ):
            if number is not None and not number >= least:
                raise ValueError(f"{name} is {number}; the least is {least}")
        self.max_concurrency = max_concurrency
        self._retries = Retries(
            most=max_retries,
            delay=retry_delay_seconds,
            longest=max_retry_delay_seconds,
            on=retry_on,
        )
        self._timeout = timeout_seconds
        self._batch_size = batch_size or max_concurrency
        self._stop_on_error = stop_on_error
        self._executions: set[Execution] = set()

    async def execute_parallel(
        self,
        tasks: Iterable[ExecutionTask],
        strategy: ExecutionStrategy = ExecutionStrategy.DEPENDENCY_AWARE,
    ) -> ExecutionResults:
        """Run all tasks and collect what they return and raise; no task's error is raised here.

        Errors: TaskGraphError before anything has run, if an id is there twice, a dependency is
        missing or tasks wait for each other.
        """
        given = list(tasks)
        by_id = {task.task_id: task for task in given}
        if len(by_id) < len(given):
            ids = [task.task_id for task in given]
            twice = next(id_ for id_ in ids if ids.count(id_) > 1)
            raise TaskGraphError(f"two tasks have the id {twice!r}")
        for task in given:
            if not callable(task.func):
                raise TypeError(
                    f"task {task.task_id!r}: func is {type(task.func).__name__}, not a function"
                    " (give the function and its args, not what calling it returned)"
                )
        execution = Execution(self._plan(by_id, ExecutionStrategy(strategy)))
        self._executions.add(execution)
        try:
            ended = await execution.run()
        finally:
            self._executions.discard(execution)
        return ExecutionResults(
            {
                id_: TaskResult(
                    task_id=id_,
                    status=TaskStatus(ended[id_].status),
                    value=ended[id_].value,
                    error=ended[id_].error,
                    attempts=ended[id_].attempts,
                    started_seconds=ended[id_].started,
                    duration_seconds=ended[id_].duration,
                    skipped_because=ended[id_].because,
                )
                for id_ in by_id
            }
        )

    async def execute_stages_parallel(
        self,
        stages: Mapping[str, Callable[..., Any]] | Iterable[ExecutionTask | tuple[Any, ...]],
        dependencies: Mapping[str, Sequence[str]] | None = None,
        strategy: ExecutionStrategy = ExecutionStrategy.DEPENDENCY_AWARE,
    ) -> ExecutionResults:
        """Run named stages. `stages`: functions by name, or `(name, function[, args[, kwargs]])`,
        or tasks; `dependencies`: the stages that must come before a stage, by its name."""
        listed: Iterable[Any] = stages.items() if isinstance(stages, Mapping) else stages
        before = dict(dependencies or {})
        tasks = []
        for stage in listed:
            task = stage if isinstance(stage, ExecutionTask) else _task_of(*stage)
            needed = [*task.dependencies, *before.pop(task.task_id, ())]
            tasks.append(replace(task, dependencies=needed))
        if before:
            raise TaskGraphError(f"dependencies name stages that are not given: {sorted(before)}")
        return await self.execute_parallel(tasks, strategy)

    def cancel(self, task_id: str | None = None) -> None:
        """Cancel one task, or all that this executor runs; may be called from any thread.

        What has not ended is `cancelled`, what depends on it `skipped`, and the call that runs them
        returns. A plain function that is under way is no longer waited for, and goes on.
        """
        for execution in tuple(self._executions):
            execution.cancel_soon(task_id)

    def _plan(self, by_id: Mapping[str, ExecutionTask], strategy: ExecutionStrategy) -> Plan:
        dependencies = {id_: tuple(dict.fromkeys(t.dependencies)) for id_, t in by_id.items()}
        dependents = dependents_of(dependencies)
        remaining = distances(dependencies, dependents)
        is_sequential = strategy is ExecutionStrategy.SEQUENTIAL
        is_batched = strategy is ExecutionStrategy.BATCHED
        long_first = not (is_sequential or is_batched)
        return Plan(
            tasks=by_id,
            waits_for={id_: len(needed) for id_, needed in dependencies.items()},
            dependents=dependents,
            order={
                id_: (-task.priority, -remaining[id_] if long_first else 0, at, id_)
                for at, (id_, task) in enumerate(by_id.items())
            },
            limit=1 if is_sequential else self.max_concurrency,
            batch_size=self._batch_size if is_batched else None,
            retries=self._retries,
            timeout=self._timeout,
            stop_on_error=self._stop_on_error,
        )


def _task_of(
    name: str,
    func: Callable[..., Any],
    args: Iterable[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> ExecutionTask:
    return ExecutionTask(task_id=name, func=func, args=tuple(args), kwargs=dict(kwargs or {}))
