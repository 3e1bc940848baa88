"""Prove that whatever is upset, what was acknowledged is in the books, once, and all heals."""

import os
import re
import subprocess
import sys

import pytest

from tests.data import REPOSITORY, absent

BENCHMARKS = REPOSITORY / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from upsets import postgres_bin  # noqa: E402 (a script's neighbour)

LINE = re.compile(
    r"(\w+) round \d+: acknowledged ([\d,]+) found ([\d,]+) double (\d+) lost (\d+) unlike (\d+)"
)
FAULTS = {
    "sqlite": ["kill", "stop", "freeze", "disk"],
    "postgresql": "kill stop freeze crash restart cut commit silence disk".split(),
}
SHUTDOWN_SECONDS = "4"


@pytest.mark.parametrize("database", FAULTS)
def test_what_was_acknowledged_survives_every_fault(database: str) -> None:
    if database == "postgresql":
        try:
            postgres_bin()
        except RuntimeError as error:
            absent(str(error))
    may_mount = os.geteuid() == 0
    wanted = [name for name in FAULTS[database] if name != "disk" or may_mount]
    run = subprocess.run(
        [
            sys.executable,
            str(BENCHMARKS / "faults.py"),
            *("--rounds", "1", "--databases", database, "--faults", *wanted),
            *("--shutdown-seconds", SHUTDOWN_SECONDS),
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    outcomes = LINE.findall(run.stdout)
    assert [name for name, *_ in outcomes] == wanted, run.stdout + run.stderr
    for _, *figures in outcomes:
        acknowledged, found, *wrong = (int(figure.replace(",", "")) for figure in figures)
        assert acknowledged > 20, run.stdout
        assert (found, wrong) == (acknowledged, [0, 0, 0]), run.stdout + run.stderr
    assert run.returncode == 0, run.stdout + run.stderr
