"""Know the files that a client reads, and where it keeps its own."""

import io
import os
import sys
import tarfile
from hashlib import blake2b
from pathlib import Path
from typing import NoReturn

MEMORY_FOLDER = Path(".claude", "memory")


def packed_tree(source: str | os.PathLike[str] | bytes) -> bytes:
    """A folder as a .tar.gz, named as in `.claude/memory`; a file or bytes as they are.

    Links are not followed. Errors: OSError, naming the first file or folder that cannot be read: a
    tree without it would be taken for the whole one, and what it holds for deleted.
    """
    if isinstance(source, bytes):
        return source
    path = Path(source)
    if not path.is_dir():
        return path.read_bytes()
    inner = path / MEMORY_FOLDER
    root = inner if inner.is_dir() else path
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for folder, folders, names in os.walk(root, onerror=_unreadable, followlinks=False):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                file = Path(folder, name)
                if name.startswith(".") or file.is_symlink() or not file.is_file():
                    continue
                try:
                    data = file.read_bytes()
                    modified = file.stat().st_mtime
                except OSError as error:
                    _unreadable(error)
                entry = tarfile.TarInfo((MEMORY_FOLDER / file.relative_to(root)).as_posix())
                entry.size = len(data)
                entry.mtime = int(modified)
                archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _unreadable(error: OSError) -> NoReturn:
    """Errors: OSError."""
    raise OSError(
        f"{error.filename} cannot be read ({error.strerror}); make it readable, or import what "
        "can be read as a folder of its own. Nothing was sent."
    ) from error


def spool_folder(spool: str | os.PathLike[str] | bool | None, url: str) -> Path | None:
    """Where usage waits for a service: as named, else in the user's state folder."""
    if spool is False:
        return None
    if spool is None or spool is True:
        named = os.environ.get("MEMBUDGET_SPOOL")
        if named == "off":
            return None
        if not named:
            tag = blake2b(url.encode(), digest_size=6).hexdigest()
            return spools_folder() / f"spool-{tag}"
        return Path(named)
    return Path(spool)


def spools_folder() -> Path:
    """Where spools are that were given no folder: one for each address."""
    return state_folder() / "membudget"


def state_folder() -> Path:
    """Where programs of the user keep what must last."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    stated = os.environ.get("XDG_STATE_HOME")
    return Path(stated) if stated else Path.home() / ".local" / "state"


def content_of(source: str | os.PathLike[str] | bytes) -> bytes:
    """Bytes, or those of a file. Errors: OSError."""
    return source if isinstance(source, bytes) else Path(source).read_bytes()
