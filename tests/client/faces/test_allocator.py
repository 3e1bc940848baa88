"""Type what the description of the allocator shows (003), against the service."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from membudget import Client
from membudget.allocator import (
    MemoryBudgetAllocator,
    MemoryBudgetConfigLoader,
    MemoryItem,
    MemoryTier,
    WorkspaceConfig,
)
from membudget.allocator_types import as_entry
from tests.client.faces.items import item
from tests.client.faces.typing_in import typed

INITIALIZE = """
from memory_budget_allocator import MemoryBudgetAllocator
from memory_budget_config_loader import MemoryBudgetConfigLoader

# Load configurations
configs = MemoryBudgetConfigLoader.load_from_yaml('configs/memory-budget.yaml')

# Initialize allocator
allocator = MemoryBudgetAllocator()
for workspace_id, config in configs.items():
    allocator.register_workspace(config)
"""
ALLOCATE = """
result = allocator.allocate_memory_budget(
    query="How do I optimize database queries?",
    available_memories=memories,
    workspace_id="development"
)
"""
EVALUATE = """
result = allocator.evaluate_promotion_demotion(
    items=memories,
    config=config
)
"""
STATISTICS = """
stats = allocator.get_allocation_statistics(
    workspace_id="development",
    time_window_hours=24
)
"""
EXPORT = """
allocator.export_allocation_log("allocation_log.json")
"""
OWN_YAML = """
my_workspace:
  workspace_id: my_workspace
  max_total_tokens: 8192
  tier_allocation:
    working_memory_pct: 0.40
    project_memory_pct: 0.30
    long_term_memory_pct: 0.20
    rag_memory_pct: 0.10
  # ... other settings
"""
OWN_CONFIG = """
from memory_budget_allocator import WorkspaceConfig

config = WorkspaceConfig(
    workspace_id="my_workspace",
    max_total_tokens=8192,
    working_memory_pct=0.40,
    # ... other settings
)
allocator.register_workspace(config)
"""
VALIDATE = "MemoryBudgetConfigLoader._validate_config(config)"


def configs() -> str:
    """A memory-budget.yaml with two workspaces."""
    entries = {
        name: as_entry(
            WorkspaceConfig(
                workspace_id=name,
                max_total_tokens=4096,
                working_memory_pct=0.5,
                project_memory_pct=0.3,
                long_term_memory_pct=0.1,
                rag_memory_pct=0.1,
            )
        )
        for name in ("development", "support")
    }
    overrides = {"project_overrides": {"support": {"billing": {"max_total_tokens": 9000}}}}
    return json.dumps({**entries, **overrides, "logging": {"log_level": "DEBUG"}})  # JSON is YAML


@pytest.mark.parametrize("place", ["service", "away"])
def test_the_workflow_runs_as_it_stands(
    place: str, desk: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(place)
    (desk / "configs").mkdir()
    (desk / "configs" / "memory-budget.yaml").write_text(configs())
    names = typed(INITIALIZE)
    allocator, config = names["allocator"], names["configs"]["development"]
    memories = [
        item("m1", relevance_score=0.9, importance_score=0.8),
        item("m2", "project", relevance_score=0.7, age_hours=30),
        item("m3", "rag", token_count=5_000, relevance_score=1.0),
    ]
    result = typed(ALLOCATE, allocator=allocator, memories=memories)["result"]
    assert result["complexity"] == "medium"
    assert result["config_scope"] == "workspace"
    assert set(result["tiers"]) == {"working", "project", "long_term", "rag"}
    assert result["tiers"]["working"]["budget_tokens"] == 2_048
    assert result["budget"] == {
        "max_total_tokens": 4096,
        "tier_percentages": {"working": 0.5, "project": 0.3, "long_term": 0.1, "rag": 0.1},
        "complexity_multiplier": 1.0,
    }
    chosen = [one for tier in result["tiers"].values() for one in tier["selected_memories"]]
    assert {one["memory_id"] for one in chosen} == {"m1", "m2"}
    assert result["total_memories_selected"] == 2
    assert result["total_tokens_allocated"] == sum(one["token_count"] for one in chosen) > 0
    assert [one.access_count for one in memories] == [1, 1, 0]
    assert memories[0].last_accessed is not None
    assert 0 < memories[0].combined_score <= 1
    assert (result["allocation_id"] is None) == (place == "away")

    evaluated = typed(EVALUATE, allocator=allocator, memories=memories, config=config)["result"]
    assert evaluated["total_evaluated"] == 3
    stats = typed(STATISTICS, allocator=allocator)["stats"]
    assert stats["total_allocations"] == 1
    assert stats["complexity_distribution"] == {"medium": 1}
    assert stats["averages"]["memories_selected"] == 2
    assert stats["averages"]["tokens_allocated"] == result["total_tokens_allocated"]
    used = result["tiers"]["working"]["tokens_used"]
    assert stats["tier_statistics"]["working"]["avg_tokens_used"] == used
    typed(EXPORT, allocator=allocator)
    (exported,) = json.loads(Path("allocation_log.json").read_text())
    assert exported["query"] == "How do I optimize database queries?"
    allocator.clear_allocation_history()
    assert allocator.get_allocation_statistics()["total_allocations"] == 0


def test_a_workspace_of_ones_own_is_the_services_then(service: str, desk: Path) -> None:
    allocator = MemoryBudgetAllocator()
    config = typed(OWN_CONFIG, allocator=allocator)["config"]
    with pytest.raises(ValueError, match=r"my_workspace.*sum to 1"):
        typed(VALIDATE, MemoryBudgetConfigLoader=MemoryBudgetConfigLoader, config=config)
    assert allocator.allocate_memory_budget("Hello", [], "my_workspace")["allocation_id"] is None

    (desk / "own.yaml").write_text(OWN_YAML)
    config = MemoryBudgetConfigLoader.load_workspace_config("own.yaml", "my_workspace")
    assert config is not None
    allocator.register_workspace(config)
    result = allocator.allocate_memory_budget("Hello", [], "my_workspace")
    assert result["allocation_id"] is not None
    assert result["tiers"]["working"]["budget_tokens"] == 1_638
    with Client(service) as client:
        assert client.workspaces.get("my_workspace")["max_total_tokens"] == 8192


def test_projects_override_their_workspace(service: str, desk: Path) -> None:
    (desk / "budgets.yaml").write_text(configs())
    overrides = MemoryBudgetConfigLoader.load_project_overrides("budgets.yaml")
    allocator = MemoryBudgetAllocator()
    for config in MemoryBudgetConfigLoader.load_from_yaml("budgets.yaml").values():
        allocator.register_workspace(config)
    allocator.register_project("support", "billing", overrides["support"]["billing"])
    assert allocator.resolve_config("support", "billing")[1] == "project"
    assert allocator.resolve_config("nowhere")[1] == "default"
    result = allocator.allocate_memory_budget("Hello", [], "support", "billing")
    assert result["config_scope"] == "project"
    assert result["budget"]["max_total_tokens"] == 9000
    assert result["tiers"]["working"]["budget_tokens"] == 2_250


def test_what_is_no_file_or_no_mapping_is_named(away: str, desk: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        MemoryBudgetConfigLoader.load_from_yaml("nowhere.yaml")
    (desk / "list.yaml").write_text("- 1")
    with pytest.raises(ValueError, match="mapping"):
        MemoryBudgetConfigLoader.load_from_yaml("list.yaml")
    (desk / "broken.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="no YAML"):
        MemoryBudgetConfigLoader.load_from_yaml("broken.yaml")
    (desk / "plain.yaml").write_text("logging: {log_level: DEBUG}\n")
    assert MemoryBudgetConfigLoader.get_logging_config("plain.yaml") == {"log_level": "DEBUG"}
    assert MemoryBudgetConfigLoader.get_performance_config("plain.yaml")["max_history_size"] == 1000


def test_items_that_no_request_could_hold_are_taken_all_the_same(service: str) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    odd = [
        MemoryItem("same", "one text", MemoryTier.WORKING, naive, relevance_score=7.0),
        MemoryItem("same", "another text", MemoryTier.WORKING, naive, importance_score=-1.0),
        MemoryItem("", "a third text", MemoryTier.RAG, naive),
        MemoryItem("long " * 99, "a fourth text", MemoryTier.PROJECT, naive),
    ]
    result = MemoryBudgetAllocator().allocate_memory_budget("", odd, context={"turn_count": "x"})
    assert result["total_memories_selected"] == 4
    assert all(one.access_count == 1 for one in odd)
