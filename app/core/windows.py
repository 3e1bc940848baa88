"""Cut a window of time into whole cells and the remains that events must answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.core.usage import DAY, HOUR, MONTH, day_start, month_start

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
MICROS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EVENTS = 0
"""The grain of a piece that is read from events."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a window, `since` ≤ t < `until` in microseconds, answered at one grain."""

    grain: int
    since: int
    until: int


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    delta = moment - EPOCH
    return (delta.days * DAY_S + delta.seconds) * MICROS + delta.microseconds


_FIRST = micros(datetime.min.replace(tzinfo=UTC))
_LAST = micros(datetime.max.replace(tzinfo=UTC))


def moment(at: int) -> datetime:
    """The aware moment of microseconds since 1970; beyond the calendar its first or last one."""
    return EPOCH + timedelta(microseconds=min(max(at, _FIRST), _LAST))


def pieces(since: int, until: int, *, now: int, is_last: bool = False) -> list[Piece]:
    """Cut `since` ≤ t < `until` (microseconds) into as few pieces as cells allow.

    The first partial minute and the rest of its hour are separate pieces, and so at the end, so
    that what changes from second to second stays small. The day that runs now is a piece of its
    own. `is_last`: nothing is booked at or after `until`, so that its day is taken whole.
    """
    if until <= since:
        return []
    if is_last:
        until = (day_start((until - 1) // MICROS) + DAY_S) * MICROS
    return list(_merge(_cut(since, until), day_start(now // MICROS) * MICROS))


def _cut(since: int, until: int) -> Iterator[Piece]:
    at = since
    while at < until:
        grain, end = _largest_step(at, until)
        yield Piece(grain, at, end)
        at = end


def _largest_step(at: int, until: int) -> tuple[int, int]:
    second, fraction = divmod(at, MICROS)
    if not fraction and second % HOUR_S == 0:
        if second == month_start(second) and (end := _next_month(second) * MICROS) <= until:
            return MONTH, end
        if second == day_start(second) and (end := (second + DAY_S) * MICROS) <= until:
            return DAY, end
        if (end := (second + HOUR_S) * MICROS) <= until:
            return HOUR, end
        last_minute = until // (MINUTE_S * MICROS) * MINUTE_S * MICROS
        return EVENTS, last_minute if last_minute > at else until
    next_hour = (second // HOUR_S + 1) * HOUR_S * MICROS
    if not fraction and second % MINUTE_S == 0:
        return EVENTS, min(next_hour, until)
    return EVENTS, min((second // MINUTE_S + 1) * MINUTE_S * MICROS, until)


def _merge(cut: Iterator[Piece], today: int) -> Iterator[Piece]:
    """Join neighbours of one grain of cells; events, and the day that still runs, stay apart."""
    held: Piece | None = None
    for piece in cut:
        if held and held.grain == piece.grain != EVENTS and piece.since != today:
            held = Piece(held.grain, held.since, piece.until)
            continue
        if held:
            yield held
        held = piece
    if held:
        yield held


def _next_month(second: int) -> int:
    at = datetime.fromtimestamp(second, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Span:
    """A named stretch of time, `since` ≤ t < `until` in microseconds."""

    key: str
    since: int
    until: int


def local_days(since: int, until: int, zone: ZoneInfo) -> Iterator[Span]:
    """The civil days of a zone that a window touches, each cut to the window."""
    if until <= since:  # the last day of the calendar has no following one
        return
    day = moment(since).astimezone(zone).date()
    while True:
        following = day + timedelta(days=1)
        start = micros(datetime(day.year, day.month, day.day, tzinfo=zone))
        end = micros(datetime(following.year, following.month, following.day, tzinfo=zone))
        if start >= until:
            return
        if end > since:
            yield Span(day.isoformat(), max(start, since), min(end, until))
        day = following


def hours(since: int, until: int) -> Iterator[Span]:
    """The UTC hours that a window touches, each cut to the window."""
    step = HOUR_S * MICROS
    for start in range(since // step * step, until, step):
        key = moment(start).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Span(key, max(start, since), min(start + step, until))
