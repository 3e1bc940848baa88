"""Read amounts of money and shares that come as a number or a text."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

from pydantic import BeforeValidator

NANO = Decimal("1e-9")
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def is_plain(text: str) -> bool:
    """Whether a text is a decimal in ASCII; Python reads other digits, blanks and `_` as well."""
    return _PLAIN.fullmatch(text) is not None


def _plain(given: object) -> object:
    if isinstance(given, str) and not is_plain(given):
        raise ValueError("write a decimal number in plain digits, such as 12.50")
    return given


PLAIN = BeforeValidator(_plain)
"""Of fields that take a text for a number."""


def to_nano(usd: Decimal) -> Decimal:
    """Rounded to the nano-dollars that are booked: sums of floats have no end otherwise."""
    return usd.quantize(NANO, rounding=ROUND_HALF_EVEN)


def amount_of(given: float | str) -> Decimal | None:
    """What reads as a number, be it none that can be spent; None: a name."""
    try:
        return Decimal(str(given))
    except ArithmeticError:
        return None
