"""Make budgets in USD, look at them, and ask them before spending."""

from collections.abc import Sequence
from dataclasses import replace

from app.core.errors import NotFound
from app.core.pages import Before, Listed, cut
from app.core.spending import CostAlert, CostBudget, Spender, Standing, covers
from app.core.values import value
from app.store.cost_alerts import list_alerts
from app.store.cost_budgets import delete_budget, put_budget, read_budgets
from app.store.costshelf import CostShelf
from app.store.database import Store, Tx
from app.store.standings import read_standings

MAX_NAMED = 20


@value
class AlertFilter:
    """Which alerts to list; moments in microseconds since 1970."""

    workspace: str
    budget: str | None = None
    since: int | None = None
    until: int | None = None


async def put(
    store: Store, costs: CostShelf, workspace: str, budget: CostBudget, *, now: int
) -> bool:
    """Put a budget in force; what its present window has spent counts. Whether it is new."""
    is_new = await store.write_alone(lambda tx: put_budget(tx, workspace, budget, now=now))
    await costs.refresh(store)
    return is_new


async def delete(store: Store, costs: CostShelf, workspace: str, name: str, *, now: int) -> None:
    """Take a budget away, with its totals and alerts. Errors: NotFound."""
    if not await store.write_alone(lambda tx: delete_budget(tx, workspace, name, now=now)):
        raise _unknown(await store.read(lambda tx: read_budgets(tx, workspace)))
    await costs.refresh(store)


async def list_standings(store: Store, workspace: str, *, now: int) -> list[Standing]:
    """Every budget of a workspace, and how its present window stands."""
    return await store.read(
        lambda tx: read_standings(tx, workspace, read_budgets(tx, workspace), at=now)
    )


async def look_up(store: Store, workspace: str, name: str, *, now: int) -> Standing:
    """A budget, and how its present window stands. Errors: NotFound."""

    def work(tx: Tx) -> Standing:
        return read_standings(tx, workspace, [_named(tx, workspace, name)], at=now)[0]

    return await store.read(work)


async def check(
    store: Store, workspace: str, name: str, spender: Spender, asked: int, *, now: int
) -> list[Standing]:
    """How the budgets stand that apply to what is asked: the one that is named, then the others.

    A budget applies if it covers the one who spends: whom the named budget is about, and who else
    is known. Errors: NotFound.
    """

    def work(tx: Tx) -> list[Standing]:
        named = _named(tx, workspace, name)
        who = _spender(named, spender)
        others = [
            one for one in read_budgets(tx, workspace) if one.name != name and covers(one, who)
        ]
        return read_standings(
            tx, workspace, [named, *others], at=now, run_id=who.run_id, asked=asked
        )

    return await store.read(work)


async def history(
    store: Store, wanted: AlertFilter, before: Before | None, limit: int
) -> Listed[tuple[str, CostAlert]]:
    """Alerts with their ids, newest first."""

    def work(tx: Tx) -> Listed[tuple[str, CostAlert]]:
        found = list_alerts(
            tx,
            wanted.workspace,
            budget=wanted.budget,
            since=wanted.since,
            until=wanted.until,
            before=before,
            limit=limit + 1,
        )
        return cut(found, limit, lambda one: (one[1].at, one[0]))

    return await store.read(work)


def _named(tx: Tx, workspace: str, name: str) -> CostBudget:
    budgets = read_budgets(tx, workspace)
    found = next((one for one in budgets if one.name == name), None)
    if found is None:
        raise _unknown(budgets)
    return found


def _unknown(budgets: Sequence[CostBudget]) -> NotFound:
    names = [one.name for one in budgets[:MAX_NAMED]]
    known = f"it has {', '.join(names)}" if names else "it has none yet"
    return NotFound(f"No budget in USD of this name in this workspace; {known}.", budgets=names)


def _spender(budget: CostBudget, given: Spender) -> Spender:
    """Who spends: as given, else whom the budget is about."""
    kind, name = budget.subject.kind, budget.subject.name
    if kind == "agent":
        return replace(given, agent=given.agent or name)
    if kind == "project":
        return replace(given, project=given.project or name)
    if kind == "user":
        return replace(given, user=given.user or name)
    if kind == "run":
        return replace(given, run_id=given.run_id or name)
    return given
