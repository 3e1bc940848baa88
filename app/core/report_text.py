"""Write values of a report as people read them: one way for every way of drawing."""

import math
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation

from app.core.reports import Figure, Shown, Unit
from app.core.windows import moment

NOTHING = "–"
LONGEST_TEXT = 80
"""Characters of a name that are shown; programs get all of it."""

BRIEF_FROM = 10
"""Millions from which a number is not written out where there is little space."""

NUMBERS = frozenset({"count", "tokens", "percent", "usd", "seconds", "score", "figure"})
"""Units whose values stand to the right of their column."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_GAP = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")
_SPACE = "\N{NO-BREAK SPACE}"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_LARGE = (("T", 10**12), ("G", 10**9), ("M", 10**6))
_MINUTE, _HOUR = 60, 3_600
_SMALL = 0.1
"""Per cent: below, a second digit is shown, so that something does not look like nothing."""


def shown(value: Shown, unit: Unit) -> str:
    """A value in its unit: `12,345`, `84.2 %`, `$1.50`, `21 Nov 2026`; `–` for nothing."""
    if value is None or value == "":
        return NOTHING
    if unit == "date":
        return _date(str(value)) or NOTHING
    if unit == "usd":
        return _usd(str(value)) or NOTHING
    if unit == "prose":
        return visible(str(value)).strip() or NOTHING
    if unit == "text" or isinstance(value, str):
        return clipped(str(value)) or NOTHING
    if not math.isfinite(value):
        return NOTHING
    return _number(value, unit)


def brief(value: Shown, unit: Unit) -> str:
    """A value in a small space: large numbers in millions and more."""
    if unit in ("count", "tokens") and isinstance(value, int | float):
        for name, size in _LARGE:
            if math.isfinite(value) and abs(value) >= size * BRIEF_FROM:
                return f"{value / size:,.1f}{_SPACE}{name}"
    return shown(value, unit)


def axis(value: float, unit: Unit) -> str:
    """A value beside a bar: as `shown`, amounts of money and tokens without their fractions."""
    return shown(round(value) if unit in ("count", "tokens") else value, unit)


def interval(figure: Figure) -> str:
    """The interval of a figure in words, or nothing."""
    if figure.low is None or figure.high is None:
        return ""
    low, high = (shown(bound, figure.unit) for bound in (figure.low, figure.high))
    return f"95{_SPACE}%: {low} to {high}"


def clipped(text: str) -> str:
    """A name on one line, cut where it is too long to be read."""
    line = _GAP.sub(" ", visible(text)).strip()
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def visible(text: str) -> str:
    """A text without controls, and without marks that turn the direction of what is around them."""
    return _INVISIBLE.sub("", text)


def day(at: int) -> str:
    """The UTC day of a moment in microseconds, and its time where it is not midnight."""
    return _date(moment(at).isoformat())


def _number(value: float, unit: Unit) -> str:
    if unit == "percent":
        return f"{_signless(value, 2 if 0 < abs(value) < _SMALL else 1)}{_SPACE}%"
    if unit == "seconds":
        return _duration(value)
    if unit == "score":
        return _signless(value, 2)
    return _signless(value, 0)


def _signless(value: float, digits: int) -> str:
    """Rounded, with thousands separated; what rounds to nothing has no sign."""
    rounded = round(value, digits)
    return f"{rounded + 0.0 if rounded else 0:,.{digits}f}"


def _duration(seconds: float) -> str:
    if abs(seconds) < _MINUTE * 2:
        return f"{_signless(seconds, 1)}{_SPACE}s"
    if abs(seconds) < _HOUR * 2:
        return f"{_signless(seconds / _MINUTE, 1)}{_SPACE}min"
    return f"{_signless(seconds / _HOUR, 1)}{_SPACE}h"


def _usd(text: str) -> str:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return clipped(text)
    if not amount.is_finite():
        return NOTHING
    sign = "-" if amount < 0 else ""
    digits = 2 if abs(amount) >= 1 or not amount else 4
    return f"{sign}${abs(amount):,.{digits}f}"


def _date(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return clipped(text)
    date = f"{at.day} {_MONTHS[at.month - 1]} {at.year}"
    if len(text) <= len("2026-11-21") or (at.hour, at.minute) == (0, 0):
        return date
    return f"{date}, {at:%H:%M}{' UTC' if at.utcoffset() is not None else ''}"
