"""Measure what a program spends its time on, and say what would make it faster.

With a service at the address what was measured is booked there, each operation once: when figures
are asked for, every thousand operations, and at the end of the program.
"""

import atexit
import inspect
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from membudget._calls import EVENTS, new_id
from membudget._measured import wired_all
from membudget._service import Service
from membudget._timing import (
    Bottleneck,
    Finished,
    Opportunity,
    Recommendation,
    Spent,
    bottlenecks_of,
    opportunities_of,
    recommendations_of,
    statistics_of,
)

if TYPE_CHECKING:
    from membudget.async_client import AsyncClient
    from membudget.client import Client

__all__ = [
    "Bottleneck",
    "OperationType",
    "Opportunity",
    "PerformanceOptimizer",
    "PerformanceProfiler",
    "Recommendation",
]

log = logging.getLogger("membudget.profiler")

P = ParamSpec("P")
R = TypeVar("R")

MAX_OPERATIONS = 10_000
"""Operations that are remembered one by one; sums are kept of all."""
MOST_NAMES = 1_000
"""Names with sums of their own; further ones are summed under `OTHER`."""
OTHER = "(other)"
BOOKED_AT = 1_000
"""Operations that are booked together while a program runs."""
MOST_UNBOOKED = 100_000
"""Operations of one profiler that wait to be booked; if they come faster the oldest are lost."""
MOST_WAITING = 256
"""Profilers with operations to book, dropped ones too, before all of them book."""


class OperationType(Enum):
    """What an operation does."""

    LLM_CALL = "llm_call"
    STAGE = "stage"
    MEMORY = "memory"
    RETRIEVAL = "retrieval"
    EMBEDDING = "embedding"
    TOOL_CALL = "tool_call"
    IO = "io"
    COMPUTATION = "computation"
    OTHER = "other"


Kind = OperationType | str
"""One of the types, or a name of the caller's."""


@dataclass(slots=True, eq=False)
class _Open:
    """An operation under way."""

    kind: str
    name: str
    began: float
    run_id: str | None
    depends_on: tuple[str, ...] | None
    parent: "_Open | None"
    number: int
    within: float = 0.0
    """Seconds of operations inside it that have ended."""


_current: ContextVar[_Open | None] = ContextVar("membudget_operation", default=None)
_numbers = count()


class PerformanceProfiler:
    """Measures operations; may be used from several threads and tasks at once."""

    def __init__(
        self,
        max_operations: int = MAX_OPERATIONS,
        *,
        clock: Callable[[], float] = time.perf_counter,
        client: "Client | Literal[False] | None" = None,
        run_id: str | None = None,
        workspace: str | None = None,
    ) -> None:
        """max_operations: how many are remembered one by one (medians, what could run side by
        side); older ones are only in the sums. `clock`: seconds.

        client: of the service; one that all names share if None, none at all if False.
        run_id: the run that operations are booked under which name none; one of its own if None.
        """
        if max_operations < 1:
            raise ValueError(f"max_operations is {max_operations}; the least is 1")
        self._most = max_operations
        self._clock = clock
        self._lock = threading.Lock()
        self._id, self._process = new_id("op"), os.getpid()
        self._wall = time.time() - clock()
        self._service = None if client is False else Service(client)
        self.run_id = run_id or new_id("run")
        """The run that operations are booked under which name none."""
        self._workspace = workspace
        self._book_at = max(1, min(BOOKED_AT, max_operations // 2))
        self._booking = threading.Lock()
        self._finished: deque[Finished] = deque(maxlen=self._most)
        most_unbooked = self._most if self._service is None else MOST_UNBOOKED
        self._unbooked: deque[tuple[str, Finished]] = deque(maxlen=most_unbooked)
        """With the ids that they are booked under."""
        self._has_lost = False
        self.reset()

    def reset(self) -> None:
        """Forget everything; what is under way is not counted when it ends."""
        self.book()
        with self._lock:
            self._open: dict[tuple[str, str, str], _Open] = {}
            self._spent: dict[tuple[str, str], Spent] = {}
            self._finished.clear()
            if self._service is None:
                self._unbooked.clear()

    def start_operation(
        self,
        operation_id: str,
        operation_type: Kind,
        operation_name: str,
        *,
        run_id: str | None = None,
        depends_on: Sequence[str] | None = None,
    ) -> None:
        """Begin to measure an operation; `end_operation` with the same three ends it.

        run_id: the larger work that it is a part of.
        depends_on: names of operations of that work which it needed; None: not said.
        """
        kind = _name_of(operation_type)
        begun = self._begin(kind, operation_name, run_id, depends_on)
        with self._lock:
            if len(self._open) >= self._most:
                del self._open[next(iter(self._open))]  # begun long ago, and never ended
            self._open[operation_id, kind, operation_name] = begun

    def end_operation(
        self, operation_id: str, operation_type: Kind, operation_name: str, *, failed: bool = False
    ) -> float:
        """Seconds since the operation began; 0, and a warning in the log, if it did not."""
        kind = _name_of(operation_type)
        with self._lock:
            begun = self._open.pop((operation_id, kind, operation_name), None)
        if begun is None:
            log.warning("end of an operation that did not begin: %s %r", kind, operation_name)
            return 0.0
        return self._end(begun, failed=failed)

    @contextmanager
    def measure(
        self,
        operation_type: Kind,
        operation_name: str,
        *,
        run_id: str | None = None,
        depends_on: Sequence[str] | None = None,
    ) -> Iterator[None]:
        """Measure a block, synchronous or not. Operations inside it are counted for themselves:
        their time is not this one's."""
        begun = self._begin(_name_of(operation_type), operation_name, run_id, depends_on)
        token = _current.set(begun)
        failed = True
        try:
            yield
            failed = False
        finally:
            _current.reset(token)
            self._end(begun, failed=failed)

    def profile_operation(
        self,
        operation_id: str,
        operation_type: Kind,
        operation_name: str,
        func: Callable[..., R],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> R:
        """What the function returns, measured; the id is there as `start_operation` has one."""
        with self.measure(operation_type, operation_name):
            return func(*args, **kwargs)

    async def profile_async_operation(
        self,
        operation_id: str,
        operation_type: Kind,
        operation_name: str,
        func: Callable[..., Awaitable[R]] | Awaitable[R],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> R:
        """What the asynchronous function (or what is to be awaited) answers, measured."""
        with self.measure(operation_type, operation_name):
            if inspect.isawaitable(func):
                return await func
            return await func(*args, **kwargs)

    def profiled(
        self, operation_type: Kind, operation_name: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator for functions, synchronous or not, that measures every call."""

        def wrap(func: Callable[P, R]) -> Callable[P, R]:
            name = operation_name or str(getattr(func, "__qualname__", type(func).__name__))
            if inspect.iscoroutinefunction(func):

                @wraps(func)
                async def measured(*args: P.args, **kwargs: P.kwargs) -> Any:
                    with self.measure(operation_type, name):
                        return await func(*args, **kwargs)

                return cast(Callable[P, R], measured)

            @wraps(func)
            def plain(*args: P.args, **kwargs: P.kwargs) -> R:
                with self.measure(operation_type, name):
                    return func(*args, **kwargs)

            return plain

        return wrap

    def get_statistics(self) -> dict[str, Any]:
        """`{"total_operations", "total_seconds", "open_operations", "failed_operations",
        "by_type": {type: figures}, "by_name": {"type/name": figures}, "top_bottlenecks"}`.

        Figures are `{"count", "failed", "total_seconds", "own_seconds", "average_seconds",
        "min_seconds", "max_seconds", "median_seconds", "p95_seconds", "share_pct"}`; shares are of
        own time, without what was measured inside; median and p95 are those of the operations
        that are still remembered.
        """
        self.book()
        spent, finished, open_ = self._now()
        return {**statistics_of(spent, finished), "open_operations": open_}

    def analyze_bottlenecks(self, min_percentage: float = 5.0) -> list[Bottleneck]:
        """Operations that take at least so many per cent of all measured time, worst first."""
        self.book()
        spent, finished, _ = self._now()
        return bottlenecks_of(spent, finished, min_percentage)

    def finished(self, run_id: str | None = None) -> list[Finished]:
        """The operations that are remembered, oldest end first; of one run, if one is named."""
        with self._lock:
            return [one for one in self._finished if run_id in (None, one.run_id)]

    def book(self) -> None:
        """Book what ended since the last time, each operation once; without the service it waits on
        this machine. That is done by itself, too."""
        service = self._service
        if service is None:
            return
        with self._booking:
            for part in self._parts():
                if not service.measured(wired_all(part, self._wall), self._workspace):
                    self._put_back(part)
                    return

    def send(self, client: "Client", *, workspace: str | None = None) -> int:
        """Send what ended since the last time to a service, and answer how many it had not seen."""
        accepted = 0
        with self._booking:
            for part in self._parts():
                try:
                    sent = wired_all(part, self._wall)
                    accepted += client.operations.record(sent, workspace=workspace).accepted
                except BaseException:
                    self._put_back(part)
                    raise
        return accepted

    async def send_async(self, client: "AsyncClient", *, workspace: str | None = None) -> int:
        """The same with an asynchronous client."""
        accepted = 0
        for part in self._parts():
            try:
                sent = wired_all(part, self._wall)
                accepted += (await client.operations.record(sent, workspace=workspace)).accepted
            except BaseException:
                self._put_back(part)
                raise
        return accepted

    def _parts(self) -> Iterator[list[tuple[str, Finished]]]:
        """What is not booked by now, as many at once as a request may hold; it is the caller's
        then."""
        left = len(self._unbooked)
        while left > 0:
            with self._lock:
                size = min(EVENTS, left, len(self._unbooked))
                part = [self._unbooked.popleft() for _ in range(size)]
            left = left - size if size else 0
            if part:
                yield part
        with self._lock:
            if not self._unbooked:
                _waiting.discard(self)

    def _put_back(self, part: Sequence[tuple[str, Finished]]) -> None:
        with self._lock:
            room = (self._unbooked.maxlen or 0) - len(self._unbooked)
            self._unbooked.extendleft(reversed(part[max(0, len(part) - room) :]))

    def _now(self) -> tuple[Mapping[tuple[str, str], Spent], Sequence[Finished], int]:
        with self._lock:
            copied = {key: one.copy() for key, one in self._spent.items()}
            return copied, tuple(self._finished), len(self._open)

    def _begin(
        self, kind: str, name: str, run_id: str | None, depends_on: Sequence[str] | None
    ) -> _Open:
        parent = _current.get()
        return _Open(
            kind=kind,
            name=name,
            began=self._clock(),
            run_id=run_id,
            depends_on=None if depends_on is None else tuple(depends_on),
            parent=parent,
            number=next(_numbers),
        )

    def _end(self, begun: _Open, *, failed: bool) -> float:
        ended = self._clock()
        seconds = max(0.0, ended - begun.began)
        with self._lock:
            if begun.parent is not None:
                begun.parent.within += seconds
            key = begun.kind, begun.name
            if key not in self._spent and len(self._spent) >= MOST_NAMES:
                key = begun.kind, OTHER
            own = max(0.0, seconds - begun.within)
            self._spent.setdefault(key, Spent()).add(seconds, own, failed=failed)
            finished = Finished(
                kind=key[0],
                name=key[1],
                began=begun.began,
                seconds=seconds,
                run_id=begun.run_id,
                depends_on=begun.depends_on,
                failed=failed,
                parent=None if begun.parent is None else begun.parent.number,
                number=begun.number,
                inside=None if begun.parent is None else begun.parent.name,
                part_of=_run_of(begun) or self.run_id,
            )
            self._finished.append(finished)
            is_due = self._note(finished)
        if is_due and not self._booking.locked():
            # beside the program, whose time it would be otherwise
            threading.Thread(target=is_due, daemon=True).start()
        return seconds

    def _note(self, finished: Finished) -> Callable[[], None] | None:
        """Keep an operation until it is booked; what there is to do now."""
        if self._process != os.getpid():  # a fork numbers its operations as its parent does
            self._id, self._process = new_id("op"), os.getpid()
        if len(self._unbooked) == self._unbooked.maxlen and self._service is not None:
            if not self._has_lost:
                log.warning("operations end faster than they are booked: the oldest are lost")
            self._has_lost = True
        self._unbooked.append((f"{self._id}_{finished.number}", finished))
        if self._service is None:
            return None
        _waiting.add(self)  # until they are booked, whatever becomes of it elsewhere
        if len(_waiting) > MOST_WAITING:
            return _book_all
        return self.book if len(self._unbooked) % self._book_at == 0 else None


class PerformanceOptimizer:
    """Says what to change, from what a profiler has measured."""

    def __init__(self, profiler: PerformanceProfiler) -> None:
        self.profiler = profiler

    def get_optimization_recommendations(self, min_percentage: float = 5.0) -> list[Recommendation]:
        """What to change, what saves most first; savings are estimates, and say of what."""
        self.profiler.book()
        spent, finished, _ = self.profiler._now()
        return recommendations_of(spent, finished, min_percentage)

    def suggest_parallelization(self, run_id: str | None = None) -> list[Opportunity]:
        """Operations that ran one after another and could run side by side, what saves most first.

        Certain where `depends_on` was said; else calls of one name in a row, if they do not need
        each other.
        """
        self.profiler.book()
        return opportunities_of(self.profiler.finished(run_id))


_waiting: set[PerformanceProfiler] = set()
"""Profilers that have operations to book."""


@atexit.register
def _book_all() -> None:
    for profiler in tuple(_waiting):
        profiler.book()


def _run_of(begun: _Open) -> str | None:
    at: _Open | None = begun
    while at is not None:
        if at.run_id is not None:
            return at.run_id
        at = at.parent
    return None


def _name_of(kind: Kind) -> str:
    return kind.value if isinstance(kind, OperationType) else str(kind)
