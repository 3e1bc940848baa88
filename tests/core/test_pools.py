"""Laws of pools: nothing is spent twice, nothing is lost, and time gives everything back."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.core.errors import BudgetExceeded, Conflict, DomainError
from app.core.pools import (
    MOST_HELD,
    Family,
    Hold,
    Pool,
    PoolClosed,
    carve,
    extend,
    give,
    opened,
    release,
    reserve,
    settle,
    standing,
    take,
    transfer,
)

CAPACITY = 1_000


def pool(id_: str = "root", parent: str | None = None, **fields: int) -> Pool:
    given = {"capacity": CAPACITY, "until": 100, "created_at": 0, **fields}
    return Pool(id=id_, name=None, parent=parent, **given)  # type: ignore[arg-type]


def hold(tokens: int, until: int = 50, *, last: bool = False) -> Hold:
    return Hold(tokens=tokens, until=until, is_last_word=last)


AMOUNTS = st.integers(0, 600) | st.sampled_from([-1.0, 0.0, 1.0])
"""Tokens, or (a float) so many more than there are."""


class Families(RuleBasedStateMachine):
    """Two families under random operations, beside a plain account of what they must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.families: list[Family] = [
            opened(pool("r0", reserve_pct=20, until=400)),
            opened(pool("r1", until=300)),
        ]
        self.holds: dict[str, tuple[str, int]] = {}
        self.booked = 0
        self.excess = 0
        """What was settled without, or beyond, its reservation."""
        self.number = 0

    def where(self, id_: str) -> int:
        return next(at for at, family in enumerate(self.families) if id_ in family)

    def a_pool(self, pick: int) -> str:
        ids = [id_ for family in self.families for id_ in sorted(family)]
        return ids[pick % len(ids)]

    def amount(self, id_: str, wanted: float, *, last: bool = False) -> int:
        found = standing(self.families[self.where(id_)], id_, self.now)
        left = found.room if last else found.available
        return max(0, left + int(wanted)) if isinstance(wanted, float) else wanted

    def fresh(self) -> str:
        self.number += 1
        return f"k{self.number}"

    @rule(
        pick=st.integers(0, 50),
        wanted=AMOUNTS,
        ttl=st.integers(1, 60),
        last=st.booleans(),
    )
    def reserves(self, pick: int, wanted: float, ttl: int, last: bool) -> None:
        id_, key = self.a_pool(pick), self.fresh()
        tokens = self.amount(id_, wanted, last=last)
        at, before = self.where(id_), standing(self.families[self.where(id_)], id_, self.now)
        left = before.room if last else before.available
        try:
            found = reserve(
                self.families[at], id_, key, hold(tokens, self.now + ttl, last=last), self.now
            )
        except PoolClosed:
            assert not before.is_open
        except BudgetExceeded:
            assert tokens > left, "only what does not fit is refused"
        else:
            assert tokens <= left, "no partial grants"
            self.families[at] = found
            self.holds[key] = (id_, tokens)
            assert reserve(found, id_, key, hold(tokens), self.now) is found, "each key once"

    @rule(pick=st.integers(0, 50), used=st.integers(0, 500))
    def settles(self, pick: int, used: int) -> None:
        if not self.holds:
            return
        key = sorted(self.holds)[pick % len(self.holds)]
        id_, tokens = self.holds.pop(key)
        at = self.where(id_)
        live = self.families[at][id_].holds.get(key)
        is_live = live is not None and self.now < live.until
        self.excess += max(0, used - tokens) if is_live else used
        self.booked += used
        self.families[at] = settle(self.families[at], id_, key, used, self.now)

    @rule(pick=st.integers(0, 50))
    def releases(self, pick: int) -> None:
        if self.holds:
            key = sorted(self.holds)[pick % len(self.holds)]
            id_, _ = self.holds.pop(key)
            at = self.where(id_)
            self.families[at] = release(self.families[at], id_, key)

    @rule(pick=st.integers(0, 50), ttl=st.integers(1, 80))
    def extends(self, pick: int, ttl: int) -> None:
        if self.holds:
            key = sorted(self.holds)[pick % len(self.holds)]
            id_, _ = self.holds[key]
            at = self.where(id_)
            self.families[at] = extend(self.families[at], id_, key, self.now + ttl, self.now)

    @rule(pick=st.integers(0, 50), wanted=AMOUNTS, ttl=st.integers(1, 120))
    def carves(self, pick: int, wanted: float, ttl: int) -> None:
        id_ = self.a_pool(pick)
        tokens = self.amount(id_, wanted)
        at = self.where(id_)
        child = pool(
            self.fresh(), id_, capacity=tokens, until=self.now + ttl, reserve_pct=tokens % 30
        )
        with suppress(PoolClosed, BudgetExceeded):
            self.families[at] = carve(self.families[at], child, self.now)

    @rule(pick=st.integers(0, 50), other=st.integers(0, 50), wanted=AMOUNTS)
    def transfers(self, pick: int, other: int, wanted: float) -> None:
        source, target = self.a_pool(pick), self.a_pool(other)
        tokens = self.amount(source, wanted)
        one, two = self.where(source), self.where(target)
        with suppress(PoolClosed, BudgetExceeded):
            if one == two:
                self.families[one] = transfer(self.families[one], source, target, tokens, self.now)
            else:
                taken = take(self.families[one], source, tokens, self.now)
                given = give(self.families[two], target, tokens, self.now)
                self.families[one], self.families[two] = taken, given

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        for family in self.families:
            for id_ in family:
                found = standing(family, id_, self.now)
                assert found.taken <= found.pool.capacity + self.excess
                assert found.available <= found.room
                assert found.pool.capacity >= 0

    @invariant()
    def nothing_is_lost(self) -> None:
        roots = [one for family in self.families for one in family.values() if one.parent is None]
        assert sum(one.capacity for one in roots) == 2 * CAPACITY
        every = [one for family in self.families for one in family.values()]
        assert sum(one.used for one in every) == self.booked

    def teardown(self) -> None:
        """Time gives everything back: in the end roots hold what was used, and no more."""
        ends = max(one.until for family in self.families for one in family.values())
        for family in self.families:
            root = next(one for one in family.values() if one.parent is None)
            assert standing(family, root.id, ends).taken == sum(one.used for one in family.values())


TestFamilies = Families.TestCase
TestFamilies.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_ring_fenced_share_is_for_the_last_word() -> None:
    family = reserve(opened(pool(reserve_pct=10)), "root", "a", hold(900), 0)
    assert standing(family, "root", 0).available == 0
    with pytest.raises(BudgetExceeded) as refusal:
        reserve(family, "root", "b", hold(1), 0)
    assert refusal.value.extensions == {"pool": "root", "available": 0, "more_at": 50}
    family = reserve(family, "root", "last", hold(100, last=True), 0)
    assert standing(family, "root", 0).room == 0
    family = settle(family, "root", "last", 60, 1)
    assert (standing(family, "root", 1).reserve, standing(family, "root", 1).available) == (40, 0)


def test_what_a_child_leaves_comes_back_when_its_time_is_over() -> None:
    family = carve(opened(pool()), pool("c", "root", capacity=600, until=30), 0)
    family = reserve(family, "c", "a", hold(200, until=99), 0)
    assert family["c"].holds["a"].until == 30, "no longer than its pool"
    assert standing(family, "root", 0).available == 400
    family = settle(family, "c", "a", 150, 10)
    assert standing(family, "root", 29).available == 400
    assert standing(family, "root", 30).available == 850
    with pytest.raises(PoolClosed):
        reserve(family, "c", "b", hold(1), 30)
    late = settle(family, "c", "z", 40, 31)
    assert (late["c"].late, standing(late, "root", 31).available) == (40, 810)


def test_a_late_settlement_is_booked_and_may_overdraw() -> None:
    family = reserve(opened(pool()), "root", "a", hold(1_000), 0)
    family = reserve(family, "root", "b", hold(1_000, until=90), 50)
    family = settle(family, "root", "a", 700, 60)
    found = standing(family, "root", 60)
    assert (found.pool.used, found.held, found.overdrawn) == (700, 1_000, 700)
    assert found.available == 0


def test_transfers_keep_the_sum_of_both_and_of_those_above() -> None:
    family = carve(opened(pool()), pool("a", "root", capacity=300), 0)
    family = carve(family, pool("b", "root", capacity=200), 0)
    for source, target, left in (("a", "b", 500), ("root", "a", 400), ("b", "root", 600)):
        after = transfer(family, source, target, 100, 0)
        assert after["root"].capacity == CAPACITY
        assert standing(after, "root", 0).available == left
    with pytest.raises(BudgetExceeded):
        transfer(family, "a", "b", 301, 0)
    with pytest.raises(BudgetExceeded):
        transfer(family, "root", "b", 501, 0)


def test_a_family_holds_so_many_reservations_and_no_more() -> None:
    holds = {f"k{number}": hold(0) for number in range(MOST_HELD)}
    family = opened(replace(pool(), holds=holds))
    with pytest.raises(Conflict):
        reserve(family, "root", "more", hold(0), 0)
    assert len(reserve(family, "root", "more", hold(0), 50)["root"].holds) == 1


@pytest.mark.parametrize("id_", ["nobody", ""])
def test_an_unknown_pool_is_not_found(id_: str) -> None:
    with pytest.raises(DomainError, match="No pool"):
        reserve(opened(pool()), id_, "a", hold(1), 0)
