"""Follow one run from its allocation to its end, with the service and without it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from membudget import _standing, errors, results
from membudget._calls import new_id, said
from membudget._events import UNNAMED
from membudget._exchange import Flow, Work
from membudget._fallback import Decided
from membudget._fields import AllocateFields, FinishFields
from membudget._flows import Flows, Lost, Unbooked
from membudget._spool import Entry

LONGEST_ERROR = 2_000


class Ledger:
    """What is known here of a run: its allocation, its loads, and which of them are noted."""

    def __init__(
        self, flows: Flows, agent: str | None, task: str | None, asked: AllocateFields
    ) -> None:
        self.allocation = results.Allocation()
        """As it was answered."""
        self.ended: results.UsageEvent | None = None
        """The usage event, once it is booked or spooled."""
        self._flows = flows
        self._asked = (agent, task, asked)
        self._monitor: Any = None
        """The state of all loads by the rules of core; None until it is needed."""
        self._waiting: list[dict[str, Any]] = []
        """Loads that the service has not noted yet."""
        self._known: results.AllocationStatus | None = None
        """How it stood when the service last said so."""
        self._opened = datetime.now(UTC)
        self._is_open = False
        self._event_id = new_id("use")
        self._made: dict[str, Any] | None = None
        """The event as it was made last: it may have been sent."""

    def open(self) -> Flow[None]:
        """Allocate. Errors: RuntimeError, the second time."""
        if self._is_open:
            raise RuntimeError("This run has begun before: ask for another allocation.")
        self._is_open = True
        self._opened = datetime.now(UTC)
        found = yield from self._flows.decide(*self._asked)
        if isinstance(found, Decided):
            self.allocation, self._monitor = found.allocation, found.monitor
        else:
            self.allocation = found

    def load(
        self, scope: str, tokens: int, memory_id: str | None
    ) -> Flow[results.AllocationStatus]:
        """Note tokens that entered the context. Errors: BudgetExceeded (hard enforcement)."""
        one = {"scope": scope, "tokens": tokens, "memory_id": memory_id or new_id("load")}
        if self.allocation.id is not None:
            try:
                return (yield from self._send([*self._waiting, one]))
            except Lost:
                pass
        yield Work(lambda: self._note(one))
        return (yield from self._standing())

    def status(self) -> Flow[results.AllocationStatus]:
        """How the run stands."""
        id_ = self.allocation.id
        if id_ is not None and self.ended is None:
            try:
                if self._waiting:
                    return (yield from self._send(self._waiting))
                call = self._flows.requests.allocation(id_)
                self._known = yield from self._flows.ask(call, can_do_without=True)
                self._monitor = None
                return self._known
            except Lost:
                pass
        return (yield from self._standing())

    def finish(self, report: FinishFields) -> Flow[results.UsageEvent]:
        """Close the run and book its event; without the service it is spooled. Once only."""
        if self.ended is not None:
            return self.ended
        given: dict[str, Any] = said(report)
        loads = [*self._waiting, *self._flows.loads(given.get("loads") or ())]
        if loads:
            given["loads"] = loads
        if self.allocation.id is None:
            for one in given.pop("loads", ())[len(self._waiting) :]:
                yield Work(partial(self._note, one))
            event = yield Work(lambda: self._event(given))
            self.ended = yield from self._flows.book(event)
            return self.ended
        call = self._flows.requests.finish(self.allocation.id, cast(FinishFields, given))
        try:
            self.ended = yield from self._flows.ask(
                call, can_do_without=self._flows.spool is not None
            )
        except Unbooked as error:
            self.ended = yield from self._spool(given, error)
        return self.ended

    def close(self, error: BaseException | None) -> Flow[results.UsageEvent]:
        """Finish, as a success or with the error that ended the run."""
        return (yield from self.finish(last_words(error)))

    def set_aside(self, error: BaseException | None) -> Flow[results.UsageEvent]:
        """Spool the end of the run without asking the service. Errors: SpoolFull."""
        given: dict[str, Any] = said(last_words(error))
        if self._waiting:
            given["loads"] = self._waiting
        self.ended = yield from self._spool(given, errors.ServiceTimeout("there was no time"))
        return self.ended

    def _send(self, loads: list[dict[str, Any]]) -> Flow[results.AllocationStatus]:
        call = self._flows.requests.loads(self.allocation.id or "", loads)
        self._known = yield from self._flows.ask(call, can_do_without=True)
        self._waiting, self._monitor = [], None
        return self._known

    def _note(self, one: Mapping[str, Any]) -> None:
        self._monitor = _standing.loaded(self._followed(), [one])
        self._waiting.append(dict(one))

    def _followed(self) -> Any:
        return _standing.follow(self._known or self.allocation, self._monitor)

    def _standing(self) -> Flow[results.AllocationStatus]:
        base = self._known or self.allocation
        found: results.AllocationStatus = yield Work(
            lambda: _standing.standing(base, self._followed())
        )
        return found

    def _spool(
        self, given: dict[str, Any], error: errors.MembudgetError
    ) -> Flow[results.UsageEvent]:
        """Keep the end of a recorded run: as its event, which says when it was, if it can be."""
        spool = self._flows.spool
        if spool is None:
            raise error
        extra = given.get("loads", ())[len(self._waiting) :]
        for one in extra:
            yield Work(partial(self._note, one))
        event = self._flows.requests.event(self._made or (yield Work(lambda: self._event(given))))
        id_ = self.allocation.id
        if id_ is None:
            yield Work(lambda: spool.put([Entry(event)]))
        elif self.allocation.agent is None:
            yield Work(lambda: spool.put([Entry(given, allocation=id_)]))
        else:
            event = {**event, "allocation_id": id_}
            yield Work(lambda: spool.put([Entry(event)]))
        self._flows.tell_kept(error)
        kept = {"allocation_id": id_, "spooled": True, "spooled_reason": error.message}
        return results.UsageEvent.read({**event, **kept})

    def _event(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All that the usage event of this run says."""
        monitor = self._followed()
        used = {scope: tokens for scope, tokens in monitor.scopes.items() if tokens}
        allocation = self.allocation
        agent, task, _ = self._asked
        named = allocation.agent.name if allocation.agent else agent or UNNAMED
        now = datetime.now(UTC)
        failed = given.get("error") is not None
        metadata = {"degraded": True} if allocation.id is None else {}
        self._made = said(
            {
                "id": self._event_id,
                "timestamp": now,
                "agent": named,
                "task": task,
                "workspace": allocation.workspace,
                "project": allocation.project,
                "user": allocation.user,
                "session_id": allocation.session_id,
                "run_id": allocation.run_id,
                "model": allocation.model,
                "complexity": allocation.complexity.tier,
                "budget_tokens": monitor.budget,
                "used_tokens": sum(used.values()),
                "scopes": used or None,
                "needed_tokens": given.get("needed_tokens"),
                "input_tokens": given.get("input_tokens"),
                "output_tokens": given.get("output_tokens"),
                "duration_seconds": max(0.0, (now - self._opened).total_seconds()),
                "success": given.get("success", not failed),
                "error": given.get("error"),
                "metadata": metadata or None,
            }
        )
        return self._made


def last_words(error: BaseException | None) -> FinishFields:
    """How a run ended that says nothing more of itself."""
    if error is None:
        return {"success": True}
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {"success": False, "error": words[:LONGEST_ERROR]}
