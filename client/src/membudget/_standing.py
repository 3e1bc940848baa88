"""Follow the loads of an allocation here, by the rules that the service follows them by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from membudget import _core, errors, results
from membudget._reading import read


def follow(
    allocation: results.Allocation, monitor: "_core.monitoring.Monitor | None"
) -> "_core.monitoring.Monitor":
    """The running state of an allocation's loads: its own, else as far as its answer tells."""
    if monitor is not None:
        return monitor
    thresholds = _thresholds()
    now = allocation.created_at or datetime.now(UTC)
    terms = _core.terms.Terms(
        thresholds=thresholds,
        enforcement="hard" if allocation.enforcement == "hard" else "soft",
        auto_bump=False,
        ladder=(),
    )
    return _core.monitoring.Monitor(
        terms=terms,
        budget=allocation.budget.tokens,
        opened_at=now,
        expires_at=allocation.expires_at or now,
        scopes={scope.name: scope.used for scope in allocation.scopes if scope.used},
        reached=frozenset(
            one.level
            for one in thresholds
            if one.level in {alert.level for alert in allocation.alerts}
        ),
    )


def loaded(
    monitor: "_core.monitoring.Monitor", loads: Sequence[Mapping[str, Any]]
) -> "_core.monitoring.Monitor":
    """The state after more loads. Errors: BudgetExceeded (hard)."""
    notes = [
        _core.monitoring.Load(
            scope=one["scope"], tokens=one["tokens"], memory_id=one.get("memory_id")
        )
        for one in loads
    ]
    try:
        return _core.monitoring.record(monitor, notes, datetime.now(UTC))
    except _core.errors.DomainError as error:
        raise as_ours(error) from error


def standing(
    allocation: results.Allocation, monitor: "_core.monitoring.Monitor"
) -> results.AllocationStatus:
    """How an allocation stands, as far as is known here."""
    status = _core.monitoring.status(monitor, datetime.now(UTC))
    used = dict(status.scopes)
    scopes = [
        {
            **(scope.raw or asdict(scope)),
            "used": used.get(scope.name, 0),
            "remaining": max(0, scope.tokens - used.pop(scope.name, 0)),
        }
        for scope in allocation.scopes
    ]
    scopes += [
        {"name": name, "weight": 0.0, "tokens": 0, "used": tokens, "remaining": 0}
        for name, tokens in used.items()
    ]
    told = {alert.level for alert in allocation.alerts}
    alerts = [alert.raw for alert in allocation.alerts]
    alerts += [data_of(alert) for alert in status.alerts if alert.level not in told]
    return read(
        results.AllocationStatus,
        {
            **allocation.raw,
            "budget": {**allocation.budget.raw, "tokens": status.budget_tokens},
            "scopes": scopes,
            "alerts": alerts,
            "state": status.state,
            "loaded": status.loaded,
            "used_pct": status.used_pct,
            "remaining": status.remaining,
            "exceeded": status.exceeded,
            "duration_seconds": status.duration_seconds,
            "bumps": [data_of(bump) for bump in status.bumps],
            "late": status.late,
        },
    )


@cache
def _thresholds() -> tuple["_core.alerts.Threshold", ...]:
    """Those that ship."""
    stated = _core.shipped()[_core.policy_documents.DEFAULT_WORKSPACE]["alert_thresholds"]
    return _core.policy_reading.read_thresholds(stated) or ()


def data_of(value: Any) -> Any:
    """A value of core as plain data; its moments stay moments."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def as_ours(error: "_core.errors.DomainError") -> errors.MembudgetError:
    """A refusal of core as the error that the service's refusal would be."""
    kind = errors.BY_CODE.get(error.code, errors.MembudgetError)
    return kind(
        error.detail,
        code=error.code,
        problem={**error.extensions, "errors": list(error.errors), "code": error.code},
    )
