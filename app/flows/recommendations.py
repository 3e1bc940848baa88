"""List recommendations, and decide them: apply, dismiss, roll back."""

from collections.abc import Callable
from functools import partial

from app.core.pages import Before, Listed, cut
from app.core.recommendations import Recommendation
from app.store.agents import names_like
from app.store.database import Store, Tx
from app.store.directory import Directory
from app.store.recommendations import (
    Wanted,
    apply_one,
    dismiss_one,
    get_recommendation,
    list_recommendations,
    roll_back_one,
    unknown_recommendation,
)
from app.store.shelf import PolicyShelf


async def recommendations_of(
    store: Store,
    workspace: str,
    *,
    status: str | None,
    agent: str | None,
    window_days: int | None,
    before: Before | None,
    limit: int,
) -> Listed[Recommendation]:
    """A page of a workspace's recommendations, newest first."""

    def read(tx: Tx) -> list[Recommendation]:
        wanted = Wanted(
            workspace=workspace,
            status=status,
            agents=None if agent is None else names_like(tx, workspace, agent),
            window_days=window_days,
        )
        return list_recommendations(tx, wanted, before=before, limit=limit + 1)

    found = await store.read(read)
    return cut(found, limit, lambda one: (one.created_at, one.id))


async def apply_recommendation(
    store: Store, shelf: PolicyShelf, workspace: str, id_: str, now: int
) -> Recommendation:
    """Make the policy version that is proposed: together with the status, or not at all.

    Errors: NotFound; RecommendationNotOpen; RecommendationOutdated where policy has changed since;
    NothingToApply; InvalidPolicy.
    """
    work = partial(apply_one, workspace=workspace, id_=id_, shipped=shelf.shipped, now=now)
    return await _decide(store, shelf, work)


async def roll_back(
    store: Store, shelf: PolicyShelf, workspace: str, id_: str, now: int
) -> Recommendation:
    """Make the agent's assignment what it was before this was applied, and leave all else.

    Errors: NotFound; RecommendationNotApplied; RecommendationOutdated where the assignment has
    changed since; InvalidPolicy.
    """
    work = partial(roll_back_one, workspace=workspace, id_=id_, shipped=shelf.shipped, now=now)
    return await _decide(store, shelf, work)


async def dismiss(store: Store, workspace: str, id_: str, now: int) -> Recommendation:
    """Note that nobody wants it. Errors: NotFound, RecommendationNotOpen."""
    return await store.write_alone(partial(dismiss_one, workspace=workspace, id_=id_, now=now))


async def find_workspace(store: Store, directory: Directory, id_: str, home: str | None) -> str:
    """The workspace of a recommendation, which must be `home` if one is given. Errors: NotFound."""
    workspaces = await directory.workspaces_of(store, id_) if id_.isprintable() else []
    for workspace in workspaces:
        if home not in (None, workspace):
            continue
        work = partial(get_recommendation, workspace=workspace, id_=id_)
        if await store.read(work) is not None:
            return workspace
    raise unknown_recommendation()


async def _decide(
    store: Store, shelf: PolicyShelf, work: Callable[[Tx], Recommendation]
) -> Recommendation:
    decided = await store.write_alone(work)
    await shelf.refresh(store)
    return decided
