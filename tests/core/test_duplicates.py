"""Laws of duplicates: every set is found, nobody loses a text, near ones are really near."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from app.core.duplicates import (
    exact_duplicates,
    jaccard,
    near_duplicates,
    near_groups,
    shingles_of,
)
from app.core.lifecycle import Card
from app.core.lifecycle_rules import SPEC
from app.core.memory import content_of
from tests.core.cards import NOW, card, cards_of
from tests.core.test_lifecycle import edited, places
from tests.data import vectors
from tests.trees import real_tree, vector_tree

sets_of_numbers = st.dictionaries(
    st.binary(min_size=1, max_size=3), st.frozensets(st.integers(0, 12), max_size=10), max_size=8
)


def seen_by(cards: list[Card], agent: str, project: str | None) -> set[bytes]:
    """The texts that an agent's request in a project can load."""
    return {
        one.content
        for one in cards
        if one.agent in (None, agent) and one.project in (None, project)
    }


def test_the_real_tree_has_sixteen_sets_and_183_redundant_files() -> None:
    found = exact_duplicates(cards_of(real_tree(NOW)))
    (record,) = (one for one in vectors("A14.duplicates") if one["in"]["tree"] == "base")
    assert len(found) == record["out"]["sets"]
    assert sum(len(one.ids) - 1 for one in found) == record["out"]["redundant_files"]


def test_the_sets_are_those_of_the_originals_and_keep_the_global_file() -> None:
    sets = {tuple(sorted(one.ids)): one for one in exact_duplicates(cards_of(vector_tree(NOW)))}
    for record in vectors("A14.duplicates", classes=["must"]):
        if "set" in record["out"]:
            found = sets[tuple(record["out"]["set"])]
            assert found.memory_id.startswith("patterns/"), record["id"]
            assert found.score == 1.0


def test_the_near_copies_of_the_vectors_are_found_and_no_others() -> None:
    tree = vector_tree(NOW)
    texts = {content_of(one.text): shingles_of(one.text) for one in tree.values()}
    found = near_duplicates(cards_of(tree), near_groups(texts))
    assert sorted(sorted(one.ids) for one in found) == sorted(
        sorted(path for path in tree if path.endswith(f"-0-{number}.md") and "note" not in path)
        for number in range(3)
    )
    assert all(SPEC.near_share <= one.score < 1 for one in found)


@given(places())
def test_a_set_is_every_memory_of_a_text_in_a_project(cards: list[Card]) -> None:
    held = [(one.project, one.content) for one in cards]
    by_id = {one.id: (one.project, one.content) for one in cards}
    for one in exact_duplicates(cards):
        keys = {by_id[id_] for id_ in one.ids}
        assert len(keys) == 1
        assert len(one.ids) == held.count(keys.pop()) > 1
    assert len(exact_duplicates(cards)) == sum(held.count(key) > 1 for key in set(held))


@given(places())
def test_nobody_loses_a_text_and_nothing_pinned_goes(cards: list[Card]) -> None:
    after = edited(cards, exact_duplicates(cards))
    for agent in ("roles/a", "specialists/b", "specialists/c", "roles/stranger"):
        for project in (None, "p"):
            assert seen_by(cards, agent, project) <= seen_by(after, agent, project)
    assert {one.id for one in cards if one.pinned} <= {one.id for one in after}


@given(places())
def test_what_was_done_once_leaves_only_pinned_copies(cards: list[Card]) -> None:
    after = edited(cards, exact_duplicates(cards))
    by_id = {one.id: one for one in after}
    for one in exact_duplicates(after):
        assert one.edits == ()
        assert all(by_id[id_].pinned for id_ in one.ids[1:])


@given(sets_of_numbers)
def test_near_groups_are_exact(texts: dict[bytes, frozenset[int]]) -> None:
    groups = near_groups(texts)
    leaders = {group.contents[0] for group in groups}
    grouped = [content for group in groups for content in group.contents]
    assert len(grouped) == len(set(grouped))
    for group in groups:
        likeness = [jaccard(texts[group.contents[0]], texts[one]) for one in group.contents[1:]]
        assert min(likeness) == group.similarity >= SPEC.near_share
    alone = [content for content, shingles in texts.items() if shingles]
    alone = [content for content in alone if content in leaders or content not in grouped]
    for one, other in combinations(alone, 2):
        assert jaccard(texts[one], texts[other]) < SPEC.near_share


@given(st.integers(1, 80), st.integers(0, 1_000), st.integers(40, 100))
def test_sets_that_are_just_near_enough_are_found(common: int, first: int, percent: int) -> None:
    near = percent / 100
    own = next(n for n in range(common, -1, -1) if common / (common + 2 * n) >= near)
    both = frozenset(range(first, first + common))
    one = both | {-1 - number for number in range(own)}
    other = both | {10_000 + number for number in range(own)}
    assert jaccard(one, other) >= near
    (group,) = near_groups({b"a": one, b"b": other}, near=near)
    assert group.contents == (b"a", b"b")


def test_the_global_copy_is_kept_before_an_older_one_in_a_tier() -> None:
    old = card("old", content=b"x", scope="working", created_at=0)
    new = card("new", content=b"x", scope="global", created_at=1)
    (found,) = exact_duplicates([old, new])
    assert found.ids == ("new", "old")


@given(st.text(max_size=200))
def test_case_and_punctuation_make_no_other_text(text: str) -> None:
    assert shingles_of(text.lower()) == shingles_of(text.lower() + " …")


def test_a_text_of_no_words_is_like_none() -> None:
    assert shingles_of("") == shingles_of("…!") == frozenset()
    assert near_groups({b"a": frozenset(), b"b": frozenset()}) == []
