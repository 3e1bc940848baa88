"""Add up what calls cost: in all, by stage, by model and by day, in bounded memory."""

import threading
from collections import deque
from typing import Any

from membudget._cost_values import CostRecord, Sum
from membudget._money import Usd

KEPT_RECORDS = 10_000
"""Single calls that a breakdown still lists; sums are kept of all."""
MOST_NAMES = 1_000
"""Stages and models with sums of their own; further ones are summed under `OTHER`."""
OTHER = "(other)"


class Tally:
    """Sums of calls. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Sum()
        self._sums: dict[str, dict[str, Sum]] = {"stage": {}, "model": {}, "day": {}}
        self._records: deque[CostRecord] = deque(maxlen=KEPT_RECORDS)

    @property
    def usd(self) -> Usd:
        """Of the calls that have a price."""
        return Usd(self._total.usd)

    @property
    def unpriced_calls(self) -> int:
        """The calls that have none."""
        return self._total.unpriced_calls

    def add(self, record: CostRecord) -> Usd:
        """Count one more call; what all cost by then."""
        names = (record.stage, record.model, record.at.date().isoformat())
        with self._lock:
            self._total.add(record)
            self._records.append(record)
            for sums, name in zip(self._sums.values(), names, strict=True):
                kept = name if name in sums or len(sums) < MOST_NAMES else OTHER
                sums.setdefault(kept, Sum()).add(record)
            return Usd(self._total.usd)

    def records(self) -> tuple[CostRecord, ...]:
        """The last calls, oldest first."""
        with self._lock:
            return tuple(self._records)

    def shown(self) -> dict[str, Any]:
        """Sums `by_stage`, `by_model` and `by_day`, and the last calls."""
        with self._lock:
            by = {
                f"by_{dimension}": {name: one.shown() for name, one in sums.items()}
                for dimension, sums in self._sums.items()
            }
            return {**by, "records": list(self._records)}
