"""Read logs of other programs piece by piece: lines, rows of CSV, objects of a JSON array.

Memory is bounded by the longest entry that is taken; longer ones are named and left out.
"""

import codecs
import csv
import itertools
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Line = tuple[int, int, bytes, bool]
"""Number, bytes read by its end, the line itself, and whether the file ends in it."""

LONGEST = 16 << 20
"""Bytes of one entry: pictures in a transcript make lines of several megabytes."""

TOO_LONG = f"is longer than {LONGEST >> 20} MiB"
NO_JSON = "is no JSON"

_ARRAY = re.compile(r"\A[\s\ufeff]*\[|\"(?:data|logs)\"\s*:\s*\[")
_BETWEEN = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, row or object, or why it cannot be read."""

    number: int
    """Of the line that it begins in, from 1; of an array's object its place among them."""
    taken: int
    """Bytes of the file that have been read by now."""
    value: Any = None
    fault: str | None = None
    is_cut: bool = False
    """The file ends in the middle of it: it is being written."""


def json_lines(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """The values of JSON Lines; empty lines are none."""
    for number, taken, line, is_last in _lines(chunks):
        if not line.strip():
            continue
        if len(line) > LONGEST:
            yield Entry(number, taken, fault=TOO_LONG)
            continue
        try:
            yield Entry(number, taken, json.loads(line))
        except (ValueError, RecursionError):
            yield Entry(number, taken, fault=NO_JSON, is_cut=is_last)


def json_array(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """The objects of a JSON array, which may be one endless line, or of an object's `data`.

    What follows an object that cannot be read is given up: where the next begins is not known.
    """
    text = codecs.getincrementaldecoder("utf-8")("replace")
    waiting, taken, number, is_open = "", 0, 0, False
    for chunk in itertools.chain(chunks, [None]):
        taken += len(chunk or b"")
        waiting += text.decode(chunk or b"", final=chunk is None)
        if not is_open:
            found = _ARRAY.search(waiting)
            is_open, waiting = found is not None, waiting[found.end() if found else 0 :]
        values, at, is_done = _decoded(waiting) if is_open else ([], 0, False)
        for value in values:
            number += 1
            yield Entry(number, taken, value)
        if is_done:
            return
        waiting = waiting[at:]
        if chunk is None or len(waiting) > LONGEST:
            if waiting or not is_open:
                fault = NO_JSON if chunk is None else TOO_LONG
                yield Entry(number + 1, taken, fault=f"{fault}; nothing after it is read")
            return


def _decoded(text: str) -> tuple[list[Any], int, bool]:
    """The values that begin a text, where they end, and whether their array ends there."""
    values: list[Any] = []
    at = 0
    while True:
        start = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # matches nothing too
        if text[start : start + 1] == "]":
            return values, start, True
        try:
            value, at = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            return values, start, False
        values.append(value)


def csv_rows(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """The rows of a CSV file as objects of texts; a quoted cell may hold line breaks.

    Lines are joined while a quote is open. Where that makes no row, the first of them stands
    alone and the others are read anew: a stray quote takes no other row with it.
    """
    csv.field_size_limit(LONGEST)
    lines = _lines(chunks)
    anew: deque[Line] = deque()
    names: list[str] = []
    delimiter = ","
    while True:
        held, is_open = _record(lines, anew)
        if not held:
            return
        number, taken, first, _ = held[0]
        if not first.strip():
            continue
        if not names:
            header = first.removeprefix(codecs.BOM_UTF8)
            delimiter = max(",;\t", key=header.decode("utf-8", "replace").count)
            names = _cells([header], delimiter)
            anew.extend(held[1:])
            continue
        cells = _cells([line for _, _, line, _ in held], delimiter)
        if len(held) > 1 and (is_open or len(cells) != len(names)):
            anew.extendleft(reversed(held[1:]))
            cells = _cells([first], delimiter)
        if len(first) > LONGEST:
            yield Entry(number, taken, fault=TOO_LONG)
        elif len(cells) == len(names):
            yield Entry(number, taken, dict(zip(names, cells, strict=True)))
        else:
            fault = f"has {len(cells)} cells where the header has {len(names)}"
            yield Entry(number, taken, fault=fault)


def _record(lines: Iterator[Line], anew: deque[Line]) -> tuple[list[Line], bool]:
    """The next lines up to one that ends outside of quotes, as many as memory may hold.

    And whether a quote is still open then: nothing closes it.
    """
    held: list[Line] = []
    size, is_open = 0, False
    while not held or (is_open and size <= LONGEST):
        line = anew.popleft() if anew else next(lines, None)
        if line is None:
            break
        held.append(line)
        size += len(line[2])
        is_open ^= line[2].count(b'"') % 2 == 1
    return held, is_open


def _cells(record: list[bytes], delimiter: str) -> list[str]:
    text = b"\n".join(record).rstrip(b"\r").decode("utf-8", "replace").replace("\0", "")
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def _lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    """The lines of a file; of one that is too long so much is kept that it is seen to be."""
    number, taken, rest = 0, 0, b""
    for chunk in chunks:
        taken += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            yield number, taken, line, False
        rest = rest[: LONGEST + 1]
    if rest:
        yield number + 1, taken, rest, True
