"""Laws of packing: within the weight, near the optimum, under a bound that holds."""

from collections.abc import Iterator, Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.knapsack import Packing, pack
from app.core.relaxation import Option, Section

PROMISED = 0.99
SLIP = 1e-9

Shape = tuple[Sequence[Sequence[tuple[int, float]]], int, int | None]
"""Choices as weights and values, the floor and the cap of a section."""

weights = st.integers(0, 40)
values = st.sampled_from((0.05, 0.1, 0.3, 0.5, 0.5, 0.9, 1.0)) | st.floats(1e-6, 1)
choices = st.lists(st.tuples(weights, values), min_size=1, max_size=3)
shapes = st.lists(
    st.tuples(
        st.lists(choices, max_size=5),
        st.integers(0, 60),
        st.none() | st.integers(0, 60),
    ),
    min_size=1,
    max_size=3,
).filter(lambda shape: sum(len(choices) for choices, _, _ in shape) <= 9)


def sections_of(shape: Sequence[Shape]) -> list[Section]:
    """Sections with items numbered in order; a cap is no less than the floor."""
    numbers = iter(range(1000))
    return [
        Section(
            choices=[[Option(w, v, next(numbers)) for w, v in choice] for choice in choices],
            floor=floor,
            cap=None if cap is None else max(cap, floor),
        )
        for choices, floor, cap in shape
    ]


def packings(section: Section, limit: int) -> Iterator[tuple[int, float]]:
    """Weight and value of every packing of a section within a limit."""
    for picks in product(*((None, *choice) for choice in section.choices)):
        weight = sum(one.weight for one in picks if one)
        if weight <= limit:
            yield weight, sum(one.value for one in picks if one)


def optimum(sections: Sequence[Section], capacity: int) -> float:
    """The greatest value by trying everything."""
    fronts = []
    for section in sections:
        owed = max(value for _, value in packings(section, min(section.floor, capacity)))
        cap = capacity if section.cap is None else min(section.cap, capacity)
        fronts.append([one for one in packings(section, cap) if one[1] >= owed - SLIP])
    best = {0: 0.0}
    for front in fronts:
        joined: dict[int, float] = {}
        for weight, value in best.items():
            for heavier, more in front:
                if weight + heavier <= capacity:
                    total = weight + heavier
                    joined[total] = max(joined.get(total, 0.0), value + more)
        best = joined
    return max(best.values())


def weight_of(section: Section, packing: Packing) -> int:
    return sum(
        one.weight for choice in section.choices for one in choice if one.item in packing.items
    )


@settings(max_examples=400)
@given(shapes, st.integers(0, 60))
def test_a_packing_is_allowed_and_near_the_best_and_below_its_bound(
    shape: list[Shape], more: int
) -> None:
    sections = sections_of(shape)
    capacity = sum(section.floor for section in sections) + more
    packing = pack(sections, capacity)

    assert sum(weight_of(section, packing) for section in sections) <= capacity
    for section in sections:
        assert section.cap is None or weight_of(section, packing) <= section.cap
        for choice in section.choices:
            assert sum(one.item in packing.items for one in choice) <= 1

    best = optimum(sections, capacity)
    assert packing.value <= best + SLIP
    assert packing.value >= PROMISED * best
    assert packing.bound >= best - SLIP
