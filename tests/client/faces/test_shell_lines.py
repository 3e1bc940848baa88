"""Type every shell line of the documents that names the systems (000, 001, 002)."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from membudget import Client
from tests.client.faces.typing_in import Shell

ENTER_VENV = "source projects/active/ai-memory-system-improvements/.venv/bin/activate"
"""Nothing takes its place: the client is installed like any package."""

SCOPED_AUTOMATIC = """python3 scripts/memory-budget-scoped.py \\
    --agent-name dbt-expert \\
    --agent-type specialists \\
    --task "Analyze dbt model performance" \\
    --detailed
"""
SCOPED_TIER = """python3 scripts/memory-budget-scoped.py \\
    --agent-name data-architect-role \\
    --agent-type roles \\
    --complexity multi-system \\
    --detailed
"""
SCOPED_MANUAL = """python3 scripts/memory-budget-scoped.py \\
    --agent-name dbt-expert \\
    --agent-type specialists \\
    --max-tokens 50000 \\
    --no-profiles \\
    --detailed
"""

ANALYZE = """python3 scripts/analyze-budget-usage.py"""
ANALYZE_DAYS = "python3 scripts/analyze-budget-usage.py --days 7"
ANALYZE_AGENT = "python3 scripts/analyze-budget-usage.py --agent dbt-expert"
ANALYZE_RECOMMENDATIONS = "python3 scripts/analyze-budget-usage.py --recommendations"
ANALYSIS = """Agent                                      Execs    Avg %    Max %  Exceed
----------------------------------------------------------------------
dbt-expert                                     2    94.1%    98.1%       0
data-architect-role                            1    40.9%    40.9%       0
"""
TAIL = "tail -f .claude/cache/budget-usage.jsonl | jq ."

BUDGET = "python3 scripts/calculate-agent-budget.py specialists/dbt-expert medium"
BUDGET_OUTPUT = "20,000 tokens (1.0x base budget)"
LIST_PROFILES = "python3 scripts/calculate-agent-budget.py --list-profiles"
SHOW_ASSIGNMENTS = "python3 scripts/calculate-agent-budget.py --show-assignments"
BUDGET_JSON = "python3 scripts/calculate-agent-budget.py roles/data-architect-role complex --json"

DETECT = 'python3 scripts/detect-task-complexity.py "Investigate pipeline failure"'
DETECT_OUTPUT = "COMPLEX (52% confidence, ×1.5)"
INTERACTIVE = "python3 scripts/detect-task-complexity.py --interactive"
SHOW_SIGNALS = "python3 scripts/detect-task-complexity.py --show-signals"

HELP = (
    "python3 scripts/calculate-agent-budget.py --help",
    "python3 scripts/detect-task-complexity.py --help",
    "python3 scripts/budget-monitor.py --help",
    "python3 scripts/analyze-budget-usage.py --help",
)
WEEKLY = "./scripts/run-phase5-automation.sh weekly"
MONTHLY = "./scripts/run-phase5-automation.sh monthly"
REPORT = "./scripts/run-phase5-automation.sh report"
AUTOMATION = "./scripts/run-phase5-automation.sh daily|weekly|monthly|report"
CRON = "./scripts/setup-phase5-cron.sh status|install|uninstall"

PROFILES_FILE = """{
  "profiles": {
    "specialist-narrow": {
      "base_budget": 20000,
      "max_budget": 50000
    }
  },
  "agent_assignments": {
    "specialists/dbt-expert": "specialist-narrow"
  }
}
"""

LOADED = (
    (
        SCOPED_AUTOMATIC,
        "📊 Budget Profile: specialist-narrow | Complexity: complex | Budget: 30,000 tokens",
    ),
    (
        SCOPED_TIER,
        "📊 Budget Profile: role-architect | Complexity: multi-system | Budget: 150,000 tokens",
    ),
    (SCOPED_MANUAL, "  Max Tokens:     50,000"),
)


def alternatives(line: str) -> list[str]:
    """A line whose last word is `a|b|c` as one line for each."""
    head, _, words = line.rpartition(" ")
    return [f"{head} {word}" for word in words.split("|")]


@pytest.mark.parametrize(("line", "shown"), LOADED, ids=("automatic", "tier", "manual"))
def test_the_tree_is_loaded_as_the_documents_show(
    service: str, tree: Path, shell: Shell, line: str, shown: str
) -> None:
    said = shell(line)
    assert said.code == 0, said.err
    assert shown in said.out.splitlines()
    assert "LOADED PATTERNS (Top 10 by Relevance)" in said.out


def test_usage_is_analyzed_as_the_documents_show(
    service: str, tree: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMBUDGET_URL", "http://127.0.0.1:9")  # then the log in the folder counts
    said = shell(ANALYZE)
    assert said.code == 0
    assert ANALYSIS in said.out
    assert "BUDGET PROFILE RECOMMENDATIONS" in said.out
    only = shell(ANALYZE_AGENT)
    assert "dbt-expert  " in only.out
    assert "data-architect-role" not in only.out
    advised = shell(ANALYZE_RECOMMENDATIONS)
    assert advised.code == 0
    assert "BUDGET USAGE ANALYSIS" not in advised.out
    recent = shell(ANALYZE_DAYS)
    assert (recent.code, recent.out) == (1, "")
    assert "No usage data found" in recent.err


def test_usage_that_the_service_booked_is_analyzed(service: str, tree: Path, shell: Shell) -> None:
    assert shell("membudget import .claude/cache/budget-usage.jsonl").code == 0
    said = shell(ANALYZE)
    assert "Total Executions: " in said.out
    assert "dbt-expert  " in said.out


def test_the_log_can_be_followed(service: str, tree: Path, shell: Shell) -> None:
    assert TAIL.startswith("tail -f .claude/cache/budget-usage.jsonl")
    shell(SCOPED_AUTOMATIC)
    last = subprocess.run(
        shlex.split("tail -n 1 .claude/cache/budget-usage.jsonl"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(last.stdout)["agent"] == "specialists/dbt-expert"


def test_budgets_are_calculated_as_the_documents_show(service: str, shell: Shell) -> None:
    assert shell(BUDGET).out.splitlines()[0] == BUDGET_OUTPUT
    listed = shell(LIST_PROFILES)
    for name in ("SPECIALIST-NARROW", "SPECIALIST-BROAD", "ROLE-COORDINATOR", "ROLE-ARCHITECT"):
        assert name in listed.out
    assert "SPECIALIST-NARROW (13 agents)" in shell(SHOW_ASSIGNMENTS).out
    assert "Total agents: 25" in shell(SHOW_ASSIGNMENTS).out
    found = json.loads(shell(BUDGET_JSON).out)
    assert (found["agent"], found["calculated_budget"]) == ("roles/data-architect-role", 112_500)


def test_complexity_is_detected_as_the_documents_show(service: str, shell: Shell) -> None:
    assert shell(DETECT).out.splitlines()[0] == DETECT_OUTPUT
    typed = shell(INTERACTIVE, "List all dbt models\n\nInvestigate pipeline failure\n")
    assert [line for line in typed.out.splitlines() if "confidence," in line] == [
        "SIMPLE (54% confidence, ×0.5)",
        DETECT_OUTPUT,
    ]
    signals = shell(SHOW_SIGNALS).out
    for group in ("SIMPLE:", "COMPLEX:", "MULTI-SYSTEM:", "SIMPLICITY BOOSTERS:"):
        assert group in signals


@pytest.mark.parametrize("line", HELP)
def test_help_names_every_flag_of_the_original(shell: Shell, line: str) -> None:
    said = shell(line)
    assert said.code == 0
    flags = {
        "calculate-agent-budget": ("--list-profiles", "--show-assignments", "--show-complexity"),
        "detect-task-complexity": ("--stdin", "--interactive", "-i", "--show-signals"),
        "budget-monitor": ("--task", "--complexity"),
        "analyze-budget-usage": ("--agent", "--days", "--recommendations"),
    }[Path(line.split()[1]).stem]
    for flag in (*flags, "--json", "--help"):
        assert flag in said.out


@pytest.mark.parametrize("line", [WEEKLY, MONTHLY, REPORT, *alternatives(AUTOMATION)])
def test_the_automation_runs_and_reports(service: str, tree: Path, shell: Shell, line: str) -> None:
    with Client(service) as client:
        client.memories.import_(tree)
    said = shell(line)
    assert said.code == 0, said.err
    word = line.split()[-1]
    assert said.out.startswith(f"{word}: done") or word == "report"
    if word == "report":
        assert "PHASE 5 AUTOMATION STATUS" in said.out
        assert "Memories: HEALTHY" in said.out


@pytest.mark.parametrize("line", alternatives(CRON))
def test_the_cron_script_tells_of_the_services_schedule(
    service: str, shell: Shell, line: str
) -> None:
    said = shell(line)
    assert said.code == 0
    assert "every day at 05:00" in said.out
    assert "service" in said.out


def test_a_file_of_profiles_with_what_is_shown_is_imported(
    service: str, tree: Path, shell: Shell
) -> None:
    file = tree / "budget-profiles.json"
    whole, shown = json.loads(file.read_text()), json.loads(PROFILES_FILE)
    whole["profiles"]["specialist-narrow"] |= shown["profiles"]["specialist-narrow"]
    whole["agent_assignments"] |= shown["agent_assignments"]
    file.write_text(json.dumps(whole))
    assert shell(f"membudget import {file} --dry-run").code == 0
    said = shell(f"membudget import {file}")
    assert said.code == 0, said.err
    assert shell(BUDGET).out.splitlines()[0] == BUDGET_OUTPUT
