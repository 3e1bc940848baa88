"""Hold the signal tables to what they promise about words, tools and users' patterns."""

import re
from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import InvalidPattern
from app.core.patterns import MAX_MATCHED_CHARACTERS, MAX_OCCURRENCES, USER_WORK
from app.core.signals import (
    DEFAULT_SIGNALS,
    DEFAULT_TABLE,
    GROUPS,
    QUERY_TABLE,
    TOOL_OF,
    TWO_TOOLS,
    SignalSpec,
    SignalTable,
)

laws = settings(max_examples=60, deadline=None)


def counts(text: str, table: SignalTable = DEFAULT_TABLE) -> dict[str, int]:
    return {found.spec.name: found.count for found in table.find(text)}


def mine(pattern: str, *, tier: str = "complex", name: str = "mine") -> SignalSpec:
    return SignalSpec(tier=tier, name=name, pattern=pattern)


def refusal(specs: Iterable[SignalSpec]) -> InvalidPattern:
    with pytest.raises(InvalidPattern) as refused:
        SignalTable.compile(specs)
    return refused.value


def test_the_table_has_the_groups_that_the_weights_are_divided_by() -> None:
    assert (GROUPS["simple"], GROUPS["complex"], GROUPS["multi-system"]) == (7, 10, 9)
    names = [spec.name for spec in DEFAULT_SIGNALS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Display it", "look up"),
        ("the current one", "state"),
        ("how  many rows", "how many"),
        ("COUNT rows", "count"),
        ("What is it", "what is"),
        ("where\nis it", "where is"),
        ("which one", "which"),
        ("diagnose it", "investigate"),
        ("refactor it", "improve"),
        ("assess it", "evaluate"),
        ("a multi-step job", "multi-step"),
        ("a comprehensive job", "comprehensive"),
        ("a deep dive", "deep dive"),
        ("an in-depth look", "in-depth"),
        ("resolve it", "fix"),
        ("the root cause", "root cause"),
        ("a performance problem", "performance issue"),
        ("cross-system jobs", "cross-system"),
        ("an end-to-end job", "end-to-end"),
        ("coordinate them", "integration"),
        ("multiple services", "multiple systems"),
        ("the platform", "architecture"),
        ("the migration", "migration"),
        ("the data flow", "data flow"),
        ("the pipeline needs new analysis", "pipeline design"),
        ("dbt or kafka", TWO_TOOLS),
        ("just that", "simple"),
        ("all of it", "all"),
        ("a detailed one", "complex"),
    ],
)
def test_every_family_is_heard_alone(text: str, name: str) -> None:
    assert list(counts(text)) == [name]


@pytest.mark.parametrize(
    "text",
    ["showcase", "budget", "reviewer", "designer", "recount", "allow", "élist", "listé", "fixture"],
)
def test_words_match_whole(text: str) -> None:
    assert counts(text) == {}


def test_a_word_between_letters_without_case_counts() -> None:
    assert counts("请list所有表") == {"look up": 1}


@laws
@given(st.integers(1, MAX_OCCURRENCES), st.sampled_from(["list", "optimize", "data flow"]))
def test_every_occurrence_counts(times: int, phrase: str) -> None:
    assert set(counts("; ".join([phrase] * times)).values()) == {times}


def test_occurrences_are_counted_up_to_a_limit() -> None:
    assert counts("list " * (MAX_OCCURRENCES + 50)) == {"look up": MAX_OCCURRENCES}


def test_every_spelling_of_a_tool_is_found_whole() -> None:
    for spelling in TOOL_OF:
        (found,) = (hit for hit in DEFAULT_TABLE.find(spelling) if hit.spec.distinct)
        assert found.words == (spelling,)


def test_what_matched_is_quoted_as_written_and_not_at_length() -> None:
    (found,) = SignalTable.compile([mine("ä.*z")]).find("An Ä" + "é" * 500 + "z")
    assert found.matched == "Ä" + "é" * (MAX_MATCHED_CHARACTERS - 1)


WITH_LETTERS = SignalTable.compile([*DEFAULT_SIGNALS, mine(r"\pL+")])


@laws
@given(st.text(max_size=80) | st.text(alphabet=st.characters(categories=["Cs"]), max_size=5))
def test_no_text_is_refused(text: str) -> None:
    for found in (*WITH_LETTERS.find(text), *QUERY_TABLE.find(text)):
        assert found.count > 0
        assert found.matched


@laws
@given(st.sampled_from(DEFAULT_SIGNALS), st.text(alphabet="abcdefghij -", max_size=30))
def test_added_signals_take_nothing_from_the_shipped_ones(spec: SignalSpec, text: str) -> None:
    text = f"List all dbt and kafka designs {spec.name} {text}"
    shipped = [found for found in WITH_LETTERS.find(text) if found.spec.shipped]
    assert shipped == list(DEFAULT_TABLE.find(text))


def test_a_configured_signal_is_found_without_regard_to_case() -> None:
    table = SignalTable.compile([*DEFAULT_SIGNALS, mine(r"\bquarter end\b", tier="multi-system")])
    (found,) = table.find("Quarter End, again: quarter end")
    assert (found.spec.tier, found.matched, found.count) == ("multi-system", "Quarter End", 2)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(?=ahead)a", "look-around"),
        (r"(?<!behind)a", "look-around"),
        (r"(a)\1", "back-references"),
        ("(", "RE2"),
        (r"a{2000}", "too large"),
        (r"(((a{30}){30}){30})", "too large"),
        (r"\pL{1,50}\pL{1,50}", "too large"),
        ("a*", "at least one character"),
        (r"\b", "at least one character"),
        ("", "at least one character"),
        ("x" * 1001, "1000 characters"),
        ("\ud800", "surrogate"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_by_name(pattern: str, says: str) -> None:
    error = refusal([*DEFAULT_SIGNALS, mine("fine", name="other"), mine(pattern)])
    assert "'mine'" in error.detail
    assert says in error.detail
    assert len(error.detail) < 250
    (field,) = error.errors
    assert field["loc"] == ["signals", "mine", "pattern"]


@pytest.mark.parametrize("tier", ["medium", "expert", "context", ""])
def test_a_signal_speaks_for_a_tier_that_has_signals(tier: str) -> None:
    error = refusal([mine("fine", tier=tier)])
    assert error.errors[0]["loc"] == ["signals", "mine", "tier"]


@pytest.mark.parametrize("weight", ["-0.1", "101", "Infinity", "NaN"])
def test_a_weight_is_small_and_not_negative(weight: str) -> None:
    spec = SignalSpec(tier="simple", name="mine", pattern="fine", weight=Decimal(weight))
    assert refusal([spec]).errors[0]["loc"] == ["signals", "mine", "weight"]


def test_two_hundred_signals_are_enough() -> None:
    specs = [mine(rf"\bword{number}\b", name=f"w{number}") for number in range(201)]
    table = SignalTable.compile([*DEFAULT_SIGNALS, *specs[:200]])
    assert counts("word0 word7 word199", table) == {"w0": 1, "w7": 1, "w199": 1}
    assert "200" in refusal(specs).detail


def test_patterns_as_large_as_allowed_are_all_found() -> None:
    specs = [mine(f"(?:a?){{{480 + n}}}b{n}", name=f"w{n}") for n in range(20)]
    table = SignalTable.compile(specs)
    assert counts("b3", table) == {"w3": 1}
    assert "too large together" in refusal([*specs, *specs]).detail


def test_an_exploding_pattern_reads_no_more_than_it_can_pay_for() -> None:
    bombs = [mine(f"[ab]*a[ab]{{{200 + n}}}c", name=f"bomb{n}") for n in range(20)]
    table = SignalTable.compile([*DEFAULT_SIGNALS, *bombs])
    reach = USER_WORK // table.added.program
    text = ("ab" * 200 + "c").ljust(reach + 10) + ("ab" * 200 + "c") + " list"
    found = counts(text, table)
    assert found["look up"] == 1
    assert found["bomb1"] == 1
    assert counts(" " * reach + "ab" * 200 + "c", table) == {}


_WORDS = sorted(
    {word for spec in DEFAULT_SIGNALS for word in re.findall(r"[a-z]+", spec.pattern.lower())}
)


@given(
    st.lists(
        st.sampled_from(_WORDS) | st.text(st.characters(max_codepoint=127), max_size=6), max_size=30
    ),
    st.sampled_from((" ", "", "-", "\n", "  ", "_")),
)
def test_both_engines_find_the_same_of_shipped_signals(words: list[str], between: str) -> None:
    data = between.join(words).encode().replace(b"\v", b"")
    shipped = DEFAULT_TABLE.shipped

    for quick, expression in zip(shipped.quick, shipped.expressions, strict=True):
        spans = [match.span() for match in expression.finditer(data)]
        assert [match.span() for match in quick.finditer(data)] == spans
