"""Turn rows of memories into values, and back."""

import json
import struct
from operator import itemgetter
from typing import Any

from sqlalchemy import FromClause, Row, Select, select

from app.core.memory import KEPT_ENCODING, Memory, content_of
from app.core.recall import Found
from app.store.database import dumps
from app.store.tables import memories, memory_counts, memory_texts


def whole(workspace: str, found: FromClause = memories) -> Select[Any]:
    """The memories of a workspace, or rows found of them, with their texts and tokens.

    Those are looked up for each row: a join of tables that just grew is planned as if they had not.
    """
    texts, counts = memory_texts.c, memory_counts.c
    text = select(texts.text).where(texts.workspace == workspace, texts.content == found.c.content)
    tokens = select(counts.tokens).where(
        counts.workspace == workspace,
        counts.content == found.c.content,
        counts.encoding == KEPT_ENCODING,
    )
    looked_up = (text.scalar_subquery().label("text"), tokens.scalar_subquery().label("tokens"))
    return select(found, *looked_up).where(found.c.workspace == workspace)


def to_row(memory: Memory) -> tuple[Any, ...]:
    """A memory as a row of `memories`, in column order."""
    embedding = memory.embedding
    return (
        memory.workspace,
        memory.id,
        memory.project or "",
        memory.agent,
        memory.scope,
        content_of(memory.text),
        memory.path,
        memory.created_at,
        memory.modified_at,
        memory.last_accessed_at,
        memory.access_count,
        memory.importance,
        memory.confidence,
        memory.relevance,
        dumps(memory.used_by_agents) if memory.used_by_agents else None,
        memory.session,
        memory.speaker,
        memory.position,
        memory.pinned,
        memory.group,
        memory.expires_at,
        None if embedding is None else struct.pack(f"<{len(embedding)}f", *embedding),
        dumps(dict(memory.metadata)) if memory.metadata else None,
        memory.state,
        memory.state_at,
        memory.fingerprint,
    )


_NAMES = [column.name for column in memories.columns]
_found_of = itemgetter(*(_NAMES.index(name) for name in Found._fields[:-1]))


def to_found(row: tuple[Any, ...]) -> Found:
    """What recalling finds of a row in column order, without its embedding."""
    return Found._make((*_found_of(row), None))


def to_core(row: Row[Any]) -> Memory:
    """The memory of a row that came with its text and tokens."""
    embedding = row.embedding
    return Memory(
        id=row.id,
        workspace=row.workspace,
        text=row.text,
        created_at=row.created_at,
        modified_at=row.modified_at,
        project=row.project or None,
        agent=row.agent,
        scope=row.scope,
        path=row.path,
        last_accessed_at=row.last_accessed_at,
        access_count=row.access_count,
        importance=row.importance,
        confidence=row.confidence,
        relevance=row.relevance,
        used_by_agents=tuple(json.loads(row.used_by_agents)) if row.used_by_agents else (),
        session=row.session,
        speaker=row.speaker,
        position=row.position,
        pinned=row.pinned,
        group=row.group,
        expires_at=row.expires_at,
        embedding=None if embedding is None else _floats(embedding),
        metadata=json.loads(row.metadata) if row.metadata else {},
        state=row.state,
        state_at=row.state_at,
        tokens=row.tokens,
        fingerprint=bytes(row.fingerprint),
    )


def _floats(blob: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(blob) // 4}f", blob)
