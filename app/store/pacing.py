"""Work in short stretches, so that others get the processor and Python's lock in between."""

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock, local
from time import perf_counter, sleep
from typing import Any, Protocol, TypeVar

from app.store.engines import CACHE_KB
from app.store.transactions import Tx

T = TypeVar("T")

STRETCH_SECONDS = 0.000_25
"""How long a thread works between two pauses, where it may pause. Whoever is woken on its processor
waits for as long: the system itself takes a processor away every few milliseconds only."""
PAUSE_SECONDS = 0.000_05
REST_SECONDS = 0.001
"""How long a job waits after an answer before it looks again: whoever asks one thing after the
other finds it waiting."""
PATIENCE = 20
"""How many times as long as it worked a job gives way at most: under requests without end it takes
so much longer, and ends."""
MOST_SECONDS = 60.0
"""How long a run gives way in all."""

OPERATIONS = 1_000
"""Operations of SQLite's machine between two looks at the clock, some ten microseconds without
Python's lock; of rows that fill pages of their own some hundred. PostgreSQL works in a process of
its own."""

TURN_SECONDS = 0.000_05
"""How long a thread that thinks keeps Python's lock from one that waits, while a job runs; Python's
own 5 ms are waited for at each of the steps of a request, and a request has about ten."""

SCAN_KB = 1_000
"""What a connection keeps of the file while it scans: pages that are read once cost more when they
are given memory of their own than when they are read again."""

YOUNG = 700
"""New values after which cycles are looked for among them, while a job runs: a look keeps Python's
lock, a tenth of a millisecond then, five where it waits for 20,000."""

_before: list[tuple[float, tuple[int, int, int]]] = []
"""How long turns were, and when cycles were looked for, at the beginning of each block."""
_lock = Lock()


@dataclass(slots=True)
class _Way:
    left: float = MOST_SECONDS
    """How long it may still be given."""


_way: ContextVar[_Way | None] = ContextVar("way", default=None)
"""What this task, or the thread that works for it, gives way by."""


class Traffic:
    """The requests in flight, and the threads that wait until there are none.

    Requests begin and end on event loops; nothing there waits for a lock.
    """

    def __init__(self) -> None:
        self.came = 0
        """Requests that began."""
        self._open: set[object] = set()
        self._waiting: deque[Lock] = deque()

    def begin(self, request: object) -> None:
        """A request is whole, and will be answered at once."""
        self._open.add(request)
        self.came += 1

    def end(self, request: object) -> None:
        """It is answered, or never will be; one that did not begin may end."""
        self._open.discard(request)
        if self._waiting and not self._open:
            with suppress(IndexError):  # nobody is left
                while True:
                    self._waiting.popleft().release()

    def wait(self, seconds: float) -> bool:
        """Whether requests are in flight; if so, return when none is, or after some seconds."""
        if not self._open:
            return False
        turn = Lock()
        turn.acquire()
        self._waiting.append(turn)
        if self._open:  # looked at again: either we see that the last one ended, or it sees us
            turn.acquire(timeout=seconds)
        with suppress(ValueError):  # whoever released it took it out
            self._waiting.remove(turn)
        return True


class Road(Protocol):
    """What pauses ask of `Traffic`."""

    came: int

    def wait(self, seconds: float) -> bool:
        """Whether requests are in flight; if so, return when none is, or after some seconds."""


class Pauses:
    """The pauses of threads that work long."""

    def __init__(
        self,
        road: Road,
        *,
        clock: Callable[[], float] = perf_counter,
        sleep: Callable[[float], None] = sleep,
    ) -> None:
        self._road = road
        self._clock = clock
        self._sleep = sleep
        self._thread = local()

    def pause(self) -> None:
        """Let others go first, if the thread has worked for a stretch; to be called often.

        Who gives way waits until no request is in flight and none has come for a while.
        """
        now = self._clock()
        worked = now - getattr(self._thread, "since", 0.0)
        if worked < STRETCH_SECONDS:
            return
        self._sleep(PAUSE_SECONDS)
        way = _way.get()
        if way is not None and way.left > 0:
            self._give_way(now + min(PATIENCE * min(worked, 2 * STRETCH_SECONDS), way.left))
            way.left -= self._clock() - now
        self._thread.since = self._clock()

    def _give_way(self, until: float) -> None:
        came: int | None = getattr(self._thread, "came", None)
        while (left := until - self._clock()) > 0 and (
            self._road.wait(left) or self._road.came != came
        ):
            came = self._road.came
            self._sleep(max(0.0, min(until - self._clock(), REST_SECONDS)))
        self._thread.came = self._road.came


TRAFFIC = Traffic()
"""The requests that the jobs of this process give way to: those of the busiest paths, which take
about a millisecond."""
pause = Pauses(TRAFFIC).pause


def paced(its: Iterable[T]) -> Iterator[T]:
    """The same, one after the other, with pauses between them."""
    for one in its:
        yield one
        pause()


@contextmanager
def giving_way() -> Iterator[None]:
    """While the block lasts, what is done in it and in threads for it gives way to requests.

    For reports, which nobody waits for: they read little at once. An audit reads a day in one
    transaction, which should not last, and only pauses.
    """
    ours = _way.set(_Way())
    try:
        yield
    finally:
        _way.reset(ours)


@contextmanager
def short_turns() -> Iterator[None]:
    """While the block lasts, threads of this process wait for Python's lock a short time only.

    Blocks may overlap: the last one to end puts back what was before the first.
    """
    with _lock:
        _before.append((sys.getswitchinterval(), gc.get_threshold()))
        seconds, (young, middle, old) = _before[0]
        sys.setswitchinterval(min(seconds, TURN_SECONDS))
        if young > YOUNG:  # as often as before among older values
            gc.set_threshold(YOUNG, middle * young // YOUNG, old)
    try:
        yield
    finally:
        with _lock:
            seconds, thresholds = _before[0]
            _before.pop()
            if not _before:
                sys.setswitchinterval(seconds)
                gc.set_threshold(*thresholds)


@contextmanager
def pausing(driver: Any) -> Iterator[None]:
    """While the block lasts, what is read on a connection to SQLite pauses, if it gives way."""
    if _way.get() is None:
        yield
        return
    driver.set_progress_handler(pause, OPERATIONS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def unhurried(tx: Tx) -> Iterator[None]:
    """While the block lasts, statements pause as they go on, and keep little of what they read."""
    if not tx.is_sqlite:
        yield
        return
    driver = tx.connection.connection.driver_connection
    assert driver is not None
    driver.execute(f"PRAGMA cache_size=-{SCAN_KB}")
    driver.set_progress_handler(pause, OPERATIONS)
    try:
        yield
    finally:
        if _way.get() is None:
            driver.set_progress_handler(None, 0)
        driver.execute(f"PRAGMA cache_size=-{CACHE_KB}")
