"""Follow what an agent loads against its budget, and say when a threshold is reached."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from membudget._profiles import PROFILES_FILE, THRESHOLDS, read_config, thresholds_in
from membudget._say import RULE, headline, say, warn
from membudget._service import Service

USAGE_LOG = Path(".claude/cache/budget-usage.jsonl")
"""The originals' log: written on where it is there already, or where a path is given."""

Alert = dict[str, Any]
"""`timestamp`, `threshold` (info, warning, critical), `usage_pct` (0–1 and beyond), `message`."""


class BudgetMonitor:
    """Tokens by scope against a budget; each threshold is told once.

    Loads are followed here, without a request; `log_usage` books the run as one usage event. An
    event that the service cannot take is kept and sent later. Nothing here raises for that.
    """

    def __init__(
        self,
        agent_name: str,
        budget: int,
        task_description: str = "",
        complexity: str = "medium",
        log_file: Path | str | None = None,
        *,
        on_alert: Callable[[Alert], object] | None = None,
        client: Any = None,
        workspace: str | None = None,
        quiet: bool = False,
        log_default: bool = True,
    ) -> None:
        self.agent_name = agent_name
        self.budget = budget
        self.task_description = task_description
        self.complexity = complexity
        self.loaded_tokens = 0
        self.scope_loads: dict[str, int] = {}
        self.warnings: list[Alert] = []
        self.start_time = time.time()
        self.event_id: str | None = None
        """Of the usage event that the run was booked or kept as; None: it is not."""
        self.thresholds = _thresholds()
        if log_file is not None:
            self.log_file: Path | None = Path(log_file)
        else:
            self.log_file = USAGE_LOG if log_default and USAGE_LOG.exists() else None
        self.info_threshold_triggered = False
        self.warning_threshold_triggered = False
        self.critical_threshold_triggered = False
        self._callbacks = [] if on_alert is None else [on_alert]
        self._service = Service(client)
        self._workspace = workspace
        self._quiet = quiet
        self._started = time.monotonic()

    def on_alert(self, callback: Callable[[Alert], object]) -> None:
        """Have a function called with every alert from now on."""
        self._callbacks.append(callback)

    def track_load(self, scope: str, tokens: int) -> None:
        """Note tokens that were loaded from a scope."""
        self.loaded_tokens += tokens
        self.scope_loads[scope] = self.scope_loads.get(scope, 0) + tokens
        for level, share in self.thresholds.items():
            told = f"{level}_threshold_triggered"
            if not getattr(self, told, True) and 0 < self.loaded_tokens >= share * self.budget:
                setattr(self, told, True)
                self._alert(level, share)

    def get_status(self) -> dict[str, Any]:
        """How the budget stands now; `usage_pct` is 0–100 and beyond."""
        return {
            "agent": self.agent_name,
            "task": self.task_description,
            "complexity": self.complexity,
            "budget": self.budget,
            "loaded": self.loaded_tokens,
            "usage_pct": 100 * self.loaded_tokens / self.budget if self.budget > 0 else 0,
            "remaining": max(0, self.budget - self.loaded_tokens),
            "warnings": self.warnings,
            "scope_breakdown": self.scope_loads,
            "exceeded": self.loaded_tokens > self.budget,
            "duration_seconds": time.monotonic() - self._started,
        }

    def log_usage(self, success: bool = True, error_message: str = "") -> None:
        """Book the run, and write a line of the originals' log where there is one."""
        self.event_id = self._record(success, error_message)
        self.write_line(self.event_id, success, error_message)

    def finish(self, success: bool = True, error: str = "") -> dict[str, Any]:
        """Book the run; the same as `log_usage`. Answers the status."""
        self.log_usage(success=success, error_message=error)
        return self.get_status()

    def print_summary(self) -> None:
        """Print how the budget was used."""
        status = self.get_status()
        headline("BUDGET USAGE SUMMARY")
        say(f"\nAgent: {status['agent']}")
        if status["task"]:
            say(f"Task: {status['task']}")
        say(f"Complexity: {status['complexity']}")
        say(f"\nBudget: {status['budget']:,} tokens")
        say(f"Loaded: {status['loaded']:,} tokens ({status['usage_pct']:.1f}%)")
        say(f"Remaining: {status['remaining']:,} tokens")
        if status["exceeded"]:
            over = status["loaded"] - status["budget"]
            share = f" ({over / status['budget']:.1%})" if status["budget"] else ""
            say(f"\n❌ EXCEEDED by {over:,} tokens{share}")
        if self.scope_loads:
            say("\nScope Breakdown:")
            for scope, tokens in sorted(self.scope_loads.items(), key=lambda one: -one[1]):
                share_pct = 100 * tokens / self.loaded_tokens if self.loaded_tokens else 0
                say(f"  {scope:20s}: {tokens:7,} tokens ({share_pct:5.1f}%)")
        if self.warnings:
            say(f"\nWarnings ({len(self.warnings)}):")
            for warning in self.warnings:
                say(f"  {warning['message']}")
        say(f"\nDuration: {status['duration_seconds']:.2f}s")
        say("=" * RULE)

    def write_line(self, event_id: str | None, success: bool, error_message: str) -> None:
        """Append a line to the originals' log, if one is kept; a fault there is only told."""
        if self.log_file is None:
            return
        status = self.get_status()
        line = {
            "timestamp": _stamp(),
            "agent": self.agent_name,
            "task": self.task_description,
            "complexity": self.complexity,
            "budget_allocated": self.budget,
            "tokens_loaded": self.loaded_tokens,
            "usage_pct": status["usage_pct"],
            "exceeded_budget": status["exceeded"],
            "scope_breakdown": self.scope_loads,
            "warnings_count": len(self.warnings),
            "warnings": self.warnings,
            "duration_seconds": status["duration_seconds"],
            "success": success,
            "error": error_message or None,
        }
        if event_id is not None:
            line["id"] = event_id  # imported later, it is still one run
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            warn(f"Warning: Failed to log budget usage: {error}")

    def _alert(self, level: str, share: float) -> None:
        tokens = f"({self.loaded_tokens:,}/{self.budget:,} tokens)"
        message = {
            "info": f"ℹ️  Budget {100 * share:g}% consumed {tokens}",
            "warning": f"⚠️  Budget {100 * share:g}% consumed {tokens}",
            "critical": f"❌ Budget EXCEEDED {tokens}"
            if self.loaded_tokens > self.budget
            else f"❌ Budget {100 * share:g}% consumed {tokens}",
        }[level]
        alert: Alert = {
            "timestamp": _stamp(),
            "threshold": level,
            "usage_pct": self.loaded_tokens / self.budget if self.budget else float("inf"),
            "message": message,
        }
        self.warnings.append(alert)
        if not self._quiet:
            say(message)
        for callback in self._callbacks:
            callback(alert)

    def _record(self, success: bool, error_message: str) -> str | None:
        return self._service.track(event_of(self, success, error_message, self._workspace))


def event_of(
    monitor: BudgetMonitor, success: bool, error_message: str, workspace: str | None
) -> dict[str, Any]:
    """The run as a usage event of the service."""
    event: dict[str, Any] = {
        "agent": monitor.agent_name or "unknown",
        "task": monitor.task_description or None,
        "complexity": monitor.complexity,
        "budget_tokens": max(0, monitor.budget),
        "used_tokens": max(0, monitor.loaded_tokens),
        "scopes": {name: tokens for name, tokens in monitor.scope_loads.items() if tokens > 0},
        "duration_seconds": time.monotonic() - monitor._started,
        "success": success,
        "error": error_message or None,
    }
    if workspace:
        event["workspace"] = workspace
    return {key: value for key, value in event.items() if value is not None}


def _stamp() -> str:
    """The present as the originals' log writes it: in UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


def _thresholds() -> Mapping[str, float]:
    try:
        return thresholds_in(read_config(PROFILES_FILE))
    except (OSError, ValueError):
        return dict(THRESHOLDS)
