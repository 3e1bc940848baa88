"""Say where the money went: costs by stage, model, agent, user or day."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.core.analytics import Groups, usd
from app.core.usage import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class CostItem:
    """What one of them cost."""

    key: str | None
    """Null: what has none of this dimension."""
    usd: str
    """Of the priced calls."""
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    calls: int
    """Usage events."""
    unpriced: int
    """Those of them whose cost nobody knows; it is not in `usd`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Costs over a window; the items sum to the total."""

    by: str
    items: Sequence[CostItem]
    """The dearest first; days in their order."""
    total_usd: str
    calls: int
    unpriced: int


def break_down(groups: Groups, overall: Cell, by: str) -> Breakdown:
    """Groups as items, and what is in none of them as one more."""
    cells: dict[str | None, Cell] = {key or None: group.cell for key, group in groups.items()}
    rest = _without(overall, cells.values())
    if rest.events > 0:
        cells[None] = _sum((rest, cells[None])) if None in cells else rest
    ordered = sorted(
        cells.items(),
        key=lambda it: (it[0] or "",) if by == "day" else (-it[1].cost, it[0] is None, it[0] or ""),
    )
    return Breakdown(
        by=by,
        items=tuple(_item(key, cell) for key, cell in ordered),
        total_usd=usd(overall.cost),
        calls=overall.events,
        unpriced=overall.events - overall.priced,
    )


def _item(key: str | None, cell: Cell) -> CostItem:
    return CostItem(
        key=key,
        usd=usd(cell.cost),
        input_tokens=cell.input,
        output_tokens=cell.output,
        cached_tokens=cell.cached,
        calls=cell.events,
        unpriced=cell.events - cell.priced,
    )


_SUMMED = ("events", "priced", "cost", "input", "output", "cached")


def _without(overall: Cell, parts: Collection[Cell]) -> Cell:
    rest = Cell()
    for name in _SUMMED:
        setattr(rest, name, getattr(overall, name) - sum(getattr(one, name) for one in parts))
    return rest


def _sum(cells: Sequence[Cell]) -> Cell:
    total = Cell()
    for name in _SUMMED:
        setattr(total, name, sum(getattr(cell, name) for cell in cells))
    return total
