"""Say what each call of a client does, step by step, with the service and without it."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from membudget import errors, results
from membudget._answers import Answer
from membudget._calls import Call, encode, new_id, said
from membudget._deliveries import Deliveries
from membudget._events import chunks, event_id_of, event_of, line_of
from membudget._exchange import (
    REPEATED,
    Failed,
    Flow,
    Patience,
    Pause,
    Send,
    Work,
    backoff,
    exchange,
    unreached,
)
from membudget._fallback import Decided, Fallback
from membudget._fields import AllocateFields, ComplexityFields, EventFields, FinishFields
from membudget._files import content_of, packed_tree, spool_folder, spools_folder
from membudget._requests import Requests
from membudget._spool import Entry, Spool, others
from membudget._watching import UNSEEN, run_and_watch

T = TypeVar("T")

log = logging.getLogger("membudget")

DEFAULT_URL = "http://127.0.0.1:8000"
REST_SECONDS = 5.0
"""How long after a failure calls that can do without the service try it once only."""
REST_PATIENCE = 1.0
"""Seconds that they then wait for it."""
HEALTH_SECONDS = 3.0
FIRST_SECONDS = 5.0
"""What a service that is about to be given long work may take to say who it is."""

Lost = (errors.ServiceUnavailable, errors.ServiceFault)
"""The service is not there, or failed: what can be done without it is."""
Unbooked = (*Lost, errors.Unauthorized, errors.Forbidden)
"""A run could not be booked and is none the worse: a key can be mended, a lost run cannot."""


class Flows:
    """The calls of one client; they yield steps, and do no I/O of their own."""

    def __init__(
        self,
        *,
        url: str | None,
        api_key: str | None,
        workspace: str | None,
        timeout: float,
        retries: int,
        spool: str | os.PathLike[str] | bool | None,
        fallback: str | os.PathLike[str] | bool,
    ) -> None:
        if timeout <= 0:
            raise ValueError("timeout must be more than 0 seconds")
        self.url = (url or os.environ.get("MEMBUDGET_URL") or DEFAULT_URL).rstrip("/")
        if not is_address(self.url):
            raise ValueError(f"MEMBUDGET_URL must be such as {DEFAULT_URL}, not {self.url!r}")
        self.requests = Requests(workspace)
        self.timeout = timeout
        self.retries = max(0, retries)
        key = api_key or os.environ.get("MEMBUDGET_API_KEY")
        self.headers = {"User-Agent": "membudget-python"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"
        folder = spool_folder(spool, self.url)
        self.spool = None if folder is None else Spool(folder, url=self.url)
        self.deliveries = Deliveries(self.spool, self.requests, self._exchange)
        self.fallback: Fallback | None = None
        if fallback is not False:
            path = None if fallback is True else Path(os.fspath(cast(str, fallback)))
            self.fallback = Fallback(path)
        self._rests_until = 0.0
        self.logs_kept = True
        """Whether runs that a refused key holds up are logged; whoever tells them says no."""

    def ask(self, call: Call[T], *, can_do_without: bool = False) -> Flow[T]:
        """What the service answers to a call; what waits is then sent, too."""
        patience = self._patience(call.seconds)
        if can_do_without and time.monotonic() < self._rests_until:
            patience = Patience.of(min(self.timeout, REST_PATIENCE), 0)
        try:
            if call.seconds is not None:  # long work is for a service that answers, and is one
                first = Patience.of(min(self.timeout, FIRST_SECONDS), self.retries)
                yield from exchange(self.url, self.requests.version(), first)
            result = yield from exchange(self.url, call, patience)
        except errors.ServiceUnavailable:
            self._rests_until = time.monotonic() + REST_SECONDS
            raise
        self._rests_until = 0.0
        yield from self.deliveries.some(patience)
        return result

    def allocate(
        self, agent: str | None, task: str | None, asked: AllocateFields
    ) -> Flow[results.Allocation]:
        """A budget, decided here if need be."""
        found = yield from self.decide(agent, task, asked)
        return found.allocation if isinstance(found, Decided) else found

    def decide(
        self, agent: str | None, task: str | None, asked: AllocateFields
    ) -> Flow[results.Allocation | Decided]:
        """The service's allocation, or one that was decided here."""
        call = self.requests.allocate(agent, task, asked)
        fallback = self.fallback
        try:
            return (yield from self.ask(call, can_do_without=fallback is not None))
        except Lost as error:
            if fallback is None or asked.get("pool") is not None:
                raise
            given = {"workspace": self.requests.workspace, **said(asked)}
            reason = error.message
            try:
                decided: Decided = yield Work(lambda: fallback.allocate(agent, task, given, reason))
            except errors.UnknownAgent:
                raise error from None  # the service may know it
            if decided.allocation.enforcement == "hard":
                raise
            return decided

    def loads(self, loads: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Loads as they are sent, and sent again: each with a `memory_id`, and so counted once."""
        return [{**one, "memory_id": one.get("memory_id") or new_id("load")} for one in loads]

    def finish(
        self, allocation: str | results.Allocation, report: FinishFields
    ) -> Flow[results.UsageEvent]:
        """The end of a run; spooled if need be."""
        given: dict[str, Any] = said(report)
        if "loads" in given:
            given["loads"] = self.loads(given["loads"])
        id_ = allocation if isinstance(allocation, str) else allocation.id
        if id_ is None and not isinstance(allocation, str):
            return (yield from self.book(event_of(allocation, given)))
        call = self.requests.finish(id_ or "", cast(FinishFields, given))
        try:
            return (yield from self.ask(call, can_do_without=self.spool is not None))
        except Unbooked as error:
            yield from self._keep([Entry(given, allocation=id_)], error)
            reason = error.message
        return results.UsageEvent(
            id=event_id_of(id_ or ""),
            allocation_id=id_,
            success=given.get("success", "error" not in given),
            error=given.get("error"),
            spooled=True,
            spooled_reason=reason,
        )

    def book(self, event: Mapping[str, Any]) -> Flow[results.UsageEvent]:
        """Book one event that says all of itself; spooled if need be."""
        sent = self.requests.event(event)
        receipt = yield from self.track([sent], {})
        raw = {
            **sent,
            "spooled": bool(receipt.spooled),
            "spooled_reason": receipt.spooled_reason,
        }
        budget, used = sent.get("budget_tokens"), sent.get("used_tokens", 0)
        if budget is not None:
            raw["exceeded"] = used > budget
            raw["used_pct"] = 100 * used / budget if budget else (None if used else 0.0)
        return results.UsageEvent.read(raw)

    def track(
        self,
        events: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
        event: EventFields,
    ) -> Flow[results.Receipt]:
        """Book events; spooled if need be."""
        if events is None:
            given: Sequence[Mapping[str, Any]] = [event]
        else:
            given = [events] if isinstance(events, Mapping) else events
            given = [{**event, **one} for one in given]
        sent = [self.requests.event(one) for one in given]
        return (yield from self._book(sent, self.requests.track, Entry))

    def spend(self, event: Mapping[str, Any]) -> Flow[results.Receipt]:
        """Book what was spent, even where a hard budget in USD has no room for it: it has happened,
        and is booked as a line of a log is (then a duplicate, as one whose receipt was lost).

        Errors: InvalidRequest.
        """
        sent = self.requests.event(event)
        try:
            return (yield from self._book([sent], self.requests.track, Entry))
        except errors.BudgetExceeded:
            line = self.requests.usage_import(encode(line_of(sent)), sent.get("workspace"))
        try:
            found = yield from self.ask(replace(line, seconds=None), can_do_without=True)
        except Unbooked as error:
            yield from self._keep([Entry(sent)], error)
            return results.Receipt(ids=(sent["id"],), spooled=1, spooled_reason=error.message)
        if found.refused:
            raise errors.InvalidRequest(found.refused[0].reason)
        return results.Receipt(duplicates=1, ids=(sent["id"],))

    def record_operations(
        self, operations: Sequence[Mapping[str, Any]], workspace: str | None
    ) -> Flow[results.Receipt]:
        """Book measured operations; spooled if need be."""
        sent = [self.requests.operation(one, workspace) for one in operations]
        kept = partial(Entry, is_operation=True)
        return (yield from self._book(sent, self.requests.record_operations, kept))

    def _book(
        self,
        sent: Sequence[dict[str, Any]],
        call_of: Callable[[Sequence[Mapping[str, Any]]], Call[results.Receipt]],
        kept: Callable[[Mapping[str, Any]], Entry],
    ) -> Flow[results.Receipt]:
        accepted = duplicates = spooled = 0
        ids: list[str] = []
        alerts: list[Mapping[str, Any]] = []
        lost: errors.MembudgetError | None = None
        for chunk in chunks(sent):
            if lost is None:
                try:
                    receipt = yield from self.ask(
                        call_of(chunk), can_do_without=self.spool is not None
                    )
                except Unbooked as error:
                    lost = error
                else:
                    accepted += receipt.accepted
                    duplicates += receipt.duplicates
                    ids += receipt.ids
                    alerts += receipt.alerts
                    continue
            yield from self._keep([kept(one) for one in chunk], lost)
            spooled += len(chunk)
            ids += [one["id"] for one in chunk if "id" in one]
        return results.Receipt(
            accepted=accepted,
            duplicates=duplicates,
            ids=tuple(ids),
            alerts=tuple(alerts),
            spooled=spooled,
            spooled_reason=None if lost is None else lost.message,
        )

    def flush(self) -> Flow[results.Flushed]:
        """Send all that waits, and find what waits for other addresses."""
        flushed = yield from self.deliveries.all(self._patience)
        own = None if self.spool is None else self.spool.folder
        elsewhere: tuple[results.Elsewhere, ...] = yield Work(lambda: waiting_elsewhere(own))
        return replace(flushed, elsewhere=elsewhere)

    def complexity(self, text: str, asked: ComplexityFields) -> Flow[results.Complexity]:
        """How hard a text is, judged here if need be."""
        call = self.requests.complexity(text, asked)
        fallback = self.fallback
        try:
            return (yield from self.ask(call, can_do_without=fallback is not None))
        except Lost as error:
            if fallback is None:
                raise
            reason = error.message
            found: results.Complexity = yield Work(lambda: fallback.complexity(text, asked, reason))
            return found

    def profiles(self, workspace: str | None) -> Flow[results.Profiles]:
        """Profiles; those that ship if need be."""
        call = self.requests.profiles(workspace)
        fallback = self.fallback
        try:
            return (yield from self.ask(call, can_do_without=fallback is not None))
        except Lost as error:
            if fallback is None:
                raise
            reason = error.message
            found: results.Profiles = yield Work(lambda: fallback.listed(workspace, reason))
            return found

    def run_job(self, name: str) -> Flow[results.JobRun]:
        """A job's run, as it ended."""
        if name in UNSEEN:
            return (yield from self.ask(self.requests.run_job(name)))
        patience = self._patience()
        run = yield from run_and_watch(self.url, self.requests, name, patience=patience)
        yield from self.deliveries.some(patience)
        return run

    def health(self) -> Flow[results.Health]:
        """Whether the service is up and ready."""
        call = self.requests.ready()
        patience = Patience.of(min(self.timeout, HEALTH_SECONDS), self.retries)
        attempt = 0
        while True:
            try:
                answer: Answer = yield Send(call, max(0.001, patience.left))
            except Failed as failure:
                return results.Health(reason=str(unreached(self.url, failure)))
            try:
                return call.read(answer)
            except ValueError:
                said_ = f"{self.url} answered {answer.status}, and not as a membudget service does"
            wait = backoff(attempt)
            if answer.status not in REPEATED or attempt >= patience.retries or wait > patience.left:
                return results.Health(reason=said_)
            yield Pause(wait)
            attempt += 1

    def import_memories(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        workspace: str | None,
        project: str | None,
        replace: bool,
    ) -> Flow[results.Imported]:
        """Take in a tree or a file."""
        data: bytes = yield Work(lambda: packed_tree(source))
        call = self.requests.import_memories(
            data, workspace=workspace, project=project, replace=replace
        )
        return (yield from self.ask(call))

    def usage_import(
        self, source: str | os.PathLike[str] | bytes, workspace: str | None
    ) -> Flow[results.Imported]:
        """Take in a log."""
        data: bytes = yield Work(lambda: content_of(source))
        return (yield from self.ask(self.requests.usage_import(data, workspace)))

    def config_import(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        dry_run: bool,
        replace: bool,
        workspace: str | None,
    ) -> Flow[Mapping[str, Any]]:
        """Take in a policy file."""
        data: bytes = yield Work(lambda: content_of(source))
        call = self.requests.config_import(
            data, dry_run=dry_run, replace=replace, workspace=workspace
        )
        return (yield from self.ask(call))

    def tell_kept(self, error: errors.MembudgetError) -> None:
        """Log that runs wait for a key: nobody would notice, and they wait until somebody does."""
        if self.logs_kept and self.spool is not None and not isinstance(error, Lost):
            log.warning("%s Runs are kept in %s for `membudget flush`.", error, self.spool.folder)

    def _patience(self, seconds: float | None = None) -> Patience:
        return Patience.of(max(self.timeout, seconds or 0.0), self.retries)

    def _exchange(self, call: Call[T], patience: Patience) -> Flow[T]:
        return exchange(self.url, call, patience)

    def _keep(self, entries: Sequence[Entry], error: errors.MembudgetError) -> Flow[None]:
        spool = self.spool
        if spool is None:
            raise error
        yield Work(lambda: spool.put(entries))
        self.tell_kept(error)


def is_address(url: str) -> bool:
    """Whether a service can be at a URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def waiting_elsewhere(own: Path | None) -> tuple[results.Elsewhere, ...]:
    """What waits on this machine for services at other addresses."""
    return tuple(
        results.Elsewhere(folder=str(spool.folder), url=spool.address(), waiting=spool.count())
        for spool in others(own, spools_folder())
    )
