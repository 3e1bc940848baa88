"""Pack the scopes of one agent and period into bytes that grow by appending.

Joined encodings are the merged scopes, so that a writer never reads before it writes; unpacked and
packed again they take one entry a scope.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import Final

from app.core.statistics import bucket_of, decode, encode
from app.core.usage import Cell

_HEAD = Struct("<BH")
"""What the entry is, and the length of the scope's name in UTF-8, which follows."""

_HEAD_SIZE: Final = _HEAD.size

_ONE = Struct("<BHQQQ")
"""The head of one event's entry with its budget, tokens and used per cent."""

_MANY = Struct("<12qI")
"""The sums of several events, and the length of their sketch, which follows."""


@lru_cache(maxsize=256)
def _many_tokens(head: bytes) -> Struct:
    """Of such an entry the name, the tokens used, with and without a budget, and the length of
    the sketch."""
    _, length = _HEAD.unpack(head)
    return Struct(f"<3x{length}s72xqq8xI")


_SINGLE: Final = 1
_BUDGETED: Final = 2
_RATED: Final = 4
_EXCEEDED: Final = 8
_UNMET: Final = 16
_FAILED: Final = 32
_ALL: Final = 63


def pack(scopes: Iterable[tuple[str, Cell]]) -> bytes:
    """Scopes as bytes, an entry each."""
    return b"".join([pack_one(name, cell) for name, cell in scopes])


def pack_one(name: str, cell: Cell) -> bytes:
    """One scope as bytes."""
    encoded = name.encode()
    if cell.events == 1:
        what = (
            _SINGLE
            | (cell.executions and _BUDGETED)
            | (cell.rated and _RATED)
            | (cell.exceeded and _EXCEEDED)
            | (cell.unmet and _UNMET)
            | (cell.failed and _FAILED)
        )
        tokens = cell.used if cell.executions else cell.unbudgeted
        return _ONE.pack(what, len(encoded), cell.budget, tokens, cell.pct_max or 0) + encoded
    sketch = encode(cell.sketch)
    low, high = cell.pct_min, cell.pct_max
    sums = _MANY.pack(
        cell.events,
        cell.executions,
        cell.rated,
        cell.pct_sum,
        -1 if low is None else low,
        -1 if high is None else high,
        cell.exceeded,
        cell.unmet,
        cell.budget,
        cell.used,
        cell.unbudgeted,
        cell.failed,
        len(sketch),
    )
    return b"".join((_HEAD.pack(0, len(encoded)), encoded, sums, sketch))


def unpack(packed: bytes) -> dict[str, Cell]:
    """The scopes of one encoding or of several joined. Errors: ValueError, if it is none."""
    try:
        return _unpack(packed)
    except StructError as error:
        raise ValueError("packed scopes are cut off") from error


def _unpack(packed: bytes) -> dict[str, Cell]:
    found: dict[bytes, Cell] = {}
    sums: defaultdict[bytes, list[tuple[int, ...]]] = defaultdict(list)
    sketches: defaultdict[bytes, list[bytes]] = defaultdict(list)
    at, end = 0, len(packed)
    while at < end:
        what = packed[at]
        if what > _ALL:
            raise ValueError("packed scopes hold an entry of an unknown kind")
        if what:
            what, length, budget, tokens, pct = _ONE.unpack_from(packed, at)
            at += _ONE.size + length
            name = packed[at - length : at]
        else:
            _, length = _HEAD.unpack_from(packed, at)
            at += _HEAD_SIZE + length
            name = packed[at - length : at]
            *its, size = _MANY.unpack_from(packed, at)
            at += _MANY.size + size
            sums[name].append(tuple(its))
            sketches[name].append(packed[at - size : at])
        if at > end:
            raise ValueError("packed scopes are cut off")
        cell = found.get(name)
        if cell is None:
            cell = found[name] = Cell()
        if what:
            _count(cell, what, budget, tokens, pct)
    for name, parts in sums.items():
        found[name].add(_summed(parts, b"".join(sketches[name])))
    return {name.decode(): cell for name, cell in found.items()}


def unpack_tokens(packed: bytes) -> dict[str, int]:
    """The tokens alone of the scopes of joined encodings, with and without a budget.

    Errors: ValueError, if it is none.
    """
    try:
        return _unpack_tokens(packed)
    except StructError as error:
        raise ValueError("packed scopes are cut off") from error


def _unpack_tokens(packed: bytes) -> dict[str, int]:
    found: dict[bytes, int] = {}
    get = found.get
    at, end = 0, len(packed)
    while at < end:
        what = packed[at]
        if what > _ALL:
            raise ValueError("packed scopes hold an entry of an unknown kind")
        if what:
            what, length, _, tokens, _ = _ONE.unpack_from(packed, at)
            at += _ONE.size + length
            name = packed[at - length : at]
        else:
            entry = _many_tokens(packed[at : at + _HEAD_SIZE])
            name, used, unbudgeted, size = entry.unpack_from(packed, at)
            at += entry.size + size
            tokens = used + unbudgeted
        found[name] = get(name, 0) + tokens
    if at > end:
        raise ValueError("packed scopes are cut off")
    return {name.decode(): tokens for name, tokens in found.items()}


def _count(cell: Cell, what: int, budget: int, tokens: int, pct: int) -> None:
    cell.events += 1
    if what & _FAILED:
        cell.failed += 1
    if not what & _BUDGETED:
        cell.unbudgeted += tokens
        return
    cell.executions += 1
    cell.budget += budget
    cell.used += tokens
    if what & _EXCEEDED:
        cell.exceeded += 1
    if what & _UNMET:
        cell.unmet += 1
    if what & _RATED:
        cell.rate(pct, bucket_of(pct))


def _summed(parts: Sequence[tuple[int, ...]], sketch: bytes) -> Cell:
    events, executions, rated, pct_sum, lows, highs, *rest = zip(*parts, strict=True)
    exceeded, unmet, budget, used, unbudgeted, failed = map(sum, rest)
    high = max(highs)
    return Cell(
        events=sum(events),
        executions=sum(executions),
        rated=sum(rated),
        pct_sum=sum(pct_sum),
        pct_min=None if high < 0 else min(low for low in lows if low >= 0),
        pct_max=None if high < 0 else high,
        exceeded=exceeded,
        unmet=unmet,
        budget=budget,
        used=used,
        unbudgeted=unbudgeted,
        failed=failed,
        sketch=decode(sketch),
    )
