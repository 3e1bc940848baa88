"""Price weight and value in the knapsack whose options may be cut in pieces (its relaxation)."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import inf
from operator import itemgetter
from typing import NamedTuple

from app.core import values

MOST_WORTH = 1e4
"""Factor of a value above which rounding would show in the bound."""

_SLIP = 1e-9  # what sums of floats may be off by


class Option(NamedTuple):
    """One way to take a choice."""

    weight: int
    value: float
    """Above zero."""
    item: int
    """What the caller knows it by; of equals the lower one is taken."""


Choice = Sequence[Option]


@values.value
class Section:
    """Choices that share a floor and a cap."""

    choices: Sequence[Choice]
    floor: int = 0
    """Weight whose best use is the value that the section has at least."""
    cap: int | None = None
    """Weight that the section has at most; None: the capacity."""


@values.value
class Prices:
    """What weight costs, in all and in each section, and what the value of a section counts."""

    weight: float
    sections: Sequence[tuple[float, float]]
    """Factor of the value, 1 unless the floor binds; price of weight, higher where the cap does."""
    bound: float
    """No packing is worth more."""


def priced(sections: Sequence[Section], owed: Sequence[float], capacity: int) -> Prices:
    """The prices at which the choices, each for itself, gain what cut options would be worth.

    `owed` is the value that each section has at least. Any prices bound the optimum by what the
    choices gain and the rest costs; these bound it best.
    """
    price, by_section = _prices(sections, owed, capacity)
    bound = price * capacity
    for section, least, (worth, cost) in zip(sections, owed, by_section, strict=True):
        bound += (cost - price) * (section.cap or 0) - (worth - 1) * least
        bound += sum(
            worth * best.value - cost * best.weight
            for choice in section.choices
            if (best := best_of(choice, worth, cost)) is not None
        )
    return Prices(weight=price, sections=by_section, bound=bound)


def best_of(choice: Choice, worth: float, cost: float) -> Option | None:
    """What gains most at these prices; None where nothing gains."""
    best, most = None, 0.0
    for option in choice:
        gain = worth * option.value - cost * option.weight
        if gain > most:
            best, most = option, gain
    return best


def _prices(
    sections: Sequence[Section], owed: Sequence[float], capacity: int
) -> tuple[float, list[tuple[float, float]]]:
    """Where the densest pieces fill a floor, a cap and the capacity."""
    left = float(capacity)
    open_steps: list[tuple[float, float]] = []
    ends = []
    for section, least in zip(sections, owed, strict=True):
        steps = _steps(section.choices)
        room = inf if section.cap is None else float(section.cap)
        reached, full = inf, 0.0
        for density, weight, value in steps:
            need = min(1.0, least / value) if least > 0 else 0.0
            if need:
                least -= value * need
                left -= weight * need
                room -= weight * need
                reached = density
            rest = weight * (1 - need)
            open_steps.append((density, min(rest, room)))
            room -= rest
            if room < -_SLIP:
                full = density
                break
        ends.append((reached, full))
    open_steps.sort(reverse=True)
    price = 0.0
    for density, size in open_steps:
        left -= size
        if left < -_SLIP:
            price = density
            break
    prices = []
    for reached, full in ends:
        threshold = max(full, min(price, reached))
        worth = min(price / threshold, MOST_WORTH) if threshold < price else 1.0
        prices.append((worth, max(price, threshold)))
    return price, prices


def _steps(choices: Iterable[Choice]) -> list[tuple[float, int, float]]:
    """Density, weight and value of what options add, the densest first.

    The options of one choice follow each other as pieces of their concave hull.
    """
    steps = []
    for choice in choices:
        points = [(0, 0.0)]
        for weight, value, _ in choice if len(choice) == 1 else sorted(choice):
            if value > points[-1][1]:
                while len(points) > 1 and _below(points[-1], points[-2], (weight, value)):
                    points.pop()
                points.append((weight, value))
        for before, point in pairwise(points):
            weight, value = point[0] - before[0], point[1] - before[1]
            steps.append((value / weight if weight else inf, weight, value))
    steps.sort(key=itemgetter(0), reverse=True)
    return steps


def _below(point: tuple[int, float], start: tuple[int, float], end: tuple[int, float]) -> bool:
    """Whether a point lies on or below the line from `start` to `end`."""
    return (point[1] - start[1]) * (end[0] - start[0]) <= (end[1] - start[1]) * (
        point[0] - start[0]
    )
