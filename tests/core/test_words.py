"""Words as they are searched for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.stemming import stem
from app.core.words import LONGEST_STEM, STOP_WORDS, query_words, stems


@pytest.mark.parametrize(
    "forms",
    [
        "paint paints painted painting paintings",
        "adopt adopts adopted adopting adoption",
        "agency agencies",
        "hop hops hopped hopping",
        "hope hopes hoped hoping hopeful",
        "try tries tried trying",
        "relate relates related relating relation relational",
        "travel travels traveled travelling",
        "organize organized organizing organise organisation organization",
        "go goes went gone going",
        "child children child's",
        "favourite favorite favourites",
        "seven 7 7th",
        "café cafe Cafés",
    ],
)
def test_forms_of_a_word_have_one_stem(forms: str) -> None:
    assert len(query_words(forms)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hop", "hope"),
        ("news", "new"),
        ("university", "universe"),
        ("sing", "sin"),
        ("May", "mayor"),
    ],
)
def test_different_words_keep_different_stems(one: str, other: str) -> None:
    assert stems(one) != stems(other)


@given(st.text())
def test_stems_are_words_of_bounded_length(text: str) -> None:
    for word in stems(text):
        assert 0 < len(word) <= LONGEST_STEM
        assert re.fullmatch(r"[^\W_]+", word), word
        assert word == word.lower()
        assert " ".join(word.split()) == word


@given(st.text(), st.text())
def test_texts_add_up(one: str, other: str) -> None:
    assert stems(one + "\n" + other) == stems(one) + stems(other)


@given(st.text())
def test_query_words_are_the_stems_once(text: str) -> None:
    words = query_words(text)
    assert len(set(words)) == len(words)
    assert set(words) == set(stems(text))


def test_stop_words_have_no_stem() -> None:
    assert stems(" ".join(STOP_WORDS)) == []
    assert stems("I'm sure you don't, they've said it's John's") == ["sure", "say", "john"]


def test_texts_without_spaces_are_cut_into_pairs() -> None:
    assert stems("東京タワー x7") == ["東京", "京タ", "タワ", "ワー", "x7"]
    assert stems("東") == ["東"]


def test_names_of_code_are_cut_into_words() -> None:
    assert stems("fct_orders.customer_id") == ["fct", "order", "custom", "id"]


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1))
def test_a_stem_is_never_longer_than_its_word_by_more_than_an_e(word: str) -> None:
    assert 0 < len(stem(word)) <= len(word) + 1
