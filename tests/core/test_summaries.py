"""Laws of summaries: a quarter of the tokens, the text's own words in order, headings first."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.lifecycle import DAY_MICROS
from app.core.summaries import DIVISOR, summaries, summarise
from app.gateways.tokens import TokenCounter
from tests.core.cards import NOW, NOW_MICROS, card
from tests.trees import real_tree

TOKENS = TokenCounter()

LINES = st.sampled_from(
    [
        "# Title",
        "## A section",
        "### A smaller one",
        "",
        "Some prose about nothing in particular, and then some more of it. A second sentence here.",
        "- **Key** point",
        "- You must never do this",
        "- a plain point",
        "$ make all",
        "```bash",
        "```",
        "~~~",
        "```python",
        "dbt run --select a+",
        "x = 1  # code",
        "日本語の文章です。もう一つの文。",
        "word " * 60 + "end. " + "Another long sentence follows it, must it not? " * 5,
    ]
)


def words(text: str) -> list[str]:
    return re.findall(r"\S+", text)


@given(st.lists(LINES, max_size=60))
def test_a_summary_has_at_most_a_quarter_of_the_tokens(lines: list[str]) -> None:
    text = "\n".join(lines)
    summary = summarise(text, TOKENS.count)
    if summary is not None:
        assert TOKENS.count(summary) <= TOKENS.count(text) // DIVISOR


@given(st.lists(LINES, max_size=60))
def test_a_summary_says_only_what_the_text_says_in_its_order(lines: list[str]) -> None:
    text = "\n".join(lines)
    rest = iter(words(text))
    assert all(word in rest for word in words(summarise(text, TOKENS.count) or ""))


@given(st.text(max_size=2_000))
def test_any_text_is_cut_or_left(text: str) -> None:
    summary = summarise(text, TOKENS.count)
    assert summary is None or TOKENS.count(summary) <= TOKENS.count(text) // DIVISOR


@given(st.lists(LINES, max_size=30))
def test_it_holds_for_a_count_by_which_the_whole_is_more_than_its_parts(lines: list[str]) -> None:
    text = "\n".join(lines)
    summary = summarise(text, count_steeply)
    assert summary is None or count_steeply(summary) <= count_steeply(text) // DIVISOR


def count_steeply(text: str) -> int:
    return len(text) ** 2


def test_headings_commands_and_key_points_of_all_sections_are_kept() -> None:
    sections = [
        f"## Part {number}\n\n"
        + "This part says a great deal that nobody has to remember for long. " * 8
        + f"\n\n- **Rule {number}**: keep the key\n- some detail\n- another detail\n\n"
        + f"```bash\ndbt run --select m{number}\n```\n\n"
        + "And it goes on with words that fill the page without adding to it. " * 8
        for number in range(5)
    ]
    summary = summarise("# All of it\n\n" + "\n".join(sections), TOKENS.count)
    assert summary is not None
    assert "# All of it" in summary
    for number in range(5):
        assert f"## Part {number}" in summary
        assert f"**Rule {number}**" in summary
        assert f"```bash\ndbt run --select m{number}\n```" in summary


def test_a_text_of_one_piece_is_left_alone() -> None:
    assert summarise("x" * 10_000, TOKENS.count) is None


def test_every_long_file_of_the_real_tree_is_cut_and_keeps_its_main_headings() -> None:
    texts = {one.text for one in real_tree(NOW).values()}
    for text in texts:
        size = TOKENS.count(text)
        summary = summarise(text, TOKENS.count)
        assert summary is not None
        assert size // DIVISOR * 0.7 <= TOKENS.count(summary) <= size // DIVISOR
        outside = re.sub(r"(?ms)^```.*?^```", "", text)
        main = re.findall(r"(?m)^##? \S.*$", outside)
        kept = set(summary.split("\n"))
        assert [line for line in main if line not in kept] == []


@pytest.mark.parametrize(
    ("fields", "is_candidate"),
    [
        ({"tokens": 1_000, "modified_at": NOW_MICROS - 91 * DAY_MICROS}, True),
        ({"tokens": 1_000, "modified_at": NOW_MICROS - 90 * DAY_MICROS}, False),
        ({"tokens": 399, "modified_at": NOW_MICROS - 91 * DAY_MICROS}, False),
        ({"tokens": 1_000, "modified_at": 0, "pinned": True}, False),
        ({"tokens": 1_000, "modified_at": 0, "content": b"\x0a", "summary": "0a"}, False),
        ({"tokens": 1_000, "modified_at": 0, "content": b"\x0b", "summary": "0a"}, True),
    ],
)
def test_old_and_long_memories_are_summarised_once(
    fields: dict[str, object], is_candidate: bool
) -> None:
    assert bool(summaries([card(**fields)], NOW_MICROS)) is is_candidate
