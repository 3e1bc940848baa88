"""Keep what requests about memories were answered, by the key they may be repeated under."""

from collections.abc import Collection

from sqlalchemy import delete, select

from app.core.errors import IdempotencyMismatch
from app.core.values import value
from app.store.database import Tx, in_chunks
from app.store.tables import memory_keys
from app.store.usage import RaceLost


@value
class Answered:
    """A request that was granted."""

    request_hash: bytes
    answer: bytes

    def again(self, request_hash: bytes) -> bytes | IdempotencyMismatch:
        """The answer for whoever sends the same request; another one is told so."""
        if request_hash == self.request_hash:
            return self.answer
        return IdempotencyMismatch(
            "This Idempotency-Key came with another body before; use a new key."
        )


def get_answers(tx: Tx, workspace: str, keys: Collection[str]) -> dict[str, Answered]:
    """What was answered, by key."""
    table = memory_keys.c
    found: dict[str, Answered] = {}
    for chunk in in_chunks(sorted(keys)):
        query = select(table.idempotency_key, table.request_hash, table.answer).where(
            table.workspace == workspace, table.idempotency_key.in_(chunk)
        )
        for row in tx.connection.execute(query):
            found[row.idempotency_key] = Answered(
                request_hash=bytes(row.request_hash), answer=row.answer.encode()
            )
    return found


def put_answers(tx: Tx, workspace: str, answers: dict[str, Answered], *, now: int) -> None:
    """Keep answers. Errors: RaceLost if another replica has taken a key just now."""
    rows = [
        (workspace, key, answers[key].request_hash, answers[key].answer.decode(), now)
        for key in sorted(answers)
    ]
    tail = "ON CONFLICT DO NOTHING"
    stored = tx.insert_many(memory_keys, rows, tail=tail, returning="idempotency_key")
    if not tx.is_sqlite and len(stored) < len(rows):
        raise RaceLost


def purge_answers(tx: Tx, workspace: str, *, until: int) -> None:
    """Forget answers given before a moment."""
    table = memory_keys.c
    statement = delete(memory_keys).where(table.workspace == workspace, table.created_at < until)
    tx.connection.execute(statement)
