"""Find the stretches of time that a question names, as seen from the moment it is asked."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Span = tuple[datetime, datetime]
"""From, and before which."""

DAY = timedelta(days=1)
LONGEST_REACH = 150
"""Years that `ago` and the like may reach back; farther is not a time that anything was said."""

_MONTHS = (
    "january february march april may june july august september october november december".split()
)
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS = {
    word: number
    for number, word in enumerate("one two three four five six seven eight nine ten".split(), 1)
} | {"a": 1, "an": 1, "couple": 2, "few": 3, "several": 4}
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}

_MONTH = r"(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]}|t)?" for name in _MONTHS) + r")\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_COUNT = r"(?P<count>\d{1,4}|" + "|".join(_NUMBERS) + r")(?: of)?"
_UNIT = r"(?P<unit>day|week|month|year)"
_PATTERNS = tuple(
    re.compile(rf"\b{pattern}\b")
    for pattern in (
        r"(?P<year>(?:19|20)\d\d)-(?P<number>[01]\d)-(?P<day>[0-3]\d)",
        rf"{_DAY}(?: of)? {_MONTH},? {_YEAR}",
        rf"{_MONTH} {_DAY},? {_YEAR}",
        rf"{_MONTH},?(?: of)? {_YEAR}",
        rf"{_DAY}(?: of)? {_MONTH}",
        rf"{_MONTH} {_DAY}",
        rf"(?:in|on|since|during|by|until|before|after|of|last|this|early|late|mid) {_MONTH}",
        rf"(?P<season>spring|summer|autumn|fall|winter),?(?: of)? {_YEAR}",
        r"(?P<which>last|this) (?P<season>spring|summer|autumn|fall|winter)",
        rf"{_COUNT} {_UNIT}s? (?P<ago>ago|back|before)",
        rf"(?:last|past|previous) {_COUNT} {_UNIT}s?",
        r"(?P<which>last|past|previous|this|current) (?P<unit>week|month|year)",
        r"(?P<which>last|this|on) (?P<weekday>" + "|".join(_WEEKDAYS) + ")",
        r"(?P<near>yesterday|today|tonight|last night|this morning)",
        rf"{_YEAR}",
    )
)

_ANY = re.compile(
    "[0-9]|today|tonight|last|this|"
    + "|".join((*(name[:3] for name in _MONTHS), *_SEASONS, *_UNIT_DAYS))
)
"""What stands in every text that names a time: most name none."""


@lru_cache(maxsize=64)
def named(text: str, as_of: datetime) -> tuple[tuple[Span, ...], str]:
    """The stretches of time that a text names, in UTC, and what else it says, in lower case.

    Without a year the latest one that has begun by `as_of` is meant.
    """
    spans: list[Span] = []
    rest = text.lower()
    for pattern in _PATTERNS if _ANY.search(rest) else ():
        if pattern.search(rest):
            for match in pattern.finditer(rest):
                spans.extend(_meant(match.groupdict(), as_of))
            rest = pattern.sub(" # ", rest)
    return tuple(dict.fromkeys(spans)), rest


def _meant(named: dict[str, str | None], as_of: datetime) -> Iterator[Span]:
    try:
        moment = as_of.astimezone(UTC)
        today = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        yield _span(named, today)
    except (ValueError, OverflowError):  # 31 February, and before the first year
        return


def _span(named: dict[str, str | None], today: datetime) -> Span:
    year = int(named.get("year") or 0) or None
    if named.get("month") or named.get("number"):
        return _in_month(named, year, today)
    if season := named.get("season"):
        return _in_season(season, year, today, last=named.get("which") == "last")
    if year is not None:
        return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    if weekday := named.get("weekday"):
        back = (today.weekday() - _WEEKDAYS.index(weekday)) % 7 or 7
        return today - back * DAY, today - (back - 1) * DAY
    if near := named.get("near"):
        back = 1 if near in ("yesterday", "last night") else 0
        return today - back * DAY, today + (1 - back) * DAY
    unit = named["unit"] or "day"
    if count := named.get("count"):
        days = _UNIT_DAYS[unit] * (_NUMBERS.get(count) or int(count))
        if days > LONGEST_REACH * _UNIT_DAYS["year"]:
            raise ValueError(days)
        if named.get("ago"):
            around = days // 8 + _UNIT_DAYS[unit] // 2
            return today - (days + around) * DAY, today - (days - around - 1) * DAY
        return today - days * DAY, today + DAY
    return _current(unit, today, last=named.get("which") not in ("this", "current"))


def _in_month(named: dict[str, str | None], year: int | None, today: datetime) -> Span:
    name = named.get("month")
    month = _month_number(name) if name else int(named["number"] or 0)
    day = int(named.get("day") or 0) or None
    first = datetime(year or today.year, month, day or 1, tzinfo=UTC)
    if year is None and first > today:
        first = first.replace(year=today.year - 1)
    return first, first + DAY if day else _next_month(first)


def _month_number(name: str) -> int:
    return next(at for at, full in enumerate(_MONTHS, 1) if full.startswith(name[:3]))


def _next_month(moment: datetime) -> datetime:
    return (moment.replace(day=1) + 32 * DAY).replace(day=1)


def _in_season(season: str, year: int | None, today: datetime, *, last: bool) -> Span:
    first = datetime(year or today.year, _SEASONS[season], 1, tzinfo=UTC)
    if year is None and (first > today or (last and first + 92 * DAY > today)):
        first = first.replace(year=today.year - 1)
    return first, first + 92 * DAY


def _current(unit: str, today: datetime, *, last: bool) -> Span:
    if unit == "week":
        first = today - today.weekday() * DAY
        return (first - 7 * DAY, first) if last else (first, first + 7 * DAY)
    if unit == "month":
        first = today.replace(day=1)
        before = (first - DAY).replace(day=1)
        return (before, first) if last else (first, _next_month(first))
    first = today.replace(month=1, day=1)
    if last:
        return first.replace(year=first.year - 1), first
    return first, first.replace(year=first.year + 1)
