"""Laws of counting for models without a tokenizer here: families, ratios, measured errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.counting import (
    ENOUGH_PAIRS,
    MOST_PAIRS,
    SHIPPED,
    Calibration,
    Method,
    Pair,
    family_of,
    is_plausible,
    learn,
    method_for,
    pairs_in,
    scaled,
)
from app.core.statistics import decode
from tests.core.runs import run

RATIOS = st.floats(0.3, 3.5)


def pairs(ratio: float, many: int, *, noise: float = 0.0) -> list[Pair]:
    return [
        Pair(counted=1000 + at, reported=round((1000 + at) * ratio * (1 + noise * (-1) ** at)))
        for at in range(many)
    ]


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-sonnet-4-5-20250929", "claude"),
        ("anthropic/claude-3-haiku", "claude"),
        ("us.anthropic.claude-3-haiku-v1:0", "claude"),
        ("gemini-2.5-pro", "gemini"),
        ("meta-llama/Llama-2-7b", "llama-2"),
        ("meta-llama/Llama-3.3-70B", "llama"),
        ("mixtral-8x7b", "mistral"),
        ("dolphin-2", "other"),
        ("", "other"),
    ],
)
def test_models_belong_to_families(model: str, family: str) -> None:
    assert family_of(model) == family


@given(st.text())
def test_every_name_has_a_family_with_a_ratio(model: str) -> None:
    assert SHIPPED[family_of(model)] > 0


@given(RATIOS, st.integers(0, ENOUGH_PAIRS - 1))
def test_few_reports_change_nothing(ratio: float, many: int) -> None:
    known = learn(Calibration(), "claude", pairs(ratio, many))
    method = method_for("claude", known, encoding="cl100k_base")
    assert (method.exactness, method.p95_error_pct) == ("heuristic", None)
    assert method.ratio == SHIPPED["claude"]


@given(RATIOS, st.integers(ENOUGH_PAIRS, 300))
def test_the_ratio_is_what_models_reported_and_its_error_is_small_where_they_agree(
    ratio: float, many: int
) -> None:
    method = method_for("claude", learn(Calibration(), "claude", pairs(ratio, many)), encoding="x")
    assert method.exactness == "calibrated"
    assert method.ratio == pytest.approx(ratio, rel=0.02)
    assert method.p95_error_pct is not None
    assert method.p95_error_pct <= 3


@given(st.floats(0.05, 0.3))
def test_the_error_is_as_wide_as_reports_are_apart(noise: float) -> None:
    known = learn(Calibration(), "claude", pairs(1.2, 200, noise=noise))
    error = method_for("claude", known, encoding="x").p95_error_pct
    assert error is not None
    assert error >= 100 * noise / (1 + noise) - 2


@given(RATIOS, st.integers(1, 60), st.integers(0, 60))
def test_reports_come_to_the_same_ratio_however_they_are_batched(
    ratio: float, many: int, cut: int
) -> None:
    told = pairs(ratio, many, noise=0.1)
    whole = learn(Calibration(), "qwen", told)
    parts = learn(learn(Calibration(), "qwen", told[:cut]), "qwen", told[cut:])
    assert whole == parts


@pytest.mark.parametrize("pair", [(49, 49), (100, 0), (100, 401), (100, 24), (0, 100)])
def test_what_is_too_short_or_too_far_apart_is_left_out(pair: tuple[int, int]) -> None:
    one = Pair(counted=pair[0], reported=pair[1])
    assert not is_plausible(one)
    assert learn(Calibration(), "claude", [one]) == Calibration()


def test_what_is_remembered_stays_bounded_and_follows_what_is_new() -> None:
    known = learn(Calibration(), "claude", pairs(1.2, MOST_PAIRS))
    known = learn(known, "claude", pairs(1.5, 2 * MOST_PAIRS))
    assert known.pairs <= MOST_PAIRS
    assert sum(decode(known.ratios).values()) == known.pairs
    assert method_for("claude", known, encoding="x").ratio == pytest.approx(1.5, rel=0.02)


def test_events_tell_where_they_carry_both_counts() -> None:
    marked = {"counted_tokens": 100}
    told = run("e", model="claude-x", input_tokens=120, metadata=marked)
    silent = [
        run("e", model=None, input_tokens=120, metadata=marked),
        run("e", model="claude-x", input_tokens=None, metadata=marked),
        run("e", model="claude-x", input_tokens=120, metadata={"counted_tokens": "100"}),
        run("e", model="claude-x", input_tokens=120, metadata={"counted_tokens": True}),
        run("e", model="claude-x", input_tokens=120),
    ]
    assert pairs_in([told, *silent]) == [("claude-x", Pair(counted=100, reported=120))]


@given(st.integers(0, 10**9))
def test_exact_counts_are_never_scaled(counted: int) -> None:
    assert scaled(counted, Method(encoding="cl100k_base", ratio=2.0)) == counted
