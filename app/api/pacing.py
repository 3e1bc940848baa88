"""Hold each key to its requests a minute, and tell it how it stands."""

import time

from app.core.errors import RateLimited
from app.core.pace import WINDOW_SECONDS, take

Header = tuple[bytes, bytes]

MOST_BUCKETS = 20_000


class Pacer:
    """The buckets of this process; each replica counts for itself."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._policy = f'"minute";q={quota};w={WINDOW_SECONDS:.0f}'.encode()
        self._full_at: dict[str, float] = {}

    def pass_(self, bearer: str, headers: list[Header]) -> None:
        """Count a request and add the headers that say how its bearer stands.

        Errors: RateLimited.
        """
        now = time.monotonic()
        turn = take(self._full_at.get(bearer, now), now, self._quota)
        if bearer not in self._full_at and len(self._full_at) >= MOST_BUCKETS:
            self._full_at = {one: at for one, at in self._full_at.items() if at > now}
        self._full_at[bearer] = turn.full_at
        headers.append((b"ratelimit-policy", self._policy))
        headers.append((b"ratelimit", f'"minute";r={turn.left};t={turn.refill_seconds}'.encode()))
        if not turn.passes:
            headers.append((b"retry-after", b"%d" % turn.wait_seconds))
            raise RateLimited(
                f"This key may send {self._quota:,} requests a minute; send the next one in "
                f"{turn.wait_seconds} s."
            )
