"""Keep the texts of memories, each once a workspace, with their tokens."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import delete, exists, select

from app.core.memory import KEPT_ENCODING, MemoryText
from app.store.database import Tx, in_chunks
from app.store.tables import memories, memory_counts, memory_texts

# Rows that are known are locked, so that nobody drops them before the memory that needs them is in.
_OR_LOCK = "ON CONFLICT (workspace, content) DO UPDATE SET length = excluded.length WHERE false"


def put_texts(tx: Tx, workspace: str, texts: Iterable[MemoryText]) -> None:
    """Keep texts that are not kept yet."""
    ordered = sorted(texts, key=lambda one: one.content)
    rows = [(workspace, one.content, one.text, one.words, one.length) for one in ordered]
    tx.insert_many(memory_texts, rows, tail=_OR_LOCK)
    put_counts(tx, workspace, KEPT_ENCODING, {one.content: one.tokens for one in ordered})


def words_of(tx: Tx, workspace: str, contents: Iterable[bytes]) -> dict[bytes, str]:
    """The words of texts, by their digest."""
    table = memory_texts.c
    found: dict[bytes, str] = {}
    for chunk in in_chunks(sorted(set(contents))):
        query = select(table.content, table.words).where(
            table.workspace == workspace, table.content.in_(chunk)
        )
        found.update((bytes(row.content), row.words) for row in tx.connection.execute(query))
    return found


def put_counts(tx: Tx, workspace: str, encoding: str, counts: Mapping[bytes, int]) -> None:
    """Keep tokens of texts in an encoding; what is counted already stays."""
    rows = [(workspace, content, encoding, counts[content]) for content in sorted(counts)]
    tx.insert_many(memory_counts, rows, tail="ON CONFLICT DO NOTHING")


def counts_of(tx: Tx, workspace: str, contents: Iterable[bytes], encoding: str) -> dict[bytes, int]:
    """Tokens of texts in an encoding, of those that are counted."""
    table = memory_counts.c
    found: dict[bytes, int] = {}
    for chunk in in_chunks(sorted(set(contents))):
        query = select(table.content, table.tokens).where(
            table.workspace == workspace,
            table.content.in_(chunk),
            table.encoding == encoding,
        )
        found.update((bytes(row.content), row.tokens) for row in tx.connection.execute(query))
    return found


def drop_unused(tx: Tx, workspace: str, contents: Collection[bytes]) -> None:
    """Delete those of the texts that no memory holds any more."""
    texts, counts = memory_texts.c, memory_counts.c
    for chunk in in_chunks(sorted(set(contents))):
        held = select(texts.content).where(texts.workspace == workspace, texts.content.in_(chunk))
        if not tx.is_sqlite:
            tx.connection.execute(held.order_by(texts.content).with_for_update()).all()
        holders = exists().where(
            memories.c.workspace == workspace, memories.c.content == texts.content
        )
        query = held.where(~holders)
        unused = tx.connection.execute(query).scalars().all()
        if unused:
            for table in (texts, counts):
                statement = delete(table.content.table).where(
                    table.workspace == workspace, table.content.in_(unused)
                )
                tx.connection.execute(statement)
