"""Book long lists of usage events: read in a process beside this one, in groups, booked as such.

While one group is booked here, the next is read there. A list that cannot be read there is left to
the caller, as all are while that process is away.
"""

import asyncio
import marshal
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from anyio import CapacityLimiter, to_thread
from prometheus_client import Counter

from app.core.errors import DomainError, Unavailable
from app.core.receipts import Receipt, accepted, receipt
from app.core.unread import Found, Group, Identity, Unread
from app.core.usage import UsageEvent
from app.gateways.beside import Beside, Failed, Lost
from app.store.costshelf import CostShelf
from app.store.database import Store
from app.store.parcels import Outcome, Parcel, Share, book_shares

log = structlog.get_logger("membudget")

LISTS = Counter("membudget_usage_lists", "Long lists of usage events, by who read them.", ["read"])

GROUP_EVENTS = 4_000
"""About how many events are read and booked together: as many as one commit carries."""

AHEAD = 1
"""Groups that are being booked while the next is read."""

EVENT_MARK = b'"used_tokens"'
"""Comes once in an event."""

EVENT_BYTES = 1_024
"""What weighs as much as an event: bodies that wait take memory, whatever is in them."""

IDLE_SECONDS = 300.0
"""After which a process that nobody wanted is ended."""

Identify = Callable[[str, str, str | None], Identity]
"""workspace, agent, agent type → the agent's full name and its profile, if it has one."""

Answer = Receipt | Parcel | None
"""What became of a list; a parcel: it is read, and not booked; None: not even read."""


@dataclass(slots=True)
class _Waiting:
    unread: Unread
    weight: int
    future: "asyncio.Future[Answer]"

    def settle(self, answer: Answer | BaseException) -> None:
        if self.future.done():  # its client has gone away
            return
        if isinstance(answer, BaseException):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class LongLists:
    """The lists that wait to be read, and what has been read of them."""

    def __init__(
        self,
        store: Store,
        beside: Beside,
        identify: Identify,
        costs: CostShelf,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._store = store
        self._beside = beside
        self._identify = identify
        self._costs = costs
        self._waiting: deque[_Waiting] = deque()
        self._weight = 0
        """Of the lists that wait: they count with the writes that wait for their commit."""
        self._reading: asyncio.Task[None] | None = None
        self._booking: set[asyncio.Task[None]] = set()
        self._one = CapacityLimiter(1)
        self._told: tuple[int, object] | None = None
        """Which process was told which prices."""
        self._forgets = False
        self._leaving: asyncio.TimerHandle | None = None
        self._idle_seconds = idle_seconds

    @property
    def is_ready(self) -> bool:
        """Whether lists are read beside; the process is started, if it does not run."""
        return self._beside.is_ready()

    async def record(self, unread: Unread) -> Receipt | list[UsageEvent] | None:
        """Read a list and book it; its events, if they are to be booked by themselves; None, if it
        is to be read here. Errors: as `record_usage`; Unavailable, where too much waits."""
        self._be_wanted()
        answer = await self._wait(unread) if self.is_ready else None
        LISTS.labels("here" if answer is None else "beside").inc()
        if isinstance(answer, Parcel):
            return await to_thread.run_sync(lambda: answer.events)
        return answer

    async def _wait(self, unread: Unread) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        weight = max(unread.raw.count(EVENT_MARK), len(unread.raw) // EVENT_BYTES)
        before = self._weight + self._store.waiting
        if before and before + weight > self._store.queue_limit:
            raise Unavailable("Too many writes are waiting; try again in a second.")
        self._weight += weight
        self._waiting.append(_Waiting(unread, weight, future))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await future

    def _be_wanted(self) -> None:
        """End the process once nobody has wanted it for a while."""
        if self._leaving is not None:
            self._leaving.cancel()
        loop = asyncio.get_running_loop()
        self._leaving = loop.call_later(self._idle_seconds, self._leave)

    def _leave(self) -> None:
        if self._reading is None:
            self._beside.close()
        else:
            self._be_wanted()

    async def close(self) -> None:
        """End the process, and let what it has read be booked."""
        if self._leaving is not None:
            self._leaving.cancel()
        self._beside.stop()
        while tasks := self._tasks():
            await asyncio.wait(tasks)
        self._beside.close()

    def _tasks(self) -> set[asyncio.Task[None]]:
        reading = set() if self._reading is None else {self._reading}
        return {task for task in reading | self._booking if not task.done()}

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                while len(self._booking) > AHEAD:  # more lists come meanwhile, to be read as one
                    await asyncio.wait(self._booking, return_when=asyncio.FIRST_COMPLETED)
                await self._read(self._take())
        finally:
            self._reading = None

    async def _read(self, group: Sequence[_Waiting]) -> None:
        """Have a group read and begin to book it; nobody of it waits in vain, whatever happens."""
        try:
            found = await to_thread.run_sync(self._converse, group, limiter=self._one)
            if found is not None:
                self._hand_on(group, found)
                return
        except Exception as error:
            log.error("lists_not_read", kind=type(error).__name__, exc_info=error)
        for one in group:
            one.settle(None)

    def _take(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        weight = group[0].weight
        while self._waiting and weight + self._waiting[0].weight <= GROUP_EVENTS:
            group.append(self._waiting.popleft())
            weight += group[-1].weight
        self._weight -= weight
        return group

    def _converse(self, group: Sequence[_Waiting]) -> Found | None:
        """What a group comes to; None where nothing of it may be used."""
        stated = self._costs.stated
        told = (self._beside.starts, stated)
        message = Group(
            bodies=[one.unread for one in group],
            stated=None if self._is_told(told) else stated,
            forgets=self._forgets,
        )
        try:
            answer = self._beside.converse(pickle.dumps(message), self._answer)
        except Lost:
            log.warning("reader_lost")
            return None
        except Failed as failed:
            log.error("reader_failed", kind=str(failed))
            return None
        self._told = told
        found: Found = marshal.loads(answer)
        _, _, named = found
        self._forgets = any(self._identify(*name) != identity for name, identity in named)
        return None if self._forgets else found

    def _is_told(self, told: tuple[int, object]) -> bool:
        return self._told is not None and self._told[0] == told[0] and self._told[1] is told[1]

    def _answer(self, question: bytes) -> bytes:
        return marshal.dumps([self._identify(*name) for name in marshal.loads(question)])

    def _hand_on(self, group: Sequence[_Waiting], found: Found) -> None:
        lists, shares, _ = found
        parcels = [None if rows is None else Parcel(rows) for rows in lists]
        alone = dict(enumerate(parcels))
        together: list[tuple[str, Share, list[_Waiting]]] = []
        for workspace, numbers, cells, oldest, newest in shares:
            its = [parcel for number in numbers if (parcel := alone.pop(number)) is not None]
            share = Share(its, cells=cells, oldest=oldest, newest=newest, charge=self._costs.charge)
            together.append((workspace, share, [group[number] for number in numbers]))
        for workspace, share, waiting in together:  # nothing of what was said is wrong: book it
            task = asyncio.create_task(self._book(workspace, share, waiting))
            self._booking.add(task)
            task.add_done_callback(self._booking.discard)
        for number, parcel in alone.items():
            group[number].settle(parcel)

    async def _book(self, workspace: str, share: Share, waiting: Sequence[_Waiting]) -> None:
        weight = sum(len(parcel.rows) for parcel in share.parcels)
        try:
            outcome: Outcome = await self._store.write(
                workspace, book_shares, share, weight=weight, repeats=True
            )
        except Unavailable as error:
            for one in waiting:
                one.settle(error)
        except Exception:  # noqa: BLE001 (one of them may be at fault: each is booked by itself)
            for one, parcel in zip(waiting, share.parcels, strict=True):
                one.settle(parcel)
        else:
            for number, one in enumerate(waiting):
                if outcome is None:
                    one.settle(accepted(share.parcels[number].ids))
                else:
                    its = outcome[number]
                    one.settle(its if isinstance(its, DomainError) else receipt(its))
