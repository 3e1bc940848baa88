"""Run something within a budget: allocated on entry, finished on exit."""

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from membudget import results
from membudget._fields import AllocateFields, FinishFields
from membudget._ledger import Ledger
from membudget.errors import MembudgetError

if TYPE_CHECKING:
    from membudget.async_client import AsyncClient
    from membudget.client import Client

log = logging.getLogger("membudget")

FAREWELL_SECONDS = 5.0
"""What finishing may take when the block was cancelled."""


class _Running:
    """What a run shows of itself."""

    _ledger: Ledger

    trouble: MembudgetError | None = None
    """Why the run could not be finished on exit, where it could not."""

    @property
    def allocation(self) -> results.Allocation:
        """The allocation as it was answered."""
        return self._ledger.allocation

    @property
    def id(self) -> str | None:
        """The allocation's id; None where it could not be recorded."""
        return self._ledger.allocation.id

    @property
    def tokens(self) -> int:
        """Tokens that the run may load."""
        return self._ledger.allocation.budget.tokens

    @property
    def context(self) -> str:
        """The text to load; empty where none was asked for (`render=`)."""
        return self._ledger.allocation.context

    @property
    def selected(self) -> tuple[results.Selected, ...]:
        """The memories to load; they are booked as loads already."""
        selection = self._ledger.allocation.selection
        return () if selection is None else selection.selected

    @property
    def degraded(self) -> bool:
        """Whether it could not be recorded, or was decided here."""
        return self._ledger.allocation.degraded

    @property
    def degraded_reason(self) -> str | None:
        """Why."""
        return self._ledger.allocation.degraded_reason

    @property
    def event(self) -> results.UsageEvent | None:
        """The usage event, once the run has ended; `spooled` says that it waits to be sent."""
        return self._ledger.ended

    def _missed(self, error: MembudgetError) -> None:
        self.trouble = error
        log.warning("A run could not be finished: %s", error.message)


class RunningAllocation(_Running):
    """A run of a `Client`: `with client.allocation(...) as a:`.

    What the block raises goes on; that the service is down never raises on exit.
    """

    def __init__(
        self, client: "Client", agent: str | None, task: str | None, asked: AllocateFields
    ) -> None:
        self._client = client
        self._ledger = Ledger(client._flows, agent, task, asked)

    def load(
        self, scope: str, tokens: int, memory_id: str | None = None
    ) -> results.AllocationStatus:
        """Note tokens that entered the context; a memory is counted once.

        Errors: BudgetExceeded under hard enforcement, and then nothing is recorded.
        """
        return self._client._run(self._ledger.load(scope, tokens, memory_id))

    def status(self) -> results.AllocationStatus:
        """How the run stands: loaded, remaining, alerts."""
        return self._client._run(self._ledger.status())

    def finish(self, **report: Unpack[FinishFields]) -> results.UsageEvent:
        """End the run before the block does, to say more of it than that it succeeded."""
        return self._client._run(self._ledger.finish(report))

    def __enter__(self) -> Self:
        self._client._run(self._ledger.open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ledger.ended is not None:
            return
        try:
            self._client._run(self._ledger.close(error))
        except MembudgetError as trouble:
            self._missed(trouble)


class AsyncRunningAllocation(_Running):
    """A run of an `AsyncClient`: `async with client.allocation(...) as a:`.

    What the block raises goes on; that the service is down never raises on exit.
    """

    def __init__(
        self, client: "AsyncClient", agent: str | None, task: str | None, asked: AllocateFields
    ) -> None:
        self._client = client
        self._ledger = Ledger(client._flows, agent, task, asked)

    async def load(
        self, scope: str, tokens: int, memory_id: str | None = None
    ) -> results.AllocationStatus:
        """Note tokens that entered the context; a memory is counted once.

        Errors: BudgetExceeded under hard enforcement, and then nothing is recorded.
        """
        return await self._client._run(self._ledger.load(scope, tokens, memory_id))

    async def status(self) -> results.AllocationStatus:
        """How the run stands: loaded, remaining, alerts."""
        return await self._client._run(self._ledger.status())

    async def finish(self, **report: Unpack[FinishFields]) -> results.UsageEvent:
        """End the run before the block does, to say more of it than that it succeeded."""
        return await self._client._run(self._ledger.finish(report))

    async def __aenter__(self) -> Self:
        await self._client._run(self._ledger.open())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ledger.ended is not None:
            return
        import anyio  # noqa: PLC0415 - it comes with the first call

        is_cancelled = isinstance(error, anyio.get_cancelled_exc_class())
        try:
            if not is_cancelled:
                await self._client._run(self._ledger.close(error))
                return
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(FAREWELL_SECONDS):
                    await self._client._run(self._ledger.close(error))
                if self._ledger.ended is None:
                    await self._client._run(self._ledger.set_aside(error))
        except MembudgetError as trouble:
            self._missed(trouble)
