"""Tell what a file is, and cut logs into parts that end with a line."""

import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from app.commands.logs import csv_rows, json_array
from app.commands.trouble import Trouble
from app.core.spendlogs import is_row
from app.core.transcripts import is_line
from app.flows.import_usage import MAX_LINE
from app.gateways.archives import BLOCK, GZIP

Kind = Literal["usage", "policy", "memories", "transcript", "spend"]
"""The last two are logs of other programs: Claude Code's transcripts, LiteLLM's spend logs."""

HEAD = 1 << 20
PART = 4 << 20
TRIED_LINES = 50
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
"""How files of gzip, bzip2, xz, zstd and zip begin."""

BEGINNING = 4096
TRANSCRIPT_KEYS = (b'"parentUuid":', b'"sessionId":')
"""What a line begins with that is too long to be looked at whole."""

MEMORY_KEYS = ("text", "memory", "results")

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
        self._is_tree = _unpacked(self._head)[257:262] == b"ustar"
        if self._head.startswith(COMPRESSED) and not self._is_tree:
            raise Trouble(f"{name} is compressed: unpack it (gunzip for .gz), then import that.")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return len(self._head) < HEAD and not self._head.strip()

    @property
    def kind(self) -> Kind:
        """What it holds, by its content, else by its name."""
        known = BY_SUFFIX.get(Path(self.name).suffix.lower())
        if known == "policy" and not self._is_tree:
            return known
        return self.seen or known or "policy"

    @property
    def seen(self) -> Kind | None:
        """What its beginning says that it holds; None if that says nothing."""
        if self._is_tree:
            return "memories"
        if self._is_spend_log():
            return "spend"
        lines = self._head.split(b"\n")[:TRIED_LINES]
        for found in map(_kind_of, map(_parsed, (*lines, self._head))):
            if found is not None:
                return found
        begins = self._head[:BEGINNING]
        return "transcript" if any(name in begins for name in TRANSCRIPT_KEYS) else None

    @property
    def is_array(self) -> bool:
        """Whether it is one JSON value, of many lines perhaps, and no JSON Lines."""
        head = self._head.lstrip(b"\xef\xbb\xbf \t\r\n")
        return head.startswith(b"[") or (head.startswith(b"{") and not self.has_lines)

    @property
    def is_csv(self) -> bool:
        """Whether its first line is no JSON but names of columns."""
        return not self.is_array and _parsed(self._head.split(b"\n", 1)[0]) is None

    def _is_spend_log(self) -> bool:
        read = json_array if self.is_array else csv_rows if self.is_csv else None
        first = None if read is None else next(read([self._head, b"\n"]), None)
        return first is not None and isinstance(first.value, dict) and is_row(first.value)

    @property
    def has_lines(self) -> bool:
        """Whether it is made of JSON objects, one in a line."""
        return not self._is_tree and isinstance(_parsed(self._head.split(b"\n", 1)[0]), dict)

    def read(self, limit: int) -> bytes:
        """All of it. Errors: Trouble if that is more than `limit` bytes."""
        data = self._head + self._file.read(max(0, limit + 1 - len(self._head)))
        if len(data) > limit:
            raise Trouble(f"{self.name}: longer than {limit:,} bytes; is it a {self.kind} file?")
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


def parts(source: Source, size: int = PART, *, longest: int = MAX_LINE) -> Iterator[Part]:
    """A log in parts of about `size` bytes; what is left of an endless line is still too long."""
    first, taken, rest = 1, 0, b""
    waiting: list[bytes] = []
    held = 0
    for chunk in source.chunks():
        taken += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        waiting += whole
        held += sum(map(len, whole))
        rest = rest[: longest + 1]
        if held >= size:
            yield Part(first, taken, b"\n".join(waiting) + b"\n")
            first += len(waiting)
            waiting, held = [], 0
    waiting += [rest] if rest else []
    if waiting:
        yield Part(first, taken, b"\n".join(waiting) + b"\n")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _kind_of(found: Any) -> Kind | None:
    """What a file is that holds this; None if that tells nothing."""
    if isinstance(found, list):
        return "memories"
    if not isinstance(found, dict):
        return None
    if is_line(found):
        return "transcript"
    if is_row(found):
        return "spend"
    if "tokens_loaded" not in found and any(name in found for name in MEMORY_KEYS):
        return "memories"
    return "usage" if "agent" in found else None


def _unpacked(head: bytes) -> bytes:
    """The first block of what is compressed."""
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, BLOCK)
    except zlib.error:
        return b""
