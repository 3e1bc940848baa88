"""Tell what a file is, and cut logs into parts that end with a line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from app.commands.trouble import Trouble
from app.flows.import_usage import MAX_LINE

Kind = Literal["usage", "policy"]

HEAD = 1 << 20
PART = 4 << 20
TRIED_LINES = 50
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
"""How files of gzip, bzip2, xz, zstd and zip begin."""

BY_SUFFIX: dict[str, Kind] = {
    ".jsonl": "usage",
    ".ndjson": "usage",
    ".log": "usage",
    ".yaml": "policy",
    ".yml": "policy",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a log."""

    first_line: int
    taken: int
    """Bytes of the file up to the end of this part."""
    data: bytes


class Source:
    """A file of which the beginning can be looked at before it is read.

    Errors: Trouble if it is compressed.
    """

    def __init__(self, file: IO[bytes], *, name: str, size: int | None) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._head = file.read(HEAD)
        if self._head.startswith(COMPRESSED):
            raise Trouble(f"{name} is compressed: unpack it (gunzip for .gz), then import that.")

    @property
    def kind(self) -> Kind:
        """Whether it is a usage log or a policy file."""
        known = BY_SUFFIX.get(Path(self.name).suffix.lower())
        if known is not None:
            return known
        lines = self._head.split(b"\n")[:TRIED_LINES]
        return "usage" if any(map(_is_event, lines)) else "policy"

    def read(self, limit: int) -> bytes:
        """All of it. Errors: Trouble if that is more than `limit` bytes."""
        data = self._head + self._file.read(max(0, limit + 1 - len(self._head)))
        if len(data) > limit:
            raise Trouble(f"{self.name}: longer than {limit:,} bytes; is it a policy file?")
        return data

    def chunks(self) -> Iterator[bytes]:
        """All of it, a piece at a time."""
        chunk = self._head
        while chunk:
            yield chunk
            chunk = self._file.read(HEAD)


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """A file by its path, or standard input for `-`. Errors: Trouble if it cannot be read."""
    if name == "-":
        yield Source(sys.stdin.buffer, name="standard input", size=None)
        return
    path = Path(name)
    try:
        with path.open("rb") as file:
            yield Source(file, name=name, size=path.stat().st_size)
    except OSError as error:
        if error.filename is None or Path(error.filename) != path:
            raise
        raise Trouble(f"{name}: {error.strerror}.") from error


def parts(source: Source, size: int = PART) -> Iterator[Part]:
    """A log in parts of about `size` bytes; what is left of an endless line is still too long."""
    first, taken, rest = 1, 0, b""
    waiting: list[bytes] = []
    held = 0
    for chunk in source.chunks():
        taken += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        waiting += whole
        held += sum(map(len, whole))
        rest = rest[: MAX_LINE + 1]
        if held >= size:
            yield Part(first, taken, b"\n".join(waiting) + b"\n")
            first += len(waiting)
            waiting, held = [], 0
    waiting += [rest] if rest else []
    if waiting:
        yield Part(first, taken, b"\n".join(waiting) + b"\n")


def _is_event(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and "agent" in found
