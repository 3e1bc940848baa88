"""Read files out of an archive (.tar, .tar.gz) that is held in memory; nothing is written.

The standard library's reader trusts headers with time and memory; this one reads forward once,
looks at every byte once, and keeps plain files only.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from app.core.errors import InvalidRequest
from app.core.memory_tree import Refused, TreeFile, shown
from app.core.values import value
from app.core.windows import MICROS

MAX_UNPACKED = 256 * 1024 * 1024
MAX_FILE = 1_000_000
MAX_MEMBERS = 20_000
MAX_NOTE = 64 * 1024
"""Bytes of a header's extension: a long name, say."""
MAX_NOTES = 8
"""Extensions before one member."""

GZIP = b"\x1f\x8b"
OTHERS = (b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
"""How files of bzip2, xz, zstd and zip begin."""

BLOCK = 512
CHUNK = 1 << 18

PLAIN = frozenset(b"0\x007")
WITHOUT_DATA = frozenset(b"123456")
LINKS = frozenset(b"12")
FOLDER, LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL = b"5LKxg"


class _Damaged(Exception):
    """Bytes that no archive has in this place."""


@value
class _Member:
    """A header, with what its extensions said."""

    name: str
    kind: int
    size: int
    modified_at: float
    is_sparse: bool


def is_archive(data: bytes) -> bool:
    """Whether a file is a tar archive, or compressed."""
    return data.startswith((GZIP, *OTHERS)) or data[257:262] == b"ustar"


def unpack(data: bytes, *, now: int) -> tuple[list[TreeFile], list[Refused]]:
    """The plain files of an archive, and the members that are something else, or too large.

    Errors: InvalidRequest for what is no archive, is cut off, or unpacks to too much.
    """
    if data.startswith(OTHERS):
        raise InvalidRequest("Archives are taken as .tar.gz; pack the folder so.")
    plain = io.BytesIO(data)
    stream = _Stream(gzip.GzipFile(fileobj=plain) if data.startswith(GZIP) else plain)
    files: list[TreeFile] = []
    refused: list[Refused] = []
    try:
        for number, member in enumerate(_members(stream)):
            if number >= MAX_MEMBERS:
                raise InvalidRequest(f"The archive has more than {MAX_MEMBERS:,} members.")
            fault = _fault(member)
            if fault is None:
                content = stream.read(member.size)
                at = member.modified_at * MICROS
                modified_at = int(at) if 0 <= at <= now else now
                files.append(TreeFile(path=member.name, data=content, modified_at=modified_at))
            elif member.kind != FOLDER and not member.name.endswith("/"):
                refused.append(Refused(path=shown(member.name), reason=fault))
        stream.finish()
    except (_Damaged, EOFError, zlib.error, OSError) as error:
        raise InvalidRequest(
            "This is no whole .tar.gz archive; pack the folder again, with `tar czf memory.tar.gz "
            ".claude/memory`."
        ) from error
    return files, refused


def _fault(member: _Member) -> str | None:
    if member.kind in LINKS:
        return "is a link"
    if member.kind not in PLAIN or member.is_sparse or member.name.endswith("/"):
        return "is no plain file"
    if member.size > MAX_FILE:
        return f"is larger than {MAX_FILE:,} bytes"
    return None


class _Stream:
    """Bytes read once, forward, and no more of them than an archive may unpack to."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile) -> None:
        self._source = source
        self.at = 0

    def read(self, size: int) -> bytes:
        """Exactly so many bytes. Errors: EOFError."""
        self._claim(size)
        found = self._source.read(size)
        if len(found) < size:
            raise EOFError
        return found

    def skip_to(self, position: int) -> None:
        """Leave out what lies before a position."""
        left = position - self.at
        self._claim(left)
        while left:
            found = len(self._source.read(min(CHUNK, left)))
            if not found:
                raise EOFError
            left -= found

    def finish(self) -> None:
        """Read to the end, where a checksum stands."""
        while found := len(self._source.read(CHUNK)):
            self._claim(found)

    def _claim(self, size: int) -> None:
        self.at += size
        if self.at > MAX_UNPACKED:
            raise InvalidRequest(f"The archive unpacks to more than {MAX_UNPACKED:,} bytes.")


def _members(stream: _Stream) -> Iterator[_Member]:
    """Members in their order; whoever takes one may read its data, and no more."""
    shared: dict[str, bytes] = {}
    own: dict[str, bytes] = {}
    notes = 0
    while any(block := stream.read(BLOCK)):
        if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
            raise _Damaged
        kind, size = block[156], _number(block[124:136])
        start = stream.at
        if kind in (LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL):
            notes += 1
            if size > MAX_NOTE or notes > MAX_NOTES:
                raise _Damaged
            note = stream.read(size)
            if kind == LONG_NAME:
                own["path"] = note.partition(b"\0")[0]
            elif kind == PAX_GLOBAL:
                shared.update(_records(note))
            elif kind == PAX:
                own.update(_records(note))
        else:
            said = shared | own
            if "size" in said:
                size = _decimal(said["size"])
            size = 0 if kind in WITHOUT_DATA else size
            yield _member(block, kind, size, said)
            own, notes = {}, 0
        stream.skip_to(start + -(-size // BLOCK) * BLOCK)


def _member(block: bytes, kind: int, size: int, said: dict[str, bytes]) -> _Member:
    name = _string(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = _string(block[345:500]) + b"/" + name
    modified_at = float(_number(block[136:148]))
    with suppress(ValueError, KeyError):
        modified_at = float(said["mtime"])
    return _Member(
        name=said.get("path", name).decode(errors="surrogateescape"),
        kind=kind,
        size=size,
        modified_at=modified_at,
        is_sparse=any(key.startswith("GNU.sparse.") for key in said),
    )


def _records(note: bytes) -> Iterator[tuple[str, bytes]]:
    """The records of a pax header: `length key=value` and a line end."""
    at = 0
    while at < len(note) and note[at]:
        digits = note[at : at + 8].partition(b" ")[0]
        length = _decimal(digits)
        record = note[at + len(digits) + 1 : at + length]
        key, found, text = record.partition(b"=")
        if not found or not text.endswith(b"\n"):
            raise _Damaged
        yield key.decode(errors="replace"), text[:-1]
        at += length


def _string(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decimal(digits: bytes) -> int:
    if not (digits.isdigit() and len(digits) < 20):
        raise _Damaged
    return int(digits)


def _number(field: bytes) -> int:
    """A number of a header: octal digits, or binary after a byte 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if field[0] > 0x80 or any(digit not in b"01234567" for digit in digits):
        raise _Damaged
    return int(digits or b"0", 8)
