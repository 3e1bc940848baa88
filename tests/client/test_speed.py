"""Both clients send operations, count tokens and cut contexts, and get typed answers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from membudget import AsyncClient, Client
from membudget.profiler import PerformanceProfiler
from tests.client.both import face
from tests.running import Served

START = datetime.now(UTC) - timedelta(minutes=5)


def op(name: str, at: float, seconds: float, **more: Any) -> dict[str, Any]:
    started = START + timedelta(seconds=at)
    return {
        "type": "tool_call",
        "name": name,
        "started_at": started,
        "duration_seconds": seconds,
        "run_id": "r",
        **more,
    }


def test_operations_go_in_and_answers_come_out(
    shared_service: Served, kind: str, workspace: str
) -> None:
    run = [
        op("plan", 0, 1),
        op("search", 1, 4, depends_on=["plan"]),
        op("read", 5, 3, depends_on=["plan"]),
    ]
    with face(kind, shared_service.url, workspace=workspace) as client:
        assert client.operations.record(run).accepted == 3
        assert client.operations.record(run).duplicates == 3
        found = client.operations.statistics(by="name")
        assert [one.name for one in found.items] == ["search", "read", "plan"]
        assert found.window.since is not None
        (worst,) = client.operations.bottlenecks(min_pct=40).items
        assert (worst.name, worst.severity) == ("search", "critical")
        side = client.operations.parallelism("r")
        assert side.groups == (("search", "read"),)
        assert side.critical_path == ("plan", "search")
        assert side.saving_pct == pytest.approx(100 * 3 / 8)


def test_tokens_are_counted_and_contexts_cut(
    shared_service: Served, kind: str, workspace: str
) -> None:
    with face(kind, shared_service.url, workspace=workspace) as client:
        assert client.tokens.count("hello world").total == 2
        many = client.tokens.count(["hello world", ""], model="gpt-4o")
        assert [one.tokens for one in many.items] == [2, 0]
        assert many.items[0].exactness == "exact"
        reports = [{"counted_tokens": 100, "tokens": 150}] * 20
        known = client.tokens.report("claude-x", reports)
        assert (known.pairs, known.exactness) == (20, "calibrated")
        assert client.tokens.count("hello " * 100, model="claude-y").items[0].family == "claude"
        made = client.tokens.minify({"a": "It rains. " * 50, "b": "Sun."}, 20, important_keys=["b"])
        assert made.context["b"] == "Sun."
        assert made.tokens <= 20
        assert [one.key for one in made.dropped] == ["a"]


def profiled() -> PerformanceProfiler:
    profiler = PerformanceProfiler(client=False)
    with profiler.measure("stage", "outer", run_id="r"), profiler.measure("io", "inner"):
        pass
    return profiler


def test_a_profiler_sends_what_it_measured_once(shared_service: Served, workspace: str) -> None:
    profiler = profiled()
    with Client(shared_service.url, workspace=workspace) as client:
        assert profiler.send(client) == 2
        assert profiler.send(client) == 0
        with profiler.measure("io", "later"):
            pass
        assert profiler.send(client) == 1
        assert client.operations.statistics().count == 3
        side = client.operations.parallelism("r")
        assert (side.operations, side.critical_path) == (2, ("inner",))
    assert profiler.get_statistics()["total_operations"] == 3


def test_whatever_operations_are_called_the_service_takes_them(
    shared_service: Served, workspace: str
) -> None:
    profiler = PerformanceProfiler(client=False)
    needed = ["", "a" * 300, *map(str, range(99))]
    with (
        profiler.measure("x" * 300, "line\nline " * 60, run_id="r\x00"),
        profiler.measure("", "", depends_on=needed),
        profiler.measure(" ", "\u202e", run_id=" ", depends_on=["\u200b"]),
        profiler.measure("io", "again"),
        profiler.measure("io", "again", depends_on=["again"]),
    ):
        pass
    with Client(shared_service.url, workspace=workspace) as client:
        assert profiler.send(client) == 5


async def test_a_profiler_sends_with_an_asynchronous_client_too(
    shared_service: Served, workspace: str
) -> None:
    async with AsyncClient(shared_service.url, workspace=workspace) as client:
        assert await profiled().send_async(client) == 2
        assert (await client.operations.statistics()).count == 2


def test_what_cannot_be_sent_waits(
    shared_service: Served, kind: str, workspace: str, tmp_path: Path
) -> None:
    profiler = profiled()
    how = {"retries": 0, "timeout": 1, "spool": tmp_path, "workspace": workspace}
    with Client("http://127.0.0.1:9", **how) as away:
        assert profiler.send(away) == 0
        assert away.operations.record([op("later", 9, 1)]).spooled == 1
        away.track(agent="a", budget_tokens=1, used_tokens=1)
    with face(kind, shared_service.url, spool=tmp_path) as client:
        assert client.flush().sent == 4
        assert client.operations.statistics(workspace=workspace).count == 3
        assert profiler.send(Client(shared_service.url)) == 0
        assert client.flush().waiting == 0
