"""Pools through a kill -9: nothing is spent twice, nothing settled is lost, the rest comes back."""

import subprocess
import sys

import pytest

from tests.data import REPOSITORY


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("_postgresql_server")
def test_nothing_is_spent_twice_and_everything_comes_back(database: str) -> None:
    script = REPOSITORY / "benchmarks" / "pools.py"
    run = subprocess.run(
        [sys.executable, str(script), "--databases", database, "--operations", "800", "--ttl", "6"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 violations  PASS" in run.stdout
