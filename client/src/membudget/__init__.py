"""The Python client of membudget: ask for a budget, load, finish, learn what to ask for next."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from membudget.allocations import AsyncRunningAllocation as AsyncRunningAllocation
    from membudget.allocations import RunningAllocation as RunningAllocation
    from membudget.allocator import MemoryBudgetAllocator as MemoryBudgetAllocator
    from membudget.allocator_types import MemoryItem as MemoryItem
    from membudget.allocator_types import MemoryTier as MemoryTier
    from membudget.allocator_types import QueryComplexity as QueryComplexity
    from membudget.allocator_types import WorkspaceConfig as WorkspaceConfig
    from membudget.analyzer import BudgetUsageAnalyzer as BudgetUsageAnalyzer
    from membudget.async_client import AsyncClient as AsyncClient
    from membudget.calculator import AgentBudgetCalculator as AgentBudgetCalculator
    from membudget.client import Client as Client
    from membudget.config_loader import MemoryBudgetConfigLoader as MemoryBudgetConfigLoader
    from membudget.costs import BudgetCheck as BudgetCheck
    from membudget.costs import CostAlert as CostAlert
    from membudget.costs import CostAlertLevel as CostAlertLevel
    from membudget.costs import CostBudgetExceeded as CostBudgetExceeded
    from membudget.costs import CostTracker as CostTracker
    from membudget.costs import Usd as Usd
    from membudget.detector import TaskComplexityDetector as TaskComplexityDetector
    from membudget.errors import BudgetExceeded as BudgetExceeded
    from membudget.errors import MembudgetError as MembudgetError
    from membudget.errors import ServiceUnavailable as ServiceUnavailable
    from membudget.errors import UnknownAgent as UnknownAgent
    from membudget.executor import ExecutionResults as ExecutionResults
    from membudget.executor import ExecutionStrategy as ExecutionStrategy
    from membudget.executor import ExecutionTask as ExecutionTask
    from membudget.executor import ParallelExecutor as ParallelExecutor
    from membudget.executor import TaskGraphError as TaskGraphError
    from membudget.executor import TaskResult as TaskResult
    from membudget.executor import TaskStatus as TaskStatus
    from membudget.minifier import ContextMinifier as ContextMinifier
    from membudget.minifier import MinifiedContext as MinifiedContext
    from membudget.monitor import BudgetMonitor as BudgetMonitor
    from membudget.persistence import MemoryEngine as MemoryEngine
    from membudget.persistence import MemoryPersistence as MemoryPersistence
    from membudget.profiler import OperationType as OperationType
    from membudget.profiler import PerformanceOptimizer as PerformanceOptimizer
    from membudget.profiler import PerformanceProfiler as PerformanceProfiler
    from membudget.results import Allocation as Allocation
    from membudget.results import AllocationStatus as AllocationStatus
    from membudget.results import UsageEvent as UsageEvent
    from membudget.scoped import ScopedMemoryBudget as ScopedMemoryBudget
    from membudget.services import Services as Services

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "async_client",
    "AsyncRunningAllocation": "allocations",
    "Client": "client",
    "RunningAllocation": "allocations",
    "BudgetExceeded": "errors",
    "MembudgetError": "errors",
    "ServiceUnavailable": "errors",
    "UnknownAgent": "errors",
    "Allocation": "results",
    "AllocationStatus": "results",
    "UsageEvent": "results",
    "MemoryBudgetAllocator": "allocator",
    "MemoryItem": "allocator_types",
    "MemoryTier": "allocator_types",
    "QueryComplexity": "allocator_types",
    "WorkspaceConfig": "allocator_types",
    "BudgetUsageAnalyzer": "analyzer",
    "AgentBudgetCalculator": "calculator",
    "MemoryBudgetConfigLoader": "config_loader",
    "TaskComplexityDetector": "detector",
    "BudgetMonitor": "monitor",
    "ScopedMemoryBudget": "scoped",
    "BudgetCheck": "costs",
    "CostAlert": "costs",
    "CostAlertLevel": "costs",
    "CostBudgetExceeded": "costs",
    "CostTracker": "costs",
    "Usd": "costs",
    "ExecutionResults": "executor",
    "ExecutionStrategy": "executor",
    "ExecutionTask": "executor",
    "ParallelExecutor": "executor",
    "TaskGraphError": "executor",
    "TaskResult": "executor",
    "TaskStatus": "executor",
    "ContextMinifier": "minifier",
    "MinifiedContext": "minifier",
    "MemoryEngine": "persistence",
    "MemoryPersistence": "persistence",
    "OperationType": "profiler",
    "PerformanceOptimizer": "profiler",
    "PerformanceProfiler": "profiler",
    "Services": "services",
}
"""The module of each name: it is imported when the name is first used."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - texts, as the table has them


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
