"""Type what the guide to scoped budgets shows (000), against the service and the real tree."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from membudget import Client, _service
from membudget.scoped import ScopedMemoryBudget
from tests.client.faces.typing_in import typed
from tests.data import vectors
from tests.running import served

AUTOMATIC = """
from memory_budget_scoped import ScopedMemoryBudget

# Budget automatically calculated from profiles
budget = ScopedMemoryBudget(
    agent_name="dbt-expert",
    agent_type="specialists",
    task_description="Analyze dbt model performance"  # Auto-detects complexity
)

# Load patterns
loaded = budget.load_patterns_with_scope(context)

# Finalize (logs usage)
budget.finish_loading(success=True)

# Print stats
budget.print_stats(detailed=True)
"""
PROFILE_LINE = "📊 Budget Profile: specialist-narrow | Complexity: complex | Budget: 30,000 tokens"
ALERT_LINES = ("ℹ️  Budget 75% consumed (", "⚠️  Budget 90% consumed (")

COMPLEXITY_OVERRIDE = """
# Override detected complexity
budget = ScopedMemoryBudget(
    agent_name="dbt-expert",
    agent_type="specialists",
    complexity="multi-system"  # Force multi-system tier
)
"""
MANUAL = """
# Disable profiles, use manual budget
budget = ScopedMemoryBudget(
    max_tokens=50000,  # Manual budget
    agent_name="dbt-expert",
    agent_type="specialists",
    use_budget_profiles=False  # Disable Phase 6
)
"""
GOOD_AND_AVOID = """
# Good - let system detect
budget = ScopedMemoryBudget(
    agent_name="dbt-expert",
    agent_type="specialists",
    task_description="Analyze performance"  # Auto-detects
)

# Avoid - unnecessary override
budget = ScopedMemoryBudget(
    agent_name="dbt-expert",
    agent_type="specialists",
    complexity="complex"  # Only if auto-detect fails
)
"""
ALWAYS_FINISH = """
loaded = budget.load_patterns_with_scope(context)
budget.finish_loading(success=True)  # IMPORTANT - logs usage
"""
DETAILED = """
budget.print_stats(detailed=True)
"""
BEFORE = """
budget = ScopedMemoryBudget(
    max_tokens=20000,
    agent_name="dbt-expert",
    agent_type="specialists"
)
"""
AFTER = """
budget = ScopedMemoryBudget(
    agent_name="dbt-expert",
    agent_type="specialists",
    task_description="Your task description"  # New
    # max_tokens automatically calculated
)
"""
NAMES: dict[str, Any] = {"ScopedMemoryBudget": ScopedMemoryBudget}


def test_the_automatic_mode_prints_the_documents_lines_and_books_the_run(
    service: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = typed(AUTOMATIC, context={"technologies": ["dbt", "snowflake", "sql"]})["budget"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == PROFILE_LINE
    shown = "\n".join(lines)
    for start in ALERT_LINES:
        assert re.search(re.escape(start) + r"[\d,]+/30,000 tokens\)", shown)
    assert "Agent: dbt-expert (specialists)" in lines
    assert "Profile: specialist-narrow (complex)" in lines
    assert f"  Used Tokens:    {budget.current_tokens:,}" in shown
    assert "LOADED PATTERNS (Top 10 by Relevance)" in lines

    with Client(service) as client:
        (event,) = client.usage(agent="specialists/dbt-expert", limit=1)
    assert event.used_tokens == budget.current_tokens
    assert (event.budget_tokens, event.complexity, event.success) == (30_000, "complex", True)
    assert event.scopes["agent_patterns"] == budget.get_scope_stats()["agent_specific_tokens"]
    assert [alert.level for alert in event.alerts] == ["info", "warning"]


@pytest.mark.parametrize("record", [*vectors("A10.scoped")], ids=lambda record: record["id"])
def test_what_is_loaded_is_worth_what_the_original_loaded(
    service: str, tree: Path, record: dict[str, Any]
) -> None:
    given, expected = record["in"], record["out"]
    type_, _, name = given["agent"].partition("/")
    budget = ScopedMemoryBudget(
        agent_name=name,
        agent_type=type_,
        task_description=given["task"] or "",
        complexity=given["complexity"],
    )
    assert budget.max_tokens == expected["budget"]
    loaded = budget.load_patterns_with_scope(given["context"])
    files = {one["path"]: one for one in expected["files"]}
    found = [files[one.path.relative_to(".claude/memory").as_posix()] for one in loaded]
    assert [one.token_count for one in loaded] == [one["tokens"] for one in found]
    assert sum(one["tokens"] for one in found) <= expected["budget"]
    assert len({one["content"] for one in found}) == len(found)
    if record["class"] == "must":
        assert sum(one["relevance"] for one in found) >= expected["relevance"] - 1e-9


@pytest.mark.parametrize(
    ("snippet", "tokens"),
    [
        (COMPLEXITY_OVERRIDE, 40_000),
        (MANUAL, 50_000),
        (GOOD_AND_AVOID, 30_000),
        (BEFORE, 20_000),
        (AFTER, 20_000),
    ],
)
def test_each_way_to_make_a_budget_gives_the_documents_tokens(
    service: str, desk: Path, snippet: str, tokens: int
) -> None:
    assert typed(snippet, **NAMES)["budget"].max_tokens == tokens


def test_a_budget_that_was_loaded_is_finished_and_printed(
    service: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = typed(MANUAL, **NAMES)["budget"]
    found = typed(ALWAYS_FINISH, budget=budget, context={})["loaded"]
    assert found is budget.loaded_patterns
    assert sum(one.token_count for one in found) == budget.current_tokens <= 50_000
    typed(DETAILED, budget=budget)
    assert "  Max Tokens:     50,000" in capsys.readouterr().out
    with Client(service) as client:
        (event,) = client.usage(limit=1)
    assert (event.budget_tokens, event.used_tokens) == (50_000, budget.current_tokens)


def test_a_second_finish_books_nothing_more(service: str, tree: Path) -> None:
    budget = ScopedMemoryBudget(agent_name="aws-expert", agent_type="specialists")
    budget.load_patterns_with_scope({})
    budget.finish_loading(success=False, error_message="broke")
    budget.finish_loading(success=True)
    with Client(service) as client:
        events = list(client.usage(agent="specialists/aws-expert"))
    assert [(one.success, one.error) for one in events] == [(False, "broke")]


def test_a_second_load_adds_what_still_fits_and_one_run_is_booked(service: str, desk: Path) -> None:
    folder = desk / ".claude" / "memory" / "roles" / "research-role" / "patterns"
    folder.mkdir(parents=True)
    (folder / "one.md").write_text("The first thing to know.")
    budget = ScopedMemoryBudget(agent_name="research-role", agent_type="roles")
    budget.load_patterns_with_scope({})
    (folder / "two.md").write_text("The second thing to know.")
    loaded = budget.load_patterns_with_scope({})
    budget.finish_loading()
    assert [one.path.name for one in loaded] == ["one.md", "two.md"]
    with Client(service) as client:
        (event,) = client.usage(agent="roles/research-role")
    assert event.used_tokens == budget.current_tokens > 0


def test_the_originals_log_is_written_on_where_it_is(service: str, tree: Path) -> None:
    log = tree.parent / "cache" / "budget-usage.jsonl"
    before = log.read_text(encoding="utf-8").splitlines()
    budget = typed(AUTOMATIC, context={})["budget"]
    lines = log.read_text(encoding="utf-8").splitlines()
    written = json.loads(lines[-1])
    assert lines[:-1] == before
    assert set(json.loads(before[-1])) <= set(written)
    assert written["tokens_loaded"] == budget.current_tokens
    with Client(service) as client:
        again = client.usage_import(lines[-1].encode())
    assert (again.imported, again.duplicates) == (0, 1)


def test_a_tree_with_broken_files_loads_the_others_and_names_these(
    service: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = desk / ".claude" / "memory" / "patterns"
    folder.mkdir(parents=True)
    (folder / "good.md").write_text("Good to know.")
    (folder / "bytes.md").write_bytes(b"\xff\xfe\x00")
    (folder / "meta.md").write_text("Its metadata is broken.")
    (folder / "meta.metadata.json").write_text("{ no json")
    (folder / "odd.md").write_text("Its metadata is odd.")
    (folder / "odd.metadata.json").write_text('{"use_count": "many", "last_used": 7}')
    (folder / "list.md").write_text("Its metadata is a list.")
    (folder / "list.metadata.json").write_text("[1]")
    (folder / "empty.md").write_text("")
    budget = ScopedMemoryBudget(max_tokens=1000)
    loaded = budget.load_patterns_with_scope({"technologies": "dbt", "keywords": None})
    names = {one.path.name for one in loaded}
    assert {"good.md", "meta.md", "odd.md", "list.md"} <= names
    assert "bytes.md" not in names
    assert "bytes.md" in capsys.readouterr().err


def test_without_a_tree_nothing_is_loaded(service: str, desk: Path) -> None:
    budget = ScopedMemoryBudget(agent_name="dbt-expert", agent_type="specialists")
    assert budget.load_patterns_with_scope({}) == []
    assert budget.get_stats()["used_tokens"] == 0


def test_an_unknown_agent_gets_the_manual_budget_and_is_told(
    service: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = ScopedMemoryBudget(agent_name="zzz", agent_type="specialists")
    assert (budget.max_tokens, budget.budget_info) == (20_000, None)
    said = capsys.readouterr().out
    assert "Budget profile failed (Agent 'specialists/zzz' not found" in said
    assert "using manual budget" in said


def test_without_the_service_the_same_budget_is_loaded_and_booked_later(
    address: str,
    away: str,
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = typed(AUTOMATIC, context={"technologies": ["dbt", "snowflake", "sql"]})["budget"]
    written = capsys.readouterr()
    assert written.out.splitlines()[0] == PROFILE_LINE
    assert "No membudget service answers" in written.err
    assert 27_000 <= budget.current_tokens <= 30_000
    with Client(address) as client:
        before = [event.id for event in client.usage(agent="specialists/dbt-expert")]
        flushed = client.flush()
        after = list(client.usage(agent="specialists/dbt-expert"))
    assert flushed.waiting == 0
    (event,) = [one for one in after if one.id not in before]
    assert (event.used_tokens, event.budget_tokens) == (budget.current_tokens, 30_000)


def test_a_service_that_refuses_the_key_is_told_and_done_without(
    sqlite_url: str, tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(sqlite_url, tree, admin_key="mb_" + "k" * 40) as locked:
        monkeypatch.setenv("MEMBUDGET_URL", locked.url)
        _service.forget()
        budget = typed(AUTOMATIC, context={})["budget"]
        _service.forget()
    written = capsys.readouterr()
    assert written.out.splitlines()[0] == PROFILE_LINE
    assert 27_000 <= budget.current_tokens <= 30_000
    assert "key" in written.err.lower()
