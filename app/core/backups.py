"""Say what a backup holds, in its first line, and read that again."""

import json
from collections.abc import Mapping
from typing import Any

from app.core.errors import BackupDamaged, BackupUnreadable
from app.core.values import value

FORMAT = 1
"""The version of the file format; a reader refuses every other."""


@value
class Manifest:
    """The first line of a backup."""

    id: str
    created_at: int
    """The moment of the snapshot, in microseconds."""
    schema: str
    """The revision of the tables."""
    tables: Mapping[str, int]
    """Rows of each table."""


def to_line(manifest: Manifest) -> bytes:
    """A manifest as a line of JSON."""
    document = {
        "membudget_backup": FORMAT,
        "id": manifest.id,
        "created_at": manifest.created_at,
        "schema": manifest.schema,
        "tables": dict(manifest.tables),
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Manifest:
    """The manifest of a line. Errors: BackupDamaged, BackupUnreadable (another format)."""
    try:
        document: dict[str, Any] = json.loads(line)
        format_ = document["membudget_backup"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged("its first line is no manifest") from error
    if format_ != FORMAT:
        raise BackupUnreadable(
            f"The backup has format {format_!s:.20}, and this version reads format {FORMAT}; "
            "restore it with the version that made it."
        )
    try:
        return Manifest(
            id=str(document["id"]),
            created_at=int(document["created_at"]),
            schema=str(document["schema"]),
            tables={str(name): int(rows) for name, rows in document["tables"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged("its manifest lacks a part") from error


def damaged(why: str) -> BackupDamaged:
    """The refusal of a backup that is not what was written."""
    return BackupDamaged(
        f"This backup is damaged: {why}. Nothing was changed; restore another one."
    )
