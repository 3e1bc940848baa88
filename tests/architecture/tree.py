"""List the files that belong to the repository."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.data import REPOSITORY

LEFTOVERS = {
    *(".venv", ".git", "__pycache__", "dist", "build", ".hypothesis", ".pytest_cache"),
    *(".mypy_cache", ".ruff_cache", ".import_linter_cache", "uv.lock", ".env"),
}


def files() -> list[Path]:
    """Files that git tracks or would track; without git, files outside of known leftovers."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if asked.returncode == 0:
        found = [REPOSITORY / name for name in asked.stdout.decode().split("\0") if name]
    else:
        found = [
            path
            for path in REPOSITORY.rglob("*")
            if not LEFTOVERS & set(path.relative_to(REPOSITORY).parts)
            and not path.match("*.egg-info")
        ]
    return sorted(path for path in found if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """The Python files below the given folders."""
    roots = [REPOSITORY / folder for folder in folders]
    return [
        path
        for path in files()
        if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots)
    ]


def texts() -> Iterator[tuple[Path, str]]:
    """Every file of the repository that is text, with what it says."""
    for path in files():
        raw = path.read_bytes()
        if b"\0" not in raw[:8000]:
            yield path, raw.decode("utf-8", errors="replace")


def name_of(path: Path) -> str:
    """A file's name as seen from the repository."""
    return path.relative_to(REPOSITORY).as_posix()
