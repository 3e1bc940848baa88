"""Let so many requests a minute pass: a bucket that fills evenly, in one number."""

import math

from app.core.values import value

WINDOW_SECONDS = 60.0


@value
class Turn:
    """Whether a request may pass, and what is left after it."""

    passes: bool
    left: int
    """Requests that could follow at once."""
    wait_seconds: int
    """Until one more may pass (at least 1), 0 where one may now."""
    refill_seconds: int
    """Until as many may pass as ever."""
    full_at: float
    """When the bucket is full again: what is kept of the bearer."""


def take(full_at: float, now: float, quota: int) -> Turn:
    """One request at `now` (seconds) of a bearer whose bucket is full at `full_at`.

    The bucket holds `quota` requests and fills up within `WINDOW_SECONDS`.
    """
    step = WINDOW_SECONDS / quota
    start = max(full_at, now)
    after = start + step
    passes = after - now <= WINDOW_SECONDS + step * 1e-6
    kept = after if passes else start
    room = WINDOW_SECONDS - (kept - now)
    left = max(0, math.floor(room / step + 1e-6))
    wait = 0 if left else max(1, math.ceil(step - room))
    return Turn(
        passes=passes,
        left=left,
        wait_seconds=wait,
        refill_seconds=max(0, math.ceil(kept - now)),
        full_at=kept,
    )
