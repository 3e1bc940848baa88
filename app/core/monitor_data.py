"""Turn a monitor into plain data that JSON can carry, and back."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.core.alerts import Threshold
from app.core.monitoring import Monitor
from app.core.terms import Alert, Bump, Terms


def to_data(monitor: Monitor) -> dict[str, Any]:
    """Short keys and no empty members: one of these is stored with each open allocation."""
    terms = monitor.terms
    data: dict[str, Any] = {
        "budget": monitor.budget,
        "opened": monitor.opened_at.isoformat(),
        "expires": monitor.expires_at.isoformat(),
        "hard": terms.enforcement == "hard",
        "auto_bump": terms.auto_bump,
        "thresholds": [[one.level, str(one.share)] for one in terms.thresholds],
        "ladder": [[bump.tier, bump.tokens] for bump in terms.ladder],
    }
    if monitor.scopes:
        data["scopes"] = dict(monitor.scopes)
    if monitor.alerts:
        data["alerts"] = [_alert_to_data(alert) for alert in monitor.alerts]
    if monitor.reached:
        data["reached"] = sorted(monitor.reached)
    if monitor.bumps:
        data["bumps"] = [[bump.tier, bump.tokens] for bump in monitor.bumps]
    if monitor.memory_ids:
        data["memories"] = sorted(monitor.memory_ids)
    if monitor.late:
        data["late"] = True
    if monitor.released_at is not None:
        data["released"] = monitor.released_at.isoformat()
    if monitor.finished_at is not None:
        data["finished"] = monitor.finished_at.isoformat()
        data["report"] = monitor.report_digest
    return data


def from_data(data: Mapping[str, Any]) -> Monitor:
    """The monitor that `to_data` was given."""
    get = data.get
    return Monitor(
        terms=Terms(
            thresholds=tuple(
                Threshold(level=level, share=Decimal(share)) for level, share in data["thresholds"]
            ),
            enforcement="hard" if data["hard"] else "soft",
            auto_bump=data["auto_bump"],
            ladder=_bumps(data["ladder"]),
        ),
        budget=data["budget"],
        opened_at=datetime.fromisoformat(data["opened"]),
        expires_at=datetime.fromisoformat(data["expires"]),
        scopes=get("scopes", {}),
        alerts=tuple(_alert_from_data(alert) for alert in get("alerts", ())),
        reached=frozenset(get("reached", ())),
        bumps=_bumps(get("bumps", ())),
        memory_ids=frozenset(get("memories", ())),
        late=get("late", False),
        released_at=_time(get("released")),
        finished_at=_time(get("finished")),
        report_digest=get("report"),
    )


def _bumps(data: Any) -> tuple[Bump, ...]:
    return tuple(Bump(tier=tier, tokens=tokens) for tier, tokens in data)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _alert_to_data(alert: Alert) -> list[Any]:
    bump = alert.bump
    return [
        alert.level,
        alert.used_pct,
        alert.tokens,
        alert.at.isoformat(),
        alert.message,
        None if bump is None else [bump.tier, bump.tokens],
    ]


def _alert_from_data(data: Any) -> Alert:
    level, used_pct, tokens, at, message, bump = data
    return Alert(
        level=level,
        used_pct=used_pct,
        tokens=tokens,
        at=datetime.fromisoformat(at),
        message=message,
        bump=None if bump is None else Bump(tier=bump[0], tokens=bump[1]),
    )
