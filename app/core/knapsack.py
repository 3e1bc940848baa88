"""Pack what is worth most into a weight: near the optimum, with a bound that proves how near.

Choices lie in sections. Of a choice at most one option is taken; a section weighs at most its cap
and is worth no less than the best that its floor alone could hold; everything weighs at most the
capacity. The packing of the greatest value under these rules is the optimum.

A price on weight, and one on the value of a section whose floor binds, leave each choice to itself
(Lagrange). What the choices then gain is a bound; another packing loses a known part of it, so
only those are looked at that may lose less than the best packing known.
"""

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate
from math import inf
from operator import itemgetter
from typing import TypeVar

from app.core.relaxation import Choice, Option, Section, best_of, priced
from app.core.values import value

TOLERANCE = 2e-3
"""Share of the value that is not searched for: a fifth of what is promised."""

MOST_STATES = 200
"""Partial packings kept in mind; more cost time and find little."""

MOST_DEPARTURES = 60
"""Choices of one section that are looked at in search of a better packing."""

MOST_EXCHANGES = 30
"""Exchanges in one section before the search."""

_SLIP = 1e-9  # what sums of floats may be off by

S = TypeVar("S", "_State", "_End")


@value
class Packing:
    """What is taken, what it is worth, and what no packing exceeds."""

    items: Sequence[int]
    value: float
    bound: float


NOTHING = Packing(items=(), value=0.0, bound=0.0)


def pack(sections: Sequence[Section], capacity: int) -> Packing:
    """The optimum within `TOLERANCE`, or near it where finding it would take too long.

    The floors together fit the capacity.
    """
    sections = [_within(section, capacity) for section in sections]
    if all(map(_all_fits, sections)):
        richest = [_richest(choice) for section in sections for choice in section.choices]
        if sum(option.weight for option in richest) <= capacity:
            total = sum(option.value for option in richest)
            return Packing(items=[option.item for option in richest], value=total, bound=total)

    if len(sections) == 1:
        return _Search(sections, [NOTHING], capacity).run()
    floors = [_pack_floor(section) for section in sections]
    if all(section.cap is not None and section.cap <= section.floor for section in sections):
        return Packing(
            items=[item for floor in floors for item in floor.items],
            value=sum(floor.value for floor in floors),
            bound=sum(floor.bound for floor in floors),
        )
    return _Search(sections, floors, capacity).run()


def _within(section: Section, capacity: int) -> Section:
    """The section without the options that never fit."""
    cap = capacity if section.cap is None else min(section.cap, capacity)
    choices = section.choices
    if any(option.weight > cap for choice in choices for option in choice):
        fitting = ([one for one in choice if one.weight <= cap] for choice in choices)
        choices = [choice for choice in fitting if choice]
    return Section(choices=choices, floor=min(section.floor, cap), cap=section.cap)


def _all_fits(section: Section) -> bool:
    if section.cap is None:
        return True
    return sum(_richest(choice).weight for choice in section.choices) <= section.cap


def _richest(choice: Choice) -> Option:
    return choice[0] if len(choice) == 1 else min(choice, key=lambda one: (-one.value, one.weight))


def _pack_floor(section: Section) -> Packing:
    if not section.choices:
        return NOTHING
    return pack([Section(choices=section.choices)], section.floor)


_State = tuple[int, float, float, int]
"""A packing of a section: weight, debt (its value, negative), loss of bound, number of its trail.

Sorted, the lightest come first, and of one weight those of the greatest value."""

_End = tuple[int, float, float, tuple[int, ...]]
"""A packing of several sections: the same with the trail in each."""

_Departure = tuple[float, int, float, Option | None]
"""What a choice may do instead of the usual: loss, weight and debt added, and the option."""

_debt = itemgetter(1)
_loss = itemgetter(2)


class _Search:
    """One problem under prices, and the best packing found so far."""

    def __init__(
        self, sections: Sequence[Section], floors: Sequence[Packing], capacity: int
    ) -> None:
        self.sections = sections
        self.floors = floors
        self.capacity = capacity
        self.prices = priced(sections, [floor.value for floor in floors], capacity)
        self.value = -1.0
        self.items: Collection[int] = ()
        self.missed = inf
        """The least loss of a packing that was not looked at."""

    def run(self) -> Packing:
        """The best packing found, and the bound."""
        waiting = [
            (option.item, number, at, option)
            for number, section in enumerate(self.sections)
            for at, choice in enumerate(section.choices)
            for option in choice
        ]
        waiting.sort(key=itemgetter(0))
        dense = sorted(waiting, key=lambda one: -one[3].value / (one[3].weight or 1e-9))
        kept = {item for floor in self.floors for item in floor.items}
        densest = self._fill(kept, dense)
        self._fill(set(), dense if kept else waiting)
        bound = self.prices.bound
        if self.value < bound * (1 - TOLERANCE):
            self._exchange(densest)
            self._search()
            self._fill(set(self.items), waiting)
            bound -= min(self.missed, bound)
        return Packing(items=sorted(self.items), value=self.value, bound=max(self.value, bound))

    def _gap(self) -> float:
        """The loss from which on a packing is not looked at."""
        return self.prices.bound - self.value * (1 + TOLERANCE / 4)

    def _offer(self, taken: Sequence[Option]) -> None:
        total = sum(option.value for option in taken)
        if total > self.value + _SLIP:
            self.value = total
            self.items = [option.item for option in taken]

    def _fill(
        self, start: set[int], order: Sequence[tuple[int, int, int, Option]]
    ) -> Collection[int]:
        """Take and offer what is in `start` and then, in this order, what still fits."""
        left = self.capacity
        room = [left if section.cap is None else section.cap for section in self.sections]
        worth = [0.0] * len(room)
        taken: dict[tuple[int, int], Option] = {}
        for first in (True, False) if start else (False,):
            for item, number, at, option in order:
                if first and item not in start:
                    continue
                weight = option.weight
                if weight <= left and weight <= room[number] and (number, at) not in taken:
                    taken[number, at] = option
                    left -= weight
                    room[number] -= weight
                    worth[number] += option.value
        if not all(map(_reaches, worth, self.floors)):
            return ()
        self._offer([*taken.values()])
        return {option.item for option in taken.values()}

    def _search(self) -> None:
        """Look at every packing whose loss is below the gap, as far as states last."""
        walks = [
            _Walk(section, *prices)
            for section, prices in zip(self.sections, self.prices.sections, strict=True)
        ]
        slack = self.capacity - sum(walk.start[0] for walk in walks)
        ends: list[_End] = [(0, 0.0, 0.0, ())]
        for walk, section, floor in zip(walks, self.sections, self.floors, strict=True):
            cap = self.capacity if section.cap is None else min(section.cap, self.capacity)
            states = self._walked(walk, cap, aim=walk.start[0] + slack)
            fitting = [one for one in states if one[0] <= cap and _reaches(-one[1], floor)]
            ends = self._joined(ends, fitting)
        for _, debt, _, trails in ends:
            if -debt > self.value:
                parts = zip(walks, trails, strict=True)
                self._offer([option for walk, trail in parts for option in walk.taken(trail)])

    def _exchange(self, items: Collection[int]) -> None:
        """In each section put what is worth more into the place of what is taken, if it fits."""
        left = self.capacity
        parts = []
        for section in self.sections:
            inside: list[Option] = []
            outside: list[Option] = []
            for choice in section.choices:
                here = [option for option in choice if option.item in items]
                inside += here
                outside += () if here else choice
            weight = sum(option.weight for option in inside)
            left -= weight
            parts.append(
                (inside, sorted(outside), inf if section.cap is None else section.cap - weight)
            )
        for inside, outside, room in parts:
            left -= _exchanged(inside, outside, min(left, room))
        self._offer([option for inside, *_ in parts for option in inside])

    def _walked(self, walk: "_Walk", cap: int, *, aim: int) -> list[_State]:
        """The packings of one section: no other is both lighter and worth more."""
        states = [walk.start]
        for number, (least, at, departures) in enumerate(walk.departures):
            gap = self._gap()
            if least >= gap or number == MOST_DEPARTURES:
                self.missed = min(self.missed, least)
                break
            found = []
            for weight, debt, loss, trail in states:
                for more, heavier, owed, option in departures:
                    total = loss + more
                    if total >= gap:
                        self.missed = min(self.missed, total)
                        break
                    found.append((weight + heavier, debt + owed, total, len(walk.trails)))
                    walk.trails.append((trail, at, option))
            if found:
                states = self._limited(_undominated(sorted(states + found)), aim)
                if len(self.sections) == 1:
                    best = min((one for one in states if one[0] <= cap), key=_debt, default=None)
                    if best is not None and -best[1] > self.value:
                        self._offer(walk.taken(best[3]))
        return states

    def _joined(self, ends: Sequence[_End], states: Sequence[_State]) -> list[_End]:
        """Each packing of the sections so far with each of the next."""
        gap = self._gap()
        states = sorted(states, key=_loss)
        found = []
        for weight, debt, loss, trails in ends:
            for heavier, owed, more, trail in states:
                total = loss + more
                if total >= gap:
                    self.missed = min(self.missed, total)
                    break
                if weight + heavier <= self.capacity:
                    found.append((weight + heavier, debt + owed, total, (*trails, trail)))
        return self._limited(_undominated(sorted(found)), self.capacity)

    def _limited(self, states: list[S], aim: int) -> list[S]:
        """If they are too many: half for their loss alone, half for that of the weight too."""
        if len(states) <= MOST_STATES:
            return states
        states.sort(key=_loss)
        few = MOST_STATES // 2
        others = sorted(
            states[few:], key=lambda one: one[2] + self.prices.weight * abs(aim - one[0])
        )
        self.missed = min(self.missed, *map(_loss, others[few:]))
        return states[:few] + others[:few]


class _Walk:
    """The packings of a section as steps away from what its prices say."""

    def __init__(self, section: Section, worth: float, cost: float) -> None:
        self._usual = [best_of(choice, worth, cost) for choice in section.choices]
        taken = [option for option in self._usual if option is not None]
        weight = sum(option.weight for option in taken)
        self.start: _State = (weight, -sum(option.value for option in taken), 0.0, 0)
        self.trails: list[tuple[int, int, Option | None]] = [(-1, -1, None)]
        """The trail before each, the choice that departs, and what it does instead."""
        self.departures = sorted(
            (
                (departures[0][0], at, departures)
                for at, (choice, usual) in enumerate(zip(section.choices, self._usual, strict=True))
                for departures in (_departures(choice, usual, worth, cost),)
            ),
            key=itemgetter(0),
        )
        """Each choice with its least loss, the least of all first."""

    def taken(self, trail: int) -> list[Option]:
        """What is taken at the end of a trail."""
        options = list(self._usual)
        while trail:
            trail, at, option = self.trails[trail]
            options[at] = option
        return [option for option in options if option is not None]


def _departures(
    choice: Choice, usual: Option | None, worth: float, cost: float
) -> list[_Departure]:
    """The other ways of a choice, the least loss first."""
    weight, debt = (usual.weight, usual.value) if usual else (0, 0.0)
    gain = worth * debt - cost * weight
    ways: list[_Departure] = [
        (
            gain - worth * option.value + cost * option.weight,
            option.weight - weight,
            debt - option.value,
            option,
        )
        for option in choice
        if option is not usual
    ]
    if usual is not None:
        ways.append((gain, -weight, debt, None))
    if len(ways) > 1:
        ways.sort(key=itemgetter(0))
    return ways


def _exchanged(inside: list[Option], outside: list[Option], room: float) -> int:
    """Exchange options one for one while that gains; the weight added, which is within `room`.

    `outside` comes by weight.
    """
    added = 0
    for _ in range(MOST_EXCHANGES):
        weights = [option.weight for option in outside]
        richest = list(accumulate(outside, _richer))
        gains = [
            (richest[reach - 1].value - option.value, at, richest[reach - 1])
            for at, option in enumerate(inside)
            if (reach := bisect_right(weights, option.weight + room - added))
        ]
        gain, at, other = max(gains, key=itemgetter(0), default=(0.0, 0, None))
        if other is None or gain <= _SLIP:
            break
        added += other.weight - inside[at].weight
        outside.remove(other)
        insort(outside, inside[at])
        inside[at] = other
    return added


def _richer(one: Option, other: Option) -> Option:
    return other if other.value > one.value else one


def _undominated(states: Iterable[S]) -> list[S]:
    """Those of a sorted list that are worth more than all that are lighter."""
    kept = []
    least = inf
    for state in states:
        if state[1] < least:
            kept.append(state)
            least = state[1]
    return kept


def _reaches(total: float, floor: Packing) -> bool:
    return total >= floor.value - _SLIP
