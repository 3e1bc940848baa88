"""One round of each fault on one database, held to what was acknowledged."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from tests.data import REPOSITORY

LINE = re.compile(
    r"(\w+) round \d+: acknowledged ([\d,]+) found ([\d,]+) double (\d+) lost (\d+) unlike (\d+)"
)
SHUTDOWN_SECONDS = "2"


def assert_books_survive(database: str, faults: Sequence[str]) -> None:
    """Upset the service by each fault: what was acknowledged is there, once, and all heals."""
    may_mount = os.geteuid() == 0
    wanted = [name for name in faults if name != "disk" or may_mount]
    run = subprocess.run(
        [
            sys.executable,
            str(REPOSITORY / "benchmarks" / "faults.py"),
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
