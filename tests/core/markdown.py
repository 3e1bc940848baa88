"""Draw texts in Markdown, as agents write them."""

from hypothesis import strategies as st

WORDS = st.sampled_from("budget token agent memory scope deploy Friday café 会议 x1 don't".split())
SENTENCES = st.lists(WORDS, min_size=1, max_size=9).map(lambda words: " ".join(words).title() + ".")
PROSE = st.lists(SENTENCES, min_size=1, max_size=4).map(" ".join)
ITEMS = st.lists(SENTENCES, min_size=1, max_size=4).map(
    lambda items: "\n".join(f"- {item}" for item in items)
)
CODE = st.tuples(
    st.sampled_from(["```", "~~~~"]),
    st.lists(st.sampled_from(["x = 1", "", "# Not a heading", "| a |"])),
).map(lambda pair: "\n".join([pair[0] + "python", *pair[1], pair[0]]))
TABLES = st.lists(st.tuples(WORDS, WORDS), max_size=4).map(
    lambda rows: "\n".join(["| a | b |", "|---|:-:|", *(f"| {a} | {b} |" for a, b in rows)])
)
HEADINGS = st.tuples(st.integers(1, 4), WORDS).map(lambda pair: f"{'#' * pair[0]} {pair[1]}")
MARKDOWN = st.lists(st.one_of(PROSE, ITEMS, CODE, TABLES, HEADINGS), max_size=8).map("\n\n".join)
