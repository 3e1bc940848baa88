"""Advise which agents to give which profiles, and which profiles to make."""

from collections.abc import Container, Sequence
from itertools import chain, count

from app.core.needs import COVERED, USUAL, Choice, Fit
from app.core.policy_faults import MAX_TOKENS
from app.core.report_commands import agent_path, of_workspace, put
from app.core.reports import Todo

ROOM = 2
"""Ceilings of proposed profiles are so many times their base: what the hardest tier may take."""


def advice(fits: Sequence[Fit], choices: Sequence[Choice], workspace: str) -> list[Todo]:
    """Profiles to make and to assign, the most worthwhile first."""
    largest = max(choices, key=lambda one: one.usual, default=None)
    found = []
    taken = {one.name for one in choices}
    for fit in fits:
        if not fit.has:  # nothing can be assigned to it
            continue
        if fit.own is not None:
            found.append(_own_profile(fit, largest, workspace, taken))
        elif fit.choice is not None and (fit.has != fit.choice.name or not fit.is_assigned):
            found.append(_assignment(fit, fit.choice, workspace))
    return sorted(found, key=lambda one: -one.weight)


def _own_profile(fit: Fit, largest: Choice | None, workspace: str, taken: set[str]) -> Todo:
    own = fit.own or 0
    name = _profile_name(fit.agent, taken)
    taken.add(name)
    body = {
        "description": f"What {COVERED} of 100 runs of {fit.agent} need"[:200],
        "base_budget": own,
        "max_budget": min(own * ROOM, MAX_TOKENS),
        "scope_weights": {"global": 0.25, "agent_recent": 0.25, "agent_patterns": 0.5},
    }
    where = of_workspace(workspace)
    beside = (
        ""
        if largest is None
        else f"; the largest profile, {largest.name}, gives {largest.usual:,} to a {USUAL} task"
    )
    return Todo(
        title=f"{fit.agent} needs more than any profile: p95 {round(fit.p95):,} tokens",
        why=(
            f"{COVERED} of 100 of its {fit.need.runs:,} runs need up to {round(fit.p95):,} tokens"
            f"{beside}. Make one of {own:,} and assign it."
        ),
        how=(
            f"{put(f'/profiles/{name}', body, workspace=where)}\n"
            f"{put(agent_path(fit.agent), {'profile': name}, workspace=where)}"
        ),
        weight=max(float(fit.need.used), _lacking(fit)),
    )


def _assignment(fit: Fit, choice: Choice, workspace: str) -> Todo:
    outcome = fit.outcome
    short = 0.0 if outcome is None else 100 * outcome.short / fit.need.runs
    has = f"It has {fit.has} now" if fit.is_assigned else "Nobody has assigned it a profile"
    return Todo(
        title=f"Give {fit.agent} the profile {choice.name}",
        why=(
            f"{COVERED} of 100 of its {fit.need.runs:,} runs need at most {round(fit.p95):,}"
            f" tokens; {choice.name} gives {choice.usual:,} to a {USUAL} task, and {short:.1f} %"
            f" would have been short. {has}."
        ),
        how=put(agent_path(fit.agent), {"profile": choice.name}, workspace=of_workspace(workspace)),
        weight=_lacking(fit) + (0 if outcome is None else outcome.saved),
    )


def _lacking(fit: Fit) -> float:
    """Tokens that runs needed for which the profile has no room that their agent gets now."""
    return fit.short_now * fit.median


def _profile_name(agent: str, taken: Container[str]) -> str:
    """A name for an agent's own profile that may stand in a path and on a command line.

    A name that is taken gets a number: putting that profile would change it for other agents.
    """
    kept = "".join(one if one.isascii() and one.isalnum() else "-" for one in agent)
    name = "-".join(filter(None, kept.split("-")))[:100] or "own"
    numbered = (f"{name}-{number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)
