"""Laws of promotion to global and of the archive; the originals' answers on the real tree."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lifecycle import (
    DAY_MICROS,
    Card,
    age_days,
    archival,
    archival_score,
    promotion_score,
    promotions,
)
from app.core.memory import content_of
from tests.core.cards import NOW, NOW_MICROS, card, cards_of
from tests.data import vectors
from tests.trees import vector_tree

AGENTS = ("roles/a", "specialists/b", "specialists/c")


@st.composite
def places(draw: st.DrawFn) -> list[Card]:
    """A handful of memories of a few agents and contents."""
    number = draw(st.integers(0, 12))
    return [
        card(
            f"m{index}",
            content=draw(st.sampled_from([b"x", b"y", b"z"])),
            agent=draw(st.sampled_from([None, *AGENTS])),
            scope=draw(st.sampled_from([None, "global", "agent_patterns", "working"])),
            project=draw(st.sampled_from([None, "p"])),
            path=draw(st.sampled_from([None, "roles/a/patterns/n.md", "patterns/n.md"])),
            access_count=draw(st.integers(0, 12)),
            confidence=draw(st.none() | st.floats(0, 1)),
            used_by_agents=tuple(draw(st.sets(st.sampled_from(AGENTS)))),
            modified_at=NOW_MICROS - draw(st.integers(0, 800)) * DAY_MICROS,
            pinned=draw(st.booleans()),
        )
        for index in range(number)
    ]


def edited(cards: list[Card], proposals: Any) -> list[Card]:
    """Memories after what was proposed was done."""
    fields = {edit.memory_id: dict(edit.fields) for one in proposals for edit in one.edits}
    gone = {id_ for id_, new in fields.items() if new.get("state", "active") != "active"}
    return [
        card(one.id, **{**{name: getattr(one, name) for name in NAMES}, **fields.get(one.id, {})})
        for one in cards
        if one.id not in gone
    ]


NAMES = [name for name in Card.__slots__ if name != "id"]


def test_promotions_are_those_of_the_originals() -> None:
    found = {one.memory_id: one for one in promotions(cards_of(vector_tree(NOW)))}
    for record in vectors("A14.promotion", classes=["must"]):
        path, out = record["in"]["path"], record["out"]
        assert (path in found) is out["candidate"], record["id"]
        if out["candidate"]:
            assert found[path].reason == out["reason"]
            assert found[path].score == pytest.approx(out["score"], abs=1e-6)


def test_nothing_else_of_the_tree_is_proposed_for_all_or_for_the_archive() -> None:
    tree = vector_tree(NOW)
    edited_paths = {path for path, one in tree.items() if one.meta is not None}
    assert {one.memory_id for one in promotions(cards_of(tree))} <= edited_paths
    old = {path for path, one in tree.items() if (NOW - one.modified_at).days > 180}
    assert {one.memory_id for one in archival(cards_of(tree), NOW_MICROS)} <= edited_paths | old


def test_the_archive_takes_what_the_originals_take() -> None:
    found = {one.memory_id: one for one in archival(cards_of(vector_tree(NOW)), NOW_MICROS)}
    by_path = {one.id: one for one in cards_of(vector_tree(NOW))}
    for record in vectors("A14.archival", classes=["must"]):
        path, out = record["in"]["path"], record["out"]
        assert (path in found) is out["candidate"], record["id"]
        if out["candidate"]:
            assert found[path].reason == out["reason"]
            assert found[path].score == pytest.approx(out["score"], abs=1e-6)
            assert age_days(by_path[path], NOW_MICROS) == out["age_days"]


@given(places())
def test_promoting_once_leaves_nothing_to_promote_of_what_was_done(cards: list[Card]) -> None:
    first = promotions(cards)
    after = edited(cards, first)
    assert promotions(after) == []
    assert len(after) == len(cards)
    assert {one.content for one in after} == {one.content for one in cards}


@given(places())
def test_a_promoted_memory_is_everybodys_and_keeps_its_agent_among_its_users(
    cards: list[Card],
) -> None:
    by_id = {one.id: one for one in cards}
    for proposal in promotions(cards):
        assert by_id[proposal.memory_id].agent is not None
        for edit in proposal.edits:
            assert (edit.fields["agent"], edit.fields["scope"]) == (None, "global")
            assert by_id[proposal.memory_id].agent in edit.fields["used_by_agents"]


def test_what_is_global_by_content_or_by_path_is_no_candidate() -> None:
    shared = card("g", path="patterns/n.md", scope="global")
    same_text = card("a", content=content_of("g"), agent="roles/a", access_count=9)
    same_name = card("b", path="roles/a/patterns/n.md", agent="roles/a", access_count=9)
    other = card("c", path="roles/a/patterns/o.md", agent="roles/a", access_count=9)
    assert [one.memory_id for one in promotions([shared, same_text, same_name, other])] == ["c"]


def test_a_projects_global_memory_says_nothing_about_another_project() -> None:
    shared = card("g", project="p")
    own = card("a", content=content_of("g"), project="q", agent="roles/a", access_count=9)
    assert [one.memory_id for one in promotions([shared, own])] == ["a"]


def test_what_is_global_for_all_projects_is_global_in_each() -> None:
    shared = card("g", path="patterns/n.md")
    same_text = card("a", content=content_of("g"), project="q", agent="roles/a", access_count=9)
    same_name = card(
        "b", path="roles/a/patterns/n.md", project="q", agent="roles/a", access_count=9
    )
    assert promotions([shared, same_text, same_name]) == []


@given(places())
def test_the_archive_takes_nothing_global_pinned_or_young(cards: list[Card]) -> None:
    by_id = {one.id: one for one in cards}
    for proposal in archival(cards, NOW_MICROS):
        taken = by_id[proposal.memory_id]
        assert not taken.is_global
        assert not taken.pinned
        assert age_days(taken, NOW_MICROS) > 180


@given(st.integers(0, 40), st.none() | st.floats(0, 1), st.integers(-5, 5_000))
def test_scores_are_shares(uses: int, confidence: float | None, days: int) -> None:
    one = card(access_count=uses, confidence=confidence, modified_at=NOW_MICROS - days * DAY_MICROS)
    assert 0 <= promotion_score(one) <= 1
    assert 0 <= archival_score(one, NOW_MICROS) <= 1


def test_a_day_counts_when_it_is_over() -> None:
    one = card(last_accessed_at=NOW_MICROS - 181 * DAY_MICROS + 1)
    assert age_days(one, NOW_MICROS) == 180
    assert age_days(one, NOW_MICROS + 1) == 181


def test_of_copies_the_one_that_is_chosen_is_promoted() -> None:
    copies = [card(id_, content=b"x", agent="roles/a", access_count=9) for id_ in "ab"]
    assert [len(one.edits) for one in promotions(copies)] == [1, 0]
    (chosen,) = promotions(copies, only={"b"})
    assert [edit.memory_id for edit in chosen.edits] == ["b"]
