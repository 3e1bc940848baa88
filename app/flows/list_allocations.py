"""List, summarise, export and delete allocations."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from app.core.filters import AllocationFilter
from app.core.pages import Before, Listed, cut, every
from app.core.standing import describe
from app.core.windows import micros, moment
from app.store.agents import names_like
from app.store.allocation_sums import read_sums, stream_alike
from app.store.allocations import delete_many, list_many
from app.store.database import Store, Tx

EXPORT_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Means over allocations."""

    tokens_allocated: float
    """Tokens of the memories that were selected (the originals' figure)."""
    memories_selected: float
    processing_ms: float
    budget_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeAverages:
    """Means of one scope over the allocations that have it."""

    avg_utilization_pct: float
    avg_selected: float
    avg_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationStatistics:
    """What a set of allocations comes to."""

    count: int
    averages: Averages
    complexity: dict[str, int]
    scopes: dict[str, ScopeAverages]


async def list_allocations(
    store: Store,
    wanted: AllocationFilter,
    agent: str | None,
    before: Before | None,
    limit: int,
) -> Listed[dict[str, Any]]:
    """A page of allocations with their status."""

    def work(tx: Tx) -> Listed[dict[str, Any]]:
        held = list_many(tx, _named(tx, wanted, agent), before=before, limit=limit + 1)
        found = cut(held, limit, lambda one: (micros(one.monitor.opened_at), one.opened.id))
        now = moment(wanted.now)
        items = [describe(one.answer, one.monitor, now) for one in found.items]
        return Listed(items=items, next_before=found.next_before)

    return await store.read(work)


async def summarise(
    store: Store, wanted: AllocationFilter, agent: str | None
) -> AllocationStatistics:
    """Statistics over matching allocations."""
    return await store.read(lambda tx: _summarise(tx, _named(tx, wanted, agent)))


def export_allocations(
    store: Store, wanted: AllocationFilter, agent: str | None
) -> AsyncIterator[dict[str, Any]]:
    """All matching allocations with their status, oldest pages last, in bounded memory."""
    return every(lambda before: list_allocations(store, wanted, agent, before, EXPORT_PAGE))


async def delete_allocations(store: Store, wanted: AllocationFilter) -> int:
    """Delete matching allocations that are not open; the usage events that they ended in stay."""
    return await store.write_alone(lambda tx: delete_many(tx, wanted))


def _named(tx: Tx, wanted: AllocationFilter, agent: str | None) -> AllocationFilter:
    if agent is None:
        return wanted
    return replace(wanted, agents=names_like(tx, wanted.workspace, agent))


def _summarise(tx: Tx, wanted: AllocationFilter) -> AllocationStatistics:
    totals = read_sums(tx, wanted)
    count = totals.count
    tiers: Counter[str] = Counter()
    scopes: defaultdict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0, 0])
    for kind in stream_alike(tx, wanted):
        tiers[kind.complexity] += kind.count
        for name, room, used, chosen in kind.scopes:
            sums = scopes[name]
            sums[0] += kind.count
            sums[1] += kind.count * (100 * used / room) if room else 0.0
            sums[2] += kind.count * chosen
            sums[3] += kind.count * used
    return AllocationStatistics(
        count=count,
        averages=Averages(
            tokens_allocated=_mean(totals.selected_tokens, count),
            memories_selected=_mean(totals.selected, count),
            processing_ms=_mean(totals.processing_us, count) / 1000,
            budget_tokens=_mean(totals.budget_tokens, count),
        ),
        complexity=dict(tiers),
        scopes={
            name: ScopeAverages(
                avg_utilization_pct=_mean(utilization, its),
                avg_selected=_mean(chosen, its),
                avg_tokens=_mean(used, its),
            )
            for name, (its, utilization, chosen, used) in scopes.items()
        },
    )


def _mean(total: float, count: float) -> float:
    return total / count if count else 0.0
