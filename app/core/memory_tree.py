"""Read the files of a `.claude/memory` tree as memories.

    <type>/<name>/patterns/…               the agent's own          agent_patterns
    <type>/<name>/{recent,intermediate}/…  the agent's own          agent_recent
    {patterns,recent,intermediate}/…       everybody's              global
    archive/…                              the same, archived
    anything else (README, research/…)     to be looked up          reference

Beside `name.md` may stand `name.metadata.json`: when it was made and used, by whom, how sure it is.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from app.core.ids import base32, tag_of
from app.core.memory import REFERENCE, Memory
from app.core.memory_metadata import Unfit, with_metadata
from app.core.values import value

MAX_TEXT = 1_000_000
"""Characters of a memory; many times what any budget could load."""

MAX_PATH = 1_000
MAX_AGENT = 200  # as long as the name of an agent may be where a budget is asked for

KINDS = frozenset({"patterns", "recent", "intermediate"})
AGENT_TYPES = frozenset({"specialists", "roles"})
TEXTS = (".md", ".markdown", ".txt")
METADATA = ".metadata.json"
NO_MEMORIES = frozenset({"budget-profiles.json"})
"""Files of a tree that are something else, and have an import of their own."""


@value
class TreeFile:
    """A file of an archive."""

    path: str
    data: bytes
    modified_at: int


@value
class Refused:
    """What of an import was not taken, and why."""

    path: str
    reason: str
    line: int | None = None
    """Its number, from 1, in a file of lines."""


def read_tree(
    files: Iterable[TreeFile], *, workspace: str, project: str | None, now: int
) -> tuple[list[Memory], list[Refused]]:
    """The memories of a tree, tokens uncounted, and what was refused.

    A metadata file that cannot be read is refused, and its memory taken without what it says.
    """
    below, refused = _below_root(files)
    memories: list[Memory] = []
    for path, file in below.items():
        if path.endswith(METADATA) or path in NO_MEMORIES:
            continue
        stem = path.rpartition(".")[0]
        beside = below.get(stem + METADATA)
        try:
            memory = _memory(path, file, workspace=workspace, project=project)
        except Unfit as error:
            refused.append(Refused(path=path, reason=str(error)))
            continue
        if beside is not None:
            try:
                memory = with_metadata(memory, beside.data)
            except Unfit as error:
                refused.append(Refused(path=stem + METADATA, reason=f"{error}; left out"))
        said = b"" if beside is None else beside.data
        fingerprint = _digest(path.encode(), file.data, said)
        memories.append(replace(memory, fingerprint=fingerprint, state_at=now))
    return memories, refused


def renew(old: Memory, new: Memory) -> Memory:
    """A memory whose file has changed: what files say is new, what only the service knows stays."""
    last_used = (old.last_accessed_at, new.last_accessed_at)
    return replace(
        old,
        text=new.text,
        tokens=new.tokens,
        project=new.project,
        agent=new.agent,
        scope=new.scope,
        path=new.path,
        created_at=min(old.created_at, new.created_at),
        modified_at=new.modified_at,
        access_count=max(old.access_count, new.access_count),
        last_accessed_at=max((at for at in last_used if at is not None), default=None),
        confidence=new.confidence,
        used_by_agents=new.used_by_agents,
        embedding=old.embedding if old.text == new.text else None,
        metadata=new.metadata,
        state=new.state,
        state_at=old.state_at if old.state == new.state else new.state_at,
        fingerprint=new.fingerprint,
    )


def _below_root(files: Iterable[TreeFile]) -> tuple[dict[str, TreeFile], list[Refused]]:
    """Files by their path below `.claude/memory/`, or `memory/`, or the top of the archive.

    Hidden files, and what stands elsewhere in the archive, are no memories.
    """
    below: dict[str, TreeFile] = {}
    refused: list[Refused] = []
    named: list[tuple[list[str], TreeFile]] = []
    for file in files:
        fault = unfit_path(file.path)
        if fault is None:
            named.append(([part for part in file.path.split("/") if part not in ("", ".")], file))
        else:
            refused.append(Refused(path=shown(file.path), reason=fault))
    for parts, file in _under_root(named):
        if any(part.startswith(".") for part in parts):
            continue
        path = "/".join(parts)
        if path in below:
            refused.append(Refused(path=path, reason="stands there twice; the first one counts"))
        else:
            below[path] = file
    return below, refused


def _under_root(
    named: Sequence[tuple[list[str], TreeFile]],
) -> Iterable[tuple[list[str], TreeFile]]:
    starts = [(_after_root(parts), parts, file) for parts, file in named]
    if any(start is not None for start, _, _ in starts):
        return [(parts[start:], file) for start, parts, file in starts if start is not None]
    if all(parts[0] == "memory" for parts, _ in named):
        return [(parts[1:], file) for parts, file in named]
    return named


def _after_root(parts: list[str]) -> int | None:
    pairs = pairwise(parts)
    return next((at + 2 for at, pair in enumerate(pairs) if pair == (".claude", "memory")), None)


def unfit_path(path: str) -> str | None:
    """Why a path of an archive is none that a memory may have; None if it may."""
    if path.startswith("/") or ".." in path.split("/"):
        return "leads out of the archive"
    if len(path) > MAX_PATH:
        return f"has a path of more than {MAX_PATH:,} characters"
    if not path.strip("./") or not path.isprintable():
        return "has a path with characters that are not printable"
    return None


def shown(path: str) -> str:
    """A path as a report may hold it."""
    return "".join(sign if sign.isprintable() else "?" for sign in path[:MAX_PATH])


def _memory(path: str, file: TreeFile, *, workspace: str, project: str | None) -> Memory:
    if not path.lower().endswith(TEXTS):
        raise Unfit(f"is no text ({', '.join(TEXTS)})")
    agent, scope, is_archived = _place(path.split("/"))
    if agent is not None and len(agent) > MAX_AGENT:
        raise Unfit(f"names an agent of more than {MAX_AGENT} characters")
    return Memory(
        id=id_of(workspace, project, path),
        workspace=workspace,
        project=project,
        text=_text(file.data),
        path=path,
        agent=agent,
        scope=scope,
        created_at=file.modified_at,
        modified_at=file.modified_at,
        state="archived" if is_archived else "active",
    )


def id_of(workspace: str, project: str | None, source: str) -> str:
    """The id of what an import brings without one: the same each time, apart for each project."""
    digest = _digest((project or "").encode(), source.encode())
    return f"mem_{base32(int.from_bytes(digest, 'big'), 24)}_{tag_of(workspace)}"


def _digest(*parts: bytes) -> bytes:
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.digest()


def _place(parts: Sequence[str]) -> tuple[str | None, str, bool]:
    """Agent, scope, and whether it is archived."""
    if parts[0] == "archive" and len(parts) > 1:
        return *_place(parts[1:])[:2], True
    if parts[0] in KINDS and len(parts) > 1:
        return None, "global", False
    has_kind = len(parts) > 3 and parts[2] in KINDS
    if has_kind or (len(parts) > 2 and parts[0] in AGENT_TYPES):
        is_recent = has_kind and parts[2] != "patterns"
        return "/".join(parts[:2]), "agent_recent" if is_recent else "agent_patterns", False
    return None, REFERENCE, False


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Unfit("is no UTF-8 text") from error
    if not text.strip():
        raise Unfit("is empty")
    if len(text) > MAX_TEXT:
        raise Unfit(f"is longer than {MAX_TEXT:,} characters")
    if "\0" in text:
        raise Unfit("holds a NUL character")
    return text
