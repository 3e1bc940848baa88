"""Follow an allocation: note its loads, tell how it stands, give it time, close it."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from app.core.charging import Charge, uncharged
from app.core.monitoring import Monitor, Report
from app.core.standing import describe
from app.core.usage import UsageEvent
from app.store.allocations import get_many
from app.store.booking import Change, Finish, change_monitors, finish_runs, unknown_allocation
from app.store.database import Store
from app.store.directory import Directory


async def locate(store: Store, directory: Directory, id_: str) -> str:
    """The workspace of an allocation, from the tag in its id. Errors: NotFound."""
    workspaces = await directory.workspaces_of(store, id_) if id_.isprintable() else []
    if len(workspaces) == 1:
        return workspaces[0]
    for workspace in workspaces:
        if await store.read(partial(get_many, workspace=workspace, ids=[id_])):
            return workspace
    raise unknown_allocation()


async def change(
    store: Store,
    workspace: str,
    id_: str,
    apply: Callable[[Monitor, datetime], Monitor],
    now: datetime,
) -> dict[str, Any]:
    """Change how an allocation stands, and tell how it stands then.

    Errors: NotFound, AllocationFinished, AllocationExpired, BudgetExceeded (hard enforcement).
    """
    wanted = Change(allocation_id=id_, now=now, apply=lambda monitor: apply(monitor, now))
    held = await store.write(workspace, change_monitors, wanted)
    return describe(held.answer, held.monitor, now)


async def look_up(store: Store, workspace: str, id_: str, now: datetime) -> dict[str, Any]:
    """An allocation as it was answered, and how it stands."""
    found = await store.read(lambda tx: get_many(tx, workspace, [id_]))
    if id_ not in found:
        raise unknown_allocation()
    return describe(found[id_].answer, found[id_].monitor, now)


async def finish(
    store: Store,
    workspace: str,
    id_: str,
    report: Report,
    now: datetime,
    charge: Charge = uncharged,
) -> UsageEvent:
    """Close an allocation and book its usage event; once, however often it is asked.

    Errors: NotFound, AlreadyFinished with another report, BudgetExceeded (hard enforcement).
    """
    ending = Finish(allocation_id=id_, report=report, now=now, charge=charge)
    return await store.write(workspace, finish_runs, ending, repeats=True)
