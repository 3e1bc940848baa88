"""Say how far the audit has come: what is known to be wrong, and where it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from app.core.auditing_money import TotalAt
from app.core.values import value

Place = tuple[str, int]
"""A workspace and a UTC day of it (its first second)."""

OPENING = -(10**12)
"""A second before everything that can be booked."""

REMEMBERED = 200
"""Places with differences that are looked at again; beyond them it takes another sweep."""

SHOWN = 20
"""Differences that a run's outcome shows."""


@value
class Sweep:
    """How far the audit has come: kept as the outcome of its last run."""

    after: Place | None = None
    """The place that was looked at last; None: the next sweep begins."""
    wrong: Mapping[Place, int] = field(default_factory=dict)
    """Differences by place, as last counted."""
    after_total: TotalAt | None = None
    """The total of a budget in USD that was looked at last; None: they begin anew."""
    wrong_totals: Mapping[TotalAt, int] = field(default_factory=dict)
    """Differences by total, as last counted."""
    began_at: int | None = None
    """When the sweep that goes on was begun, in microseconds."""
    swept_at: int | None = None
    """When the last sweep that looked at everything was begun."""
    looked_at: int | None = None
    """When the last run was begun."""

    @property
    def differences(self) -> int:
        """Differences that are known."""
        return sum(self.wrong.values()) + sum(self.wrong_totals.values())


P = TypeVar("P")


def with_counted(wrong: Mapping[P, int], place: P, faults: int) -> dict[P, int]:
    """The places that are wrong, after one was counted."""
    others = {other: count for other, count in wrong.items() if other != place}
    if faults and len(others) < REMEMBERED:
        others[place] = faults
    return others


def to_data(sweep: Sweep) -> dict[str, Any]:
    """A sweep as plain data."""
    return {
        "differences": sweep.differences,
        "after": None if sweep.after is None else list(sweep.after),
        "wrong": [[*place, count] for place, count in sorted(sweep.wrong.items())],
        "after_total": None if sweep.after_total is None else list(sweep.after_total),
        "wrong_totals": [[*at, count] for at, count in sorted(sweep.wrong_totals.items())],
        "began_at": sweep.began_at,
        "swept_at": sweep.swept_at,
        "looked_at": sweep.looked_at,
    }


def from_data(data: Mapping[str, Any] | None) -> Sweep:
    """The sweep of what `to_data` made; a new one where there is none."""
    if not data or "looked_at" not in data:
        return Sweep()
    after: Sequence[Any] | None = data["after"]
    total: Sequence[Any] | None = data.get("after_total")
    return Sweep(
        after=None if after is None else (after[0], after[1]),
        wrong={(name, start): count for name, start, count in data["wrong"]},
        after_total=None if total is None else (total[0], total[1], total[2], total[3]),
        wrong_totals={tuple(at): count for *at, count in data.get("wrong_totals", ())},
        began_at=data["began_at"],
        swept_at=data["swept_at"],
        looked_at=data["looked_at"],
    )
