"""The originals' profiler and minifier, with the service and without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from membudget import (
    Client,
    ContextMinifier,
    OperationType,
    PerformanceOptimizer,
    PerformanceProfiler,
    Services,
)
from tests.data import REPOSITORY


def test_the_profiler_s_snippet_of_the_originals_runs(where: str) -> None:
    # 004, "Performance Optimization Usage"
    profiler = PerformanceProfiler()

    # Profile an operation
    profiler.start_operation("op1", OperationType.LLM_CALL, "generate_scene")
    # ... do work ...
    duration = profiler.end_operation("op1", OperationType.LLM_CALL, "generate_scene")

    # Analyze bottlenecks
    bottlenecks = profiler.analyze_bottlenecks(min_percentage=5.0)

    # Get optimization recommendations
    optimizer = PerformanceOptimizer(profiler)
    recommendations = optimizer.get_optimization_recommendations()

    assert duration > 0
    assert [(one.name, one.percentage, one.severity) for one in bottlenecks] == [
        ("generate_scene", 100.0, "critical")
    ]
    assert bottlenecks[0].recommendation in recommendations[0].advice


def test_the_minifier_s_snippet_of_the_originals_runs(where: str) -> None:
    long_text = "The harbour lies in fog. " * 400
    # 004, "Performance Optimization Usage"
    minifier = ContextMinifier(max_tokens=2000)
    minified = minifier.minify_context(
        context={"story_bible": long_text, "previous_scene": long_text},
        important_keys=["story_bible"]
    )  # fmt: skip
    assert minified["story_bible"] == long_text
    assert minified.is_over_budget
    assert minified.dropped == [
        {"key": "previous_scene", "tokens": minifier.count_tokens(long_text), "sections": []}
    ]


async def test_the_container_of_the_originals_starts_and_stops(where: str, desk: Path) -> None:
    # 004, "Integration Complete!"
    services = Services(folder=desk / "memory")
    assert await services.initialize_async() == ("127.0.0.1:9" not in where)
    with services.performance_profiler.measure("stage", "draft"):
        services.cost_tracker.record_cost("gpt-4o-mini", 1000, 500, "draft")
    await services.shutdown()
    assert services.started == []
    with Client() as client:
        if services.problems:
            assert client.flush().waiting == 2  # the call and the operation
        else:
            assert len(list(client.usage(run_id=services.cost_tracker.run_id))) == 1
            assert client.operations.parallelism(str(services.cost_tracker.run_id)).operations == 1


def test_both_cut_and_count_alike(service: str) -> None:
    sections = [f"## Part {n}\n\nPart {n} is about ships. It is long and tells of {n} sailors."
                for n in range(40)]  # fmt: skip
    context = {"text": "\n\n".join(sections), "facts": {"captain": "Ada"}, "odd": 5, "": "none"}
    asked = {key: context[key] for key in ("text", "facts")}
    how = {"important_keys": ["facts"], "task": "sailors of part 7"}
    there = ContextMinifier(200).minify_context(asked, **how)
    here = ContextMinifier(200, client=False).minify_context(asked, **how)
    assert there == here
    assert (there.tokens, there.dropped, there.exactness) == (here.tokens, here.dropped, "exact")
    assert "Part 7" in there["text"]
    assert ContextMinifier(9000).minify_context(context) == context  # what the service would refuse
    assert ContextMinifier(9).minify_context({1: "It rains."}) == {1: "It rains."}  # type: ignore[dict-item]
    claude = ContextMinifier(100, model="claude-sonnet-4-5")
    assert claude.minify_context(asked).exactness == "heuristic"
    assert claude.count_tokens("hello " * 100) > ContextMinifier().count_tokens("hello " * 100)


def test_operations_are_booked_once_whenever_figures_are_asked_for(service: str, home: str) -> None:
    profiler = PerformanceProfiler(workspace=home, run_id="r-1")
    with profiler.measure("stage", "draft"), profiler.measure("llm_call", "generate"):
        pass
    assert profiler.get_statistics()["total_operations"] == 2
    profiler.analyze_bottlenecks()
    with profiler.measure("stage", "edit", depends_on=["draft"]):
        pass
    PerformanceOptimizer(profiler).suggest_parallelization()
    profiler.reset()
    assert profiler.get_statistics()["total_operations"] == 0
    with Client(service, workspace=home) as client:
        assert client.operations.statistics().count == 3
        assert client.operations.parallelism("r-1").operations == 3


MEASURE = """
import os, sys
from membudget import PerformanceProfiler
profiler = PerformanceProfiler(workspace={home!r})
def measure(profiler):
    with profiler.measure("io", "read"):
        pass
"""
THREE = """
for _ in range(3):
    measure(profiler)
"""
DROPPED = """
measure(PerformanceProfiler(workspace={home!r}))
measure(PerformanceProfiler(workspace={home!r}))
measure(profiler)
del profiler
"""
FORKED = """
measure(profiler)
child = os.fork()
measure(profiler)
if child:
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("program", [THREE, DROPPED, FORKED])
def test_what_a_program_measured_is_booked_when_it_ends(
    service: str, home: str, program: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", (MEASURE + program).format(home=home)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Client(service) as client:
        assert client.operations.statistics(workspace=home).count == 3


def test_many_operations_are_booked_while_they_go_on(service: str, home: str) -> None:
    profiler = PerformanceProfiler(100, workspace=home)  # remembers few, and books all
    for _ in range(12_500):
        with profiler.measure("io", "read"):
            pass
    profiler.book()
    with Client(service, workspace=home) as client:
        assert client.operations.statistics().count == 12_500


def test_what_is_lost_for_want_of_room_is_told(
    away: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("membudget.profiler.MOST_UNBOOKED", 5)
    profiler = PerformanceProfiler()
    for _ in range(20):
        with profiler.measure("io", "read"):
            pass
    assert [one.getMessage() for one in caplog.records if "are lost" in one.getMessage()] == [
        "operations end faster than they are booked: the oldest are lost"
    ]
    profiler.book()
    with Client() as client:
        assert client.flush().waiting == 5
