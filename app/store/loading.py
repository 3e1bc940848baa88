"""Record allocations whose memories were chosen from the store, and that these were loaded."""

from collections.abc import Sequence

from app.core.errors import DomainError
from app.core.values import value
from app.core.windows import micros
from app.store.allocations import New, add_many
from app.store.database import Tx
from app.store.memories import note_accesses


@value
class Loading:
    """A decision to record, and the stored memories that it selected."""

    new: New
    memory_ids: Sequence[str]


def add_loading(tx: Tx, workspace: str, items: Sequence[Loading]) -> list[bytes | DomainError]:
    """Record decisions and note each access once; a repeat under a known key notes nothing."""
    answers = add_many(tx, workspace, [item.new for item in items])
    for item, answer in zip(items, answers, strict=True):
        if answer == item.new.answer:
            at = micros(item.new.decision.allocation.created_at)
            note_accesses(tx, workspace, item.memory_ids, at)
    return answers
