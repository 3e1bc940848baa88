"""Prove that kill -9 under load loses nothing that was acknowledged, and counts nothing twice."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import REPOSITORY

ROUNDS = 2
LINE = re.compile(
    r"round \d+: acknowledged ([\d,]+) found ([\d,]+) double (\d+) lost (\d+) unlike (\d+)"
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_a_kill(
    request: pytest.FixtureRequest, database: str, tmp_path: Path
) -> None:
    if database == "postgresql":
        request.getfixturevalue("_postgresql_server")  # skips where there is none

    run = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "benchmarks" / "kill.py"),
            *("--rounds", str(ROUNDS), "--seconds", "0.5"),
            *("--databases", database, "--folder", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    outcomes = [tuple(int(n.replace(",", "")) for n in found) for found in LINE.findall(run.stdout)]
    assert len(outcomes) == ROUNDS, run.stdout + run.stderr
    for acknowledged, found, double, lost, unlike in outcomes:
        assert acknowledged > 20, run.stdout
        assert (found, double, lost, unlike) == (acknowledged, 0, 0, 0), run.stdout + run.stderr
    assert run.returncode == 0, run.stdout + run.stderr
