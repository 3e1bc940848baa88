"""Stand in for RE2 where it is not installed, with Python's own expressions.

Only patterns that ship are looked for that way: those of users could take for ever, and are
refused with the words that say what to install.
"""

import re
from collections.abc import Iterator
from typing import Any

MISSING = "signals of your own take RE2, which is not installed: pip install 'membudget[detect]'"


class error(Exception):
    """A pattern that cannot be used."""


class Missing(ImportError):
    """RE2 is needed; of a pattern nothing is said."""


class Options:
    """What RE2 takes; only the letters' case is heeded."""

    case_sensitive = True
    never_capture = False
    log_errors = True
    max_mem: int | None = None


class Expression:
    """A compiled pattern over UTF-8."""

    def __init__(self, pattern: str, options: Options) -> None:
        if options.max_mem is not None:  # only users' patterns are held to a limit
            raise Missing(MISSING)
        flags = 0 if options.case_sensitive else re.IGNORECASE
        try:
            self._compiled = re.compile(pattern.encode(), flags)
        except re.error as fault:
            raise error(str(fault)) from fault
        self.programsize = 1

    def finditer(self, data: bytes) -> Iterator["re.Match[bytes]"]:
        """Matches from the left, not overlapping."""
        return self._compiled.finditer(data)


class Set:
    """Says which of several patterns a text has."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._expressions: list[Expression] = []

    @classmethod
    def SearchSet(cls, options: Options) -> "Set":
        """A set of patterns that may match anywhere."""
        return cls(options)

    def Add(self, pattern: str) -> int:
        """Add a pattern; answers its index."""
        self._expressions.append(Expression(pattern, self._options))
        return len(self._expressions) - 1

    def Compile(self) -> None:
        """Nothing is left to be done."""

    def Match(self, data: bytes) -> list[int]:
        """Indexes of the patterns that match somewhere."""
        found = enumerate(self._expressions)
        return [at for at, one in found if next(one.finditer(data), None) is not None]


def compile(pattern: str, options: Any) -> Expression:
    """A pattern, compiled. Errors: error."""
    return Expression(pattern, options)
