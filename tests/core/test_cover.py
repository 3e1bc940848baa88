"""Cells that are added and taken away come to the hours of a window, and are few."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.core.cover import Patch, cover
from app.core.usage import DAY, HOUR, MONTH
from app.core.windows import HOUR_S, MICROS, micros, pieces

HOUR_US = HOUR_S * MICROS
START = micros(datetime(2027, 11, 20, tzinfo=UTC))
"""Before a leap February."""

windows = st.tuples(st.integers(0, 24 * 140), st.integers(0, 24 * 140)).map(
    lambda hours: tuple(START + hour * HOUR_US for hour in sorted(hours))
)


def counted(patches: list[Patch]) -> Counter[int]:
    """How often each hour is counted, those that are counted at all."""
    found: Counter[int] = Counter()
    for patch in patches:
        for hour in range(patch.since, patch.until, HOUR_S):
            found[hour] += patch.sign
    return Counter({hour: count for hour, count in found.items() if count})


def hours_of(window: tuple[int, int]) -> Counter[int]:
    return Counter(range(window[0] // MICROS, window[1] // MICROS, HOUR_S))


def at(month: int, day: int, hour: int = 0, year: int = 2026) -> int:
    return micros(datetime(year, month, day, hour, tzinfo=UTC))


def rows(patches: list[Patch]) -> int:
    """Rows for each name; joined months do not occur in a window of 30 days."""
    step = {HOUR: HOUR_S, DAY: 24 * HOUR_S, MONTH: 32 * 24 * HOUR_S}
    return sum(-(-(patch.until - patch.since) // step[patch.grain]) for patch in patches)


@given(windows)
def test_each_hour_of_the_window_is_counted_once_and_no_other(window: tuple[int, int]) -> None:
    assert counted(cover(*window)) == hours_of(window)


@given(windows)
def test_where_nothing_comes_after_it_only_hours_before_its_end_matter(
    window: tuple[int, int],
) -> None:
    found = counted(cover(*window, is_last=True))
    assert {hour: n for hour, n in found.items() if hour < window[1] // MICROS} == hours_of(window)


@given(windows)
def test_rows_begin_and_end_where_their_grain_does(window: tuple[int, int]) -> None:
    for patch in cover(*window):
        for edge in (patch.since, patch.until):
            moment = datetime.fromtimestamp(edge, UTC)
            assert (moment.minute, moment.second) == (0, 0)
            assert patch.grain == HOUR or moment.hour == 0
            assert patch.grain != MONTH or moment.day == 1


@given(windows)
def test_it_takes_no_more_rows_than_pieces_do(window: tuple[int, int]) -> None:
    plain = [
        Patch(sign=1, grain=one.grain, since=one.since // MICROS, until=one.until // MICROS)
        for one in pieces(*window, now=window[1])
    ]
    assert rows(cover(*window)) <= rows(plain)


def test_the_month_before_the_first_at_seven_is_its_month_and_some_hours() -> None:
    window = at(11, 1, 7), at(12, 1, 7)
    assert [(one.sign, one.grain) for one in cover(*window)] == [
        (1, MONTH),
        (-1, HOUR),
        (1, HOUR),
    ]
    assert rows(cover(*window)) == 15


def test_an_empty_window_takes_nothing() -> None:
    assert cover(START, START) == cover(START, START, is_last=True) == []
