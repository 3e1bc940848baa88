"""Let one process at a time use a SQLite database, and tell others where it serves."""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from sqlalchemy import make_url


class DatabaseInUse(RuntimeError):
    """Another process holds the database; `url` is where it serves, if it does."""

    def __init__(self, path: str, pid: int | None, url: str | None) -> None:
        where = f" and serves on {url}" if url else ""
        super().__init__(f"Process {pid or '?'} uses {path}{where}; stop it first, or ask it.")
        self.url = url


class ProcessLock:
    """A lock file beside a SQLite database, gone when it is released; nothing for PostgreSQL."""

    def __init__(self, database_url: str, *, url: str | None = None) -> None:
        parsed = make_url(database_url)
        is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (
            None,
            ":memory:",
        )
        self._path = Path(f"{parsed.database}.lock") if is_file else None
        self._url = url
        self._file: IO[str] | None = None

    def __enter__(self) -> "ProcessLock":
        if self._path is None:
            return self
        while True:
            file = open(self._path, "a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _read(file)
                file.close()
                raise DatabaseInUse(str(self._path).removesuffix(".lock"), *holder) from error
            if _is_at(file, self._path):
                break
            file.close()  # its holder took it away when it ended, between our opening and locking
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "url": self._url}, file)
        file.flush()
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None and self._path is not None:
            if _is_at(self._file, self._path):
                self._path.unlink()
            self._file.close()
            self._file = None


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that others find at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read(file: IO[str]) -> tuple[int | None, str | None]:
    """Process and address that the holder wrote; None where it has not yet."""
    file.seek(0)
    try:
        found = json.load(file)
        return found["pid"], found["url"]
    except (ValueError, KeyError, TypeError):
        return None, None
