"""What there is to learn from: our own texts, and what is kept of other people's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from app.core.complexity import rung
from app.core.reading import Reading, read
from training.detector.fit import Floats

HERE = Path(__file__).parent
COLLECTED = HERE / "collected.jsonl"
FOLDS = 13
"""Groups of writers, and of sources, that are left out in turns."""


@dataclass(frozen=True)
class Example:
    """A text as a fit sees it."""

    reading: Reading
    first: int
    second: int
    """Two labels: rungs."""
    fold: int
    """The group that it is left out with."""
    writer: int | None
    """Who wrote it for us; of other people's none."""

    @property
    def is_ours(self) -> bool:
        """Whether it was written for this."""
        return self.writer is not None

    @property
    def is_agreed(self) -> bool:
        """Whether both labels are the same."""
        return self.first == self.second


def labels_of(examples: Sequence[Example]) -> Floats:
    """Both labels of each."""
    return np.array([[one.first, one.second] for one in examples], float)


def texts() -> list[dict[str, Any]]:
    """The lines of our own texts. Those without a task are left out: the rubric scores them apart,
    and the service answers medium, 0.50."""
    files = sorted(HERE.glob("texts-*.jsonl"))
    return [row for file in files for row in _lines(file) if not row.get("no_task")]


def ours() -> list[Example]:
    """Our own texts, read."""
    return [
        Example(
            reading=read(row["text"]),
            first=rung(row["first"]),
            second=rung(row["second"]),
            fold=row["writer"] % FOLDS,
            writer=row["writer"],
        )
        for row in texts()
    ]


def collected() -> list[Example]:
    """Other people's texts, as far as their features are kept (`collect.py`).

    Words that ours don't have are empty ones: they count for the length.
    """
    return [
        Example(
            reading=Reading(
                signals=row["signals"],
                vocabulary=[*row["words"], *[""] * (row["count"] - len(row["words"]))],
                pairs=row["pairs"],
            ),
            first=rung(row["first"]),
            second=rung(row["second"]),
            fold=crc32(_project(row["source"]).encode()) % FOLDS,
            writer=None,
        )
        for row in _lines(COLLECTED)
    ]


def _project(source: str) -> str:
    """What a project is called, wherever it is found."""
    return source.rpartition("/")[2].rpartition(":")[2].lower()


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
