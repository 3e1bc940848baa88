"""Cut a window of operations into whole hours or days, as they are kept."""

from typing import NamedTuple

from app.core.keeping import OPERATION_HOUR_DAYS
from app.core.usage import DAY, HOUR, day_start, hour_start
from app.core.windows import DAY_S, HOUR_S, MICROS

DEFAULT_DAYS = 7
HOURS_REACH = (OPERATION_HOUR_DAYS - 1) * DAY_S
"""Seconds back to which a window is answered by hours; they are kept a day longer."""


class Stretch(NamedTuple):
    """Whole cells of one grain, `since` ≤ t < `until` in seconds."""

    grain: int
    since: int
    until: int


def stretch_of(since: int | None, until: int | None, now: int) -> Stretch:
    """The hours, or where they go further back the days, that a window (microseconds) touches.

    The last seven days if nothing is said; what is booked for a little later than now is in it.
    """
    second = now // MICROS
    end = second + HOUR_S if until is None else -(-until // MICROS)
    begin = day_start(second) - (DEFAULT_DAYS - 1) * DAY_S if since is None else since // MICROS
    is_recent = begin >= second - HOURS_REACH
    step, floor = (HOUR_S, hour_start) if is_recent else (DAY_S, day_start)
    begin = floor(begin)
    return Stretch(HOUR if is_recent else DAY, begin, max(begin, floor(end + step - 1)))


def weeks(now: int) -> tuple[Stretch, Stretch]:
    """The last seven days, today among them, and the seven before."""
    end = day_start(now // MICROS) + DAY_S
    middle, start = end - 7 * DAY_S, end - 14 * DAY_S
    return Stretch(DAY, middle, end), Stretch(DAY, start, middle)
