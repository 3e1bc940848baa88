"""Check single values of a policy document and note every one that is at fault."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Any

MAX_TOKENS = 10_000_000_000
MAX_TEXT = 2_000
MAX_NAME = 200
MAX_ENTRIES = 20_000
SMALLEST = Decimal("1e-9")
SUM_TOLERANCE = Decimal("0.01")  # spec B5: shares and weights sum to 1 within this

Loc = tuple[str | int, ...]


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults found so far; each check adds its own and says whether the value is good."""

    found: list[dict[str, Any]] = field(default_factory=list)
    missing_features: list[str] = field(default_factory=list)

    def add(self, loc: Loc, message: str) -> bool:
        """Note a fault; always False, so that a check can end with it."""
        self.found.append({"loc": list(loc), "msg": message})
        return False

    def number(
        self,
        loc: Loc,
        value: Any,
        *,
        low: Decimal | int = 0,
        high: Decimal | int,
        above: bool = False,
    ) -> bool:
        """A finite number from `low` to `high`; with `above`, more than `low`."""
        number = _finite(value)
        if number is None:
            return self.add(loc, "must be a number")
        if number < low or (above and number == low):
            return self.add(loc, f"must be {'more than' if above else 'at least'} {low}")
        if number > high:
            return self.add(loc, f"must be at most {high}")
        if 0 < abs(number) < SMALLEST:
            return self.add(loc, f"must be 0 or at least {SMALLEST}")
        return True

    def whole(self, loc: Loc, value: Any, *, low: int = 1, high: int = MAX_TOKENS) -> bool:
        """A whole number from `low` to `high`."""
        number = _finite(value)
        if number is None or number != number.to_integral_value():
            return self.add(loc, "must be a whole number")
        return self.number(loc, value, low=low, high=high)

    def text(self, loc: Loc, value: Any, *, longest: int = MAX_TEXT) -> bool:
        """A text of bounded length."""
        if not isinstance(value, str):
            return self.add(loc, "must be a text")
        if len(value) > longest:
            return self.add(loc, f"must have at most {longest} characters")
        if not _is_printable(value, allowed="\n\t"):
            return self.add(loc, "must not hold control characters")
        return True

    def name(self, loc: Loc, value: Any, *, slashes: int = 0) -> bool:
        """A name of a thing: not blank, on one line, with at most so many slashes."""
        if not isinstance(value, str):
            return self.add(loc, "must be a text")
        if not value.strip() or len(value) > MAX_NAME:
            return self.add(loc, f"a name has 1 to {MAX_NAME} characters")
        if not all(_is_seen(part) for part in value.split("/") if part.strip()):
            return self.add(loc, "a name must hold something that can be seen beside dots")
        if not _is_printable(value):
            return self.add(loc, "a name must not hold control characters")
        if value.count("/") > slashes or not all(part.strip() for part in value.split("/")):
            form = "`type/name` or a bare name" if slashes else 'a name without "/"'
            return self.add(loc, f"must be {form}")
        return True

    def flag(self, loc: Loc, value: Any) -> bool:
        """True or false."""
        return isinstance(value, bool) or self.add(loc, "must be true or false")

    def choice(self, loc: Loc, value: Any, choices: Iterable[str]) -> bool:
        """One of a few words."""
        words = tuple(choices)
        if isinstance(value, str) and value in words:
            return True
        return self.add(loc, "must be one of: " + ", ".join(words))

    def mapping(self, loc: Loc, value: Any, *, keys: Iterable[str] | None = None) -> bool:
        """A mapping with text keys, all of them known if `keys` says which there are."""
        if not isinstance(value, Mapping):
            return self.add(loc, "must be a mapping")
        if len(value) > MAX_ENTRIES:
            return self.add(loc, f"must have at most {MAX_ENTRIES} entries")
        if not all(isinstance(key, str) for key in value):
            return self.add(loc, "every key must be a text")
        if keys is not None:
            known = tuple(keys)
            for key in value:
                if key not in known:
                    self.add((*loc, key[:MAX_NAME]), "unknown key; known are " + ", ".join(known))
        return True

    def texts(self, loc: Loc, value: Any) -> bool:
        """A list of texts."""
        if not isinstance(value, list | tuple) or len(value) > MAX_ENTRIES:
            return self.add(loc, "must be a list of texts")
        checked = [self.text((*loc, at), item) for at, item in enumerate(value)]
        return all(checked)

    def sum_to_one(self, loc: Loc, value: Mapping[str, Any]) -> bool:
        """Good numbers that sum to 1 within the tolerance."""
        total = sum((Decimal(str(share)) for share in value.values()), Decimal(0))
        if abs(total - 1) > SUM_TOLERANCE:
            return self.add(
                loc, f"must sum to 1 (within {SUM_TOLERANCE}); {', '.join(value)} sum to {total}"
            )
        return True


def _finite(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int) and abs(value) > 10**30:
        return Decimal(10**30).copy_sign(Decimal(1 if value > 0 else -1))
    return Decimal(str(value)) if isfinite(value) else None


def _is_seen(text: str) -> bool:
    return any(
        mark != "." and not mark.isspace() and unicodedata.category(mark) != "Cf" for mark in text
    )


def _is_printable(text: str, *, allowed: str = "") -> bool:
    return not any(
        (ord(mark) < 32 and mark not in allowed)
        or (mark in "\u2028\u2029" and "\n" not in allowed)
        or 127 <= ord(mark) < 160
        or 0xD800 <= ord(mark) < 0xE000
        for mark in text
    )
