"""Laws of measuring: nothing is counted twice or lost, and what is said to be saved can be."""

import threading
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membudget.profiler import (
    OperationType,
    PerformanceOptimizer,
)
from membudget.profiler import PerformanceProfiler as AnyProfiler

PerformanceProfiler = partial(AnyProfiler, client=False)
"""Without a service; with one: `tests/client/faces/test_speed.py`."""


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def profiler(clock: Clock) -> AnyProfiler:
    return PerformanceProfiler(clock=clock)


def spend(profiler: AnyProfiler, clock: Clock, kind: str, name: str, seconds: float) -> None:
    profiler.start_operation("1", kind, name)
    clock.at += seconds
    profiler.end_operation("1", kind, name)


operations = st.lists(
    st.tuples(
        st.sampled_from([*OperationType]),
        st.sampled_from("abc"),
        st.integers(1, 1000),
        st.booleans(),
    ),
    max_size=30,
)


@given(operations, st.integers(1, 10))
def test_sums_are_of_all_operations_however_few_are_remembered(
    ran: list[tuple[OperationType, str, int, bool]], kept: int
) -> None:
    clock = Clock()
    profiler = PerformanceProfiler(kept, clock=clock)
    for at, (kind, name, seconds, failed) in enumerate(ran):
        profiler.start_operation(str(at), kind, name)
        clock.at += seconds
        assert profiler.end_operation(str(at), kind, name, failed=failed) == seconds
    shown = profiler.get_statistics()
    assert shown["total_operations"] == len(ran)
    assert shown["failed_operations"] == sum(failed for *_, failed in ran)
    assert shown["total_seconds"] == sum(seconds for _, _, seconds, _ in ran)
    assert len(profiler.finished()) == min(kept, len(ran))
    for table in ("by_type", "by_name"):
        assert sum(one["count"] for one in shown[table].values()) == len(ran)
        assert sum(one["share_pct"] for one in shown[table].values()) == pytest.approx(
            100 if ran else 0
        )
    for kind in OperationType:
        times = [seconds for other, _, seconds, _ in ran if other is kind]
        if times:
            figures = shown["by_type"][kind.value]
            assert (figures["min_seconds"], figures["max_seconds"]) == (min(times), max(times))


@given(operations, st.floats(0, 100))
def test_bottlenecks_are_all_that_reach_the_share_and_worst_first(
    ran: list[tuple[OperationType, str, int, bool]], least: float
) -> None:
    clock = Clock()
    profiler = PerformanceProfiler(clock=clock)
    for kind, name, seconds, _ in ran:
        spend(profiler, clock, kind.value, name, seconds)
    found = profiler.analyze_bottlenecks(min_percentage=least)
    shares = [one.share_pct for one in found]
    assert shares == sorted(shares, reverse=True)
    reached = {
        name
        for name, one in profiler.get_statistics()["by_name"].items()
        if one["share_pct"] >= least
    }
    assert {f"{one.type}/{one.name}" for one in found} == reached
    for one in found:
        assert one.severity == (
            "critical" if one.share_pct >= 50 else "high" if one.share_pct >= 30
            else "medium" if one.share_pct >= 15 else "low"
        )  # fmt: skip


def test_time_inside_another_operation_is_the_inner_one_s(
    profiler: AnyProfiler, clock: Clock
) -> None:
    with profiler.measure(OperationType.STAGE, "draft"):
        clock.at += 1
        with profiler.measure(OperationType.LLM_CALL, "generate"):
            clock.at += 3
        spend(profiler, clock, "memory", "load", 4)
    shown = profiler.get_statistics()["by_name"]
    assert shown["stage/draft"]["total_seconds"] == 8
    assert shown["stage/draft"]["own_seconds"] == 1
    assert shown["llm_call/generate"]["share_pct"] == 37.5
    assert [one.name for one in profiler.analyze_bottlenecks()] == ["load", "generate", "draft"]


async def test_tasks_side_by_side_do_not_count_as_each_other_s_parts() -> None:
    profiler = PerformanceProfiler()
    begun = [anyio.Event(), anyio.Event()]

    async def work(at: int) -> str:
        begun[at].set()
        await begun[1 - at].wait()
        return str(at)

    async def one(at: int) -> None:
        found = await profiler.profile_async_operation(
            str(at), OperationType.LLM_CALL, f"call {at}", work, at
        )
        assert found == str(at)

    async with anyio.create_task_group() as group:
        group.start_soon(one, 0)
        group.start_soon(one, 1)
    assert [one.parent for one in profiler.finished()] == [None, None]
    assert await profiler.profile_async_operation("x", "own", "awaited", work(0)) == "0"


def test_functions_are_measured_by_a_decorator(profiler: AnyProfiler, clock: Clock) -> None:
    @profiler.profiled(OperationType.MEMORY)
    def plain(a: int) -> int:
        clock.at += a
        return a

    @profiler.profiled("own type", "named")
    async def slow() -> None:
        clock.at += 2
        raise LookupError

    assert plain(3) == 3
    assert profiler.profile_operation("1", OperationType.STAGE, "s", plain, 2) == 2
    with pytest.raises(LookupError):
        anyio.run(slow)
    shown = profiler.get_statistics()
    assert shown["by_type"]["memory"]["total_seconds"] == 5
    assert shown["by_type"]["stage"]["own_seconds"] == 0
    assert shown["by_name"]["own type/named"]["failed"] == 1


def test_an_end_without_a_beginning_is_no_error(
    profiler: AnyProfiler,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert profiler.end_operation("1", OperationType.STAGE, "never") == 0
    assert "did not begin" in caplog.text
    profiler.start_operation("1", OperationType.STAGE, "a")
    profiler.reset()
    assert profiler.end_operation("1", OperationType.STAGE, "a") == 0
    assert profiler.get_statistics()["total_operations"] == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("membudget.profiler.MOST_NAMES", 2)
    profiler = PerformanceProfiler(3, clock=clock)
    for at in range(10):
        profiler.start_operation(str(at), "stage", f"open {at}")
        spend(profiler, clock, "stage", f"done {at}", 1)
    shown = profiler.get_statistics()
    assert list(shown["by_name"]) == ["stage/done 0", "stage/done 1", "stage/(other)"]
    assert shown["by_name"]["stage/(other)"]["count"] == 8
    assert shown["open_operations"] <= 3
    assert len(profiler.finished()) == 3
    with pytest.raises(ValueError, match="max_operations"):
        PerformanceProfiler(0)


def test_threads_lose_nothing() -> None:
    profiler = PerformanceProfiler()

    def work() -> None:
        for _ in range(200):
            with profiler.measure("stage", "s"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert profiler.get_statistics()["total_operations"] == 800


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.sets(st.integers(0, 9), max_size=3)),
        min_size=1,
        max_size=10,
    )
)
def test_what_is_saved_leaves_the_longest_chain(ran: list[tuple[int, set[int]]]) -> None:
    clock = Clock()
    profiler = PerformanceProfiler(clock=clock)
    ends: list[int] = []
    for at, (seconds, needs) in enumerate(ran):
        before = [other for other in needs if other < at]
        ends.append(seconds + max((ends[other] for other in before), default=0))
        profiler.start_operation(
            "1", "stage", f"s{at}", run_id="r", depends_on=[f"s{n}" for n in before]
        )
        clock.at += seconds
        profiler.end_operation("1", "stage", f"s{at}")
    total, longest = sum(seconds for seconds, _ in ran), max(ends)
    found = PerformanceOptimizer(profiler).suggest_parallelization("r")
    if 100 * (total - longest) / total < 1:
        assert found == []
        return
    (chance,) = found
    assert chance.is_certain
    assert chance.saving_seconds == pytest.approx(total - longest)
    lengths = [ran[int(name[1:])][0] for name in chance.critical_path]
    assert sum(lengths) == longest
    for group in chance.groups:
        for name in group:
            at = int(name[1:])
            assert not {f"s{n}" for n in ran[at][1] if n < at} & set(group)


def test_calls_in_a_row_might_run_side_by_side_and_overlapping_ones_do(
    profiler: AnyProfiler, clock: Clock
) -> None:
    for _ in range(3):
        spend(profiler, clock, "llm_call", "generate", 2)
    profiler.start_operation("1", "retrieval", "search")
    profiler.start_operation("2", "retrieval", "search")
    clock.at += 5
    profiler.end_operation("1", "retrieval", "search")
    profiler.end_operation("2", "retrieval", "search")
    (chance,) = PerformanceOptimizer(profiler).suggest_parallelization()
    assert (chance.groups, chance.is_certain) == ((("generate",),), False)
    assert chance.saving_seconds == 4


def test_recommendations_say_what_they_save(profiler: AnyProfiler, clock: Clock) -> None:
    for seconds in (1, 1, 1, 1, 1, 11):
        profiler.start_operation("1", "tool_call", "fetch")
        clock.at += seconds
        profiler.end_operation("1", "tool_call", "fetch")
    profiler.start_operation("1", "tool_call", "fetch")
    clock.at += 4
    profiler.end_operation("1", "tool_call", "fetch", failed=True)
    found = PerformanceOptimizer(profiler).get_optimization_recommendations()
    assert [(one.change, one.saving_seconds) for one in found if one.change != "side_by_side"] == [
        ("shorten", 10),
        ("slow_ones", 10),
        ("failures", 4),
    ]
    assert found[0].saving_pct <= 100
    assert all(one.advice for one in found)
    assert PerformanceOptimizer(PerformanceProfiler()).get_optimization_recommendations() == []
