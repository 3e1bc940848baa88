"""Measure what a program spends its time on, and say what would make it faster."""

import inspect
import logging
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
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from membudget._calls import EVENTS, new_id
from membudget._measured import wired
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
    ) -> None:
        """max_operations: how many are remembered one by one (medians, what could run side by
        side); older ones are only in the sums. `clock`: seconds."""
        if max_operations < 1:
            raise ValueError(f"max_operations is {max_operations}; the least is 1")
        self._most = max_operations
        self._clock = clock
        self._lock = threading.Lock()
        self._id = new_id("op")
        self._wall = time.time() - clock()
        self.reset()

    def reset(self) -> None:
        """Forget everything; what is under way is not counted when it ends."""
        with self._lock:
            self._open: dict[tuple[str, str, str], _Open] = {}
            self._spent: dict[tuple[str, str], Spent] = {}
            self._finished: deque[Finished] = deque(maxlen=self._most)
            self._ended = self._sent = 0

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
        spent, finished, open_ = self._now()
        return {**statistics_of(spent, finished), "open_operations": open_}

    def analyze_bottlenecks(self, min_percentage: float = 5.0) -> list[Bottleneck]:
        """Operations that take at least so many per cent of all measured time, worst first."""
        spent, finished, _ = self._now()
        return bottlenecks_of(spent, finished, min_percentage)

    def finished(self, run_id: str | None = None) -> list[Finished]:
        """The operations that are remembered, oldest end first; of one run, if one is named."""
        with self._lock:
            return [one for one in self._finished if run_id in (None, one.run_id)]

    def send(self, client: "Client", *, workspace: str | None = None) -> int:
        """Send what ended since the last time to the service, and answer how many it had not seen.

        Nothing is sent unless this is called. What cannot be sent waits for the next call, as far
        as it is still remembered; an operation counts once however often it is sent.
        """
        ended, operations = self._to_send()
        new = 0
        for first in range(0, len(operations), EVENTS):
            part = operations[first : first + EVENTS]
            new += client.operations.record(part, workspace=workspace).accepted
        self._was_sent(ended)
        return new

    async def send_async(self, client: "AsyncClient", *, workspace: str | None = None) -> int:
        """The same with an asynchronous client."""
        ended, operations = self._to_send()
        new = 0
        for first in range(0, len(operations), EVENTS):
            part = operations[first : first + EVENTS]
            new += (await client.operations.record(part, workspace=workspace)).accepted
        self._was_sent(ended)
        return new

    def _to_send(self) -> tuple[int, list[dict[str, Any]]]:
        with self._lock:
            ended, unsent = self._ended, self._ended - self._sent
            left = list(self._finished)[-unsent:] if unsent else []
        return ended, [wired(one, prefix=self._id, wall=self._wall) for one in left]

    def _was_sent(self, ended: int) -> None:
        with self._lock:
            self._sent = max(self._sent, min(ended, self._ended))  # it may be reset meanwhile

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
            self._finished.append(
                Finished(
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
                    part_of=_run_of(begun),
                )
            )
            self._ended += 1
        return seconds


class PerformanceOptimizer:
    """Says what to change, from what a profiler has measured."""

    def __init__(self, profiler: PerformanceProfiler) -> None:
        self.profiler = profiler

    def get_optimization_recommendations(self, min_percentage: float = 5.0) -> list[Recommendation]:
        """What to change, what saves most first; savings are estimates, and say of what."""
        spent, finished, _ = self.profiler._now()
        return recommendations_of(spent, finished, min_percentage)

    def suggest_parallelization(self, run_id: str | None = None) -> list[Opportunity]:
        """Operations that ran one after another and could run side by side, what saves most first.

        Certain where `depends_on` was said; else calls of one name in a row, if they do not need
        each other.
        """
        return opportunities_of(self.profiler.finished(run_id))


def _run_of(begun: _Open) -> str | None:
    at: _Open | None = begun
    while at is not None:
        if at.run_id is not None:
            return at.run_id
        at = at.parent
    return None


def _name_of(kind: Kind) -> str:
    return kind.value if isinstance(kind, OperationType) else str(kind)
