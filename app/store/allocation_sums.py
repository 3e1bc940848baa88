"""Add up allocations for statistics."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from sqlalchemy import func, select

from app.core.filters import AllocationFilter
from app.core.values import value
from app.store.allocations import matching
from app.store.database import Tx
from app.store.pacing import pause
from app.store.tables import allocations

MOST_KINDS = 10_000
"""Kinds of allocations that are counted at once: what is in memory stays small."""

ROWS = 500
"""Rows between two pauses."""


@value
class Sums:
    """What allocations come to."""

    count: int
    budget_tokens: int
    selected: int
    selected_tokens: int
    processing_us: int


@value
class Alike:
    """Allocations of one complexity whose scopes have the same rooms and selections."""

    count: int
    complexity: str
    scopes: tuple[tuple[str, int, int, int], ...]
    """Name, room, tokens used by the selection, memories selected."""


def read_sums(tx: Tx, wanted: AllocationFilter) -> Sums:
    """The sums of matching allocations."""
    table = allocations.c
    columns = (table.budget_tokens, table.selected, table.selected_tokens, table.processing_us)
    query = select(func.count(), *map(func.sum, columns)).where(matching(wanted))
    count, *sums = tx.connection.execute(query).one()
    budget, selected, tokens, processing = (int(each or 0) for each in sums)
    return Sums(
        count=count,
        budget_tokens=budget,
        selected=selected,
        selected_tokens=tokens,
        processing_us=processing,
    )


def stream_alike(tx: Tx, wanted: AllocationFilter) -> Iterator[Alike]:
    """Matching allocations by their kind, in bounded memory: a kind may come more than once.

    Those of one profile and complexity that selected nothing are of one kind, and parsed once.
    """
    query = select(allocations.c.complexity, allocations.c.scopes).where(matching(wanted))
    options = {"stream_results": True, "max_row_buffer": ROWS}
    kinds: Counter[tuple[str, str]] = Counter()
    for rows in tx.connection.execution_options(**options).execute(query).partitions(ROWS):
        kinds.update(map(tuple, rows))
        if len(kinds) > MOST_KINDS:
            yield from _parsed(kinds)
            kinds.clear()
        pause()
    yield from _parsed(kinds)


def _parsed(kinds: Mapping[tuple[str, str], int]) -> Iterator[Alike]:
    for number, ((complexity, scopes), count) in enumerate(kinds.items()):
        yield Alike(
            count=count,
            complexity=complexity,
            scopes=tuple(tuple(scope) for scope in json.loads(scopes)),
        )
        if number % ROWS == ROWS - 1:
            pause()
