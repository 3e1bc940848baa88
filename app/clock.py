"""Read the wall clock and make ids: the only module that asks the world for time or chance."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from app.core.ids import base32, tag_of

Now = Callable[[], datetime]
NewId = Callable[[str, str], str]
NewSecret = Callable[[], str]


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id(prefix: str, workspace: str) -> str:
    """A fresh id such as `alc_01k…_7hq2x`: time-sortable, ending in its workspace's tag."""
    moment = _moment(time.time_ns() // 1_000_000)
    chance = int.from_bytes(os.urandom(8), "big")
    return f"{prefix}_{moment}{base32(chance, 12)}_{tag_of(workspace)}"


@lru_cache(maxsize=2)
def _moment(milliseconds: int) -> str:
    return base32(milliseconds, 10)


def new_secret() -> str:
    """A fresh secret of a key, `mb_…`: 256 bits of chance."""
    return f"mb_{base32(int.from_bytes(os.urandom(32), 'big'), 52)}"
