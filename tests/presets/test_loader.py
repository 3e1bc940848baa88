"""Files are parsed strictly, and what ships is what the spec says."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidPolicy
from app.core.policy_documents import layers_for
from app.core.policybook import PolicyBook
from app.presets.loader import MAX_DEPTH, MAX_YAML_BYTES, load_json, load_yaml, shipped

# spec A1: base, max, weights of global / agent_recent / agent_patterns
PROFILES = {
    "specialist-narrow": (20_000, 50_000, "0.20", "0.30", "0.50"),
    "specialist-broad": (35_000, 75_000, "0.25", "0.25", "0.50"),
    "role-coordinator": (50_000, 100_000, "0.30", "0.20", "0.50"),
    "role-architect": (75_000, 150_000, "0.35", "0.15", "0.50"),
}
AGENTS_BY_PROFILE = {
    "specialist-narrow": 13,
    "specialist-broad": 3,
    "role-coordinator": 7,
    "role-architect": 2,
}
WORKSPACES = {
    "default": 8192,
    "development": 4096,
    "research": 16384,
    "production": 6144,
    "conversation": 4096,
    "code_analysis": 12288,
}


def book() -> PolicyBook:
    layers = layers_for("default", shipped=shipped(), stored={})
    return PolicyBook.compile(layers, workspace="default", version=0)


def test_the_shipped_profiles_are_those_of_the_spec() -> None:
    assert {
        name: (profile.base, profile.ceiling, *(scope.weight for scope in profile.scopes))
        for name, profile in book().profiles.items()
    } == {
        name: (base, ceiling, *map(Decimal, weights))
        for name, (base, ceiling, *weights) in PROFILES.items()
    }
    assigned = [item.profile for item in book().assignments.values()]
    assert {name: assigned.count(name) for name in PROFILES} == AGENTS_BY_PROFILE
    assert {
        name: entry["budget"]["max_total_tokens"] for name, entry in shipped().items()
    } == WORKSPACES


def test_every_complexity_tier_ships_with_texts_to_show() -> None:
    tiers = book().tiers
    assert [(tier.name, tier.multiplier) for tier in tiers] == [
        ("simple", Decimal("0.5")),
        ("medium", Decimal("1.0")),
        ("complex", Decimal("1.5")),
        ("multi-system", Decimal("2.0")),
    ]
    assert all(tier.description and tier.examples for tier in tiers)


def test_what_ships_is_plain_json_data() -> None:
    assert json.loads(json.dumps(shipped(), allow_nan=False)) == shipped()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1\nb: *x\n", "anchors"),
        ("a: &x 1\n", "anchors"),
        ("a: !!python/object/apply:os.getcwd []\n", "tags"),
        ("a: !!str 1\n", "tags"),
        ("a: 1\na: 2\n", "twice"),
        ("a: {b: 1, b: 2}\n", "twice"),
        ("<<: {a: 1}\n", "merge"),
        ("a: .nan\n", "finite"),
        ("a: -.inf\n", "finite"),
        ("1: a\n", "text"),
        ("[a, b]: 1\n", "text"),
        ("a: 1\n---\nb: 2\n", "one document"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("[" * 5000, "deeper"),
        ("a: " + "x" * MAX_YAML_BYTES, "larger"),
    ],
)
def test_yaml_that_is_more_than_plain_data_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidPolicy, match=says):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "not a number"),
        ('{"a": -Infinity}', "not a number"),
        ('{"a": 1e400}', "finite"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "too large"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "deeper"),
    ],
)
def test_json_that_is_not_plain_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidPolicy, match=says):
        load_json(text)


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        load_yaml("a: 1\nb: 2\na: 3\n")
    assert refusal.value.errors[0]["loc"] == ["line", 3]


def test_dates_and_byte_order_marks_do_no_harm() -> None:
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    assert load_yaml(mark + "last_updated: 2025-10-14\n") == {"last_updated": "2025-10-14"}
    assert load_json(mark + '{"a": 1}') == {"a": 1}


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(0, 1)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abcxyz", min_size=2, max_size=6), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abcxyz", min_size=2, max_size=6), plain, max_size=4))
def test_json_is_read_as_it_was_written(data: dict[str, Any]) -> None:
    assert load_json(json.dumps(data)) == data


@given(st.text(max_size=60), st.sampled_from([load_yaml, load_json]))
def test_any_text_is_data_or_a_refusal(text: str, load: Callable[[str], Any]) -> None:
    try:
        data = load(text)
    except InvalidPolicy as error:
        data = error.errors
    json.dumps(data, allow_nan=False)
