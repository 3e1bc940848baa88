"""Measure the shipped detector, and the rules, on labelled texts from elsewhere.

    uv run python -m training.detector.evaluate dev.jsonl

Each line has `text` and `task`, its tier. Nothing is fitted.
"""

import json
import sys
from pathlib import Path

from app.core.complexity import Context, detect, rung
from app.core.detection import Detection
from app.core.learned import judge
from app.core.signals import DEFAULT_TABLE
from app.presets.detector import weights
from training.detector.scores import scores


def main() -> None:
    """Print the scores of both detectors."""
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines if (row := json.loads(line)).get("task")]
    truth = [rung(row["task"]) for row in rows]
    for name in ("learned", "rules"):
        found = [
            judge(row["text"], Context(), (), weights(), Detection())
            if name == "learned"
            else detect(row["text"], "task", Context(), DEFAULT_TABLE)
            for row in rows
        ]
        confidences = [one.confidence for one in found]
        print(name, json.dumps(scores(truth, [rung(one.tier) for one in found], confidences)))


if __name__ == "__main__":
    main()
