"""The originals' names are at the root, and what is local needs neither the service nor httpx."""

import subprocess
import sys

import membudget
from tests.data import REPOSITORY

LOCAL = (
    "CostAlertLevel CostTracker ContextMinifier ExecutionStrategy ExecutionTask OperationType"
    " ParallelExecutor PerformanceOptimizer PerformanceProfiler"
).split()
OF_THE_SERVICE = "MemoryEngine MemoryPersistence Services".split()


def test_every_name_of_the_originals_is_there() -> None:
    for name in (*LOCAL, *OF_THE_SERVICE):
        assert getattr(membudget, name).__name__ == name
        assert name in membudget.__all__


def test_what_is_local_loads_no_http_and_no_command() -> None:
    code = (
        f"import sys, membudget\nfor name in {LOCAL!r}: getattr(membudget, name)\n"
        "print(sorted({'httpx', 'typer', 'rich', 'fastapi', 'sqlalchemy'} & sys.modules.keys()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'client' / 'src'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"
