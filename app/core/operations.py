"""Say what one operation of a run took, and fold operations into cells.

A cell holds what operations of one type, name and parent come to in one UTC hour or day; cells of
disjoint sets add up. What is measured inside an operation names it as its parent, so that own time
(without what was measured inside) is a difference of sums, whatever order operations come in.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.core.statistics import bucket_of
from app.core.usage import DAY, HOUR, day_start, hour_start
from app.core.values import value
from app.core.windows import MICROS

OTHER = "(other)"
"""The name under which further ones are counted when a day has too many."""

MOST_NAMES = 1_000
"""Combinations of type, name and parent that a workspace's day tells apart."""


@value
class Operation:
    """One measured piece of work; moments and durations in microseconds."""

    id: str
    workspace: str
    type: str
    name: str
    at: int
    """When it started: since 1970 in UTC."""
    duration_us: int
    run_id: str | None = None
    parent: str | None = None
    """The name of the operation of the same run that it ran inside."""
    depends_on: tuple[str, ...] | None = None
    """Names of operations of the same run whose results it needed; None: not said."""
    success: bool | None = None
    fingerprint: bytes = b""
    """Digest of what was sent, to tell a repeated delivery from another one of the same id."""

    @property
    def ended(self) -> int:
        """The moment it ended."""
        return self.at + self.duration_us


class OperationCellId(NamedTuple):
    """Which operations a cell holds; `start` is a second since 1970."""

    grain: int
    start: int
    type: str
    name: str
    parent: str


@dataclass(slots=True)
class OperationCell:
    """What a set of operations comes to."""

    count: int = 0
    failed: int = 0
    total_us: int = 0
    least_us: int = 0
    most_us: int = 0
    sketch: dict[int, int] = field(default_factory=dict)
    """Durations in microseconds (`core.statistics`)."""

    def take(self, duration_us: int, *, failed: bool) -> None:
        """Count one operation."""
        self.least_us = min(self.least_us, duration_us) if self.count else duration_us
        self.most_us = max(self.most_us, duration_us)
        self.count += 1
        self.failed += failed
        self.total_us += duration_us
        bucket = bucket_of(duration_us)
        self.sketch[bucket] = self.sketch.get(bucket, 0) + 1

    def add(self, other: "OperationCell") -> None:
        """Take in a cell of other operations."""
        if not other.count:
            return
        self.least_us = min(self.least_us, other.least_us) if self.count else other.least_us
        self.most_us = max(self.most_us, other.most_us)
        self.count += other.count
        self.failed += other.failed
        self.total_us += other.total_us
        for bucket, count in other.sketch.items():
            self.sketch[bucket] = self.sketch.get(bucket, 0) + count


class Label(NamedTuple):
    """What a cell tells apart besides its time."""

    type: str
    name: str
    parent: str


def label_of(operation: Operation) -> Label:
    """What an operation is counted under."""
    return Label(operation.type, operation.name, operation.parent or "")


def fold_operations(
    operations: Iterable[Operation], *, known: Mapping[int, Collection[Label]]
) -> dict[OperationCellId, OperationCell]:
    """The cells of hours and days that operations come to.

    `known`: the labels that the days (by their first second) tell apart; further ones are counted
    as `OTHER`, inside nothing, and so are further types.
    """
    types = {day: {label.type for label in labels} for day, labels in known.items()}
    cells: defaultdict[OperationCellId, OperationCell] = defaultdict(OperationCell)
    for one in operations:
        second = one.at // MICROS
        day = day_start(second)
        label = label_of(one)
        if label not in known.get(day, ()):
            label = Label(one.type if one.type in types.get(day, ()) else OTHER, OTHER, "")
        failed = one.success is False
        for grain, start in ((HOUR, hour_start(second)), (DAY, day)):
            cells[OperationCellId(grain, start, *label)].take(one.duration_us, failed=failed)
    return dict(cells)


def told_apart(
    held: Collection[Label], wanted: Sequence[Label], most: int = MOST_NAMES
) -> set[Label]:
    """The labels of a day that get cells of their own: those it has, then the first that come."""
    found = set(held)
    for label in wanted:
        if len(found) >= most:
            break
        found.add(label)
    return found


def derived_ids(operations: Sequence[Sequence[object]]) -> list[str]:
    """Ids for operations that came without one, from what they say: the same again is the same.

    Equal ones in one list are told apart by their order among themselves.
    """
    seen: Counter[bytes] = Counter()
    found = []
    for said in operations:
        text = json.dumps(said, separators=(",", ":")).encode()
        digest = hashlib.blake2b(text, digest_size=12).digest()
        number = seen[digest]
        seen[digest] += 1
        found.append(f"op_{digest.hex()}" + (f"_{number}" if number else ""))
    return found
