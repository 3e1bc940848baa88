"""Read the patterns of a local `.claude/memory` tree; what cannot be read is left out and told."""

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from membudget import _core

ROOT = Path(".claude/memory")
"""Where the originals keep memories, from the working folder."""

OWN_FOLDERS = ("patterns", "recent", "intermediate")
GLOBAL_FOLDERS = ("patterns", "recent")
LONGEST = 5_000_000
"""Bytes of a file; a longer one is no pattern."""

AGENT_SPECIFIC = "agent-specific"
GLOBAL = "global"


@dataclass
class Pattern:
    """A file of the tree, as a memory that may be loaded."""

    path: Path
    token_count: int
    relevance_score: float
    content: str
    metadata: dict[str, Any] = field(default_factory=dict)
    scope: str = GLOBAL
    """`agent-specific` or `global`."""
    room: str = GLOBAL
    """The scope of the agent's profile that it counts in."""


def scope_directories(
    root: Path, agent_type: str | None, agent_name: str | None
) -> list[tuple[Path, str]]:
    """The folders that an agent loads from, its own first, each with its scope."""
    found = []
    if agent_name and agent_type:
        own = root / agent_type / agent_name
        found = [(own / name, AGENT_SPECIFIC) for name in OWN_FOLDERS]
    found += [(root / name, GLOBAL) for name in GLOBAL_FOLDERS]
    return [(folder, scope) for folder, scope in found if may_be_folder(folder)]


def may_be_folder(path: Path) -> bool:
    """Whether a path is a folder, or one that nobody lets us look at."""
    try:
        return path.is_dir()
    except PermissionError:
        return True


def pattern_files(folder: Path, unread: Callable[[OSError], None]) -> Iterator[Path]:
    """The Markdown files of a folder and of those in it, in order; hidden ones left out.

    `unread` is told of folders that cannot be read.
    """
    found: list[Path] = []
    for inner, folders, names in os.walk(folder, onerror=unread):
        folders[:] = [name for name in folders if not name.startswith(".")]
        shown = (Path(inner, name) for name in names if not name.startswith("."))
        found += (path for path in shown if path.suffix == ".md" and _is_file(path, unread))
    yield from sorted(found)


def _is_file(path: Path, unread: Callable[[OSError], None]) -> bool:
    try:
        return path.is_file()
    except PermissionError as error:
        unread(error)
        return False


def read_pattern(path: Path, scope: str, *, root: Path, context: Mapping[str, Any]) -> Pattern:
    """A file with its metadata and its relevance, 0–1, to a context; its tokens as metadata has
    them, 0 if it has none. Errors: OSError, ValueError where it cannot be read."""
    if path.stat().st_size > LONGEST:
        raise ValueError(f"is longer than {LONGEST:,} bytes")
    content = path.read_text(encoding="utf-8")
    metadata = read_metadata(path)
    return Pattern(
        path=path,
        token_count=_whole(metadata.get("token_count")),
        relevance_score=_relevance(path, content, metadata, scope, root, context),
        content=content,
        metadata=metadata,
        scope=scope,
        room=_room(path, scope, root),
    )


def read_metadata(path: Path) -> dict[str, Any]:
    """What `name.metadata.json` beside `name.md` says; nothing where it is broken or missing."""
    try:
        found = json.loads(path.with_suffix(".metadata.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _relevance(
    path: Path,
    content: str,
    metadata: Mapping[str, Any],
    scope: str,
    root: Path,
    context: Mapping[str, Any],
) -> float:
    task_type = context.get("task_type")
    return _core.original_score(
        path=path.relative_to(root).as_posix(),
        text=content,
        agent=str(context.get("agent_name") or ""),
        own=scope == AGENT_SPECIFIC,
        technologies=_words(context.get("technologies")),
        task_type=task_type if isinstance(task_type, str) else None,
        keywords=_words(context.get("keywords")),
        age_days=_age_days(metadata.get("last_used")),
        access_count=_whole(metadata.get("use_count")),
    )


def _room(path: Path, scope: str, root: Path) -> str:
    if scope == GLOBAL:
        return GLOBAL
    folder = path.relative_to(root).parts[2:3]
    return "agent_patterns" if folder == ("patterns",) else "agent_recent"


def _age_days(last_used: object) -> float | None:
    if not isinstance(last_used, str):
        return None
    try:
        at = datetime.fromisoformat(last_used)
    except ValueError:
        return None
    now = datetime.now(UTC)
    return (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds() / 86_400


def _words(given: object) -> Collection[str]:
    if isinstance(given, str):
        return (given,)
    return [word for word in given if isinstance(word, str)] if isinstance(given, list) else ()


def _whole(given: object) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else 0
