"""Load a memory tree within a budget, and follow loads against one."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from membudget._say import say, warn
from membudget._tree import may_be_folder
from membudget.commands import output
from membudget.monitor import BudgetMonitor
from membudget.scoped import ScopedMemoryBudget

SIMULATED = (("global", 0.2), ("agent_recent", 0.3), ("agent_patterns", 0.4))
"""What the originals' monitor pretends to load: shares of the budget."""


def load(
    *,
    agent: str | None,
    agent_type: str | None,
    task: str,
    complexity: str | None,
    max_tokens: int | None,
    use_profiles: bool,
    root: Path,
    technologies: Sequence[str] = (),
    keywords: Sequence[str] = (),
    detailed: bool,
    write: bool = False,
    workspace: str | None = None,
    as_json: bool,
) -> None:
    """Load what is worth most to the task; book the run; say what was loaded."""
    if not root.is_dir():
        output.stop(f"There is no memory tree at {root}. Give its folder.")
    if agent and "/" in agent:
        agent_type, _, agent = agent.partition("/")
    quiet = as_json or write
    with redirect_stdout(sys.stderr if quiet else sys.stdout):
        budget = ScopedMemoryBudget(
            max_tokens=max_tokens,
            agent_name=agent,
            agent_type=agent_type or (_type_of(root, agent) if agent else None),
            task_description=task,
            complexity=complexity,
            use_budget_profiles=use_profiles,
            root=root,
            workspace=workspace,
        )
        say(f"\nLoading patterns for {agent or 'global'}...")
        with output.working("Reading the tree"):
            budget.load_patterns_with_scope(
                {"technologies": [*technologies], "keywords": [*keywords]}
            )
        budget.finish_loading(success=True)
        if not quiet:
            budget.print_stats(detailed=detailed)
    if write:
        for pattern in budget.loaded_patterns:
            say(pattern.content)
    elif as_json:
        output.emit(_loaded(budget, detailed))
    elif output.is_terminal():
        used = budget.current_tokens
        share = used / budget.max_tokens if budget.max_tokens else 0.0
        output.bars([("used", share, f"{used:,} of {budget.max_tokens:,} tokens")])


def _type_of(root: Path, agent: str) -> str | None:
    """The type of an agent, by the folder that it has in the tree."""
    possible = [one for one in ("specialists", "roles") if may_be_folder(root / one / agent)]
    known = [one for one in possible if os.access(root / one, os.X_OK)]
    return next(iter(known or possible), None)


def _loaded(budget: ScopedMemoryBudget, detailed: bool) -> dict[str, Any]:
    data = {
        "agent": budget.agent_name,
        "profile": None if budget.budget_info is None else budget.budget_info["profile_name"],
        "complexity": budget.detected_complexity,
        **budget.get_stats(),
        **budget.get_scope_stats(),
        "alerts": budget.monitor.warnings,
        "allocation_id": None if budget.allocation is None else budget.allocation.id,
    }
    if detailed:
        data["patterns"] = [
            {
                "path": str(one.path),
                "scope": one.scope,
                "tokens": one.token_count,
                "score": round(one.relevance_score, 4),
            }
            for one in budget.loaded_patterns
        ]
    return data


def monitor(
    agent: str,
    budget: int,
    *,
    task: str,
    complexity: str,
    loads: Sequence[str],
    workspace: str | None,
    as_json: bool,
) -> None:
    """Follow loads (`scope=tokens`, as options or lines of standard input) to their end."""
    given = _read(loads) if loads else _lines()
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        followed = BudgetMonitor(agent, budget, task, complexity, workspace=workspace)
        _follow(followed, given)
        followed.log_usage(success=True)
        if not as_json:
            _summary(followed)
    if as_json:
        output.emit(followed.get_status())
    if followed.event_id is None:
        output.stop("The run is not booked.")


def simulate(agent: str, budget: int, *, task: str, complexity: str, as_json: bool) -> None:
    """Show how the monitor tells of loads, with pretended ones; nothing is booked."""
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        followed = BudgetMonitor(agent, budget, task, complexity)
        say(f"\nMonitoring budget for {agent}")
        say(f"Budget: {budget:,} tokens")
        shares = (f"{level.upper()}={share:.0%}" for level, share in followed.thresholds.items())
        say(f"Thresholds: {', '.join(shares)}\n")
        _follow(followed, [(scope, int(budget * share)) for scope, share in SIMULATED])
        if not as_json:
            _summary(followed)
        warn(
            "These loads were pretended; nothing was booked. `membudget monitor` follows real ones."
        )
    if as_json:
        output.emit(followed.get_status())


def _follow(followed: BudgetMonitor, loads: Iterable[tuple[str, int]]) -> None:
    for scope, tokens in loads:
        say(f"Loading {scope} scope: {tokens:,} tokens")
        followed.track_load(scope, tokens)


def _summary(followed: BudgetMonitor) -> None:
    followed.print_summary()
    if output.is_terminal() and followed.budget > 0:
        share = followed.loaded_tokens / followed.budget
        output.bars([("used", share, f"{followed.loaded_tokens:,} of {followed.budget:,} tokens")])


def _read(loads: Iterable[str]) -> Iterator[tuple[str, int]]:
    for load_ in loads:
        scope, _, tokens = load_.replace("=", " ").strip().rpartition(" ")
        digits = tokens.replace(",", "").replace("_", "")
        if not scope.strip() or not digits.isdecimal():
            raise ValueError(f"a load is written scope=tokens, not {load_.strip()[:60]!r}")
        yield scope.strip(), int(digits)


def _lines() -> Iterator[tuple[str, int]]:
    if sys.stdin.isatty():
        warn("One load a line: scope tokens. Ctrl-D ends.")
    return _read(line for line in sys.stdin if line.strip())
