"""Follow one allocation from its first load to its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal

from app.core.alerts import Level, is_reached
from app.core.errors import AlreadyFinished, BudgetExceeded, Conflict, InvalidRequest
from app.core.terms import Alert, Bump, Terms, alert_at, used_pct
from app.core.usage import MAX_TOKENS
from app.core.values import value


class AllocationFinished(Conflict):
    """The allocation is closed: what it used is booked."""

    code = "allocation_finished"


class AllocationExpired(Conflict):
    """The allocation's time is over: ask for another one."""

    code = "allocation_expired"


@value
class Load:
    """Tokens that entered the context."""

    scope: str
    tokens: int
    memory_id: str | None = None
    """A memory is counted once per allocation, however often it is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a client says when its run ends."""

    success: bool | None = None
    """None: a success unless there is an error."""
    error: str | None = None
    loads: tuple[Load, ...] = ()
    needed_tokens: int | None = None
    """Demand before anything was cut."""
    memories_used: tuple[str, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    service: str | None = None
    cost_nano_usd: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None if self.success is None else self.success


@value
class Monitor:
    """All that an allocation has seen so far."""

    terms: Terms
    budget: int
    """Tokens it may load; `auto_bump` raises it."""
    opened_at: datetime
    expires_at: datetime
    scopes: Mapping[str, int] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    reached: frozenset[Level] = frozenset()
    """Levels that will not be raised again under the present budget."""
    bumps: tuple[Bump, ...] = ()
    """The raises of the budget that were made, in order."""
    memory_ids: frozenset[str] = frozenset()
    late: bool = False
    """Something was booked after it had expired."""
    released_at: datetime | None = None
    finished_at: datetime | None = None
    report_digest: str | None = None

    @property
    def loaded(self) -> int:
        return sum(self.scopes.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How an allocation stands at one moment."""

    state: Literal["open", "finished", "expired"]
    budget_tokens: int
    loaded: int
    used_pct: float | None
    """0–100 and beyond; None when something was loaded on a budget of zero."""
    remaining: int
    scopes: Mapping[str, int]
    """Tokens loaded, by the scope named in the load."""
    alerts: tuple[Alert, ...]
    exceeded: bool
    """Loaded more than the budget; equality is not."""
    duration_seconds: float
    bumps: tuple[Bump, ...]
    late: bool
    expires_at: datetime


def opened(terms: Terms, *, budget: int, now: datetime, ttl_seconds: float) -> Monitor:
    """An allocation that has loaded nothing yet."""
    return Monitor(
        terms=terms,
        budget=budget,
        opened_at=now,
        expires_at=now + timedelta(seconds=ttl_seconds),
    )


def record(monitor: Monitor, loads: Sequence[Load], now: datetime) -> Monitor:
    """The monitor after these loads, judged one by one, so that batches do not matter.

    Under hard enforcement a load that passes the budget refuses the whole batch.
    """
    if monitor.finished_at is not None:
        raise AllocationFinished(
            "This allocation is finished: allocate again before loading more.",
        )
    if not loads:
        return monitor

    seen = set(monitor.memory_ids)
    scopes = dict(monitor.scopes)
    loaded = monitor.loaded
    after = monitor
    for index, load in enumerate(loads):
        if load.memory_id is not None:
            if load.memory_id in seen:
                continue
            seen.add(load.memory_id)
        scopes[load.scope] = scopes.get(load.scope, 0) + load.tokens
        loaded += load.tokens
        if loaded > MAX_TOKENS:
            raise InvalidRequest(
                f"More than {MAX_TOKENS:,} tokens in one run; nothing of this batch was recorded.",
                errors=[{"loc": ["body", "loads", index, "tokens"], "msg": "is too much in all"}],
            )
        after = _alerted(after, loaded, now)
        if monitor.terms.enforcement == "hard" and loaded > after.budget:
            raise _refusal(index, load, room=after.budget - loaded + load.tokens)
    return replace(
        after,
        scopes=scopes,
        memory_ids=frozenset(seen),
        late=monitor.late or has_expired(monitor, now),
    )


def finish(monitor: Monitor, report: Report, now: datetime) -> Monitor:
    """The closed monitor; the same report again changes nothing, another one is refused."""
    digest = _digest(report)
    if monitor.finished_at is not None:
        if digest == monitor.report_digest:
            return monitor
        raise AlreadyFinished(
            "This allocation was finished with another report: send the first one again,"
            " or allocate anew for another run.",
        )

    after = record(monitor, report.loads, now)
    return replace(
        after,
        late=after.late or has_expired(monitor, now),
        finished_at=now,
        report_digest=digest,
    )


def extend(monitor: Monitor, ttl_seconds: float, now: datetime) -> Monitor:
    """The monitor with at least `ttl_seconds` to go; time is never taken away."""
    _require_open(monitor, now)
    return replace(
        monitor, expires_at=max(monitor.expires_at, now + timedelta(seconds=ttl_seconds))
    )


def release(monitor: Monitor, now: datetime) -> Monitor:
    """The monitor given up: it counts as expired from now on; releasing twice is the same."""
    if monitor.finished_at is not None:
        raise AllocationFinished("This allocation is finished: there is nothing to release.")
    if has_expired(monitor, now):
        return monitor
    return replace(monitor, released_at=now)


def has_expired(monitor: Monitor, now: datetime) -> bool:
    """Whether its time is over or it was given up."""
    return now >= _end(monitor)


def status(monitor: Monitor, now: datetime) -> Status:
    """How the allocation stands at `now`."""
    state: Literal["open", "finished", "expired"] = "open"
    until = now
    if monitor.finished_at is not None:
        state, until = "finished", monitor.finished_at
    elif has_expired(monitor, now):
        state, until = "expired", _end(monitor)
    loaded = monitor.loaded
    return Status(
        state=state,
        budget_tokens=monitor.budget,
        loaded=loaded,
        used_pct=used_pct(loaded, monitor.budget),
        remaining=max(0, monitor.budget - loaded),
        scopes=monitor.scopes,
        alerts=monitor.alerts,
        exceeded=loaded > monitor.budget,
        duration_seconds=max(0.0, (until - monitor.opened_at).total_seconds()),
        bumps=monitor.bumps,
        late=monitor.late,
        expires_at=_end(monitor),
    )


def _end(monitor: Monitor) -> datetime:
    return monitor.released_at or monitor.expires_at


def _require_open(monitor: Monitor, now: datetime) -> None:
    if monitor.finished_at is not None:
        raise AllocationFinished("This allocation is finished: it needs no more time.")
    if has_expired(monitor, now):
        raise AllocationExpired("This allocation has expired or was released: allocate again.")


def _alerted(monitor: Monitor, loaded: int, now: datetime) -> Monitor:
    """The monitor with the alerts that `loaded` tokens raise, and the bumps these bring."""
    for threshold in monitor.terms.thresholds:
        while threshold.level not in monitor.reached and is_reached(
            loaded, monitor.budget, threshold
        ):
            monitor = _raise_alert(monitor, threshold.level, loaded, now)
    return monitor


def _raise_alert(monitor: Monitor, level: Level, loaded: int, now: datetime) -> Monitor:
    alert, raised = alert_at(level, monitor.terms, loaded=loaded, budget=monitor.budget, now=now)
    alerts = (*monitor.alerts, alert)
    if raised is None:
        return replace(monitor, alerts=alerts, reached=monitor.reached | {level})
    return replace(monitor, alerts=alerts, budget=raised.tokens, bumps=(*monitor.bumps, raised))


def _refusal(index: int, load: Load, *, room: int) -> BudgetExceeded:
    return BudgetExceeded(
        f"Load {index} has {load.tokens:,} tokens, but only {max(0, room):,} are left: nothing of"
        " this batch was recorded. Load less, or allocate with a higher complexity.",
        errors=[{"loc": ["body", "loads", index], "msg": "passes the budget, which is enforced"}],
        remaining=max(0, room),
    )


def _digest(report: Report) -> str:
    """Of what was sent: fields that a later version adds do not make another report of it."""
    sent = [
        (one.name, value)
        for one in fields(report)
        if (value := getattr(report, one.name)) != one.default
    ]
    return blake2b(repr(sent).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
