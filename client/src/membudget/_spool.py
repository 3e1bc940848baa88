"""Keep on disk what could not be sent, until it can: each line once, whoever writes or sends.

A folder holds `waiting.jsonl`, which is appended to; `sending-*.jsonl`, which were waiting and
are being sent; `refused.jsonl`: lines that the service refused, each with the reason; and `url`:
the address that its lines were first kept for.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from membudget._filelock import locked
from membudget.errors import SpoolFull

MOST_BYTES = 64 * 1024 * 1024
"""What may wait in one folder: some hundred thousand events."""
MOST_REFUSED_BYTES = 16 * 1024 * 1024
"""What is kept of refused lines; when there are more, the older half goes."""
BATCH_LINES = 1_000
BATCH_BYTES = 4 * 1024 * 1024
WAITING, SENDING, REFUSED = "waiting.jsonl", "sending-*.jsonl", "refused.jsonl"
ADDRESS = "url"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that waits: a usage event, the end of an allocation (its `allocation`), or a
    measured operation."""

    body: Mapping[str, Any]
    allocation: str | None = None
    is_operation: bool = False

    def line(self) -> bytes:
        """As it is written."""
        data: dict[str, Any] = {"body": self.body}
        if self.allocation is not None:
            data["allocation"] = self.allocation
        if self.is_operation:
            data["operation"] = True
        return json.dumps(data, separators=(",", ":")).encode() + b"\n"


@dataclass(slots=True)
class Batch:
    """Lines that are sent together."""

    entries: list[Entry] = field(default_factory=list)
    broken: int = 0
    """Lines among them that are no entries; they are put aside."""
    is_last: bool = False
    """Nothing of the file is left behind it."""
    start: int = 0
    end: int = 0
    """Where its lines begin and end in the file, in bytes."""


class Spool:
    """A folder of lines that wait. Its calls block: they touch the disk."""

    def __init__(self, folder: Path, *, url: str = "", most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.url = url
        """Of the service that its lines are for."""
        self.most_bytes = most_bytes

    @property
    def refused_file(self) -> Path:
        """Where refused lines are, with the reasons."""
        return self.folder / REFUSED

    def put(self, entries: Sequence[Entry]) -> None:
        """Keep lines, all or none; they are on the disk when this returns. Operations alone may
        have a quarter of the room, so that they keep no run out. Errors: SpoolFull."""
        lines = b"".join(entry.line() for entry in entries)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked(self.folder / "lock") as is_ours:
                if not is_ours:
                    raise SpoolFull(f"Another process holds {self.folder / 'lock'}.")
                lesser = all(entry.is_operation for entry in entries)
                self._append(lines, self.most_bytes // 4 if lesser else self.most_bytes)
        except OSError as error:
            raise SpoolFull(
                f"Usage cannot be kept in {self.folder} ({error.strerror}), and the service does "
                "not answer: nothing of it is recorded. Make room, or name another `spool` folder."
            ) from error

    def _append(self, lines: bytes, most_bytes: int) -> None:
        if self._bytes() + len(lines) > most_bytes:
            raise SpoolFull(
                f"{self.folder} holds as much as it may ({most_bytes:,} bytes) and the "
                "service does not answer: this usage is not recorded. Start the service, then "
                "`membudget flush`."
            )
        path = self.folder / WAITING
        is_new = not path.exists()
        with path.open("ab") as file:
            end = file.tell()
            if end and not _ends_line(path):
                lines = b"\n" + lines  # a process died while it wrote
            try:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(path, end)
                raise
        if is_new:
            with suppress(OSError):
                self._name()
            _sync_folder(self.folder)

    def _name(self) -> None:
        path = self.folder / ADDRESS
        if self.url and not path.exists():
            path.write_text(f"{without_secrets(self.url)}\n", encoding="utf-8")

    def address(self) -> str | None:
        """What was noted of where its lines belong."""
        try:
            return (self.folder / ADDRESS).read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError):
            return None

    def has_any(self) -> bool:
        """Whether anything waits."""
        try:
            return any(map(_waits, os.listdir(self.folder)))
        except OSError:
            return False

    def count(self) -> int:
        """Lines that wait."""
        return sum(_count(path) for path in (*self._sending(), self.folder / WAITING))

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Whether it is for us to send while the block lasts: nobody else does then."""
        with locked(self.folder / "sending.lock", wait=False) as is_ours:
            yield is_ours

    def begin(self) -> Path | None:
        """The oldest file to send, which nobody writes to any more; None if nothing waits."""
        with locked(self.folder / "lock") as is_ours:
            files = self._sending()
            if files:
                return files[0]
            waiting = self.folder / WAITING
            if not is_ours or not waiting.exists():
                return None
            path = self.folder / f"sending-{time.time_ns():020d}.jsonl"
            waiting.rename(path)
            return path

    def batch(self, path: Path, start: int) -> Batch:
        """The lines of a file from an offset on; those that are no entries are refused here."""
        batch = Batch(start=start, end=start)
        with path.open("rb") as file:
            file.seek(start)
            for line in file:
                if batch.entries and (
                    len(batch.entries) == BATCH_LINES or batch.end - start > BATCH_BYTES
                ):
                    return batch
                batch.end += len(line)
                entry = _entry(line)
                if entry is not None:
                    batch.entries.append(entry)
                elif line.strip():
                    batch.broken += 1
                    self.refuse(line.decode("utf-8", "replace"), "is no whole line")
        batch.is_last = True
        return batch

    def sent(self, path: Path, upto: int, *, is_last: bool) -> None:
        """Let go of what was sent or refused: the file as far as an offset."""
        if is_last:
            path.unlink(missing_ok=True)
        elif upto:
            rest = path.with_suffix(".rest")
            with path.open("rb") as file, rest.open("wb") as other:
                file.seek(upto)
                while chunk := file.read(1 << 20):
                    other.write(chunk)
                other.flush()
                os.fsync(other.fileno())
            rest.replace(path)
        _sync_folder(self.folder)

    def refuse(self, line: Any, reason: str) -> None:
        """Put a line aside, with the reason."""
        path = self.refused_file
        note = {"at": datetime.now(UTC).isoformat(), "reason": reason, "line": line}
        with locked(self.folder / "lock"):
            if path.exists() and path.stat().st_size > MOST_REFUSED_BYTES:
                lines = path.read_bytes().splitlines(keepends=True)
                path.write_bytes(b"".join(lines[len(lines) // 2 :]))
            with path.open("ab") as file:
                file.write(json.dumps(note).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def _bytes(self) -> int:
        return sum(_size(self.folder / name) for name in os.listdir(self.folder) if _waits(name))

    def _sending(self) -> list[Path]:
        return sorted(self.folder.glob(SENDING))


def without_secrets(url: str) -> str:
    """An address without the user and password that it may name."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def others(own: Path | None, beside: Path) -> list[Spool]:
    """Spools of other addresses, in the folder where spools are, in which something waits."""
    try:
        found = sorted(path for path in beside.glob("spool-*") if path.is_dir())
    except OSError:
        return []
    mine = None if own is None else own.resolve()
    spools = [Spool(path) for path in found if path.resolve() != mine]
    return [spool for spool in spools if spool.has_any()]


def _waits(name: str) -> bool:
    return name == WAITING or (name.startswith("sending-") and name.endswith(".jsonl"))


def _size(path: Path) -> int:
    """In bytes; none where whoever sends it has just let go of it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _entry(line: bytes) -> Entry | None:
    try:
        data = json.loads(line)
    except ValueError:
        return None
    body = data.get("body") if isinstance(data, dict) else None
    if not isinstance(body, dict):
        return None
    return Entry(
        body=body,
        allocation=data.get("allocation"),
        is_operation=data.get("operation") is True,
    )


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _count(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    """Make a rename or a new file last; Windows has no such call, and needs none."""
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
