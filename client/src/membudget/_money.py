"""Count dollars exactly, and get along with the floats that users write."""

from decimal import Decimal
from typing import Any

Amount = Decimal | float | int | str
"""Dollars as a caller may write them; floats are taken as they are printed: 0.1 is a tenth."""


def exact(amount: Amount) -> Decimal:
    """The amount as a Decimal. Errors: ValueError for what is no finite number."""
    try:
        found = Decimal(str(amount))
    except ArithmeticError:
        raise ValueError(f"{amount!r} is no amount of dollars") from None
    if not found.is_finite():
        raise ValueError(f"{amount!r} is no amount of dollars")
    return found


def _operand(other: Any) -> Any:
    return Decimal(repr(other)) if isinstance(other, float) else other


class Usd(Decimal):
    """Dollars: a Decimal that may be added to and divided by floats; the result is exact again.

    Floats count as they are printed here, in comparisons too: `Usd("0.1") == 0.1` (their hashes
    differ, so do not mix both as keys). What has no price is `Usd("NaN")`, and so is every sum that
    holds it: never free, and neither more nor less than any other amount.
    """

    @property
    def is_unpriced(self) -> bool:
        """Whether a price was missing."""
        return self.is_nan()

    def __add__(self, other: Any) -> "Usd":
        return self._made(Decimal.__add__(self, _operand(other)))

    def __sub__(self, other: Any) -> "Usd":
        return self._made(Decimal.__sub__(self, _operand(other)))

    def __rsub__(self, other: Any) -> "Usd":
        return self._made(Decimal.__rsub__(self, _operand(other)))

    def __mul__(self, other: Any) -> "Usd":
        return self._made(Decimal.__mul__(self, _operand(other)))

    def __truediv__(self, other: Any) -> "Usd":
        return self._made(Decimal.__truediv__(self, _operand(other)))

    def __rtruediv__(self, other: Any) -> "Usd":
        return self._made(Decimal.__rtruediv__(self, _operand(other)))

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: Any) -> bool:
        return not self._is_beyond_comparing(other) and Decimal.__lt__(self, _operand(other))

    def __le__(self, other: Any) -> bool:
        return not self._is_beyond_comparing(other) and Decimal.__le__(self, _operand(other))

    def __gt__(self, other: Any) -> bool:
        return not self._is_beyond_comparing(other) and Decimal.__gt__(self, _operand(other))

    def __ge__(self, other: Any) -> bool:
        return not self._is_beyond_comparing(other) and Decimal.__ge__(self, _operand(other))

    __hash__ = Decimal.__hash__

    def __eq__(self, other: object) -> bool:
        return Decimal.__eq__(self, _operand(other))

    def __repr__(self) -> str:
        return "Usd(unpriced)" if self.is_nan() else f"Usd('{self}')"

    def _is_beyond_comparing(self, other: Any) -> bool:
        return bool(self.is_nan() or other != other)

    def _made(self, answered: Any) -> "Usd":
        return Usd(answered) if isinstance(answered, Decimal) else NotImplemented


UNPRICED = Usd("NaN")
"""The cost of a call to a model whose price is not known."""
