"""Choose the memories that a query deserves, in the originals' names and shapes."""

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from membudget import _core, _tokens
from membudget._choosing import Chosen, answered, candidates_of, chosen_here
from membudget._figures import figures_here, figures_kept
from membudget._service import Service
from membudget.allocator_types import (
    MemoryItem,
    MemoryTier,
    QueryComplexity,
    WorkspaceConfig,
    as_entry,
    check,
)
from membudget.config_loader import MemoryBudgetConfigLoader

__all__ = [
    "MemoryBudgetAllocator",
    "MemoryBudgetConfigLoader",
    "MemoryItem",
    "MemoryTier",
    "QueryComplexity",
    "WorkspaceConfig",
]

logger = logging.getLogger(__name__)

LADDER = (MemoryTier.LONG_TERM, MemoryTier.RAG, MemoryTier.PROJECT, MemoryTier.WORKING)
"""Lowest first."""
SCORE_SHARE, ACCESS_SHARE, RECENCY_SHARE = 0.5, 0.3, 0.2
RECENCY_DECAY = 0.1
"""A day."""


class MemoryBudgetAllocator:
    """Budgets by workspace and query, and the memories that fit; decided by the service.

    What is registered here is given to the service as the budget of that workspace or project
    when it is first used (which needs a key that may change policy). Without the service, or
    without that right, the same is decided here.
    """

    def __init__(
        self,
        default_config: WorkspaceConfig | None = None,
        log_allocations: bool = True,
        *,
        client: Any = None,
    ) -> None:
        self.default_config = default_config or WorkspaceConfig(workspace_id="default")
        self.workspace_configs: dict[str, WorkspaceConfig] = {"default": self.default_config}
        self.project_configs: dict[tuple[str, str], WorkspaceConfig] = {}
        self.log_allocations = log_allocations
        self.allocation_history: list[dict[str, Any]] = []
        """What was allocated here, oldest first."""
        self._service = Service(client)
        self._stated: dict[tuple[str, str | None], bool | None] = {}
        """Budgets registered here: whether the service has them; None: not tried yet."""
        if default_config is not None:
            self._stated["default", None] = None

    def register_workspace(self, config: WorkspaceConfig) -> None:
        """Give a workspace a budget."""
        self.workspace_configs[config.workspace_id] = config
        self._stated[config.workspace_id, None] = None

    def register_project(self, workspace_id: str, project_id: str, config: WorkspaceConfig) -> None:
        """Give a project of a workspace a budget of its own."""
        self.project_configs[workspace_id, project_id] = config
        self._stated[workspace_id, project_id] = None

    def resolve_config(
        self, workspace_id: str, project_id: str | None = None
    ) -> tuple[WorkspaceConfig, str]:
        """The budget registered here that holds, and whose it is: project, workspace, default."""
        if project_id and (workspace_id, project_id) in self.project_configs:
            return self.project_configs[workspace_id, project_id], "project"
        if workspace_id in self.workspace_configs:
            return self.workspace_configs[workspace_id], "workspace"
        return self.default_config, "default"

    def estimate_query_complexity(
        self, query: str, context: Mapping[str, Any] | None = None
    ) -> QueryComplexity:
        """How hard a query is; of the context history_length, turn_count and
        requires_retrieval count."""
        return QueryComplexity(self._service.query(query, _known(context)).tier)

    def calculate_memory_score(
        self, item: MemoryItem, config: WorkspaceConfig, current_time: datetime | None = None
    ) -> float:
        """The weighted sum of relevance, importance and freshness, 0–1; noted on the item."""
        item.freshness_score = _core.scoring.freshness(
            _aware(item.timestamp),
            _aware(current_time) or datetime.now(UTC),
            half_life_hours=config.freshness_half_life_hours,
        )
        score = (
            config.relevance_weight * item.relevance_score
            + config.importance_weight * item.importance_score
            + config.freshness_weight * item.freshness_score
        )
        item.combined_score = max(0.0, min(1.0, score))
        return item.combined_score

    def estimate_token_count(self, text: str, config: WorkspaceConfig) -> int:
        """Tokens of a text: counted where a tokenizer is installed, else by `tokens_per_char`."""
        if _tokens.exactness() == "exact":
            return _tokens.count(text, None)
        return int(len(text) * config.tokens_per_char)

    def allocate_memory_budget(
        self,
        query: str,
        available_memories: Sequence[MemoryItem],
        workspace_id: str = "default",
        project_id: str | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The budget of a query by tier, and the memories chosen under it.

        Scores and tokens are noted on the items, and an access on those that are chosen.
        """
        started, now = time.perf_counter(), datetime.now(UTC)
        config, whose = self.resolve_config(workspace_id, project_id)
        chosen = self._ask(query, available_memories, workspace_id, project_id, context)
        if chosen is None:
            tier = self.estimate_query_complexity(query, context)
            for item in available_memories:
                item.token_count = item.token_count or self.estimate_token_count(item.text, config)
                self.calculate_memory_score(item, config, now)
            chosen = chosen_here(available_memories, config, tier, whose)
        for item in chosen.selected:
            item.access_count += 1
            item.last_accessed = now
        result = {
            "query": query,
            "workspace_id": workspace_id,
            "project_id": project_id,
            "config_scope": chosen.whose,
            "complexity": chosen.complexity,
            "timestamp": now.isoformat(),
            "tiers": chosen.tiers(available_memories),
            "budget": {
                "max_total_tokens": chosen.max_total_tokens,
                "tier_percentages": chosen.shares,
                "complexity_multiplier": chosen.multiplier,
            },
            "total_tokens_allocated": sum(item.token_count for item in chosen.selected),
            "total_memories_selected": len(chosen.selected),
            "processing_time_ms": round(1000 * (time.perf_counter() - started), 2),
            "allocation_id": chosen.allocation_id,
        }
        if self.log_allocations:
            logger.info(
                "allocated workspace=%s project=%s complexity=%s tokens=%d memories=%d",
                *(workspace_id, project_id, chosen.complexity),
                *(result["total_tokens_allocated"], result["total_memories_selected"]),
            )
        self.allocation_history.append(result)
        return result

    def evaluate_promotion_demotion(
        self, items: Sequence[MemoryItem], config: WorkspaceConfig
    ) -> dict[str, Any]:
        """Items that belong one tier higher or lower, with the score that says so (0–1)."""
        now = datetime.now(UTC)
        promotions, demotions = [], []
        for item in items:
            accesses = item.access_count / config.promotion_access_threshold
            accessed, recency = _aware(item.last_accessed), 1.0
            if accessed is not None:
                days = max(0.0, (now - accessed) / timedelta(days=1))
                recency = math.exp(-RECENCY_DECAY * days)
            item.promotion_score = (
                SCORE_SHARE * item.combined_score
                + ACCESS_SHARE * min(1.0, accesses)
                + RECENCY_SHARE * recency
            )
            rank = LADDER.index(item.tier)
            if item.promotion_score >= config.promotion_threshold:
                if accesses >= 1 and rank + 1 < len(LADDER):
                    promotions.append(_move(item, LADDER[rank + 1], "used often, and worth it"))
            elif item.promotion_score < config.demotion_threshold and rank:
                demotions.append(_move(item, LADDER[rank - 1], "seldom used, or worth little"))
        return {
            "promotions": promotions,
            "demotions": demotions,
            "total_evaluated": len(items),
            "timestamp": now.isoformat(),
        }

    def get_allocation_statistics(
        self, workspace_id: str | None = None, time_window_hours: float | None = None
    ) -> dict[str, Any]:
        """Counts and averages of a workspace's allocations over the last hours.

        Those that the service keeps, whoever asked for them; without a workspace, or without the
        service, those of this allocator.
        """
        since = None
        if time_window_hours:
            since = datetime.now(UTC) - timedelta(hours=time_window_hours)
        own = [
            one
            for one in self.allocation_history
            if workspace_id in (None, "", one["workspace_id"])
            and (since is None or datetime.fromisoformat(one["timestamp"]) >= since)
        ]
        kept = None
        if workspace_id:
            kept = self._service.ask(
                lambda client: client.statistics(
                    workspace=workspace_id, hours=time_window_hours or None
                )
            )
        if kept is not None and kept.count >= len(own):
            figures = figures_kept(kept)
        else:
            figures = figures_here(own)
        if not figures["total_allocations"]:
            return {"total_allocations": 0, "message": "No allocation history available"}
        return {
            **figures,
            "workspace_id": workspace_id or "all",
            "time_window_hours": time_window_hours,
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def export_allocation_log(self, filepath: str | Path) -> None:
        """Write what was allocated here as JSON."""
        text = json.dumps(self.allocation_history, indent=2, default=str)
        Path(filepath).write_text(text, encoding="utf-8")

    def clear_allocation_history(self) -> None:
        """Forget what was allocated here; the service's log stays."""
        self.allocation_history.clear()

    def _ask(
        self,
        query: str,
        items: Sequence[MemoryItem],
        workspace: str,
        project: str | None,
        context: Mapping[str, Any] | None,
    ) -> Chosen | None:
        """The service's choice; None where the same must be decided here."""
        if not self._has_budgets(workspace, project):
            return None
        allocation = self._service.ask(
            lambda client: client.allocate(
                task=query or None,
                workspace=workspace,
                project=project,
                context=_known(context),
                memories=candidates_of(items),
                select="given",
                scoring="formula",
            )
        )
        if allocation is None or allocation.policy.kind not in ("workspace", "project"):
            return None
        return answered(allocation, items)

    def _has_budgets(self, workspace: str, project: str | None) -> bool:
        """Whether the service has what was registered here for a place; it is told once."""
        for place in ((workspace, None), (workspace, project)):
            if place not in self._stated:
                continue
            if self._stated[place] is None:
                self._stated[place] = self._state(*place)
            if not self._stated[place]:
                return False
        return True

    def _state(self, workspace: str, project: str | None) -> bool | None:
        """Make a budget the service's, if it is another; None: it could not be asked."""
        config = (
            self.workspace_configs[workspace]
            if project is None
            else self.project_configs[workspace, project]
        )
        try:
            check(config)
        except ValueError:
            return False  # the originals took it; the service would not
        entry = {**as_entry(config), "workspace_id": workspace}
        if project is not None:
            del entry["workspace_id"]
        put = self._service.ask(lambda client: client.workspaces.put(workspace, entry, project))
        return True if put is not None else None


def _move(item: MemoryItem, target: MemoryTier, reason: str) -> dict[str, Any]:
    return {
        "memory_id": item.memory_id,
        "current_tier": item.tier.value,
        "target_tier": target.value,
        "promotion_score": round(item.promotion_score, 4),
        "access_count": item.access_count,
        "combined_score": round(item.combined_score, 4),
        "reason": reason,
    }


def _known(context: Mapping[str, Any] | None) -> dict[str, Any]:
    """What of a context counts, where it is of a kind that can count."""
    known: dict[str, Any] = {}
    for name in ("history_length", "turn_count"):
        number = (context or {}).get(name)
        if isinstance(number, int) and number >= 0:
            known[name] = int(number)
    if (context or {}).get("requires_retrieval"):
        known["requires_retrieval"] = True
    return known


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
