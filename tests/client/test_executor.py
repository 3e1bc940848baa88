"""Laws of running tasks side by side: once, in order, all reported, and never for ever."""

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membudget.executor import (
    ExecutionResults,
    ExecutionStrategy,
    ExecutionTask,
    ParallelExecutor,
    TaskAborted,
    TaskGraphError,
    TaskNotDone,
    TaskResult,
    TaskStatus,
)

PATIENCE = 60.0
"""Seconds after which a test says that it hangs."""


@pytest.fixture(params=["loop", "group"], autouse=True, scope="module")
def _starter(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it holds for the loop's own tasks, and for anyio's, which other loops have."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "group":
            patch.setattr("membudget._starting.is_asyncio", lambda: False)
        yield


KINDS = ("returns", "sleeps", "raises", "raises once", "hangs", "in a thread", "thread raises")


@dataclass
class Seen:
    """What the functions of a run saw."""

    calls: Counter[str] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)
    early: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0


@dataclass(frozen=True)
class Node:
    """A task of a random graph; it waits for tasks with smaller numbers only."""

    kind: str
    needs: tuple[int, ...]
    priority: int
    retries: int


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Graphs without circles."""
    size = draw(st.integers(0, 12))
    return [
        Node(
            kind=draw(st.sampled_from(KINDS)),
            needs=tuple(draw(st.sets(st.integers(0, at - 1), max_size=3))) if at else (),
            priority=draw(st.integers(-2, 2)),
            retries=draw(st.integers(0, 2)),
        )
        for at in range(size)
    ]


def tasks_of(nodes: list[Node], seen: Seen) -> list[ExecutionTask]:
    """The graph as tasks; the ids are in another order than the tasks."""

    def enter(id_: str, needs: tuple[str, ...]) -> None:
        seen.calls[id_] += 1
        seen.early += [id_ for other in needs if other not in seen.done]
        seen.at_once += 1
        seen.most = max(seen.most, seen.at_once)

    async def work(id_: str, node: Node, needs: tuple[str, ...]) -> str:
        enter(id_, needs)
        try:
            if node.kind == "sleeps":
                await anyio.lowlevel.checkpoint()
            if node.kind == "hangs":
                await anyio.sleep_forever()
            if node.kind == "raises" or (node.kind == "raises once" and seen.calls[id_] == 1):
                raise LookupError(id_)
            seen.done.add(id_)
            return id_
        finally:
            seen.at_once -= 1

    lock = threading.Lock()

    def plain(id_: str, node: Node, needs: tuple[str, ...]) -> str:
        with lock:
            enter(id_, needs)
            seen.at_once -= 1
            if node.kind == "thread raises":
                raise LookupError(id_)
            seen.done.add(id_)
            return id_

    return [
        ExecutionTask(
            task_id=f"t{at}",
            func=plain if "thread" in node.kind else work,
            args=(f"t{at}", node),
            kwargs={"needs": tuple(f"t{other}" for other in node.needs)},
            dependencies=[f"t{other}" for other in node.needs],
            priority=node.priority,
            max_retries=node.retries,
            timeout_seconds=0.002 if node.kind == "hangs" else None,
        )
        for at, node in enumerate(nodes)
    ]


def run(executor: ParallelExecutor, tasks: list[ExecutionTask], **how: object) -> ExecutionResults:
    """Run tasks on a loop of their own; a hang fails the test."""

    async def main() -> ExecutionResults:
        with anyio.fail_after(PATIENCE):
            return await executor.execute_parallel(tasks, **how)

    return anyio.run(main)


@given(graphs(), st.sampled_from(ExecutionStrategy), st.integers(1, 4), st.integers(1, 3))
def test_each_task_runs_after_its_dependencies_and_ends_in_one_way(
    nodes: list[Node], strategy: ExecutionStrategy, limit: int, batch: int
) -> None:
    seen = Seen()
    executor = ParallelExecutor(limit, batch_size=batch, retry_delay_seconds=0)

    results = run(executor, tasks_of(nodes, seen), strategy=strategy)

    assert seen.early == []
    assert seen.most <= (1 if strategy is ExecutionStrategy.SEQUENTIAL else limit)
    assert list(results.tasks) == [f"t{at}" for at in range(len(nodes))]
    statuses: dict[str, TaskStatus] = {}
    for at, node in enumerate(nodes):
        id_ = f"t{at}"
        result = results.tasks[id_]
        statuses[id_] = result.status
        assert result.attempts == seen.calls[id_]
        if any(statuses[f"t{other}"] is not TaskStatus.SUCCEEDED for other in node.needs):
            assert (result.status, result.attempts) == (TaskStatus.SKIPPED, 0)
            assert statuses[str(result.skipped_because)] in (
                TaskStatus.FAILED,
                TaskStatus.TIMED_OUT,
            )
        elif node.kind in ("raises", "thread raises") or (
            node.kind == "raises once" and node.retries == 0
        ):
            assert (result.status, result.attempts) == (TaskStatus.FAILED, node.retries + 1)
            assert isinstance(results.errors[id_], LookupError)
        elif node.kind == "hangs":
            assert (result.status, result.attempts) == (TaskStatus.TIMED_OUT, node.retries + 1)
            assert isinstance(results.errors[id_], TimeoutError)
        else:
            assert result.status is TaskStatus.SUCCEEDED
            assert result.attempts == (2 if node.kind == "raises once" else 1)
            assert results[id_] == id_
    assert results.succeeded == (set(statuses.values()) <= {TaskStatus.SUCCEEDED})
    assert set(results) == {id_ for id_, how in statuses.items() if how is TaskStatus.SUCCEEDED}


@given(graphs(), st.data())
def test_cancelling_ends_everything_and_loses_no_result(
    nodes: list[Node], data: st.DataObject
) -> None:
    seen = Seen()
    executor = ParallelExecutor(2, retry_delay_seconds=0)
    tasks = tasks_of(nodes, seen)
    chosen = data.draw(st.sampled_from([None, *(task.task_id for task in tasks)]))
    turns = data.draw(st.integers(0, 6))

    async def main() -> ExecutionResults:
        async def cancel() -> None:
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            executor.cancel(chosen)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(cancel)
                return await executor.execute_parallel(tasks)
        raise AssertionError

    results = anyio.run(main)

    assert seen.early == []
    assert len(results.tasks) == len(nodes)
    for id_, result in results.tasks.items():
        assert result.attempts == seen.calls[id_]
        assert result.succeeded == (id_ in seen.done) or result.status is TaskStatus.CANCELLED
        if result.status is TaskStatus.CANCELLED:
            assert chosen in (None, id_)


@given(graphs(), st.data())
def test_a_circle_is_named_before_anything_runs(nodes: list[Node], data: st.DataObject) -> None:
    seen = Seen()
    tasks = tasks_of([*nodes, *[Node("returns", (), 0, 0)] * 3], seen)
    ring = tasks[-data.draw(st.integers(1, 3)) :]
    for at, task in enumerate(ring):
        task.dependencies = [*task.dependencies, ring[at - 1].task_id]
    tasks.append(ExecutionTask("behind", print, dependencies=[ring[0].task_id]))

    with pytest.raises(TaskGraphError) as refused:
        run(ParallelExecutor(), data.draw(st.permutations(tasks)))

    assert seen.calls == {}
    assert all(
        repr(t.task_id) in str(refused.value) or t.task_id in str(refused.value) for t in ring
    )
    assert "behind" not in str(refused.value)


def test_what_cannot_be_run_is_refused_with_its_name() -> None:
    missing = [ExecutionTask("a", print, dependencies=["b"])]
    twice = [ExecutionTask("a", print), ExecutionTask("a", print)]
    with pytest.raises(TaskGraphError, match="'a' depends on 'b'"):
        run(ParallelExecutor(), missing)
    with pytest.raises(TaskGraphError, match="two tasks have the id 'a'"):
        run(ParallelExecutor(), twice)
    with pytest.raises(TypeError, match="not what calling it returned"):
        run(ParallelExecutor(), [ExecutionTask("a", 5)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_concurrency"):
        ParallelExecutor(0)


def test_the_highest_priority_goes_first_and_equals_in_their_order() -> None:
    order: list[int] = []
    tasks = [
        ExecutionTask(str(at), order.append, (at,), priority=priority)
        for at, priority in enumerate([0, 5, 0, 7, 5])
    ]
    run(ParallelExecutor(1), tasks)
    assert order == [3, 1, 4, 0, 2]
    order.clear()
    run(ParallelExecutor(), tasks, strategy=ExecutionStrategy.SEQUENTIAL)
    assert order == [3, 1, 4, 0, 2]


def test_of_equals_the_longer_chain_starts_first() -> None:
    order: list[str] = []
    tasks = [ExecutionTask(id_, order.append, (id_,)) for id_ in ("short", "long")]
    tasks.append(ExecutionTask("after", order.append, ("after",), dependencies=["long"]))
    run(ParallelExecutor(1), tasks)
    assert order[0] == "long"


def test_a_batch_starts_when_the_last_one_of_the_batch_before_has_ended() -> None:
    running: set[str] = set()
    together: list[set[str]] = []

    async def work(id_: str, turns: int) -> None:
        running.add(id_)
        together.append(set(running))
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        running.discard(id_)

    tasks = [ExecutionTask(str(at), work, (str(at), at + 1)) for at in range(6)]
    run(ParallelExecutor(batch_size=2), tasks, strategy=ExecutionStrategy.BATCHED)
    assert {frozenset(one) for one in together if len(one) > 1} == {
        frozenset(pair) for pair in ({"0", "1"}, {"2", "3"}, {"4", "5"})
    }


def test_a_task_that_waits_for_its_next_attempt_takes_no_place() -> None:
    order: list[str] = []

    def fail() -> None:
        order.append("fails")
        raise OSError

    tasks = [
        ExecutionTask("a", fail, max_retries=1, priority=1),
        ExecutionTask("b", order.append, ("b",)),
    ]
    run(ParallelExecutor(1, retry_delay_seconds=0.05), tasks)
    assert order == ["fails", "b", "fails"]


def test_only_what_is_worth_it_is_tried_again() -> None:
    seen: Counter[str] = Counter()

    def fail(error: type[Exception]) -> None:
        seen[error.__name__] += 1
        raise error

    executor = ParallelExecutor(max_retries=3, retry_delay_seconds=0, retry_on=(OSError,))
    run(executor, [ExecutionTask(e.__name__, fail, (e,)) for e in (ConnectionError, KeyError)])
    assert seen == {"ConnectionError": 4, "KeyError": 1}


def test_a_thread_that_never_ends_holds_nothing_up() -> None:
    gate = threading.Event()
    calls: list[int] = []

    def hang() -> None:
        calls.append(1)
        gate.wait()

    try:
        tasks = [
            ExecutionTask("hangs", hang, timeout_seconds=0.01, max_retries=5),
            ExecutionTask("after", print, dependencies=["hangs"]),
            ExecutionTask("beside", lambda: 7),
        ]
        results = run(ParallelExecutor(), tasks)
    finally:
        gate.set()
    assert calls == [1], "its thread is still at work: another attempt would run beside it"
    assert results.tasks["hangs"].status is TaskStatus.TIMED_OUT
    assert results.tasks["after"].status is TaskStatus.SKIPPED
    assert results["beside"] == 7


def test_a_task_may_cancel_the_others_from_its_thread() -> None:
    executor = ParallelExecutor()
    tasks = [
        ExecutionTask("waits", anyio.sleep_forever),
        ExecutionTask("ends it", lambda: executor.cancel("waits")),
        ExecutionTask("after", print, dependencies=["waits"]),
    ]
    results = run(executor, tasks)
    assert [one.status for one in results.tasks.values()] == [
        TaskStatus.CANCELLED,
        TaskStatus.SUCCEEDED,
        TaskStatus.SKIPPED,
    ]


def test_what_is_cancelled_before_it_begins_is_never_called() -> None:
    executor = ParallelExecutor()
    called: list[int] = []

    async def cancel() -> None:
        executor.cancel("second")

    tasks = [
        ExecutionTask("first", cancel),
        ExecutionTask("second", called.append, (2,)),
        ExecutionTask("third", called.append, (3,)),
    ]
    results = run(executor, tasks)
    assert called == [3]
    assert results.tasks["second"].status is TaskStatus.CANCELLED
    assert results.tasks["second"].attempts == 0


async def test_cancelling_the_caller_cancels_its_tasks() -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def work() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(
                ParallelExecutor().execute_parallel, [ExecutionTask("a", work, max_retries=9)]
            )
            await begun.wait()
            group.cancel_scope.cancel()
    assert ended.is_set()


async def test_cancelling_the_callers_asyncio_task_cancels_its_tasks() -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def work() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    tasks = [ExecutionTask("a", work), ExecutionTask("b", print, dependencies=["a"])]
    caller = asyncio.ensure_future(ParallelExecutor().execute_parallel(tasks))
    await begun.wait()
    caller.cancel()
    with anyio.fail_after(PATIENCE), pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


def test_a_function_that_cancels_itself_or_exits_fails_alone() -> None:
    async def cancels() -> None:
        raise anyio.get_cancelled_exc_class()

    def exits() -> None:
        raise SystemExit(3)

    tasks = [
        ExecutionTask("cancels", cancels),
        ExecutionTask("exits", exits),
        ExecutionTask("fine", lambda: 1),
    ]
    results = run(ParallelExecutor(), tasks)
    assert results["fine"] == 1
    assert [type(error) for error in results.errors.values()] == [TaskAborted, TaskAborted]


def test_the_first_failure_can_stop_the_rest() -> None:
    def fail() -> None:
        raise OSError("no")

    tasks = [
        ExecutionTask("waits", anyio.sleep_forever),
        ExecutionTask("fails", fail, dependencies=[]),
        ExecutionTask("late", print, dependencies=["waits"]),
    ]
    results = run(ParallelExecutor(stop_on_error=True), tasks)
    assert results.having(TaskStatus.CANCELLED) == ["waits", "late"]
    with pytest.raises(ExceptionGroup, match="'fails'"):
        results.raise_for_errors()
    with pytest.raises(TaskNotDone, match="'fails' failed: OSError"):
        results["fails"]
    with pytest.raises(KeyError, match="no task 'other'"):
        results["other"]


def test_functions_of_every_kind_are_called() -> None:
    class Callable_:
        async def __call__(self, number: int) -> int:
            return number

    async def add(a: int, b: int) -> int:
        return a + b

    tasks = [
        ExecutionTask("async object", Callable_(), (3,)),
        ExecutionTask("partial", functools.partial(add, 1), (2,)),
        ExecutionTask("answers an awaitable", lambda: add(1, 2)),
        ExecutionTask("built in", max, (1, 3)),
    ]
    assert set(run(ParallelExecutor(), tasks).values()) == {3}


async def test_stages_run_after_the_stages_they_depend_on() -> None:
    order: list[str] = []

    async def stage(name: str = "?") -> str:
        order.append(name)
        return name

    executor = ParallelExecutor()
    results = await executor.execute_stages_parallel(
        [("draft", stage, ("draft",)), ("plan", stage, (), {"name": "plan"})],
        dependencies={"draft": ["plan"]},
    )
    assert order == ["plan", "draft"]
    assert results == {"draft": "draft", "plan": "plan"}
    assert await executor.execute_stages_parallel({"one": stage}) == {"one": "?"}
    with pytest.raises(TaskGraphError, match="'two'"):
        await executor.execute_stages_parallel({"one": stage}, dependencies={"two": ["one"]})


async def test_the_snippet_of_the_originals_runs() -> None:
    def my_function(arg1: int, arg2: int) -> int:
        return arg1 + arg2

    arg1, arg2 = 1, 2
    # 004, "Performance Optimization Usage"
    executor = ParallelExecutor(max_concurrency=10)
    tasks = [
        ExecutionTask(
            task_id="task1",
            func=my_function,
            args=(arg1, arg2),
            dependencies=[],
            priority=1
        )
    ]  # fmt: skip
    results = await executor.execute_parallel(
        tasks,
        strategy=ExecutionStrategy.DEPENDENCY_AWARE
    )  # fmt: skip
    assert results == {"task1": 3}
    assert isinstance(results.tasks["task1"], TaskResult)
