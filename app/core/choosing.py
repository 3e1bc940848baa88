"""Choose items for the rooms of a budget: pinned ones first, then what is worth most.

Of the items that are not pinned, the optimum is the choice of the greatest total score in which no
scope is worth less than the best that its room alone could hold: what a scope leaves unused is
lent to the others, and what it could use is not. Rigid scopes keep to their rooms, too. A group
counts in the scope of its best item that could be chosen.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.core.amounts import scale_down, split_by_weight
from app.core.budgets import Room
from app.core.knapsack import pack
from app.core.relaxation import Option, Section
from app.core.screening import Item
from app.core.values import value

MANY = 100
"""Items above which it pays to look for those that no optimum needs."""


@value
class Problem:
    """What is chosen from, and into what."""

    items: Sequence[Item]
    """Best first."""
    rooms: Sequence[Room]
    budget: int
    rigid: bool

    def of(self, items: Sequence[Item]) -> "Problem":
        """The same with other items."""
        return Problem(items=items, rooms=self.rooms, budget=self.budget, rigid=self.rigid)

    def at(self, budget: int) -> "Problem":
        """The same with another budget, and rooms that keep their shares of it."""
        rooms: Sequence[Room] = self.rooms
        if budget != self.budget and rooms:
            weights = [room.weight for room in rooms]
            shares = (
                [scale_down(budget, weight, Decimal(1)) for weight in weights]
                if self.rigid
                else split_by_weight(budget, weights)
            )
            rooms = [
                Room(name=room.name, weight=room.weight, tokens=share)
                for room, share in zip(rooms, shares, strict=True)
            ]
        return Problem(items=self.items, rooms=rooms, budget=budget, rigid=self.rigid)


@value
class Choice:
    """The indexes of the items chosen."""

    chosen: Sequence[int]
    """In order."""
    value: float
    """Their total score."""
    bound: float
    """No choice with the same pinned ones has a greater total score."""


def choose(problem: Problem, weights: Sequence[int]) -> Choice:
    """The choice where the items weigh this; together they fit the budget.

    Pinned items are taken while they fit, the best first.
    """
    free = {room.name: room.tokens for room in problem.rooms}
    left = problem.budget
    chosen: list[int] = []
    groups: set[str] = set()
    for index, item in enumerate(problem.items):
        group = item.candidate.group
        if item.candidate.pinned and (not group or group not in groups):
            room = min(left, free[item.home]) if problem.rigid and item.home is not None else left
            if weights[index] <= room:
                chosen.append(index)
                left -= weights[index]
                if item.home is not None:
                    free[item.home] -= weights[index]
                if group:
                    groups.add(group)
    pinned_value = sum(problem.items[index].score.total for index in chosen)

    fitting = [
        index
        for index, item in enumerate(problem.items)
        if not item.candidate.pinned
        and weights[index] <= left
        and not (problem.rigid and item.home is not None and weights[index] > free[item.home])
        and item.candidate.group not in groups
    ]
    open_items = _contenders(problem, fitting, weights, left)
    owners: dict[str, str | None] = {}
    strays = []
    for index in open_items:
        item = problem.items[index]
        if (group := item.candidate.group) and owners.setdefault(group, item.home) != item.home:
            strays.append(index)
    own = sorted(set(open_items).difference(strays)) if strays else open_items
    packing = pack(_sections(problem, own, weights, free, left), left)
    bound = packing.bound
    chosen += packing.items
    if strays:
        bound = pack(_sections(problem, open_items, weights, free, left), left).bound
    value = pinned_value + packing.value
    return Choice(
        chosen=sorted(chosen), value=value, bound=pinned_value + max(bound, packing.value)
    )


def _contenders(
    problem: Problem, indexes: Sequence[int], weights: Sequence[int], left: int
) -> Sequence[int]:
    """The items without those that some optimum surely does without.

    An item is one of them when those of its scope that weigh less and are worth no less do not
    fit beside it all together: one of them is left out, and could stand in its place.
    """
    if len(indexes) < MANY:
        return indexes
    lighter: dict[str | None, list[int]] = {}
    kept = []
    for index in indexes:
        item = problem.items[index]
        weight = weights[index]
        below = lighter.setdefault(item.home, [0] * (_size(left) + 1))
        size = _size(weight)
        if sum(below[:size]) + weight <= left or item.candidate.group:
            kept.append(index)
            if not item.candidate.group:
                below[size] += weight
    return kept


def _size(weight: int) -> int:
    """A number that grows with weight: four for each doubling."""
    bits = weight.bit_length()
    return weight if bits <= 3 else (bits << 2 | (weight >> (bits - 3)) & 3) - 8


def ceiling(problem: Problem, weights: Sequence[int]) -> float:
    """What no choice of items of at least these weights is worth more than, pinned or not."""
    free = {room.name: room.tokens for room in problem.rooms}
    indexes = [index for index, item in enumerate(problem.items) if item.score.total > 0]
    sections = _sections(problem, indexes, weights, free, problem.budget)
    free_of_floors = [Section(choices=one.choices, cap=one.cap) for one in sections]
    return pack(free_of_floors, problem.budget).bound


def _sections(
    problem: Problem,
    indexes: Sequence[int],
    weights: Sequence[int],
    free: Mapping[str, int],
    left: int,
) -> list[Section]:
    """Items as choices by the scope they count in, with what is free there as floor and cap."""
    choices: dict[str | None, dict[str | int, list[Option]]] = {name: {} for name in free}
    choices[None] = {}
    for index in indexes:
        item = problem.items[index]
        option = Option(weights[index], item.score.total, index)
        choices[item.home].setdefault(item.candidate.group or index, []).append(option)
    sections = []
    for name, own in choices.items():
        floor = 0 if name is None else max(0, min(free[name], left))
        left -= floor
        if own:
            cap = max(0, free[name]) if problem.rigid and name is not None else None
            sections.append(Section(choices=[*own.values()], floor=floor, cap=cap))
    return sections
