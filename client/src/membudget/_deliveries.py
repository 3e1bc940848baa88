"""Send what waits on disk: in batches, each line once, none held up by one that is refused."""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from membudget import errors, results
from membudget._calls import Call, encode
from membudget._events import line_of
from membudget._exchange import Flow, Patience, Work
from membudget._requests import Requests
from membudget._spool import Batch, Entry, Spool

T = TypeVar("T")

log = logging.getLogger("membudget")

SOME_SECONDS = 1.0
"""What sending may add to a call that was about something else."""
PAUSE_SECONDS = 5.0
"""How long nothing is sent on the side after that failed."""

NOT_THE_LINES_FAULT = (
    errors.ServiceUnavailable,
    errors.ServiceFault,
    errors.Unauthorized,
    errors.Forbidden,
)

PatienceOf = Callable[[], Patience]


class Exchange(Protocol):
    """How a call is carried through."""

    def __call__(self, call: Call[T], patience: Patience) -> Flow[T]:
        """What the service answers."""


class Deliveries:
    """What a client sends of its spool."""

    def __init__(self, spool: Spool | None, requests: Requests, exchange: Exchange) -> None:
        self._spool = spool
        self._requests = requests
        self._exchange = exchange
        self._not_before = 0.0

    def some(self, patience: Patience) -> Flow[None]:
        """Send for a moment, on the side of another call: nothing is raised."""
        spool = self._spool
        if spool is None or time.monotonic() < self._not_before or not spool.has_any():
            return
        until = min(patience.until, time.monotonic() + SOME_SECONDS)
        try:
            flushed = yield from self._deliver(spool, lambda: Patience(until, 0))
        except (errors.MembudgetError, OSError):
            self._not_before = time.monotonic() + PAUSE_SECONDS
            return
        if flushed.reason is not None:
            self._not_before = time.monotonic() + PAUSE_SECONDS

    def all(self, patience_of: PatienceOf) -> Flow[results.Flushed]:
        """Send all of it; each request has patience of its own."""
        spool = self._spool
        if spool is None:
            return results.Flushed()
        flushed = yield from self._deliver(spool, patience_of)
        waiting: int = yield Work(spool.count)
        return results.Flushed(
            sent=flushed.sent, refused=flushed.refused, waiting=waiting, reason=flushed.reason
        )

    def _deliver(self, spool: Spool, patience_of: PatienceOf) -> Flow[results.Flushed]:
        flushed = yield from self._emptied(spool, patience_of)
        if flushed.refused:
            log.warning(
                "The service refused %s of what waited; it is kept, with the reasons, in %s.",
                f"{flushed.refused:,}",
                spool.refused_file,
            )
        return flushed

    def _emptied(self, spool: Spool, patience_of: PatienceOf) -> Flow[results.Flushed]:
        if not spool.folder.is_dir():
            return results.Flushed()
        sent = refused = 0
        with spool.sending() as is_ours:
            if not is_ours:
                return results.Flushed(reason="another process is sending")
            while (path := (yield Work(spool.begin))) is not None:
                start, is_last = 0, False
                while not is_last:
                    batch: Batch = yield Work(partial(spool.batch, path, start))
                    try:
                        counts = yield from self._send(spool, batch.entries, patience_of)
                    except errors.MembudgetError as error:
                        yield Work(partial(spool.sent, path, start, is_last=False))
                        return results.Flushed(sent=sent, refused=refused, reason=error.message)
                    sent, refused = sent + counts[0], refused + counts[1] + batch.broken
                    start, is_last = batch.end, batch.is_last
                yield Work(partial(spool.sent, path, start, is_last=True))
        return results.Flushed(sent=sent, refused=refused)

    def _send(
        self, spool: Spool, entries: Sequence[Entry], patience_of: PatienceOf
    ) -> Flow[tuple[int, int]]:
        """How many were booked, and refused."""
        sent = refused = 0
        for is_operation in (False, True):
            alike = [
                one
                for one in entries
                if one.allocation is None and one.is_operation is is_operation
            ]
            counts = yield from self._book(spool, alike, patience_of)
            sent, refused = sent + counts[0], refused + counts[1]
        for one in entries:
            if one.allocation is not None:
                call = self._requests.finish(one.allocation, one.body)  # type: ignore[arg-type]
                try:
                    yield from self._exchange(call, patience_of())
                except NOT_THE_LINES_FAULT:
                    raise
                except errors.MembudgetError as error:
                    yield from _refuse(spool, one, error)
                    refused += 1
                else:
                    sent += 1
        return sent, refused

    def _book(
        self, spool: Spool, entries: Sequence[Entry], patience_of: PatienceOf
    ) -> Flow[tuple[int, int]]:
        """Book events or operations; of a list that is refused the halves are tried, so that one
        is found."""
        if not entries:
            return 0, 0
        requests = self._requests
        call_of = requests.record_operations if entries[0].is_operation else requests.track
        call = call_of([one.body for one in entries])
        try:
            yield from self._exchange(call, patience_of())
        except NOT_THE_LINES_FAULT:
            raise
        except errors.MembudgetError as error:
            if isinstance(error, errors.BudgetExceeded) and not _is_of_allocation(entries):
                return (yield from self._import(spool, entries, patience_of))
            if len(entries) > 1:
                middle = len(entries) // 2
                first = yield from self._book(spool, entries[:middle], patience_of)
                second = yield from self._book(spool, entries[middle:], patience_of)
                return first[0] + second[0], first[1] + second[1]
            body = entries[0].body
            if isinstance(error, errors.NotFound) and body.get("allocation_id") is not None:
                rest = {key: held for key, held in body.items() if key != "allocation_id"}
                return (yield from self._book(spool, [Entry(rest)], patience_of))
            yield from _refuse(spool, entries[0], error)
            return 0, 1
        return len(entries), 0

    def _import(
        self, spool: Spool, entries: Sequence[Entry], patience_of: PatienceOf
    ) -> Flow[tuple[int, int]]:
        """Book events that a hard budget in USD refuses, as lines of a log: they have happened."""
        homes: dict[str | None, list[Entry]] = {}
        for one in entries:
            homes.setdefault(one.body.get("workspace"), []).append(one)
        refused = 0
        for home, its in homes.items():
            lines = b"\n".join(encode(line_of(one.body)) for one in its)
            call = self._requests.usage_import(lines, home)
            found = yield from self._exchange(call, patience_of())
            for line in found.refused:
                yield Work(partial(spool.refuse, its[(line.line or 1) - 1].body, line.reason))
            refused += len(found.refused)
        return len(entries) - refused, refused


def _is_of_allocation(entries: Sequence[Entry]) -> bool:
    """Whether an event ends an allocation, which a line of a log does not."""
    return any(one.body.get("allocation_id") is not None for one in entries)


def _refuse(spool: Spool, entry: Entry, error: errors.MembudgetError) -> Flow[None]:
    line: Any = entry.body
    if entry.allocation is not None:
        line = {"allocation": entry.allocation, "body": entry.body}
    yield Work(lambda: spool.refuse(line, error.message))
