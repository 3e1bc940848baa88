"""The originals' scoring of a memory tree, as they answer it."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.scoped import context_match, original_score, recency, usage
from tests.data import data_dir, vectors

ORIGINALS_UNKNOWN_TASK = "general"
"""The original takes this for a task type where none is given; we leave it unknown."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    archive = data_dir() / "claude-memory" / "claude-memory.tar.gz"
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".md"):
                path = member.name.removeprefix(".claude/memory/")
                found[path] = content.read().decode()
    return found


def test_files_of_the_real_tree_score_as_the_original_scored_them(texts: dict[str, str]) -> None:
    compared = 0
    for record in vectors("A10.scoped"):
        asked, context = record["in"], record["in"]["context"]
        for file in record["out"]["files"]:
            score, unknown = (
                original_score(
                    path=file["path"],
                    text=texts[file["path"]],
                    agent=asked["agent"].partition("/")[2],
                    own=file["scope"] == "agent-specific",
                    technologies=context.get("technologies", ()),
                    keywords=context.get("keywords", ()),
                    task_type=context.get("task_type", default),
                )
                for default in (None, ORIGINALS_UNKNOWN_TASK)
            )
            assert score == pytest.approx(file["relevance"], abs=1e-6)
            assert unknown == pytest.approx(file["score_original"], abs=1e-6)
            compared += 1
    assert compared > 400


@pytest.mark.parametrize(
    ("days", "expected"),
    [(None, 0.5), (0, 1.0), (15, 0.75), (30, 0.5), (60, 0.3), (90, 0.1), (1000, 0.1), (-3, 1.0)],
)
def test_recency_falls_in_two_lines(days: float | None, expected: float) -> None:
    assert recency(days) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "expected"), [(0, 0.3), (1, 0.5), (10, 0.75), (100, 1.0)])
def test_usage_grows_with_the_logarithm(count: int, expected: float) -> None:
    assert usage(count) == pytest.approx(expected)


@given(
    text=st.text(),
    words=st.lists(st.text(min_size=1), max_size=8),
    days=st.none() | st.floats(0, 1e6),
    count=st.integers(0, 10**6),
)
def test_an_agents_own_file_is_worth_at_least_a_copy_of_everybodys(
    text: str, words: list[str], days: float | None, count: int
) -> None:
    def score(own: bool) -> float:
        return original_score(
            path="roles/a/patterns/x.md" if own else "patterns/x.md",
            text=text,
            agent="a-role",
            own=own,
            technologies=words,
            keywords=words,
            age_days=days,
            access_count=count,
        )

    assert 0.0 <= score(own=False) <= score(own=True) <= 1.0


def test_technologies_and_keywords_count_up_to_a_limit() -> None:
    words = ["dbt", "sql", "aws", "git", "elt", "api"]
    text = " ".join(words).upper()
    assert context_match(path="", text=text, agent="x") == 0.5
    assert context_match(path="", text=text, agent="x", technologies=words) == pytest.approx(0.7)
    assert context_match(path="", text=text, agent="x", keywords=words) == pytest.approx(0.65)
