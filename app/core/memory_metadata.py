"""Read what a metadata file of a memory tree says of the text beside it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.core.memory import Memory
from app.core.windows import micros

MAX_METADATA = 65_536
MAX_DEPTH = 50
MAX_COUNT = 2**53
MAX_NAME = 400
MAX_NAMES = 1_000


class Unfit(Exception):
    """A file, or what is said in it, that cannot be taken."""


def with_metadata(memory: Memory, data: bytes) -> Memory:
    """A memory as its metadata file says. Errors: Unfit, naming the field.

    It was modified when the metadata say so, or its file, whichever is later.
    """
    said = _object(data)
    modified_at = _moment(said, "modified_at")
    created_at = _moment(said, "created_at")
    modified_at = max(memory.modified_at, modified_at or 0)
    uses = said.get("use_count")
    confidence = said.get("confidence")
    agents = said.get("used_by_agents") or []
    if uses is not None and not (type(uses) is int and 0 <= uses <= MAX_COUNT):
        raise Unfit("use_count is no count")
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        raise Unfit("confidence is no number from 0 to 1")
    if not _are_names(agents):
        raise Unfit("used_by_agents is no list of names")
    return replace(
        memory,
        created_at=modified_at if created_at is None else created_at,
        modified_at=modified_at,
        last_accessed_at=_moment(said, "last_used"),
        access_count=uses or 0,
        confidence=None if confidence is None else float(confidence),
        used_by_agents=tuple(agents),
        metadata=said,
    )


def _is_number(found: object) -> bool:
    return type(found) in (int, float)


def _are_names(found: object) -> bool:
    return (
        isinstance(found, list)
        and len(found) <= MAX_NAMES
        and all(type(name) is str and 0 < len(name) <= MAX_NAME for name in found)
        and all(name.isprintable() for name in found)
    )


def _moment(said: Mapping[str, Any], name: str) -> int | None:
    """A time as ISO 8601, in UTC where it has no zone, or in seconds since 1970."""
    found = said.get(name)
    if found is None:
        return None
    try:
        if _is_number(found):
            return micros(datetime.fromtimestamp(found, UTC))
        at = datetime.fromisoformat(found)
        return micros(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise Unfit(f"{name} is no time") from error


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object that both databases can keep."""
    too_long = Unfit(f"is longer than {MAX_METADATA:,} characters of JSON")
    if len(data) > MAX_METADATA:
        raise too_long
    try:
        found = json.loads(data)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        size = len(json.dumps(found))
    except (ValueError, RecursionError) as error:
        raise Unfit("is no valid JSON") from error
    if size > MAX_METADATA:
        raise too_long
    if not isinstance(found, dict):
        raise Unfit("is no JSON object")
    for depth, part in _parts(found):
        if depth > MAX_DEPTH:
            raise Unfit(f"is nested more than {MAX_DEPTH} deep")
        if isinstance(part, str) and "\0" in part:
            raise Unfit("holds a NUL character")
    return found


def _parts(found: object) -> Iterator[tuple[int, object]]:
    """Everything in a JSON value, keys too, with its depth."""
    level: list[object] = [found]
    depth = 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        yield from ((depth, one) for one in level)
        lists = [one for one in level if isinstance(one, list)]
        dicts = [one for one in level if isinstance(one, dict)]
        level = [part for one in lists for part in one]
        level += [part for one in dicts for pair in one.items() for part in pair]
