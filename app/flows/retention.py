"""Keep every growing table bounded: delete what is kept no longer, in short batches."""

from collections import Counter
from functools import partial

from app.core.keeping import OPERATION_DAYS, OPERATIONS_MOST, keep_in, sealed_until
from app.core.lifecycle import DAY_MICROS
from app.store.agents import list_workspaces
from app.store.cell_reading import first_hour, read_sealed
from app.store.cells import seal
from app.store.database import SYSTEM, Store, Tx
from app.store.operation_reading import first_operation, overflow
from app.store.operations import seal_operations
from app.store.retention import AT_ONCE, Sweep, sweep, sweeps_of
from app.store.shelf import PolicyShelf


async def delete_past_keeping(
    store: Store, shelf: PolicyShelf, now: int, *, usage_days: int | None = None
) -> dict[str, int]:
    """Delete rows of all workspaces that are past keeping; how many went, by table.

    `usage_days`: how long usage events are kept; None: for ever. Only whole days of them go, and
    what they came to stays in their cells.
    """
    removed = Counter[str]()
    for workspace in [*sorted(await store.read(list_workspaces)), SYSTEM]:
        if usage_days is not None and workspace != SYSTEM:
            until = sealed_until(usage_days, now)
            if await store.read(partial(_is_to_seal, workspace, until)):
                await store.write(workspace, seal, until)
        begun = await store.read(partial(_operations_until, workspace, now))
        if begun:
            await store.write(workspace, seal_operations, begun)
        for wanted in await store.read(partial(_wanted, shelf, workspace, now)):
            gone = AT_ONCE
            while gone == AT_ONCE:
                gone = await store.write(workspace, sweep, wanted, weight=AT_ONCE)
                removed[wanted.table] += gone
    return dict(sorted(removed.items()))


def _is_to_seal(workspace: str, until: int, tx: Tx) -> bool:
    first = first_hour(tx, workspace)
    return first is not None and first < until and read_sealed(tx, workspace) < until


def _operations_until(workspace: str, now: int, tx: Tx) -> int:
    """Before when a workspace's operations go; 0: none of them do."""
    first = first_operation(tx, workspace)
    until = max(now - OPERATION_DAYS * DAY_MICROS, overflow(tx, workspace, OPERATIONS_MOST))
    return until if first is not None and first < until else 0


def _wanted(shelf: PolicyShelf, workspace: str, now: int, tx: Tx) -> list[Sweep]:
    book = shelf.book("default" if workspace == SYSTEM else workspace)
    return sweeps_of(tx, workspace, keep_in(book, now), now)
