"""What benchmarks repeat instead of booking it is what booking would have kept."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_cells_of_repeated_days_are_those_of_their_events(tmp_path: Path) -> None:
    script = REPOSITORY / "benchmarks" / "filling.py"
    command = [sys.executable, str(script), str(tmp_path / "many.db"), "--events", "300", "--audit"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={"PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()[-1]
    assert said.startswith("300 events, ")
    assert said.endswith(" cells, 0 differ from the events")
