"""Prove that a job whose owner is killed is run by another, and its period done once."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import REPOSITORY

PERIODS = 8
LINE = re.compile(r"^ *(\w+) (\S+) +done (\d+), attempt (\d+)", re.MULTILINE)
SUM = re.compile(r"(\d+) owners killed, \d+ taken over alive, (\d+) not done exactly once")


@pytest.mark.usefixtures("_postgresql_server")  # skips where there is none
def test_killed_owners_leave_each_period_done_once(tmp_path: Path) -> None:
    run = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "benchmarks" / "jobs.py"),
            *("--replicas", "3", "--periods", str(PERIODS), "--kill", "0.6"),
            *("--folder", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    periods = LINE.findall(run.stdout)
    assert len(periods) >= PERIODS, run.stdout + run.stderr
    assert {done for _, _, done, _ in periods} == {"1"}, run.stdout
    found = SUM.search(run.stdout)
    assert found is not None, run.stdout
    assert int(found[1]) > 0, "no owner was killed"
    assert int(found[2]) == 0, run.stdout
    assert max(int(attempt) for *_, attempt in periods) > 1, run.stdout
    assert run.returncode == 0, run.stdout + run.stderr
