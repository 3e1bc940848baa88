"""Dates and stretches of time that a question names."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.dates import named

NOW = datetime(2023, 10, 23, 10, 30, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("in May 2023", "2023-05-01", "2023-06-01"),
        ("on 7 May", "2023-05-07", "2023-05-08"),
        ("on the 7th of May, 2021", "2021-05-07", "2021-05-08"),
        ("October 13, 2023", "2023-10-13", "2023-10-14"),
        ("2023-05-07", "2023-05-07", "2023-05-08"),
        ("in December", "2022-12-01", "2023-01-01"),
        ("in 2022", "2022-01-01", "2023-01-01"),
        ("yesterday", "2023-10-22", "2023-10-23"),
        ("last week", "2023-10-16", "2023-10-23"),
        ("this month", "2023-10-01", "2023-11-01"),
        ("last month", "2023-09-01", "2023-10-01"),
        ("last year", "2022-01-01", "2023-01-01"),
        ("last Friday", "2023-10-20", "2023-10-21"),
        ("last summer", "2023-06-01", "2023-09-01"),
        ("the summer of 2021", "2021-06-01", "2021-09-01"),
        ("the past 3 months", "2023-07-25", "2023-10-24"),
    ],
)
def test_a_named_time_is_a_stretch_of_days(text: str, start: str, end: str) -> None:
    spans, rest = named(f"What happened {text}?", NOW)
    assert [tuple(moment.date().isoformat() for moment in span) for span in spans] == [(start, end)]
    assert not any(character.isdigit() for character in rest)
    assert "what happened" in rest


@pytest.mark.parametrize("text", ["may she go", "31 February 2022", "99999 years ago", "march on"])
def test_what_is_no_time_names_none(text: str) -> None:
    assert named(text, NOW)[0] == ()


def test_time_ago_is_meant_roughly() -> None:
    ((start, end),) = named("two months ago", NOW)[0]
    assert start < NOW - timedelta(days=60) < end


def test_as_of_counts_in_utc() -> None:
    late = datetime(2023, 10, 23, 1, tzinfo=timezone(timedelta(hours=5)))
    assert named("today", late) == named("today", datetime(2023, 10, 22, 12, tzinfo=UTC))


@given(
    text=st.text()
    | st.lists(
        st.sampled_from(
            "last this past 3 99999 1 31 May Feb. week years ago in 2023 1900 0".split()
        )
    ).map(" ".join),
    as_of=st.datetimes(timezones=st.just(UTC)),
)
def test_any_text_at_any_time_gives_stretches_that_end_after_they_start(
    text: str, as_of: datetime
) -> None:
    spans, _ = named(text, as_of)
    assert all(start < end for start, end in spans)
