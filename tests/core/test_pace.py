"""State what a bucket lets through."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.pace import WINDOW_SECONDS, take

quotas = st.integers(1, 10_000)
gaps = st.lists(st.floats(0, 90, allow_nan=False), min_size=1, max_size=60)


@given(quotas)
def test_a_full_bucket_lets_its_quota_through_at_once_and_no_more(quota: int) -> None:
    full_at, passed = 0.0, 0
    for _ in range(quota + 3):
        turn = take(full_at, 100.0, quota)
        full_at = turn.full_at
        passed += turn.passes
        assert turn.left == max(0, quota - passed)
    assert passed == quota
    assert turn.refill_seconds <= WINDOW_SECONDS + 1


@given(quotas, gaps)
def test_nobody_passes_more_than_the_quota_and_what_flowed_in(
    quota: int, waits: list[float]
) -> None:
    full_at, now, passed = 0.0, 1_000.0, 0
    for gap in waits:
        now += gap
        for _ in range(3):
            turn = take(full_at, now, quota)
            full_at = turn.full_at
            passed += turn.passes
    flowed = (now - 1_000.0) * quota / WINDOW_SECONDS
    assert passed <= quota + flowed + 1e-3


@given(quotas, gaps)
def test_whoever_waits_as_long_as_told_passes(quota: int, waits: list[float]) -> None:
    full_at, now = 0.0, 1_000.0
    for gap in waits:
        now += gap / quota
        turn = take(full_at, now, quota)
        full_at = turn.full_at
        assert turn.passes or turn.wait_seconds >= 1
        assert (turn.left > 0) == (turn.wait_seconds == 0)
        if not turn.passes:
            now += turn.wait_seconds
            assert take(full_at, now, quota).passes


@given(quotas, st.floats(0, 1e6, allow_nan=False))
def test_after_a_window_of_silence_the_bucket_is_full(quota: int, at: float) -> None:
    full_at = at
    for _ in range(5):
        full_at = take(full_at, at, quota).full_at
    assert take(full_at, at + WINDOW_SECONDS + 1, quota).left == quota - 1
