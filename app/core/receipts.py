"""Say what became of usage events that were handed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.values import value


@value
class Booked:
    """What became of one event."""

    id: str
    is_new: bool
    alerts: tuple[Mapping[str, Any], ...] = ()
    """Thresholds of budgets in USD that it reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of the events of one request."""

    accepted: int
    duplicates: int
    """Events that had been delivered before; they count once."""
    ids: list[str]
    """The id under which every event is booked, in the order given."""
    alerts: list[Mapping[str, Any]]
    """Thresholds of budgets in USD that these events reached."""


def receipt(booked: Sequence[Booked]) -> Receipt:
    """The receipt of a request's events."""
    accepted = sum(one.is_new for one in booked)
    return Receipt(
        accepted=accepted,
        duplicates=len(booked) - accepted,
        ids=[one.id for one in booked],
        alerts=[alert for one in booked for alert in one.alerts],
    )


def accepted(ids: list[str]) -> Receipt:
    """The receipt of events that were all new, and reached nothing."""
    return Receipt(accepted=len(ids), duplicates=0, ids=ids, alerts=[])
