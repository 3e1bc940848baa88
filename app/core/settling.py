"""Make the one usage event that an allocation ends in."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from app.core.ids import event_id_of
from app.core.monitoring import Load, Monitor, Report, has_expired, record
from app.core.packing import SHARED_SCOPE
from app.core.terms import Alert
from app.core.usage import UsageEvent
from app.core.windows import micros, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an allocation was made for: the facts that its usage event repeats."""

    id: str
    workspace: str
    agent: str | None
    """None: a workspace's budget, no agent named."""
    project: str | None
    user: str | None
    session_id: str | None
    run_id: str | None
    model: str | None
    task: str | None
    policy: str
    complexity: str


def settle(opened: Opened, monitor: Monitor, report: Report, *, now: datetime) -> UsageEvent:
    """The event of a finished monitor; its id follows from the allocation's, so there is one."""
    return UsageEvent(
        id=event_id_of(opened.id),
        workspace=opened.workspace,
        at=micros(now),
        agent=opened.agent or "",
        used_tokens=monitor.loaded,
        budget_tokens=monitor.budget,
        needed_tokens=report.needed_tokens,
        complexity=opened.complexity,
        profile=opened.policy,
        project=opened.project,
        user=opened.user,
        session_id=opened.session_id,
        run_id=opened.run_id,
        allocation_id=opened.id,
        model=opened.model,
        task=opened.task,
        scopes=monitor.scopes,
        input_tokens=report.input_tokens,
        output_tokens=report.output_tokens,
        cached_tokens=report.cached_tokens,
        cache_write_tokens=report.cache_write_tokens,
        cache_write_1h_tokens=report.cache_write_1h_tokens,
        reasoning_tokens=report.reasoning_tokens,
        service=report.service,
        cost_nano_usd=report.cost_nano_usd,
        duration_seconds=max(0.0, (now - monitor.opened_at).total_seconds()),
        success=report.succeeded,
        error=report.error,
        alerts=tuple(map(alert_data, monitor.alerts)),
        metadata={"memories_used": list(report.memories_used)} if report.memories_used else {},
        late=monitor.late,
        fingerprint=blake2b(opened.id.encode(), digest_size=16).digest(),
    )


def close_with(opened: Opened, monitor: Monitor, event: UsageEvent) -> tuple[UsageEvent, Monitor]:
    """The event that a client books for an open allocation, and the monitor that it closes.

    What the event leaves out is the allocation's; whose run it was, the allocation knows. Tokens
    beyond the loads that were noted are noted now, with their alerts, whatever the enforcement:
    they have been used.
    """
    at = max(moment(event.at), monitor.opened_at)
    late = monitor.late or has_expired(monitor, at)
    hard = monitor.terms
    soft = replace(monitor, terms=replace(hard, enforcement="soft"))
    closed = replace(
        record(soft, _not_noted(monitor, event), at),
        terms=hard,
        late=late,
        finished_at=at,
        report_digest="",
    )
    booked = replace(
        event,
        agent=opened.agent or event.agent,
        complexity=event.complexity or opened.complexity,
        profile=opened.policy,
        project=event.project or opened.project,
        user=event.user or opened.user,
        session_id=event.session_id or opened.session_id,
        run_id=event.run_id or opened.run_id,
        model=event.model or opened.model,
        task=event.task if event.task is not None else opened.task,
        scopes=event.scopes or closed.scopes,
        alerts=tuple(map(alert_data, closed.alerts)),
        late=late,
    )
    return booked, closed


def _not_noted(monitor: Monitor, event: UsageEvent) -> list[Load]:
    """Loads that bring a monitor to what an event says was used."""
    loads = [
        Load(scope=scope, tokens=tokens - monitor.scopes.get(scope, 0))
        for scope, tokens in event.scopes.items()
        if tokens > monitor.scopes.get(scope, 0)
    ]
    rest = event.used_tokens - monitor.loaded - sum(load.tokens for load in loads)
    return [*loads, Load(scope=SHARED_SCOPE, tokens=rest)] if rest > 0 else loads


def alert_data(alert: Alert) -> dict[str, Any]:
    """An alert as plain data."""
    data = asdict(alert)
    data["at"] = alert.at.isoformat().replace("+00:00", "Z")
    return data
