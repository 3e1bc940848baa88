"""CPU of judging a task: short, long, hostile; the rules beside the learned detector."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from harness import Limits, arguments

from app.core.complexity import Context, detect
from app.core.detection import Detection
from app.core.learned import judge
from app.core.signals import DEFAULT_TABLE
from app.presets.detector import weights

SHORT = (
    "Follow a failed order through gateway, order service, Kafka and the inventory database"
    " and find where it gets lost now"
)
PARAGRAPH = "The nightly job of the reporting team failed again and we do not know the reason. "
# Text, repeats, and the bar in microseconds of CPU; hostile texts have the bar of their length.
TEXTS: dict[str, tuple[str, int, float]] = {
    "118 characters": (SHORT, 4_000, 60),
    "10,000 characters": ((PARAGRAPH * 140)[:10_000], 800, 300),
    "100,000 characters": ((PARAGRAPH * 1_400)[:100_000], 300, 1_000),
    "100,000 of tags and quotes": (("<a> `x` " * 12_500)[:100_000], 100, 1_000),
    "100,000 of list lines": (("\n- foo(x): a" * 8_400)[:100_000], 100, 1_000),
}
ROUNDS = 5


def main() -> int:
    """Print the figures and judge those that have a bar."""
    arguments(__doc__ or "").parse_args()
    limits = Limits("Judging a task: CPU")
    detection = Detection()
    for name, (text, repeats, bar) in TEXTS.items():
        learned, rules = interleaved(
            lambda text=text: judge(text, Context(), (), weights(), detection),
            lambda text=text: detect(text, "task", Context(), DEFAULT_TABLE),
            repeats,
        )
        limits.judge(f"learned, {name}", learned, "µs", bar=bar, goal=bar / 2)
        limits.show(f"rules, {name}", rules, "µs")
    limits.judge("import and weights", import_ms(), "ms", bar=20, goal=10)
    return int(limits.failed)


def interleaved(
    first: Callable[[], object], second: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """The best of some rounds of each, in turns, in microseconds of CPU."""
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for at, work in enumerate((first, second)):
            started = time.process_time()
            for _ in range(repeats):
                work()
            best[at] = min(best[at], (time.process_time() - started) / repeats * 1e6)
    return best[0], best[1]


def import_ms() -> float:
    """CPU of importing the learned detector and reading its weights, after the rules.

    Compiled code is kept between the runs, as it is where a service is installed.
    """
    code = (
        "import time, app.core.complexity, json, importlib.resources;"
        "s = time.process_time();"
        "from app.presets.detector import weights; weights();"
        "print((time.process_time() - s) * 1e3)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        command = [sys.executable, "-c", code]
        runs = [
            float(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
            for _ in range(ROUNDS)
        ]
    return min(runs)


if __name__ == "__main__":
    sys.exit(main())
