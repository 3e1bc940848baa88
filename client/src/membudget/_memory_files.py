"""Keep a project's memories in files: what the service has not got yet, and backups."""

import contextlib
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from membudget._filelock import locked
from membudget._memory_blocks import block_from
from membudget.errors import MembudgetError

log = logging.getLogger("membudget.persistence")

Line = dict[str, Any]
DIGITS = 16
"""Of the SHA-256 of a backup's bytes, in its name."""


class BackupUnreadable(MembudgetError):
    """A backup that is not there, or has other bytes than were written."""

    code = "backup_unreadable"


class MemoryFiles:
    """The files of one project in a folder. Its calls block: they touch the disk."""

    def __init__(self, folder: Path, *, keep_backups: int) -> None:
        self.folder = folder
        self._keep = max(1, keep_backups)
        self._unsaved = folder / f"unsaved-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        """This process's own; while it runs it holds the lock beside it."""
        self._claims = contextlib.ExitStack()

    def adopt(self) -> list[Line]:
        """Unsaved changes of processes that are no more, which are ours now; those of running ones
        are left to them. Lines that cannot be read stay in a file of their own. Errors: OSError."""
        lines: list[Line] = []
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._claims.enter_context(locked(self._unsaved.with_suffix(".lock"), wait=False))
        for path in sorted(self.folder.glob("unsaved-*.jsonl")):
            lock = path.with_suffix(".lock")
            with locked(lock, wait=False) as is_ours:
                if is_ours and path != self._unsaved:
                    found, is_damaged = read_lines(path)
                    lines += found
                    self.write_unsaved(lines)
                    if is_damaged:
                        path.replace(path.with_name(f"damaged-{path.name}"))
                    path.unlink(missing_ok=True)
                    lock.unlink(missing_ok=True)
        return lines

    def write_unsaved(self, lines: list[Line]) -> None:
        """Keep these lines, and nothing else. Errors: OSError."""
        if lines:
            write_whole(self._unsaved, bytes_of(lines))
        else:
            self._unsaved.unlink(missing_ok=True)

    def release(self) -> None:
        """Leave unsaved changes, if there are any, to whoever starts next."""
        self._claims.close()
        with contextlib.suppress(OSError):
            if not self._unsaved.exists():
                self._unsaved.with_suffix(".lock").unlink(missing_ok=True)

    def backups(self) -> list[Path]:
        """Backups, newest first."""
        return sorted(self.folder.glob("backup-*.jsonl"), reverse=True)

    def write_backup(self, lines: Iterable[Mapping[str, Any]]) -> Path:
        """The file that holds these lines: the newest, if it has them already. Errors: OSError."""
        data = bytes_of(lines)
        digest = hashlib.sha256(data).hexdigest()[:DIGITS]
        newest = next(iter(self.backups()), None)
        if newest is not None and newest.stem.endswith(digest):
            return newest
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        path = self.folder / f"backup-{stamp}-{digest}.jsonl"
        write_whole(path, data)
        for old in self.backups()[self._keep :]:
            old.unlink(missing_ok=True)
        return path

    def read_backup(self, named: str | os.PathLike[str] | None) -> list[Line]:
        """The lines of a backup, the newest if none is named. Errors: BackupUnreadable."""
        path = next(iter(self.backups()), None) if named is None else Path(named)
        if path is None:
            raise BackupUnreadable(f"There is no backup in {self.folder}.")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BackupUnreadable(f"{path} cannot be read: {error.strerror}.") from error
        if not path.stem.endswith(hashlib.sha256(data).hexdigest()[:DIGITS]):
            raise BackupUnreadable(f"{path} has other bytes than were written: take another one.")
        return [json.loads(line) for line in data.splitlines() if line.strip()]


def folder_name(project_id: str) -> str:
    """A name for a project's folder, which leads nowhere else."""
    name = quote(project_id, safe="")
    return name.replace(".", "%2E") if name.startswith(".") else name


def read_lines(path: Path) -> tuple[list[Line], bool]:
    """The lines of a file, and whether there are some that cannot be read. Errors: OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], False
    lines, is_damaged = [], False
    for number, line in enumerate(data.splitlines(), 1):
        found = _readable(line)
        if found is None:
            log.warning("line %d of %s is damaged", number, path)
            is_damaged = True
        else:
            lines.append(found)
    return lines, is_damaged


def _readable(line: bytes) -> Line | None:
    try:
        found: Line = json.loads(line)
        if not found.get("deleted"):
            block_from(found)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return found if "id" in found else None


def bytes_of(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON Lines."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all. Errors: OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
