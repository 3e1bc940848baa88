"""Laws of moves between tiers: the originals' answers, and no memory goes back and forth."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lifecycle import DAY_MICROS, Card
from app.core.placement import BAND, placements, ranked, stand
from app.core.profiles import Scope, ScoreWeights, WorkspaceBudget
from app.presets.loader import shipped
from app.store.shelf import PolicyShelf
from tests.core.cards import NOW_MICROS, card
from tests.data import vectors

HOUR_MICROS = DAY_MICROS / 24
TIERS = ("long_term", "rag", "project", "working")

shares = st.floats(0, 1)


@st.composite
def budgets(draw: st.DrawFn) -> WorkspaceBudget:
    """A workspace's budget with thresholds of any kind, sensible or not."""
    share = st.decimals(0, 1, places=2)
    return WorkspaceBudget(
        max_total_tokens=1000,
        scopes=tuple(
            Scope(name=name, weight=Decimal("0.25"), rank=rank) for rank, name in enumerate(TIERS)
        ),
        multipliers={},
        weights=ScoreWeights(relevance=draw(share), importance=draw(share), freshness=draw(share)),
        half_life_hours=Decimal(168),
        promotion_threshold=draw(share),
        promotion_accesses=draw(st.integers(1, 5)),
        demotion_threshold=draw(share),
        tokens_per_char=Decimal("0.25"),
    )


@st.composite
def tiered(draw: st.DrawFn) -> Card:
    """A memory in a tier."""
    accessed = draw(st.none() | st.integers(0, 100))
    return card(
        scope=draw(st.sampled_from(TIERS)),
        importance=draw(shares),
        relevance=draw(st.none() | shares),
        access_count=draw(st.integers(0, 8)),
        last_accessed_at=None if accessed is None else NOW_MICROS - accessed * DAY_MICROS,
        created_at=NOW_MICROS - draw(st.integers(0, 100)) * DAY_MICROS,
    )


@pytest.mark.parametrize("record", list(vectors("B4.placement")), ids=lambda one: one["id"])
def test_placement_is_that_of_the_originals(record: dict[str, dict[str, object]]) -> None:
    asked, out = record["in"], record["out"]
    memory = asked["memory"]
    assert isinstance(memory, dict)
    budget = PolicyShelf(shipped()).book(str(asked["workspace"])).budget
    assert budget is not None
    accessed = memory["accessed_hours_ago"]
    one = card(
        scope=memory["tier"],
        importance=memory["importance"],
        relevance=memory["relevance"],
        access_count=memory["access_count"],
        created_at=int(NOW_MICROS - memory["age_hours"] * HOUR_MICROS),
        last_accessed_at=None if accessed is None else int(NOW_MICROS - accessed * HOUR_MICROS),
    )
    found = stand(one, budget, now=NOW_MICROS)
    assert found.score == pytest.approx(out["score"], abs=1e-4)
    assert found.promotion_score == pytest.approx(out["promotion_score"], abs=1e-4)
    assert (found.move, found.target) == (out["move"], out["target"])


@given(tiered(), budgets())
def test_repeated_moves_end_and_never_turn_back(one: Card, budget: WorkspaceBudget) -> None:
    seen = [one.scope]
    for _ in TIERS:
        moved = placements([one], budget, now=NOW_MICROS)
        if not moved:
            break
        one = replace(one, scope=moved[0].target)
        assert one.scope not in seen
        seen.append(one.scope)
    assert placements([one], budget, now=NOW_MICROS) == []
    ranks = [TIERS.index(str(scope)) for scope in seen]
    assert ranks in (sorted(ranks), sorted(ranks, reverse=True))


@given(tiered(), budgets(), st.floats(0, BAND * 0.49), st.booleans())
def test_a_small_change_never_sends_a_memory_back(
    one: Card, budget: WorkspaceBudget, step: float, grows: bool
) -> None:
    moved = placements([one], budget, now=NOW_MICROS)
    importance = min(1.0, max(0.0, one.importance + (step if grows else -step)))
    after = [replace(one, scope=each.target, importance=importance) for each in moved]
    again = placements(after, budget, now=NOW_MICROS)
    assert all(each.target != one.scope for each in again)


@given(tiered(), budgets())
def test_a_memory_that_was_moved_rests(one: Card, budget: WorkspaceBudget) -> None:
    assert placements([one], budget, now=NOW_MICROS, resting={one.id}) == []


def plain(*, promote: str, demote: str) -> WorkspaceBudget:
    """A budget under which a never accessed memory's promotion score is 0.2 + relevance / 2."""
    weights = ScoreWeights(relevance=Decimal(1), importance=Decimal(0), freshness=Decimal(0))
    return replace(
        PolicyShelf(shipped()).book("default").default_budget,
        weights=weights,
        promotion_threshold=Decimal(promote),
        demotion_threshold=Decimal(demote),
    )


@pytest.mark.parametrize(
    ("relevance", "promote", "demote", "target"),
    [
        (0.0, "0.8", "0.2", None),  # at the threshold
        (0.0, "0.8", "0.21", "long_term"),
        (0.5, "0.5", "0.9", None),  # 0.45: below both thresholds, within the band
        (0.375, "0.5", "0.9", "long_term"),  # 0.3875
    ],
)
def test_between_demotion_and_promotion_there_is_a_band(
    relevance: float, promote: str, demote: str, target: str | None
) -> None:
    one = card(scope="rag", relevance=relevance)
    found = stand(one, plain(promote=promote, demote=demote), now=NOW_MICROS)
    assert found.target == target


def test_a_memory_outside_the_tiers_stays_there() -> None:
    budget = PolicyShelf(shipped()).book("default").default_budget
    old = NOW_MICROS - 900 * DAY_MICROS
    for scope in (None, "global", "agent_patterns"):
        one = card(scope=scope, relevance=0.0, importance=0.0, created_at=old, last_accessed_at=old)
        assert placements([one], budget, now=NOW_MICROS) == []


def test_tiers_are_ranked_from_long_term_to_working() -> None:
    assert tuple(ranked(PolicyShelf(shipped()).book("default").default_budget)) == TIERS


def test_what_nobody_called_irrelevant_can_rise() -> None:
    budget = PolicyShelf(shipped()).book("default").default_budget
    one = card(scope="rag", importance=0.5, access_count=3, last_accessed_at=NOW_MICROS)
    assert [each.target for each in placements([one], budget, now=NOW_MICROS)] == ["project"]
