"""Laws of making texts fit: what is taken apart comes together, what answers stays together."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.minifying import minify
from app.core.minifying_pieces import CODE, ROW, joined, pieces_of
from tests.core.markdown import MARKDOWN, WORDS


def words_in(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


@given(MARKDOWN)
def test_taking_a_text_apart_loses_nothing(text: str) -> None:
    assert joined(pieces_of(text)).split() == text.split()


@given(st.text())
def test_any_text_can_be_taken_apart(text: str) -> None:
    assert "".join(joined(pieces_of(text)).split()) == "".join(text.split())


@given(
    st.dictionaries(st.sampled_from("abc"), st.one_of(MARKDOWN, st.text(max_size=99)), max_size=3),
    st.integers(0, 60),
    st.sets(st.sampled_from("abcd")),
    st.none() | WORDS,
)
def test_what_is_kept_fits_and_what_is_cut_adds_up(
    texts: dict[str, str], budget: int, important: set[str], task: str | None
) -> None:
    made = minify(texts, budget, words_in, important=important, task=task)
    whole = sum(words_in([texts[key] for key in important & texts.keys()]))
    assert made.tokens == sum(words_in(list(made.context.values()))) <= max(budget, whole)
    assert made.original_tokens == sum(words_in(list(texts.values())))
    assert made.tokens + sum(one.tokens for one in made.dropped) == made.original_tokens
    assert {key for key in texts if made.context.get(key) != texts[key]} == {
        one.key for one in made.dropped
    }
    assert all(made.context[key] == texts[key] for key in important & texts.keys())


@given(MARKDOWN, st.integers(0, 60), st.none() | WORDS)
def test_code_is_whole_and_rows_stand_in_their_table(
    text: str, budget: int, task: str | None
) -> None:
    kept = minify({"a": text}, budget, words_in, task=task).context.get("a", "")
    blocks = [piece.text for piece in pieces_of(text) if piece.kind == CODE]
    assert all(piece.text in blocks for piece in pieces_of(kept) if piece.kind == CODE)
    assert kept.count("```") % 2 == kept.count("~~~~") % 2 == 0
    rows = sum(piece.kind == ROW for piece in pieces_of(kept))
    assert rows == len(re.findall(r"^\| (?!a \| b ).* \| .* \|$", kept, re.MULTILINE)) - sum(
        bool(re.match(r"\| (?!a \| b ).* \| .* \|$", line))
        for piece in pieces_of(kept)
        if piece.kind == CODE
        for line in piece.text.split("\n")
    )


HOUSE = "\n\n".join(
    f"## {name}\n\nIt has {many} windows. "
    + "Much is said of it. " * 6
    + f"\n\n```\n{name} = 1\n```"
    for name, many in (("Garden", "no"), ("Kitchen", "two"), ("Cellar", "small"), ("Roof", "four"))
)


@pytest.mark.parametrize("name", ["Garden", "Kitchen", "Cellar", "Roof"])
def test_the_section_that_answers_is_kept_whole(name: str) -> None:
    half = len(HOUSE.split()) // 2
    made = minify({"house": HOUSE}, half, words_in, task=f"How many windows has the {name}?")
    (section,) = (one for one in HOUSE.split("## ") if one.startswith(name))
    assert section.strip() in made.context["house"]
    (dropped,) = made.dropped
    assert name not in dropped.sections


def test_blanks_are_no_text_and_no_fault() -> None:
    made = minify({"a": " \n\n\t"}, 0, lambda texts: [len(one) for one in texts], task="rain")
    assert made.context == {}
    assert made.tokens == 0


def test_a_long_table_and_a_long_line_take_their_time_once() -> None:
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 30_000
    line = "|" + " " * 200_000 + "x\n|" + " " * 200_000 + "x"
    run = "word " * 400_000
    for text in (table, line, run):
        assert minify({"a": text}, 50, words_in).tokens <= 50
