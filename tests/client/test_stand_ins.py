"""Say that what stands in for a missing library finds what the library finds."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from app.core.names import NameIndex
from app.core.patterns import SignalSpec
from app.core.signals import DEFAULT_SIGNALS
from membudget import _core, _likeness, _re2
from tests.data import vectors

WORDS = st.lists(
    st.sampled_from(
        (
            "list all show Status how many what is analyze troubleshoot cross-system end-to-end "
            "architecture migrate pipeline failure analysis quick just comprehensive dbt Snowflake "
            "Ärger naïve,analyze 分析list root cause deep dive"
        ).split()
    ),
    max_size=12,
).map(" ".join)


def spans(library: object, spec: SignalSpec, data: bytes) -> list[tuple[int, int]]:
    options = library.Options()  # type: ignore[attr-defined]
    options.case_sensitive = False
    options.never_capture = True
    expression = library.compile(spec.pattern, options)  # type: ignore[attr-defined]
    return [match.span() for match in expression.finditer(data)]


@given(WORDS)
def test_shipped_signals_match_alike_without_re2(text: str) -> None:
    data = text.encode()
    for spec in DEFAULT_SIGNALS:
        assert spans(_re2, spec, data) == spans(re2, spec, data), spec.name


def test_published_cases_match_alike_without_re2() -> None:
    texts = [record["in"]["text"] for record in vectors("A7.task")]
    assert len(texts) > 10
    for text in texts:
        for spec in DEFAULT_SIGNALS:
            assert spans(_re2, spec, text.encode()) == spans(re2, spec, text.encode())


def test_a_users_pattern_is_refused_without_re2_and_says_why() -> None:
    options = _re2.Options()
    options.max_mem = 1
    with pytest.raises(_re2.Missing, match="pip install 'membudget"):
        _re2.compile("(a+)+$", options)


LETTERS = st.text("abc-", max_size=7)


@given(LETTERS, LETTERS)
def test_edits_are_counted_alike_without_rapidfuzz(one: str, other: str) -> None:
    assert _likeness.osa(one, other) == OSA.distance(one, other)
    assert _likeness.osa(one, other, score_cutoff=1) == OSA.distance(one, other, score_cutoff=1)


def test_the_nearest_names_come_first() -> None:
    names = {"a": "dbt-expert", "b": "dlthub-expert", "c": "aws-expert"}
    nearest = _likeness.extract("dbt-exprt", names, scorer=_likeness.osa, score_cutoff=2)
    assert [(name, errors) for _, errors, name in nearest] == [("a", 1)]
    alike = _likeness.extract("dlthub", names, scorer=_likeness.ratio, limit=1)
    assert alike[0][2] == "b"
    assert isinstance(_core.names.NameIndex.build(["a/b"]), NameIndex)
