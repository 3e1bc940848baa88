"""Make memory trees: the real one, with edits as the conformance vectors write them."""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.data import data_dir, vectors

ROOT = ".claude/memory/"
OTHERS_AGE_DAYS = 10
"""The vectors' trees: every file that no edit is about is this old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """A text of a memory tree, and what its metadata file says."""

    path: str
    text: str
    modified_at: datetime
    meta: Mapping[str, Any] | None


def real_tree(now: datetime, edits: Iterable[Mapping[str, Any]] = ()) -> dict[str, TreeFile]:
    """The files of the real tree by path, all of an age, with edits applied."""
    aged = now - timedelta(days=OTHERS_AGE_DAYS)
    files = {
        path: TreeFile(path=path, text=text, modified_at=aged, meta=None) for path, text in _texts()
    }
    for edit in edits:
        _apply(files, edit, now)
    return files


def vector_tree(now: datetime) -> dict[str, TreeFile]:
    """The tree that the vectors of A14 are about."""
    (record,) = (one for one in vectors("A14.tree") if one["in"]["tree"] == 0)
    return real_tree(now, record["in"]["edits"])


def packed(files: Mapping[str, TreeFile]) -> bytes:
    """A tree as a .tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for one in files.values():
            _add(archive, one.path, one.text, one.modified_at)
            if one.meta is not None:
                name = one.path.removesuffix(".md") + ".metadata.json"
                _add(archive, name, json.dumps(one.meta), one.modified_at)
    return buffer.getvalue()


def _texts() -> Iterator[tuple[str, str]]:
    with tarfile.open(data_dir() / "claude-memory" / "claude-memory.tar.gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and name.startswith(ROOT) and name.endswith(".md"):
                content = archive.extractfile(member)
                assert content is not None
                yield name.removeprefix(ROOT), content.read().decode()


def _apply(files: dict[str, TreeFile], edit: Mapping[str, Any], now: datetime) -> None:
    path = edit["path"]
    if edit["op"] == "drop":
        del files[path]
        return
    text = edit["text"] if edit["op"] == "add" else None
    if edit["op"] == "fill":
        text = "word" + " word" * (edit["tokens"] - 1)
    age = edit.get("mtime_age_days")
    files[path] = TreeFile(
        path=path,
        text=files[path].text if text is None else text,
        modified_at=now - timedelta(days=OTHERS_AGE_DAYS if age is None else age),
        meta=_metadata(edit["meta"], now) if edit.get("meta") else None,
    )


def _metadata(meta: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    age = meta.get("age_days")
    last_used = None if age is None else (now - timedelta(days=age)).isoformat()
    kept = {key: value for key, value in meta.items() if key != "age_days"}
    return {**kept, "last_used": last_used}


def _add(archive: tarfile.TarFile, path: str, text: str, modified_at: datetime) -> None:
    content = text.encode()
    member = tarfile.TarInfo(ROOT + path)
    member.size = len(content)
    member.mtime = modified_at.timestamp()
    archive.addfile(member, io.BytesIO(content))
