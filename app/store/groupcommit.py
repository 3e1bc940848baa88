"""Let writes that wait at the same moment share one commit.

Requests hand in payloads; a worker takes all that wait, calls each handler once with its payloads,
commits, and only then tells every request its result. A handler answers one result a payload, or a
DomainError for those it refuses, and must not write for a payload that it refuses. When a group
fails as a whole (a constraint, a lost connection), each payload is tried again in a transaction of
its own, so that one bad request never fails those beside it. When the answer of a commit is lost,
nobody knows what became of it: payloads that may be written twice are tried again, the others are
told so.
"""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import DomainError, OutcomeUnknown, Unavailable
from app.store.transactions import Tx

GROUP_WEIGHT = 4_000
"""About how many rows one commit may carry, so that nobody waits long for strangers."""

ATTEMPTS = 2
"""How often a write alone is tried: a deadlock or a race lost to another replica is over then."""

Handler = Callable[[Tx, str, Sequence[Any]], Sequence[Any]]
"""Writes payloads of one workspace; as many results, or DomainErrors, as payloads."""


@dataclass(slots=True)
class _Waiting:
    handler: Handler
    payload: Any
    weight: int
    repeats: bool
    """Whether it may be written twice and counts once."""
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None


class GroupCommit:
    """A bounded queue of writes a workspace, and the threads that commit them.

    `whole_house`: one transaction takes all workspaces that wait (SQLite); otherwise a worker
    takes one workspace at a time, and a workspace has one worker at a time (PostgreSQL).
    """

    def __init__(
        self,
        commit: Callable[[Callable[[Tx], None]], None],
        *,
        workers: int,
        limit: int,
        whole_house: bool,
    ) -> None:
        self._commit = commit
        self._workers = workers
        self._limit = limit
        self._whole_house = whole_house
        self._queues: dict[str, deque[_Waiting]] = {}
        self._ready: deque[str] = deque()
        self._busy: set[str] = set()
        self._fresh: set[str] = set()
        """Workspaces with writes that no worker has been told of."""
        self._waking: asyncio.AbstractEventLoop | None = None
        """The loop that will tell them."""
        self._changed = threading.Condition()
        self._stopping = False
        self._threads: list[threading.Thread] = []
        self.waiting = 0

    def start(self) -> None:
        """Start the workers."""
        self._stopping = False
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"writer-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    @property
    def is_running(self) -> bool:
        """Whether every worker lives and takes writes."""
        alive = bool(self._threads) and all(thread.is_alive() for thread in self._threads)
        return alive and not self._stopping

    def stop(self) -> None:
        """Commit what waits, then end the workers."""
        with self._changed:
            self._stopping = True
            self._offer_fresh()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    async def submit(
        self,
        workspace: str,
        handler: Handler,
        payload: Any,
        *,
        weight: int,
        repeats: bool = False,
    ) -> Any:
        """Wait for the commit that carries this payload; return or raise its result."""
        loop = asyncio.get_running_loop()
        item = _Waiting(handler, payload, weight, repeats, loop, loop.create_future())
        with self._changed:
            if self._stopping or not self._threads:
                raise Unavailable("The service is stopping; nothing was stored.")
            if self.waiting and self.waiting + weight > self._limit:
                raise Unavailable("Too many writes are waiting; try again in a second.")
            self.waiting += weight
            queue = self._queues.get(workspace)
            if queue is None:
                queue = self._queues[workspace] = deque()
            queue.append(item)
            self._fresh.add(workspace)
            if self._waking is not loop:
                self._waking = loop
                loop.call_soon(self._wake)
        return await item.future

    def _wake(self) -> None:
        """Let workers take what was handed in, once the loop has run all that was ready to run:
        requests that came together then share a commit."""
        with self._changed:
            self._waking = None
            self._offer_fresh()
            self._changed.notify(len(self._ready))

    def _offer_fresh(self) -> None:
        """Put workspaces with new writes in line, unless a worker has them; the lock is held."""
        for workspace in self._fresh:
            waits = workspace in self._queues and workspace not in self._ready
            if waits and workspace not in self._busy:
                self._ready.append(workspace)
        self._fresh.clear()

    def _work(self) -> None:
        try:
            self._commit_groups()
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Refuse what waits and what will come: a worker has failed, and nobody may wait for it."""
        with self._changed:
            self._stopping = True
            left = [item for queue in self._queues.values() for item in queue]
            self._queues.clear()
            self._ready.clear()
            self._changed.notify_all()
        for item in left:
            item.result = _writer_failed()
        self._answer(left)

    def _commit_groups(self) -> None:
        while True:
            with self._changed:
                while not self._ready:
                    if self._stopping and not self._queues:
                        return
                    self._changed.wait(timeout=1.0 if self._stopping else None)
                taken = self._take()
            group = [(workspace, item) for workspace, items in taken.items() for item in items]
            try:
                self._run(group)
            except BaseException:
                for _, item in group:
                    item.result = _writer_failed()
                raise
            finally:
                self._release(taken, sum(item.weight for _, item in group))
                self._answer([item for _, item in group])

    def _take(self) -> dict[str, list[_Waiting]]:
        """Take waiting writes, up to the weight of a group; the lock is held."""
        taken: dict[str, list[_Waiting]] = {}
        weight = 0
        while self._ready and weight < GROUP_WEIGHT:
            workspace = self._ready.popleft()
            self._busy.add(workspace)
            self._fresh.discard(workspace)
            queue = self._queues[workspace]
            items = taken[workspace] = []
            while queue and (not items or weight + queue[0].weight <= GROUP_WEIGHT):
                item = queue.popleft()
                weight += item.weight
                items.append(item)
            if not self._whole_house:
                break
        return taken

    def _release(self, taken: dict[str, list[_Waiting]], weight: int) -> None:
        with self._changed:
            self.waiting -= weight
            for workspace in taken:
                self._busy.discard(workspace)
                if not self._queues.get(workspace):
                    self._queues.pop(workspace, None)
                elif workspace not in self._fresh:
                    self._ready.append(workspace)
            self._changed.notify_all() if self._stopping else self._changed.notify()

    def _run(
        self,
        group: list[tuple[str, _Waiting]],
        *,
        attempt: int = 1,
        doubt: OutcomeUnknown | None = None,
    ) -> None:
        """Commit a group; `doubt`: it may have been committed before."""
        try:
            self._commit(lambda tx: _apply(tx, group))
        except OutcomeUnknown as unknown:
            again = [one for one in group if one[1].repeats and attempt < ATTEMPTS]
            for one in group:
                one[1].result = unknown
            if again:
                self._run(again, attempt=attempt + 1, doubt=unknown)
        except Exception as error:  # noqa: BLE001 (whatever it is, its client is told)
            may_pass = isinstance(error, Unavailable) or not isinstance(error, DomainError)
            if len(group) > 1 and not isinstance(error, Unavailable):
                for one in group:
                    one[1].result = None
                    self._run([one], doubt=doubt)
            elif attempt < ATTEMPTS and may_pass:
                self._run(group, attempt=attempt + 1, doubt=doubt)
            else:  # with the database away one answer does for all: nobody waits in line for it
                for _, item in group:
                    item.result = doubt if doubt is not None and may_pass else error

    def _answer(self, items: list[_Waiting]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = defaultdict(list)
        for item in items:
            by_loop[item.loop].append(item)
        for loop, its in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, its)


def _writer_failed() -> Unavailable:
    return Unavailable("The writer has failed; nothing was stored. Restart the service.")


def _apply(tx: Tx, group: list[tuple[str, _Waiting]]) -> None:
    batches: dict[tuple[str, Handler], list[_Waiting]] = defaultdict(list)
    for workspace, item in group:
        batches[workspace, item.handler].append(item)
    for (workspace, handler), items in batches.items():
        results = handler(tx, workspace, [item.payload for item in items])
        for item, result in zip(items, results, strict=True):
            item.result = result
    if len(group) == 1 and isinstance(group[0][1].result, DomainError):
        raise group[0][1].result  # nothing of it may stay


def _resolve(items: list[_Waiting]) -> None:
    for item in items:
        if item.future.done():
            continue
        if isinstance(item.result, BaseException):
            item.future.set_exception(item.result)
            item.future.exception()  # heard, even if the client has gone away
        else:
            item.future.set_result(item.result)
