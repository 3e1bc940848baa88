"""Laws of cutting time: pieces and spans cover a window exactly, each at the grain it says."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.usage import DAY, HOUR, MONTH, day_start, month_start
from app.core.windows import (
    EVENTS,
    MICROS,
    Piece,
    Span,
    hours,
    local_days,
    micros,
    moment,
    pieces,
)

FIRST = micros(datetime(2025, 9, 1, tzinfo=UTC))
LAST = micros(datetime(2026, 12, 1, tzinfo=UTC))
HOUR_US = 3_600 * MICROS
ZONES = ("UTC", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe", "America/Havana")

moments = st.one_of(
    st.integers(FIRST, LAST),
    st.integers(FIRST // MICROS, LAST // MICROS).map(lambda second: second * MICROS),
    st.integers(FIRST // HOUR_US, LAST // HOUR_US).map(lambda hour: hour * HOUR_US),
    st.dates(date(2025, 9, 1), date(2026, 12, 1)).map(
        lambda day: micros(datetime(day.year, day.month, day.day, tzinfo=UTC))
    ),
    st.integers(9, 24).map(
        lambda month: micros(datetime(2025 + month // 13, (month - 1) % 12 + 1, 1, tzinfo=UTC))
    ),
)
windows = st.tuples(moments, moments).map(lambda both: (min(both), max(both)))
short_windows = st.tuples(moments, st.integers(1, 40 * 24 * HOUR_US)).map(
    lambda both: (both[0], both[0] + both[1])
)


def assert_covers(cut: Sequence[Piece] | Sequence[Span], since: int, until: int) -> None:
    assert cut[0].since == since
    assert cut[-1].until == until
    assert all(one.since < one.until for one in cut)
    assert [one.until for one in cut[:-1]] == [one.since for one in cut[1:]]


def is_aligned(second: int, grain: int) -> bool:
    start = {HOUR: second // 3_600 * 3_600, DAY: day_start(second), MONTH: month_start(second)}
    return start[grain] == second


@given(window=windows, now=moments)
def test_pieces_cover_a_window_without_gap_or_overlap(window: tuple[int, int], now: int) -> None:
    since, until = window
    cut = pieces(since, until, now=now)

    if since == until:
        assert cut == []
    else:
        assert_covers(cut, since, until)


@given(window=windows, now=moments)
def test_a_window_after_which_nothing_is_takes_its_last_day_whole(
    window: tuple[int, int], now: int
) -> None:
    since, until = window
    cut = pieces(since, until, now=now, is_last=True)

    if since == until:
        assert cut == []
        return
    midnight = moment(until - 1).replace(hour=0, minute=0, second=0, microsecond=0)
    assert_covers(cut, since, micros(midnight + timedelta(days=1)))
    assert sum(piece.grain == EVENTS for piece in cut) <= 2


@given(window=windows, now=moments)
def test_pieces_of_cells_start_and_end_with_their_grain(window: tuple[int, int], now: int) -> None:
    for piece in pieces(*window, now=now):
        if piece.grain == EVENTS:
            assert piece.until - piece.since <= HOUR_US
            continue
        for edge in (piece.since, piece.until):
            assert edge % MICROS == 0
            assert is_aligned(edge // MICROS, piece.grain)


@given(window=windows)
def test_few_pieces_are_read_from_events(window: tuple[int, int]) -> None:
    cut = pieces(*window, now=LAST + 1)

    assert sum(piece.grain == EVENTS for piece in cut) <= 4
    assert len(cut) <= 4 + 3 * 4


@given(at=moments)
def test_moments_survive_their_microseconds(at: int) -> None:
    assert micros(moment(at)) == at
    assert moment(at).tzinfo is UTC


def test_microseconds_are_those_of_utc_whatever_the_zone() -> None:
    local = datetime(2026, 3, 14, 20, 54, 26, 1, tzinfo=ZoneInfo("Asia/Kathmandu"))

    assert moment(micros(local)) == local


@pytest.mark.parametrize("zone", ZONES)
@given(window=short_windows)
def test_local_days_cover_a_window_and_are_civil_days(zone: str, window: tuple[int, int]) -> None:
    since, until = window
    days = list(local_days(since, until, ZoneInfo(zone)))

    assert_covers(days, since, until)
    for day in days:
        first = moment(day.since).astimezone(ZoneInfo(zone))
        last = moment(day.until - 1).astimezone(ZoneInfo(zone))
        assert first.date().isoformat() == last.date().isoformat() == day.key
    assert len({day.key for day in days}) == len(days)


@pytest.mark.parametrize(
    ("zone", "day_of_year", "hours_long"),
    [
        ("UTC", "2026-03-08", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kathmandu", "2026-03-08", 24),
    ],
)
def test_a_local_day_is_as_long_as_its_clocks_say(
    zone: str, day_of_year: str, hours_long: float
) -> None:
    noon = micros(datetime.fromisoformat(f"{day_of_year}T12:00").replace(tzinfo=ZoneInfo(zone)))
    around = local_days(noon - 48 * HOUR_US, noon + 48 * HOUR_US, ZoneInfo(zone))

    (day,) = (span for span in around if span.key == day_of_year)

    assert (day.until - day.since) / HOUR_US == hours_long


@given(window=short_windows)
def test_hours_cover_a_window_and_are_utc_hours(window: tuple[int, int]) -> None:
    since, until = window
    cut = list(hours(since, until))

    assert_covers(cut, since, until)
    for span in cut:
        start = micros(datetime.fromisoformat(span.key))
        assert start % HOUR_US == 0
        assert start <= span.since < span.until <= start + HOUR_US
    assert len({span.key for span in cut}) == len(cut)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_window_without_time_touches_no_day_even_at_the_end_of_the_calendar(zone: str) -> None:
    last = micros(datetime(9999, 12, 31, tzinfo=UTC))
    assert list(local_days(last, last, ZoneInfo(zone))) == []
    assert list(local_days(last, 0, ZoneInfo(zone))) == []
