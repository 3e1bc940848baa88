"""Laws of making a context fit: within the budget, in its own words, and nothing cut in silence."""

import json
import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.minifying_pieces import HEAD, pieces_of
from membudget import _tokens
from membudget.minifier import ContextMinifier as AnyMinifier
from membudget.minifier import MinifiedContext
from tests.core.markdown import MARKDOWN, WORDS

ContextMinifier = partial(AnyMinifier, client=False)
"""Without a service; with one: `tests/client/faces/test_speed.py`."""
CONTEXTS = st.dictionaries(
    st.sampled_from(["story_bible", "previous_scene", "budget", "log"]),
    st.one_of(MARKDOWN, st.text(max_size=200)),
    max_size=4,
)
COUNTS = st.sampled_from([None, len, lambda text: len(text.split())])


def minified(
    context: dict[str, str], most: int, count: object, **how: object
) -> tuple[MinifiedContext, AnyMinifier]:
    minifier = ContextMinifier(most, count=count)  # type: ignore[arg-type]
    return minifier.minify_context(context, **how), minifier  # type: ignore[arg-type]


@given(CONTEXTS, st.integers(0, 120), COUNTS, st.data())
def test_the_result_fits_and_what_is_cut_is_named(
    context: dict[str, str], most: int, count: object, data: st.DataObject
) -> None:
    important = data.draw(st.sets(st.sampled_from([*context, "absent"])))
    task = data.draw(st.none() | WORDS)
    made, minifier = minified(context, most, count, important_keys=important, task=task)

    tokens = {key: minifier.count_tokens(text) for key, text in context.items()}
    assert made.original_tokens == sum(tokens.values())
    assert made.tokens == sum(minifier.count_tokens(text) for text in made.values())
    assert made.tokens <= max(most, sum(tokens[key] for key in important & tokens.keys()))
    assert made.is_over_budget == (made.tokens > most)
    for key in important & context.keys():
        assert made[key] == context[key]
    if made.original_tokens <= most:
        assert made == context
        assert made.dropped == []
    cut = {key for key in context if made.get(key) != context[key]}
    assert {one["key"] for one in made.dropped} == cut
    for one in made.dropped:
        left = minifier.count_tokens(made[one["key"]]) if one["key"] in made else 0
        assert one["tokens"] == tokens[one["key"]] - left
    assert [key for key in context if key in made] == list(made)


@given(MARKDOWN, st.integers(0, 60), st.none() | WORDS)
def test_what_is_kept_stands_in_the_text_and_can_be_read(
    text: str, most: int, task: str | None
) -> None:
    made, _ = minified({"a": text}, most, lambda text: len(text.split()), task=task)
    kept = made.get("a", "")
    originals = [piece.text for piece in pieces_of(text)]
    if kept == text:
        return
    place = -1
    for piece in pieces_of(kept):
        if piece.kind == HEAD:
            assert piece.text in originals
            continue
        place = originals.index(piece.text, place + 1)  # in the order of the text
    for fence in ("```", "~~~~"):
        assert kept.count(fence) % 2 == 0
    lines = kept.split("\n")
    for at, line in enumerate(lines):
        if re.fullmatch(r"\| (?!a \| b ).* \| .* \|", line):
            assert lines[at - 1].startswith("|"), "a row without its table"


@given(CONTEXTS, st.integers(0, 80))
def test_what_fits_is_left_alone(context: dict[str, str], most: int) -> None:
    made, minifier = minified(context, most, None)
    assert minifier.minify_context(made) == made


def test_the_section_that_the_task_is_about_is_kept() -> None:
    text = "\n\n".join(
        f"## {name}\n\nThe {name.lower()} of this house is described here at length. It goes on."
        for name in ("Garden", "Kitchen", "Cellar", "Roof")
    )
    made, _ = minified({"house": text}, 20, None, task="What is in the cellar?")
    assert made["house"].startswith("## Cellar")
    (dropped,) = made.dropped
    assert dropped["sections"] == ["Garden", "Kitchen", "Roof"]


def test_a_sentence_is_kept_whole_though_lines_break_it() -> None:
    text = "Budgets are\ntokens. They are\ncounted exactly\nwhen kept."
    made, _ = minified({"a": text}, 3, lambda text: len(text.split()))
    assert made["a"] == "Budgets are\ntokens."


def test_a_long_text_does_not_crowd_out_a_short_one() -> None:
    long = "\n".join(f"- Line {at} of many." for at in range(200))
    short = "\n".join(f"- Word {at} of this rather shorter text." for at in range(12))
    made, minifier = minified({"long": long, "short": short}, 200, None)
    assert minifier.count_tokens(made["short"]) > 60


def test_tables_keep_their_head_and_code_stays_whole() -> None:
    table = "| tool | cost |\n|---|---|\n| dbt | 7 |\n| prefect | 9 |"
    code = "```sh\n" + "dbt run --select everything\n" * 30 + "```"
    made, _ = minified({"t": f"{table}\n\n{code}"}, 20, None, task="cost of prefect")
    assert made["t"].startswith("| tool | cost |\n|---|---|\n")
    assert "prefect" in made["t"]
    assert "```" not in made["t"]


def test_what_joining_pieces_costs_is_within_the_budget_too() -> None:
    made, _ = minified({"a": "A.\n\nB.\n\nC."}, 9, len)
    assert made["a"] == "A.\n\nB."


def test_json_and_values_are_kept_whole_or_not_at_all() -> None:
    rows = [{"a": 1}] * 50
    context = {"text": json.dumps(rows), "value": rows, "small": {"b": 2}}
    made, _ = minified(context, 20, None)  # type: ignore[arg-type]
    assert made == {"small": {"b": 2}}
    assert made["small"] is context["small"]
    assert [one["key"] for one in made.dropped] == ["text", "value"]


def test_a_long_run_of_words_is_cut_between_words() -> None:
    made, _ = minified({"a": "word " * 2000}, 300, None)
    assert 100 < made.tokens <= 300
    assert set(made["a"].split()) == {"word"}
    made, _ = minified({"a": "x" * 20000}, 300, len)
    assert made == {}


def test_counts_are_exact_where_a_tokenizer_is_there_and_say_so() -> None:
    text = "Antidisestablishmentarianism is counted, not guessed. " * 30
    made, minifier = minified({"a": text}, 50, None)
    assert _tokens.exactness() == "exact"
    assert made.exactness == "exact"
    assert minifier.count_tokens("hello world") == 2
    assert ContextMinifier(count=len).minify_context({"a": text}).exactness == "given"
    for model, said in (("openai/gpt-4o", "exact"), ("claude-sonnet-4-5", "heuristic")):
        here = ContextMinifier(50, model=model, client=False)
        assert here.minify_context({"a": text}).exactness == said


def test_without_a_tokenizer_four_characters_are_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tokens, "_counter", lambda: None)
    made, minifier = minified({"a": "One sentence here. Another one there."}, 5, None)
    assert minifier.count_tokens("abcde") == 2
    assert (made.exactness, made["a"]) == ("heuristic", "One sentence here.")


def test_the_same_again_is_remembered_and_nobody_s_copy_is_shared() -> None:
    calls: list[str] = []

    def count(text: str) -> int:
        calls.append(text)
        return len(text)

    minifier = ContextMinifier(10, count=count, cache_size=1)
    context = {"a": "One sentence. Two sentences."}
    first = minifier.minify_context(context)
    seen = len(calls)
    first["a"] = "changed"
    first.dropped.clear()
    again = minifier.minify_context(context)
    assert len(calls) == seen
    assert again.dropped
    assert again.get("a") != "changed"
    minifier.minify_context(context, task="other")
    minifier.minify_context(context)
    assert len(calls) > seen
    with pytest.raises(ValueError, match="max_tokens"):
        ContextMinifier(-1)
