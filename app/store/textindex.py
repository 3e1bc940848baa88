"""Keep what memories are searched by in step with them: the text index and words' statistics.

The index is SQLite's FTS5, PostgreSQL's tsvector. It holds *terms*: the stems of a memory, each
behind letters of its place, so that a search reads nothing of other workspaces and projects.
"""

import hashlib
from base64 import b32encode
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from app.store.database import Tx, in_chunks
from app.store.lengths import NUMBERS, length_class
from app.store.tables import memory_places, memory_words

Indexed = tuple[str, str, str]
"""Id, project and words (with blanks between them) of an active memory."""

ROWS = 64
"""Rows of one statement."""


def index_changes(
    tx: Tx, workspace: str, added: Sequence[Indexed], removed: Sequence[Indexed]
) -> None:
    """Take memories out of the index and put others in, in the transaction that changes them.

    A memory whose text or project changes is in both, `removed` with what it was; one that is
    archived or deleted is in `removed` only.
    """
    if removed:
        ids = sorted(id_ for id_, _, _ in removed)
        if tx.is_sqlite:
            _remove_rows(tx, workspace, {id_: (project, words) for id_, project, words in removed})
        else:
            for chunk in in_chunks(ids):
                marks = tx.marks(len(chunk), first=2)
                sql = f"DELETE FROM memory_vectors WHERE workspace = $1 AND id IN ({marks})"
                tx.fetch(sql, [workspace, *chunk], returning="")
    if added:
        (_add_rows if tx.is_sqlite else _add_vectors)(tx, workspace, sorted(added))
    _keep_statistics(tx, workspace, added, removed)


def clear_index(tx: Tx) -> None:
    """Empty the index of all workspaces (when all memories are replaced)."""
    if tx.is_sqlite:
        tx.fetch("INSERT INTO memory_index (memory_index) VALUES ('delete-all')", ())
        tx.fetch("DELETE FROM memory_numbers", ())
    else:
        tx.fetch("DELETE FROM memory_vectors", (), returning="")


def indexed_under(tx: Tx, workspace: str, project: str, word: str) -> set[str]:
    """The ids of memories that the index holds for a word (a sweep: for the audit and tests)."""
    term = place_of(workspace, project) + word
    if tx.is_sqlite:
        sql = (
            "SELECT n.id FROM memory_index i JOIN memory_numbers n ON n.number = i.rowid"
            " WHERE i.memory_index MATCH ? AND n.workspace = ?"
        )
        return {row[0] for row in tx.fetch(sql, (f'"{term}"', workspace))}
    sql = "SELECT id FROM memory_vectors WHERE terms @@ $1::tsquery AND workspace = $2"
    return {row[0] for row in tx.fetch(sql, (f"'{term}'", workspace))}


def terms_of(place: str, words: str) -> list[str]:
    """What the index holds of a memory: each of its words, once."""
    return [place + word for word in dict.fromkeys(words.split())]


@lru_cache(maxsize=4096)
def place_of(workspace: str, project: str) -> str:
    """The letters that every term of a project ("" for none) of a workspace begins with."""
    digest = hashlib.blake2b(f"{workspace}\0{project}".encode(), digest_size=10).digest()
    return b32encode(digest).decode().lower()


def _add_rows(tx: Tx, workspace: str, added: Sequence[Indexed]) -> None:
    next_in: dict[int, int] = {}
    rows: list[tuple[int, str, str]] = []
    for id_, project, words in added:
        its_class = length_class(words.count(" ") + bool(words))
        if its_class not in next_in:
            first = its_class * NUMBERS
            sql = "SELECT max(number) FROM memory_numbers WHERE number BETWEEN ? AND ?"
            last = tx.fetch(sql, (first, first + NUMBERS - 1))[0][0]
            next_in[its_class] = first if last is None else last + 1
        rows.append(
            (next_in[its_class], id_, " ".join(terms_of(place_of(workspace, project), words)))
        )
        next_in[its_class] += 1
    for chunk in in_chunks(rows, ROWS):
        marks = ", ".join(["(?, ?, ?)"] * len(chunk))
        tx.fetch(
            f"INSERT INTO memory_numbers (number, workspace, id) VALUES {marks}",
            [value for number, id_, _ in chunk for value in (number, workspace, id_)],
        )
        marks = ", ".join(["(?, ?)"] * len(chunk))
        tx.fetch(
            f"INSERT INTO memory_index (rowid, terms) VALUES {marks}",
            [value for number, _, terms in chunk for value in (number, terms)],
        )


def _remove_rows(tx: Tx, workspace: str, removed: dict[str, tuple[str, str]]) -> None:
    for ids in in_chunks(sorted(removed), ROWS):
        sql = f"DELETE FROM memory_numbers WHERE workspace = ? AND id IN ({tx.marks(len(ids))})"
        values: list[object] = []
        for number, id_ in tx.fetch(f"{sql} RETURNING number, id", [workspace, *ids]):
            project, words = removed[id_]
            values += ("delete", number, " ".join(terms_of(place_of(workspace, project), words)))
        marks = ", ".join(["(?, ?, ?)"] * (len(values) // 3))
        if values:  # FTS5 is told what it held
            tx.fetch(
                f"INSERT INTO memory_index (memory_index, rowid, terms) VALUES {marks}", values
            )


def _add_vectors(tx: Tx, workspace: str, added: Sequence[Indexed]) -> None:
    for chunk in in_chunks(added, ROWS):
        values: list[object] = []
        for id_, project, words in chunk:
            length = words.count(" ") + bool(words)
            values += (
                workspace,
                id_,
                length_class(length),
                terms_of(place_of(workspace, project), words),
            )
        marks = ", ".join(
            f"(${at}, ${at + 1}, ${at + 2}, array_to_tsvector(${at + 3}::text[]))"
            for at in range(1, len(values), 4)
        )
        sql = f"INSERT INTO memory_vectors (workspace, id, length, terms) VALUES {marks}"
        tx.fetch(sql, values, returning="")


def _keep_statistics(
    tx: Tx, workspace: str, added: Iterable[Indexed], removed: Iterable[Indexed]
) -> None:
    memories: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    words_in: Counter[tuple[str, str]] = Counter()
    for sign, changes in ((1, added), (-1, removed)):
        for _, project, words in changes:
            its = words.split()
            memories[project] += sign
            lengths[project] += sign * len(its)
            for word in set(its):
                words_in[project, word] += sign
    tx.insert_many(
        memory_places,
        [(workspace, place, memories[place], lengths[place]) for place in sorted(memories)],
        tail="ON CONFLICT (workspace, project) DO UPDATE SET"
        " memories = memory_places.memories + excluded.memories,"
        " length = memory_places.length + excluded.length",
    )
    tx.insert_many(
        memory_words,
        [(workspace, *at, change) for at, change in sorted(words_in.items()) if change],
        tail="ON CONFLICT (workspace, project, word) DO UPDATE SET"
        " memories = memory_words.memories + excluded.memories",
    )
    _drop_unused(tx, workspace, (at for at, change in words_in.items() if change < 0))


def _drop_unused(tx: Tx, workspace: str, fewer: Iterable[tuple[str, str]]) -> None:
    """Delete the rows of words, of those that became fewer, that stand nowhere any more."""
    by_project: dict[str, list[str]] = {}
    for project, word in sorted(fewer):
        by_project.setdefault(project, []).append(word)
    for project, words in by_project.items():
        for chunk in in_chunks(words):
            first, second = tx.marks(1), tx.marks(1, first=2)
            marks = tx.marks(len(chunk), first=3)
            tx.fetch(
                f"DELETE FROM memory_words WHERE workspace = {first} AND project = {second}"
                f" AND word IN ({marks}) AND memories <= 0",
                [workspace, project, *chunk],
                returning="",
            )
