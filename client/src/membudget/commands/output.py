"""Write answers as people, pipes and programs want them; exit codes are said here."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any, NoReturn, TextIO, cast

from membudget._say import say, warn

FAILED = 1
"""It could not be done, or there is nothing."""
USAGE = 2
"""The command was typed wrong (said by typer)."""
UNAVAILABLE = 3
"""The service does not answer, and the command needs it."""
STOPPED = 130
"""Ended by Ctrl-C."""
CUT_OFF = 141
"""Nobody read on; what programs that know nothing of it end with, too."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""What names of files have for bytes that are no text."""

Cell = str | int | float | None
Row = Sequence[Cell]


def is_terminal() -> bool:
    """Whether somebody looks at standard output; a pipe gets plain text."""
    return sys.stdout.isatty()


def emit(data: Any) -> None:
    """Write data as JSON."""
    text = json.dumps(data, indent=2, default=plain, ensure_ascii=False)
    say(SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def plain(held: Any) -> Any:
    """What JSON has no word for, in words that it has."""
    raw = getattr(held, "raw", None)
    if raw is not None:
        return raw
    if isinstance(held, datetime):
        return held.isoformat()
    if isinstance(held, Mapping):
        return dict(held)
    if isinstance(held, Decimal):
        return str(held)
    return list(held) if isinstance(held, Iterable) else str(held)


def heading(text: str) -> None:
    """Write a title."""
    if is_terminal():
        drawing().heading(text)
    else:
        say(text)


def table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write rows under their columns' names; numbers stand on the right."""
    shown = [[_cell(cell) for cell in row] for row in rows]
    right = [any(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))]
    if is_terminal():
        drawing().table(columns, shown, right)
        return
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
    for row in (columns, *shown):
        cells = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        say("  ".join(cells).rstrip())


def facts(pairs: Iterable[tuple[str, Cell]]) -> None:
    """Write names and what they are, one a line; those without a value are left out."""
    given = [(name, _cell(value)) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in given), default=0)
    for name, value in given:
        say(f"{name.ljust(width)}  {value}")


def bars(rows: Sequence[tuple[str, float, str]]) -> None:
    """Write shares (0–1 and beyond) with their names and what is said of them."""
    if is_terminal():
        drawing().bars(rows)
        return
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, share, said in rows:
        say(f"{name.ljust(width)}  {share:6.1%}  {said}".rstrip())


def working(text: str) -> AbstractContextManager[Any]:
    """Say on a terminal that something takes a while, for as long as the block lasts."""
    if not sys.stderr.isatty():
        return nullcontext()
    shown: AbstractContextManager[Any] = drawing().working(text)
    return shown


def drawing() -> Any:
    """What draws on terminals; only they pay for loading it."""
    return import_module("membudget.commands.drawing")


def stop(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a message on standard error."""
    warn(message)
    raise SystemExit(code)


def check_one_of(what: str, given: str, known: Iterable[str]) -> None:
    """End the command where something is none of the words there are."""
    words = tuple(known)
    if given not in words:
        stop(f"{what} is one of {', '.join(words)}, not {given!r}.", USAGE)


def given() -> TextIO:
    """Standard input; bytes that are no text become `?` and end nothing."""
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return sys.stdin


def write(data: bytes) -> None:
    """Write bytes as they are."""
    sys.stdout.flush()
    out = sys.stdout.buffer
    try:
        out.write(data)
        out.flush()
    except BrokenPipeError:
        raise Unheard from None


class Unheard(BaseException):
    """Whoever read standard output has closed it (`| head`); no error of the command's."""


class _Told:
    """Standard output that says `Unheard` where nobody reads on, which no library mistakes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        try:
            return self._out.write(text)
        except BrokenPipeError:
            raise Unheard from None

    def flush(self) -> None:
        try:
            self._out.flush()
        except BrokenPipeError:
            raise Unheard from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


def run(command: Callable[[], Any]) -> NoReturn:
    """Run a command to its end, and turn what it raises into a message and an exit code."""
    out = sys.stdout
    sys.stdout = cast(TextIO, _Told(out))
    try:
        try:
            _run(command)
        finally:
            sys.stdout.flush()
    except Unheard:
        with suppress(OSError, ValueError):  # what is left in the buffer goes nowhere, unsaid
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise SystemExit(CUT_OFF) from None
    finally:
        sys.stdout = out


def _run(command: Callable[[], Any]) -> NoReturn:
    errors = import_module("membudget.errors")
    try:
        command()
    except errors.ServiceUnavailable as error:
        stop(f"membudget: {error}", UNAVAILABLE)
    except errors.MembudgetError as error:
        stop(f"membudget: {error}")
    except (OSError, ValueError) as error:
        stop(f"membudget: {error}")
    except KeyboardInterrupt:
        stop("", STOPPED)
    raise SystemExit(0)


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)
