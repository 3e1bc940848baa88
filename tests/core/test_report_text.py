"""Values of a report are written as people read them, whatever they are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.report_text import LONGEST_TEXT, brief, clipped, day, interval, shown, visible
from tests.core.report_samples import HOSTILE, NOON, figure

UNITS = "text count tokens percent usd seconds score date figure prose".split()
anything = st.none() | st.text() | st.integers() | st.floats()


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (1234567, "tokens", "1,234,567"),
        (1234.5678, "tokens", "1,235"),
        (0, "count", "0"),
        (-0.4, "count", "0"),
        (84.25, "percent", "84.2\u00a0%"),
        (0, "percent", "0.0\u00a0%"),
        (0.1, "percent", "0.1\u00a0%"),
        (0.04, "percent", "0.04\u00a0%"),
        (-0.04, "percent", "-0.04\u00a0%"),
        (-0.004, "percent", "0.00\u00a0%"),
        ("1234.5", "usd", "$1,234.50"),
        ("0.00012", "usd", "$0.0001"),
        ("-3", "usd", "-$3.00"),
        ("0", "usd", "$0.00"),
        (19.349, "seconds", "19.3\u00a0s"),
        (600, "seconds", "10.0\u00a0min"),
        (9000, "seconds", "2.5\u00a0h"),
        (0.666, "score", "0.67"),
        ("2026-11-21", "date", "21 Nov 2026"),
        ("2026-11-21T05:00:00+00:00", "date", "21 Nov 2026, 05:00 UTC"),
        ("2026-11-21T00:00:00+00:00", "date", "21 Nov 2026"),
        ("soon", "date", "soon"),
        (None, "tokens", "–"),
        ("", "text", "–"),
        (float("nan"), "percent", "–"),
        (float("inf"), "tokens", "–"),
        ("a\n b", "text", "a b"),
        ("x" * 81, "text", "x" * 79 + "…"),
        ("x" * 81, "prose", "x" * 81),
    ],
)
def test_a_value_is_written_in_its_unit(value: Any, unit: Any, written: str) -> None:
    assert shown(value, unit) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (9_999_999, "9,999,999"),
        (17_684_014, "17.7\u00a0M"),
        (10**9, "1,000.0\u00a0M"),
        (10**10, "10.0\u00a0G"),
        (-12_000_000, "-12.0\u00a0M"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_large_numbers_are_short_where_there_is_little_space(value: Any, written: str) -> None:
    assert brief(value, "tokens") == written


@given(anything, st.sampled_from(UNITS))
def test_anything_can_be_written(value: Any, unit: Any) -> None:
    assert shown(value, unit)
    assert brief(value, unit)


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_name_is_one_line_of_bounded_length_that_turns_nothing_around(name: str) -> None:
    written = clipped(name)
    assert len(written) <= LONGEST_TEXT
    assert len(written.splitlines()) <= 1
    assert not set(written) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f\x00")
    assert visible(written) == written


def test_an_interval_is_said_only_where_both_ends_are_known() -> None:
    known = figure(value=3.0, unit="percent", low=1.0, high=5.5)
    assert interval(known) == "95\u00a0%: 1.0\u00a0% to 5.5\u00a0%"
    assert interval(figure(low=1.0)) == ""


def test_a_moment_has_its_time_unless_it_is_midnight() -> None:
    assert day(NOON) == "21 Nov 2026, 12:00 UTC"
    assert day(NOON - 43_200_000_000) == "21 Nov 2026"
