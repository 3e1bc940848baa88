"""Laws of finding the agent that a typed name means."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidRequest
from app.core.names import (
    MAX_CANDIDATES,
    MAX_NAME_LENGTH,
    NameIndex,
    match_agent,
    names_near,
    stem,
)
from app.presets.loader import shipped
from tests.data import vectors

AGENTS = tuple(shipped()["default"]["agent_assignments"])
INDEX = NameIndex.build(AGENTS)
UNRELATED = (
    "data",
    "zzz",
    "expert",
    "role",
    "engineer",
    "ml-engineer-role",
    "sql-expert",
    "github-expert",
    "redis-expert",
    "kafka-expert",
    "data-scientist",
    "security-reviewer",
    "translator",
    "qa",
)


def resolved(requested: str, agent_type: str | None = None, *, fuzzy: bool = True) -> str | None:
    match = match_agent(requested, agent_type, INDEX, fuzzy=fuzzy)
    return None if match.match == "default" else f"{match.type}/{match.name}"


def typing_errors(name: str) -> set[str]:
    letters = string.ascii_lowercase + "-1"
    errors = set()
    for at in range(len(name)):
        head, letter, tail = name[:at], name[at], name[at + 1 :]
        errors.add(head + tail)
        errors.update(head + other + tail for other in letters)
        errors.update(head + other + letter + tail for other in letters)
        if tail:
            errors.add(head + tail[0] + letter + tail[1:])
    return errors


@pytest.mark.parametrize("record", [*vectors("A5.names")], ids=lambda record: record["id"])
def test_names_resolve_as_the_originals_and_the_spec_say(record: dict[str, dict[str, str]]) -> None:
    assert resolved(record["in"]["agent"]) == record["out"]["resolved"]


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_is_found_by_its_full_name_its_name_and_its_stem(agent: str) -> None:
    type_, name = agent.split("/")
    assert match_agent(agent, None, INDEX).match == "exact"
    assert match_agent(name, None, INDEX).match == "exact"
    assert match_agent(name, type_, INDEX).match == "exact"
    assert resolved(stem(name)) == agent
    assert resolved(name.replace("-", "_").upper()) == agent


@pytest.mark.parametrize("agent", AGENTS)
def test_a_single_typing_error_does_not_lose_the_agent(agent: str) -> None:
    name = agent.split("/")[1]
    assert {resolved(typed) for typed in typing_errors(name)} == {agent}


@pytest.mark.parametrize("typed", UNRELATED)
def test_unrelated_and_ambiguous_names_stay_unresolved(typed: str) -> None:
    match = match_agent(typed, None, INDEX)
    assert match.match == "default"
    assert match.name == typed
    assert match.match_score == 0.0
    assert 0 < len(match.candidates) <= MAX_CANDIDATES


def test_an_ambiguous_name_says_whom_it_may_mean() -> None:
    near = [name for name, _ in match_agent("data", None, INDEX).candidates]
    assert set(near[:3]) == {
        "roles/data-architect-role",
        "roles/data-engineer-role",
        "specialists/data-quality-specialist",
    }


def test_a_type_narrows_the_search() -> None:
    assert resolved("dbt-expert", "specialists") == "specialists/dbt-expert"
    assert resolved("dbt-expert", "roles") is None
    assert resolved("roles/dbt-expert") is None
    assert resolved("dbt-expert", "custom") is None
    assert resolved("specialist/dbt-expert") == "specialists/dbt-expert"


def test_two_types_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        match_agent("specialists/dbt-expert", "roles", INDEX)
    assert refusal.value.errors[0]["loc"] == ["agent_type"]


def test_a_name_that_two_types_share_is_ambiguous_until_a_type_is_given() -> None:
    index = NameIndex.build(["a/helper", "b/helper"])
    assert match_agent("helper", None, index).match == "default"
    match = match_agent("helper", "b", index)
    assert (match.match, match.type) == ("exact", "b")


def test_a_configured_alias_wins_over_likeness() -> None:
    index = NameIndex.build(AGENTS, {"sql wizard": "specialists/dbt-expert"})
    match = match_agent("SQL-Wizard", None, index)
    assert (match.match, match.name, match.match_score) == ("alias", "dbt-expert", 1.0)


def test_without_fuzzy_a_typing_error_is_nobody() -> None:
    assert resolved("dbt-exprt") == "specialists/dbt-expert"
    assert resolved("dbt-exprt", fuzzy=False) is None
    assert resolved("dbt", fuzzy=False) == "specialists/dbt-expert"


def test_the_names_near_a_typed_one_come_nearest_first() -> None:
    assert names_near("dbt-exprt", INDEX)[0] == "specialists/dbt-expert"
    assert names_near("roles/data-enginer", INDEX)[0] == "roles/data-engineer-role"
    assert len(names_near("expert", INDEX)) <= MAX_CANDIDATES
    assert match_agent("dbt-exprt", None, INDEX, fuzzy=False).candidates == ()


@pytest.mark.parametrize("typed", ["", "   ", "x" * (MAX_NAME_LENGTH + 1)])
def test_blank_and_endless_names_are_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest):
        match_agent(typed, None, INDEX)


@given(st.text(min_size=1, max_size=MAX_NAME_LENGTH).filter(str.strip))
def test_any_text_is_answered_with_a_score_that_fits_its_match(typed: str) -> None:
    match = match_agent(typed, None, INDEX)
    assert match.requested == typed
    assert 0 <= match.match_score <= 1
    assert (match.match_score == 0) == (match.match == "default")
    assert all(name in AGENTS and 0 <= score <= 1 for name, score in match.candidates)
