"""Laws of rules: what policy states holds, what it leaves out is the spec's."""

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidPolicy
from app.core.lifecycle import DAY_MICROS, archival, promotions
from app.core.lifecycle_rules import RULE_SHARES, SPEC, Rules
from app.core.policy_checks import validate_document
from app.core.policy_reading import read_retention, read_rules
from app.core.retention import WAY_BACK_DAYS, lapsed
from tests.core.cards import NOW_MICROS, card

NAMES = [field.name for field in fields(Rules)]

stated = st.fixed_dictionaries(
    {},
    optional={
        name: st.floats(0.01, 1) if name in RULE_SHARES else st.integers(1, 10**9) for name in NAMES
    },
)


@given(stated)
def test_what_is_stated_holds_and_the_rest_is_the_specs(data: dict[str, Any]) -> None:
    validate_document({"memory_lifecycle": data}, "w")
    read = read_rules(data)
    for name in NAMES:
        assert getattr(read, name) == data.get(name, getattr(SPEC, name))


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"promotion": 3},
        {"promotion_uses": 0},
        {"promotion_uses": 1.5},
        {"promotion_confidence": 0},
        {"near_share": 1.1},
        {"archival_days": "180"},
        {"health_limit": -1},
    ],
)
def test_rules_that_make_no_sense_are_refused(data: Any) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        validate_document({"memory_lifecycle": data}, "w")
    assert refused.value.errors[0]["loc"][0] == "memory_lifecycle"


@given(st.integers(1, 20), st.integers(0, 25))
def test_promotion_and_the_archive_follow_the_rules(limit: int, uses: int) -> None:
    one = card(agent="roles/a", access_count=uses, modified_at=NOW_MICROS - uses * DAY_MICROS)
    assert bool(promotions([one], Rules(promotion_uses=limit))) is (uses >= limit)
    assert bool(archival([one], NOW_MICROS, Rules(archival_days=limit))) is (uses > limit)


@given(st.dictionaries(st.sampled_from(["working", "global"]), st.integers(1, 50)))
def test_a_scope_without_days_keeps_its_memories(days: dict[str, int]) -> None:
    retention = read_retention({"scope_days": days})
    assert (retention.deleted_days, retention.archived_days) == (WAY_BACK_DAYS, None)
    for scope in ("working", "global", "rag", None):
        one = card(scope=scope, modified_at=NOW_MICROS - 30 * DAY_MICROS)
        kept = days.get(scope or "global", 1000) >= 30
        assert bool(lapsed([one], retention, NOW_MICROS)) is not kept
