"""Keep backups in a folder: gzipped lines, each file's name ending in the SHA-256 of its bytes."""

import errno
import gzip
import hashlib
import io
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from app.core.backups import Manifest, damaged, from_line
from app.core.errors import NotFound, StorageFull, Unavailable
from app.core.values import value

NAME = re.compile(r"(?P<id>bak_[0-9a-z]{20,40}_[0-9a-z]{8})\.(?P<sha256>[0-9a-f]{64})\.jsonl\.gz")
GROWING = ".part"
ABANDONED_SECONDS = 86_400
"""After a day nobody writes on at a file that was not finished."""

LEVEL = 4
"""Of gzip: twice as fast as its default, and a tenth larger."""

BUFFER = 1 << 18
MAX_LINE = 64 * 1024 * 1024
"""Bytes of the longest line that a backup of ours can have, and more."""


@value
class Kept:
    """A backup's file, as its name and the folder say."""

    id: str
    sha256: str
    path: Path
    bytes: int
    modified_ns: int


class BackupFolder:
    """The backups of a folder, which is made when it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._intact: set[tuple[str, int, int]] = set()
        """Name, size and moment of change of files whose bytes were found to be right."""

    def write(self, id_: str, lines: Iterable[bytes]) -> Kept:
        """Write a backup, which appears under its name when all of it is on the disk.

        Errors: StorageFull, Unavailable (the folder cannot be written).
        """
        growing = self.path / f".{id_}{GROWING}"
        with translated(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                with open(growing, "xb", opener=_for_owner) as file:
                    digest = _pack(file, lines)
                    os.fsync(file.fileno())
                path = self.path / f"{id_}.{digest}.jsonl.gz"
                growing.replace(path)
            finally:
                growing.unlink(missing_ok=True)
            _sync(self.path)
            kept = _kept(path)
        assert kept is not None
        self._intact.add(_print_of(kept))
        return kept

    def newest_first(self) -> list[Kept]:
        """All backups, newest first. Errors: Unavailable."""
        with translated(self.path):
            paths = list(self.path.iterdir()) if self.path.is_dir() else []
            found = [kept for kept in map(_kept, paths) if kept is not None]
        return sorted(found, key=lambda kept: kept.id, reverse=True)

    def find(self, id_: str) -> Kept:
        """The backup of an id. Errors: NotFound."""
        found = [kept for kept in self.newest_first() if kept.id == id_]
        if not found:
            raise NotFound("No backup of this id; GET /backups lists all of them.")
        return found[0]

    def manifest(self, kept: Kept) -> Manifest:
        """What a backup says that it holds. Errors: BackupDamaged, BackupUnreadable."""
        with unpacked(kept) as file:
            manifest = from_line(file.readline(MAX_LINE))
        if manifest.id != kept.id:
            raise damaged("it is another one under this name")
        return manifest

    def is_intact(self, kept: Kept) -> bool:
        """Whether the bytes are those that were written; a file is read once for that."""
        mark = _print_of(kept)
        if mark in self._intact:
            return True
        if not self.verify(kept):
            return False
        self._intact.add(mark)
        return True

    def verify(self, kept: Kept) -> bool:
        """`is_intact`, read again however often it was read before."""
        try:
            with open(kept.path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == kept.sha256
        except OSError:
            return False

    def lines(self, kept: Kept) -> Iterator[bytes]:
        """The lines after the manifest. Errors: BackupDamaged."""
        with unpacked(kept) as file:
            file.readline(MAX_LINE)
            while line := file.readline(MAX_LINE):
                yield line

    def prune(self, keep: int) -> None:
        """Delete all but the newest backups, and files that nobody finished."""
        with translated(self.path):
            for kept in self.newest_first()[keep:]:
                kept.path.unlink(missing_ok=True)
            oldest = time.time() - ABANDONED_SECONDS
            for path in self.path.glob(f".bak_*{GROWING}"):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()


@contextmanager
def unpacked(kept: Kept) -> Iterator[IO[bytes]]:
    """The lines of a file. Errors: BackupDamaged for what gzip cannot unpack."""
    try:
        with gzip.open(kept.path, "rb") as packed:
            yield io.BufferedReader(packed, BUFFER)
    except (EOFError, zlib.error, OSError) as error:
        raise damaged("it cannot be unpacked") from error


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Say in our words what a folder or its disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("The disk of the backups is full; free some space.") from error
        raise Unavailable(
            f"The folder of the backups cannot be used ({error.strerror or error}); check "
            f"MEMBUDGET_BACKUP_DIR ({folder.name}) and who may write there."
        ) from error


class _Hashing(io.RawIOBase):
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self.digest.update(data)
        return self._file.write(data)


def _pack(file: IO[bytes], lines: Iterable[bytes]) -> str:
    """Write lines, packed; answers the SHA-256 of the bytes that were written."""
    hashing = _Hashing(file)
    with (
        gzip.GzipFile("", "wb", LEVEL, fileobj=hashing, mtime=0) as packed,
        io.BufferedWriter(packed, BUFFER) as out,
    ):
        for line in lines:
            out.write(line)
    file.flush()
    return hashing.digest.hexdigest()


def _kept(path: Path) -> Kept | None:
    """The backup of a path; None for whatever else lies in the folder."""
    named = NAME.fullmatch(path.name)
    if named is None or path.is_symlink() or not path.is_file():
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Kept(
        id=named["id"],
        sha256=named["sha256"],
        path=path,
        bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _print_of(kept: Kept) -> tuple[str, int, int]:
    return kept.path.name, kept.bytes, kept.modified_ns


def _for_owner(path: str, flags: int) -> int:
    """Open a new file that only its owner may read: it holds what users wrote."""
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    """Let the folder's list of names reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
