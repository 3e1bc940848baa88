"""Laws of scores: relevance, importance, freshness."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.memory import Candidate
from app.core.profiles import ScoreWeights
from app.core.scoring import STOP_WORDS, Scorer, distinct_words, freshness, overlap

NOW = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)
WEIGHTS = ScoreWeights(
    relevance=Decimal("0.5"), importance=Decimal("0.3"), freshness=Decimal("0.2")
)

shares = st.floats(0, 1)
prose = st.text(alphabet="abcABC12_é -.,İß", max_size=60)


def scorer(task: str | None = None, weights: ScoreWeights = WEIGHTS) -> Scorer:
    return Scorer(task=task, weights=weights, half_life_hours=Decimal(168), now=NOW)


@given(shares, shares, st.integers(-1000, 10_000))
def test_a_score_is_the_weighted_sum_of_its_parts(
    relevance: float, importance: float, age_hours: int
) -> None:
    memory = Candidate(
        id="m",
        tokens=1,
        relevance=relevance,
        importance=importance,
        created_at=NOW - timedelta(hours=age_hours),
    )
    score = scorer().score(memory)
    expected = 0.5 * relevance + 0.3 * importance + 0.2 * 0.5 ** (max(age_hours, 0) / 168)
    assert score.total == pytest.approx(expected, abs=1e-12)
    assert (score.relevance, score.importance) == (relevance, importance)


@given(st.integers(0, 3), st.integers(0, 3), shares)
def test_a_score_stays_between_zero_and_one(heavy: int, light: int, part: float) -> None:
    weights = ScoreWeights(
        relevance=Decimal(heavy), importance=Decimal(-light), freshness=Decimal(heavy)
    )
    memory = Candidate(id="m", tokens=1, relevance=part, importance=1 - part)
    assert 0 <= scorer(weights=weights).score(memory).total <= 1


@given(st.floats(0.1, 1000), st.integers(0, 5))
def test_freshness_halves_with_each_half_life(half_life: float, times: int) -> None:
    created_at = NOW - timedelta(hours=half_life * times)
    fresh = freshness(created_at, NOW, half_life_hours=half_life)
    assert fresh == pytest.approx(0.5**times, rel=1e-6)


def test_the_future_and_the_timeless_are_fresh() -> None:
    assert freshness(NOW + timedelta(days=3), NOW, half_life_hours=24) == 1
    assert freshness(None, NOW, half_life_hours=24) == 1


def test_age_counts_from_creation_not_from_access() -> None:
    created_at = NOW - timedelta(hours=168)
    memory = Candidate(id="m", tokens=1, created_at=created_at, last_accessed_at=NOW)
    assert scorer().score(memory).freshness == pytest.approx(0.5)


def test_relevance_given_wins_over_the_words() -> None:
    task = "analyze dbt models"
    text = "Analyze DBT models."
    assert scorer(task).score(Candidate(id="m", tokens=1, text=text)).relevance == 1
    told = Candidate(id="m", tokens=1, text=text, relevance=0.25)
    assert scorer(task).score(told).relevance == 0.25


@pytest.mark.parametrize(
    ("task", "text", "share"),
    [
        ("slow dbt models", "dbt is SLOW today", 2 / 3),
        ("the models of dbt", "dbt models", 1.0),
        ("model", "models and remodel and model_2", 0.0),
        ("model", "models, then a model", 1.0),
        ("the of and", "the of and", 0.0),
        ("dbt", None, 0.0),
        ("", "dbt", 0.0),
    ],
)
def test_relevance_is_the_share_of_the_tasks_words(
    task: str, text: str | None, share: float
) -> None:
    assert overlap(distinct_words(task), text) == pytest.approx(share)


@given(prose, prose, st.booleans())
def test_words_count_whole_however_many_are_sought(task: str, text: str, many: bool) -> None:
    filler = " ".join(f"zz{number}" for number in range(60)) if many else ""
    words = distinct_words(f"{task} {filler}")
    found = words & (set(re.findall(r"\w+", text.lower())) - STOP_WORDS)
    expected = len(found) / len(words) if words else 0.0
    assert overlap(words, text) == pytest.approx(expected)
