"""Fit the detector of each workspace to its feedback, as a version of its policy."""

from functools import partial
from typing import Any

from app.core.policy_changes import put
from app.core.refitting import FEWEST, MOST_READ, NEW_ONES, Refit, refit, samples_of, section
from app.core.values import value
from app.presets.detector import weights
from app.store import policies
from app.store.database import Store, Tx
from app.store.feedback import count_feedback, newest_feedback, workspaces_with
from app.store.policy_changes import change
from app.store.shelf import PolicyShelf

SOURCE = "feedback"
"""What a policy version that a fit made says of its origin."""


@value
class Refitted:
    """What was fitted in one workspace."""

    workspace: str
    found: Refit
    version: int | None
    """The policy version that it made; None: nothing was changed."""


async def refit_all(store: Store, shelf: PolicyShelf, now: int) -> list[Refitted]:
    """Fit every workspace that has enough feedback, and news since its last fit."""
    await shelf.refresh(store)
    done = []
    for workspace in await store.read(partial(_with_enough, FEWEST)):
        if shelf.book(workspace).detection.learns:
            done += await _refit_one(store, shelf, workspace, now)
    await shelf.refresh(store)
    return done


async def _refit_one(store: Store, shelf: PolicyShelf, workspace: str, now: int) -> list[Refitted]:
    found = await store.read(partial(_fitted, shelf, workspace))
    if found is None:
        return []
    if not found.applied:
        return [Refitted(workspace=workspace, found=found, version=None)]

    (changed,) = await store.write_alone(
        lambda tx: change(
            tx,
            shelf.shipped,
            {workspace: put("detection", None, section(found, _stated(tx, workspace)))},
            source=SOURCE,
            now=now,
        )
    )
    return [Refitted(workspace=workspace, found=found, version=changed.version)]


def _with_enough(least: int, tx: Tx) -> list[str]:
    return workspaces_with(tx, least)


def _fitted(shelf: PolicyShelf, workspace: str, tx: Tx) -> Refit | None:
    """What the feedback says; None where there is no news."""
    versions = policies.list_versions(tx, workspace, before=None, limit=100)
    last = max((one.created_at for one in versions if one.source == SOURCE), default=0)
    if count_feedback(tx, workspace, since=last) < NEW_ONES:
        return None
    samples = samples_of(newest_feedback(tx, workspace, MOST_READ), weights())
    return refit(samples, weights(), shelf.book(workspace).detection)


def _stated(tx: Tx, workspace: str) -> dict[str, Any]:
    """What the workspace itself states of its detection."""
    document = policies.current(tx, [workspace])[workspace][1]
    return dict(document.get("detection") or {})
