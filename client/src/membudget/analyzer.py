"""Say what agents used of their budgets, and what other budgets that speaks for."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from membudget._profiles import PROFILES_FILE, TUNING, Config, read_config
from membudget._rules import recommended
from membudget._say import RULE, headline, say
from membudget._service import Service
from membudget.monitor import USAGE_LOG

Entry = dict[str, Any]
"""A line of the originals' log: `agent`, `usage_pct`, `exceeded_budget`, `scope_breakdown`, …"""


class BudgetUsageAnalyzer:
    """Usage by agent, and recommendations, in the originals' names and shapes.

    With `log_file` the runs of that log are looked at. Without, those that the service has
    booked; where the service cannot be had, those of the log in the working folder.
    """

    def __init__(
        self,
        log_file: Path | str | None = None,
        profiles_file: Path | str | None = None,
        *,
        client: Any = None,
        workspace: str | None = None,
    ) -> None:
        self.log_file = USAGE_LOG if log_file is None else Path(log_file)
        self.profiles_file = PROFILES_FILE if profiles_file is None else Path(profiles_file)
        self._service = Service(client)
        self._workspace = workspace
        self._is_local = log_file is not None
        self.config = self._configuration(profiles_file is not None)
        stated = self.config.get("tuning_parameters")
        self.tuning_params = {**TUNING, **(stated if isinstance(stated, Mapping) else {})}

    def load_usage_data(
        self, days: float | None = None, agent_filter: str | None = None
    ) -> list[Entry]:
        """Runs of the last days (else all), oldest first; of agents whose name has the filter."""
        since = _since(days)
        found = None if self._is_local else self._service.usage(self._workspace, since)
        entries = self._of_file(since) if found is None else found
        return [
            entry for entry in entries if not agent_filter or agent_filter in str(entry["agent"])
        ]

    def analyze_agent_usage(self, agent_name: str, data: Iterable[Entry]) -> Entry | None:
        """What the runs of an agent come to; None without any. Per cent are 0–100 and beyond."""
        runs = [entry for entry in data if entry["agent"] == agent_name]
        if not runs:
            return None
        used = [float(entry["usage_pct"]) for entry in runs]
        exceeded = sum(bool(entry["exceeded_budget"]) for entry in runs)
        by_tier: dict[str, list[float]] = defaultdict(list)
        scopes: dict[str, int] = defaultdict(int)
        for entry, pct in zip(runs, used, strict=True):
            by_tier[entry.get("complexity") or "unknown"].append(pct)
            for scope, tokens in (entry.get("scope_breakdown") or {}).items():
                scopes[scope] += tokens
        total = sum(scopes.values())
        return {
            "agent": agent_name,
            "total_executions": len(runs),
            "avg_usage_pct": statistics.mean(used),
            "median_usage_pct": statistics.median(used),
            "max_usage_pct": max(used),
            "min_usage_pct": min(used),
            "exceedance_count": exceeded,
            "exceedance_rate": exceeded / len(runs),
            "complexity_breakdown": {tier: len(pcts) for tier, pcts in by_tier.items()},
            "complexity_avg_usage": {t: statistics.mean(pcts) for t, pcts in by_tier.items()},
            "scope_distribution": {s: 100 * n / total for s, n in scopes.items()} if total else {},
            "scope_tokens": dict(scopes),
            "total_budget": sum(int(entry.get("budget_allocated") or 0) for entry in runs),
            "total_tokens": sum(int(entry.get("tokens_loaded") or 0) for entry in runs),
        }

    def generate_recommendations(self, data: Sequence[Entry]) -> list[Entry]:
        """What is recommended, the surest first: upgrade, downgrade or adjust_weights.

        Agents with fewer runs than `minimum_samples_for_recommendation`, those that should stay,
        and what is less sure than `recommendation_confidence_threshold` are left out.
        """
        found = []
        for agent in sorted({entry["agent"] for entry in data}):
            analysis = self.analyze_agent_usage(agent, data)
            least = self.tuning_params["minimum_samples_for_recommendation"]
            if analysis is None or analysis["total_executions"] < least:
                continue
            ruled = recommended(analysis, self.config, self.tuning_params)
            if ruled is not None:
                found.append({"agent": agent, **ruled})
        return sorted(found, key=lambda one: -one["confidence"])

    def print_analysis(self, data: Sequence[Entry], agent_filter: str | None = None) -> None:
        """Print the figures of all runs, and a line for each agent."""
        headline("BUDGET USAGE ANALYSIS")
        if not data:
            say("\n❌ No usage data found")
            return
        used = [float(entry["usage_pct"]) for entry in data]
        exceeded = sum(bool(entry["exceeded_budget"]) for entry in data)
        say(f"\nTotal Executions: {len(data)}")
        say(f"Date Range: {data[0]['timestamp']} to {data[-1]['timestamp']}")
        say("\nOverall Usage:")
        say(f"  Average: {statistics.mean(used):.1f}%")
        say(f"  Median:  {statistics.median(used):.1f}%")
        say(f"  Max:     {max(used):.1f}%")
        say(f"  Min:     {min(used):.1f}%")
        say(f"\nExceedances: {exceeded} ({exceeded / len(data):.1%})")
        say(f"\n{'Agent':<40s} {'Execs':>7s} {'Avg %':>8s} {'Max %':>8s} {'Exceed':>7s}")
        say("-" * RULE)
        for one in self.analyses(data, agent_filter):
            say(
                f"{one['agent'].rpartition('/')[2][:38]:<40s} {one['total_executions']:>7d}"
                f" {one['avg_usage_pct']:>7.1f}% {one['max_usage_pct']:>7.1f}%"
                f" {one['exceedance_count']:>7d}"
            )
        say("=" * RULE)

    def print_recommendations(self, recommendations: Sequence[Entry]) -> None:
        """Print what is recommended."""
        headline("BUDGET PROFILE RECOMMENDATIONS")
        if not recommendations:
            say("\n✅ No profile adjustments recommended at this time")
            return
        say(f"\nFound {len(recommendations)} recommendations:\n")
        for number, one in enumerate(recommendations, 1):
            say(f"{number:2d}. {one['agent'].rpartition('/')[2]}")
            say(f"    Current Profile: {one['current_profile']}")
            say(f"    Recommendation: {one['recommended_action'].upper()}")
            say(f"    Confidence: {one['confidence']:.0%}")
            say(f"    Reason: {one['reason']}")
            for scope, off in one["details"].get("scope_differences", {}).items():
                told = f"Expected {off['expected']:.1%}, Actual {off['actual']:.1%}"
                say(f"      {scope:20s}: {told}")
            say()
        say("=" * RULE)

    def analyses(self, data: Sequence[Entry], agent_filter: str | None = None) -> list[Entry]:
        """The analysis of each agent, those with the most runs first."""
        agents = {entry["agent"] for entry in data if (agent_filter or "") in entry["agent"]}
        found = (self.analyze_agent_usage(agent, data) for agent in agents)
        ran = [one for one in found if one is not None]
        return sorted(ran, key=lambda one: (-one["total_executions"], one["agent"]))

    def _configuration(self, is_given: bool) -> Config:
        if not is_given and not self._is_local:
            policy = self._service.policy(self._workspace)
            if policy is not None:
                return policy
        try:
            return read_config(self.profiles_file)
        except (OSError, ValueError):
            return {}

    def _of_file(self, since: datetime | None) -> list[Entry]:
        if not self.log_file.exists():
            return []
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = [entry for line in lines if (entry := _entry(line)) is not None]
        return [entry for entry in entries if since is None or _moment(entry) >= since]


def _since(days: float | None) -> datetime | None:
    """When the last days began; None where that is before all days that have a date."""
    try:
        return datetime.now(UTC) - timedelta(days=days) if days else None
    except (OverflowError, ValueError):
        return None


def _entry(line: str) -> Entry | None:
    """A line of the log; None for one that is broken or is about no run."""
    try:
        entry = json.loads(line)
        _moment(entry)
    except (ValueError, TypeError, KeyError):
        return None
    needed = ("agent", "usage_pct", "exceeded_budget")
    return entry if all(entry.get(name) is not None for name in needed) else None


def _moment(entry: Mapping[str, Any]) -> datetime:
    at = datetime.fromisoformat(entry["timestamp"])
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
