"""Say which thresholds of a limit a growing amount has just reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol, TypeVar

from app.core.amounts import exact_ratio

Level = Literal["info", "warning", "critical"]


class Share(Protocol):
    """Anything that is due at a share of a limit: of tokens, or of money."""

    @property
    def share(self) -> Decimal:
        """Of the limit, 0–1."""
        ...


T = TypeVar("T", bound=Share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A share of a limit at which someone is told."""

    level: Level
    share: Decimal
    """Of the limit, 0–1; reached at equality."""


def crossed(before: int, after: int, limit: int, thresholds: Sequence[T]) -> tuple[T, ...]:
    """The thresholds not reached at `before` but reached at `after`, in the order given.

    A limit of zero is passed by the first token; nothing is reached without one.
    """
    return tuple(
        threshold
        for threshold in thresholds
        if is_reached(after, limit, threshold) and not is_reached(before, limit, threshold)
    )


def is_reached(amount: int, limit: int, threshold: Share) -> bool:
    """Whether `amount` is at least the threshold's share of `limit`, compared exactly."""
    above, below = exact_ratio(threshold.share)
    return amount > 0 and amount * below >= limit * above
