"""Hold the allocator's names to what the originals answer, with the service and without it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.presets.loader import shipped
from membudget.allocator import MemoryBudgetAllocator, MemoryBudgetConfigLoader, WorkspaceConfig
from membudget.allocator_types import from_entry
from tests.client.faces.items import item
from tests.data import vectors


@pytest.mark.parametrize("place", ["service", "away"])
@pytest.mark.parametrize(
    "record", [*vectors("B1.query", classes=("must",))], ids=lambda record: record["id"]
)
def test_queries_are_judged_by_the_originals_points(
    place: str, record: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(place)
    found = MemoryBudgetAllocator().estimate_query_complexity(
        record["in"]["text"], record["in"]["context"]
    )
    assert found.value in record["out"].get("allowed", [record["out"]["tier"]])


@pytest.mark.parametrize("place", ["service", "away"])
@pytest.mark.parametrize(
    "record", [*vectors("B3.select", classes=("must",))], ids=lambda record: record["id"]
)
def test_the_choice_is_worth_at_least_the_originals(
    place: str, record: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(place)
    given, expected = record["in"], record["out"]
    config = shipped_config(given["workspace"])
    allocator = MemoryBudgetAllocator()
    if place == "away":
        allocator.register_workspace(config)
    memories = [
        item(
            one["id"],
            one["tier"],
            age_hours=one["age_hours"],
            token_count=one["tokens"],
            relevance_score=one["relevance"],
            importance_score=one["importance"],
        )
        for one in given["memories"]
    ]
    query = QUERIES[given["complexity"]]
    result = allocator.allocate_memory_budget(query, memories, given["workspace"])
    assert result["complexity"] == given["complexity"]
    for name, tier in expected["tiers"].items():
        found = result["tiers"][name]
        assert found["budget_tokens"] == tier["budget"]
        assert found["tokens_used"] <= tier["budget"]
        worth = sum(one["combined_score"] for one in found["selected_memories"])
        assert worth >= tier["score"] - 1e-3
        for one in found["selected_memories"]:
            score, relevance, importance, freshness = expected["scores"][one["memory_id"]]
            assert one["combined_score"] == pytest.approx(score, abs=2e-4)
            assert one["relevance_score"] == pytest.approx(relevance, abs=1e-4)
            assert one["importance_score"] == pytest.approx(importance, abs=1e-4)
            assert one["freshness_score"] == pytest.approx(freshness, abs=2e-4)


QUERIES = {
    "simple": "Hello",
    "medium": "Explain this",
    "complex": "Explain the design and why",
    "expert": "Explain, compare, evaluate and design this",
}


def shipped_config(workspace: str) -> WorkspaceConfig:
    """One of the six workspaces that ship, by the vectors' figures."""
    return from_entry(workspace, dict(shipped()[workspace]["budget"]))


@pytest.mark.parametrize("record", [*vectors("B4.placement")], ids=lambda record: record["id"])
def test_moves_are_the_originals(away: str, record: dict[str, Any]) -> None:
    memory, expected = record["in"]["memory"], record["out"]
    config = shipped_config(record["in"]["workspace"])
    accessed = memory["accessed_hours_ago"]
    one = item(
        memory["id"],
        memory["tier"],
        age_hours=memory["age_hours"],
        relevance_score=memory["relevance"],
        importance_score=memory["importance"],
        access_count=memory["access_count"],
        last_accessed=None if accessed is None else datetime.now(UTC) - timedelta(hours=accessed),
    )
    allocator = MemoryBudgetAllocator()
    assert allocator.calculate_memory_score(one, config) == pytest.approx(
        expected["score"], abs=1e-4
    )
    found = allocator.evaluate_promotion_demotion([one], config)
    assert one.promotion_score == pytest.approx(expected["promotion_score"], abs=1e-4)
    moves = [
        *(("promote", move["target_tier"]) for move in found["promotions"]),
        *(("demote", move["target_tier"]) for move in found["demotions"]),
    ]
    wanted = [(expected["move"], expected["target"])] if expected["move"] else []
    assert moves == wanted


@pytest.mark.parametrize(
    "record", [*vectors("B5.validate", classes=("must",))], ids=lambda record: record["id"]
)
def test_files_are_checked_as_the_original_did(
    away: str, desk: Path, record: dict[str, Any]
) -> None:
    (desk / "file.yaml").write_text(json.dumps(record["in"]["doc"]))
    expected = record["out"]
    if expected["valid"]:
        assert MemoryBudgetConfigLoader.load_from_yaml("file.yaml")
    else:
        with pytest.raises(ValueError) as refused:  # noqa: PT011 - the names follow
            MemoryBudgetConfigLoader.load_from_yaml("file.yaml")
        for name in expected["names"]:
            assert name in str(refused.value)
