"""Find many patterns in a text in linear time, whoever wrote the patterns."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any, Self

import re2

from app.core.errors import InvalidPattern
from app.core.values import value

TIERS_WITH_SIGNALS = ("simple", "complex", "multi-system", "simplicity", "complexity")

MAX_USER_SIGNALS = 200  # ours: more than a table that somebody still reads
MAX_PATTERN_CHARACTERS = 1_000  # ours
MAX_USER_MEMORY = 64 * 1024  # design: RE2's default let a hostile pattern compile for 77 s
MAX_USER_PROGRAM = 20_000  # ours: RE2 instructions of all user patterns together
USER_WORK = 20_000_000  # ours: instructions by bytes that user patterns cost; 0.6 s at worst
MAX_OCCURRENCES = 200  # ours: far past what settles a verdict; bounds the time of long texts
SHORT = 1_000  # ours: bytes of a text that Python's own engine reads in no time, too
MAX_MATCHED_CHARACTERS = 80  # ours: what an answer quotes of the text


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSpec:
    """One signal as it stands in the shipped table or in a configuration."""

    tier: str
    """A task tier, or `simplicity` or `complexity` for a booster."""
    name: str
    pattern: str
    """RE2 syntax; upper and lower case are the same."""
    weight: Decimal | None = None
    """Per occurrence (a booster's: once); None takes the weight of the tier."""
    distinct: bool = False
    """Counts once, and only when two different things match."""
    shipped: bool = False
    """Written by us: not held to the limits of users' patterns."""


@value
class Found:
    """A signal that a text has, and its first occurrence."""

    spec: SignalSpec
    matched: str
    count: int
    words: tuple[str, ...] = ()
    """Of a `distinct` signal: every match, so that the caller can tell spellings apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patterns:
    """Compiled signals: one set that sees which are there, one expression each that counts."""

    specs: tuple[SignalSpec, ...]
    expressions: tuple[Any, ...]
    quick: tuple[re.Pattern[bytes], ...]
    """The same expressions for `re`, of shipped signals: short texts take it half of the time. What
    users wrote is for RE2 alone."""
    every: Any
    program: int
    """RE2 instructions of all of them: the work of one byte at the very worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalTable:
    """Signals ready to be looked for; immutable, and shared between threads."""

    specs: tuple[SignalSpec, ...]
    shipped: _Patterns
    added: _Patterns

    @classmethod
    def compile(cls, specs: Iterable[SignalSpec]) -> Self:
        """Compile exactly these; those that users wrote are held to the limits above."""
        specs = tuple(specs)
        added = tuple(spec for spec in specs if not spec.shipped)
        if len(added) > MAX_USER_SIGNALS:
            raise InvalidPattern(f"Configure at most {MAX_USER_SIGNALS} signals of your own.")
        for spec in added:
            _check(spec)

        return cls(
            specs=specs,
            shipped=_compile(tuple(spec for spec in specs if spec.shipped)),
            added=_compile(added, memory=MAX_USER_MEMORY),
        )

    def find(self, text: str) -> tuple[Found, ...]:
        """Say which signals the text has and how often, shipped ones first.

        Occurrences count up to `MAX_OCCURRENCES`. Patterns that users wrote read as much of the
        beginning of a text, and count as often, as `USER_WORK` pays for: ten plain patterns read
        100,000 characters, two hundred 5,000; and none can stall the service.
        """
        data = text.encode("utf-8", "replace")
        return (*_find_shipped(self.shipped, data), *_find_added(self.added, data))

    def find_added(self, text: str) -> tuple[Found, ...]:
        """Say which of the users' own signals the text has and how often."""
        if not self.added.specs:
            return ()
        return tuple(_find_added(self.added, text.encode("utf-8", "replace")))


def _find_shipped(patterns: _Patterns, data: bytes) -> Iterator[Found]:
    ascii_only = data.isascii()
    if ascii_only and len(data) <= SHORT and b"\v" not in data:  # a blank for `re` alone
        for index in _present(patterns, data):
            found = patterns.quick[index].finditer(data)
            spans = [match.span() for match in islice(found, MAX_OCCURRENCES)]
            if spans:
                yield _found(patterns.specs[index], data, spans)
        return
    for index in _present(patterns, data):
        spec = patterns.specs[index]
        matches = islice(patterns.expressions[index].finditer(data), MAX_OCCURRENCES)
        spans = [match.span() for match in matches]
        if not ascii_only:
            spans = [span for span in spans if _is_whole(data, *span)]
        if spans:
            yield _found(spec, data, spans)


def _find_added(patterns: _Patterns, data: bytes) -> Iterator[Found]:
    if not patterns.specs:
        return
    head = data[: USER_WORK // patterns.program]
    present = _present(patterns, head)
    work = sum(patterns.expressions[index].programsize for index in present) * len(head)
    limit = max(1, min(MAX_OCCURRENCES, USER_WORK // max(1, work)))
    for index in present:
        matches = islice(patterns.expressions[index].finditer(head), limit)
        spans = [(start, end) for start, end in (match.span() for match in matches) if end > start]
        if spans:
            yield _found(patterns.specs[index], head, spans)


def _found(spec: SignalSpec, data: bytes, spans: list[tuple[int, int]]) -> Found:
    words = tuple(_quote(data, *span) for span in spans) if spec.distinct else ()
    matched = words[0] if words else _quote(data, *spans[0])
    return Found(spec=spec, matched=matched, count=len(spans), words=words)


def _present(patterns: _Patterns, data: bytes) -> list[int]:
    return sorted(patterns.every.Match(data) or ()) if patterns.specs else []


def _is_whole(data: bytes, start: int, end: int) -> bool:
    """Words match whole beside accented letters too, which RE2's `\\b` takes for blanks.

    Letters without case (Chinese, say) are written against foreign words, so they may stand there.
    """
    before, after = data[max(0, start - 4) : start], data[end : end + 4]
    if before.isascii() and after.isascii():
        return True
    left = before.decode("utf-8", "ignore")[-1:]
    right = after.decode("utf-8", "ignore")[:1]
    return not any(letter.islower() or letter.isupper() for letter in (left, right))


def _quote(data: bytes, start: int, end: int) -> str:
    end = min(end, start + 4 * MAX_MATCHED_CHARACTERS)
    return data[start:end].decode("utf-8", "replace")[:MAX_MATCHED_CHARACTERS]


def _compile(specs: tuple[SignalSpec, ...], *, memory: int | None = None) -> _Patterns:
    expressions = tuple(_expression(spec, memory) for spec in specs)
    program = sum(expression.programsize for expression in expressions)
    if memory is not None and program > MAX_USER_PROGRAM:
        raise InvalidPattern("The signals' patterns are too large together: shorten some of them.")
    every = re2.Set.SearchSet(_options())
    for spec in specs:
        every.Add(spec.pattern)
    if specs:
        every.Compile()  # has room: RE2's 8 MiB hold several times MAX_USER_PROGRAM
    shipped = (spec.pattern.encode() for spec in specs if spec.shipped)
    return _Patterns(
        specs=specs,
        expressions=expressions,
        quick=tuple(re.compile(pattern, re.IGNORECASE) for pattern in shipped),
        every=every,
        program=program,
    )


def _expression(spec: SignalSpec, memory: int | None) -> Any:
    try:
        expression = re2.compile(spec.pattern, _options(memory))
    except (re2.error, UnicodeEncodeError) as error:
        raise _refused(spec, _explain(error)) from None
    if any(match.start() == match.end() for match in expression.finditer(b" a ")):
        raise _refused(spec, "it matches where nothing stands; let it name at least one character")
    return expression


def _options(memory: int | None = None) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.never_capture = True
    options.log_errors = False
    if memory is not None:
        options.max_mem = memory
    return options


def _check(spec: SignalSpec) -> None:
    if spec.tier not in TIERS_WITH_SIGNALS:
        raise _refused(spec, f"its tier must be one of {', '.join(TIERS_WITH_SIGNALS)}", "tier")
    if len(spec.pattern) > MAX_PATTERN_CHARACTERS:
        raise _refused(spec, f"it must have at most {MAX_PATTERN_CHARACTERS} characters")
    weight = Decimal(0) if spec.weight is None else spec.weight
    if not (weight.is_finite() and 0 <= weight <= 100):
        raise _refused(spec, "its weight must lie between 0 and 100", "weight")


def _explain(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "it holds a lone surrogate, which no text has"
    said = error.args[0] if error.args else b""
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if "too large" in reason or "repetition size" in reason:
        return "it is too large: use smaller repetitions and fewer alternatives"
    return f"it is not RE2 syntax, which has no look-around and no back-references ({reason[:80]})"


def _refused(spec: SignalSpec, reason: str, field: str = "pattern") -> InvalidPattern:
    name = spec.name[:MAX_MATCHED_CHARACTERS]
    return InvalidPattern(
        f"Signal {name!r} cannot be used: {reason}.",
        errors=[{"loc": ["signals", name, field], "msg": reason}],
    )
