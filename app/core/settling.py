"""Make the one usage event that an allocation ends in."""

from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from app.core.ids import event_id_of
from app.core.monitoring import Monitor, Report
from app.core.terms import Alert
from app.core.usage import UsageEvent
from app.core.windows import micros


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
        duration_seconds=max(0.0, (now - monitor.opened_at).total_seconds()),
        success=report.succeeded,
        error=report.error,
        alerts=tuple(map(alert_data, monitor.alerts)),
        metadata={"memories_used": list(report.memories_used)} if report.memories_used else {},
        late=monitor.late,
        fingerprint=blake2b(opened.id.encode(), digest_size=16).digest(),
    )


def alert_data(alert: Alert) -> dict[str, Any]:
    """An alert as plain data."""
    data = asdict(alert)
    data["at"] = alert.at.isoformat()
    return data
