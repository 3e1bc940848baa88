"""Fit the detector to feedback when a job of the day, week or month has done its work."""

from collections.abc import Mapping
from typing import Any

from app.core.schedule import Handler, Run
from app.flows.refit import Refitted, refit_all
from app.store.database import Store
from app.store.shelf import PolicyShelf

MOST_TOLD = 50
"""Workspaces that a run's outcome tells of."""


def then_refit(handler: Handler, store: Store, shelf: PolicyShelf) -> Handler:
    """A handler that fits after another one; what came of it is told under `detector`."""

    async def work(run: Run) -> Mapping[str, Any]:
        outcome = await handler(run)
        done = await refit_all(store, shelf, run.started_at)
        if not done:
            return outcome
        return {**outcome, "detector": [_told(one) for one in done[:MOST_TOLD]]}

    return work


def _told(one: Refitted) -> dict[str, Any]:
    return {
        "workspace": one.workspace,
        "version": one.version,
        "samples": one.found.samples,
        "why": one.found.why,
        "right_before": one.found.right_before,
        "right_after": one.found.right_after,
    }
