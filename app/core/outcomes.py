"""Hold what was promised (A17) against what was measured, each with its interval."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.core.comparing import (
    FEWEST_RUNS,
    Change,
    change_of_mean,
    change_of_rate,
    rate_sample,
    share_interval,
)
from app.core.report_text import clipped, shown
from app.core.tokens_per_run import Tallies, like_for_like, total_of
from app.core.values import value
from app.core.verdicts import (
    Outcome,
    at_least,
    at_most,
    count,
    interval,
    more,
    no_worse,
    not_yet,
    per_cent,
    too_few,
)

LESS_CONTEXT = -25.0
"""Per cent of change of tokens a run (A17: 25–50 % less)."""
MOST_EXCEEDED = 5.0
"""Per cent of runs over their budget after tuning (A17)."""
MOST_RIGHT = 90.0
"""Per cent of agents whose rule says maintain (A17)."""
SLOWER = 10.0
"""Per cent of more time for as many tokens that still count as no degradation; ours."""
LESS_SUCCESS = -5.0
"""Points of success that still count as no degradation; ours."""


@value
class Compared:
    """Runs of two stretches of time."""

    before: Tallies
    after: Tallies
    said: str
    """Which stretches, in words."""


class Ran(NamedTuple):
    """One run as far as speed and success go; a tuple, since there are thousands."""

    used: int
    duration: float | None
    """Seconds."""
    success: bool | None


@value
class Around:
    """Runs of one agent before and after its policy changed."""

    agent: str
    before: Sequence[Ran]
    after: Sequence[Ran]


def less_context(key: str, label: str, compared: Compared | None, missing: str) -> Outcome:
    """How the tokens a run loads changed, for the same mix of agents and complexities."""
    target = "25–50 % less"
    if compared is None:
        return not_yet(key, label, target, missing)
    alike = like_for_like(compared.before, compared.after)
    basis = f"{compared.said}; the same mix of agents and complexities"
    few = too_few(alike.runs_before, alike.runs_after)
    if few:
        return not_yet(key, label, target, few, basis=basis)
    change = change_of_mean(alike.before, alike.after)
    if change is None:
        return not_yet(key, label, target, "no tokens were loaded on one side", basis=basis)
    found = per_cent(change)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict=at_most(found, LESS_CONTEXT),
        measured=f"{found.by:+.1f} %",
        interval=interval(found, " %"),
        basis=(
            f"{basis}: {shown(alike.before.mean, 'tokens')} tokens a run in"
            f" {alike.runs_before:,} runs, then {shown(alike.after.mean, 'tokens')} in"
            f" {alike.runs_after:,}"
        ),
        figure=found.by,
        low=found.low,
        high=found.high,
    )


def few_exceed(tuned: Tallies | None, agents: int) -> Outcome:
    """The share of runs over budget since the agents' policies were last changed."""
    key, label, target = "exceedance", "Runs over budget after tuning", "under 5 %"
    if tuned is None:
        return not_yet(key, label, target, "needs a budget that was changed")
    total = total_of(tuned)
    runs, exceeded = total.runs, total.exceeded
    if runs < FEWEST_RUNS:
        return not_yet(key, label, target, more(FEWEST_RUNS - runs, "run"))
    low, high = share_interval(exceeded, runs)
    found = Change(by=100 * exceeded / runs, low=low, high=high)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict=at_most(found, MOST_EXCEEDED),
        measured=shown(found.by, "percent"),
        interval=interval(found, " %", signed=False),
        basis=(
            f"{exceeded:,} of {runs:,} runs of {count(agents, 'agent')} since the last change"
            " of each one's policy"
        ),
        figure=found.by,
        low=low,
        high=high,
    )


def profiles_fit(actions: Sequence[str] | None) -> Outcome:
    """The share of agents with enough runs whose rule says maintain."""
    key, label, target = "accuracy", "Profiles that fit", "at least 90 %"
    basis = "agents with at least 10 runs in 30 days whose rule (A12) says maintain"
    judged = [action for action in actions or () if action != "defer"]
    if not judged:
        return not_yet(key, label, target, "needs an agent with 10 runs", basis=basis)
    right = judged.count("maintain")
    low, high = share_interval(right, len(judged))
    found = Change(by=100 * right / len(judged), low=low, high=high)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict=at_least(found, MOST_RIGHT),
        measured=shown(found.by, "percent"),
        interval=interval(found, " %", signed=False),
        basis=f"{right:,} of {len(judged):,} {basis}",
        figure=found.by,
        low=low,
        high=high,
    )


def no_slower(around: Sequence[Around]) -> Outcome:
    """Seconds for as many loaded tokens, before and after each agent's last change."""
    key, label = "speed", "Time for as many tokens"
    target = "no slower (within 10 %)"
    before = _timed(run for one in around for run in one.before)
    after = _timed(run for one in around for run in one.after)
    if not around:
        return not_yet(key, label, target, "needs a budget that was changed")
    few = too_few(len(before), len(after), what="timed run")
    if few:
        return not_yet(key, label, target, few)
    old, new = rate_sample(before), rate_sample(after)
    change = None if old is None or new is None else change_of_mean(old, new)
    if old is None or new is None or change is None:
        return not_yet(key, label, target, "no tokens were loaded on one side")
    found = per_cent(change)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict=no_worse(found, SLOWER, worse_is_more=True),
        measured=f"{found.by:+.1f} %",
        interval=interval(found, " %"),
        basis=(
            f"{1000 * old.mean:.3g} s for 1,000 tokens in {old.count:,} runs before the last change"
            f" of {count(len(around), 'agent')}, {1000 * new.mean:.3g} s in {new.count:,} after"
        ),
        figure=found.by,
        low=found.low,
        high=found.high,
    )


def no_less_success(around: Sequence[Around]) -> Outcome:
    """The share of runs that succeeded, before and after each agent's last change."""
    key, label = "success", "Runs that succeed"
    target = "no fewer (within 5 points)"
    if not around:
        return not_yet(key, label, target, "needs a budget that was changed")
    before = [run.success for one in around for run in one.before if run.success is not None]
    after = [run.success for one in around for run in one.after if run.success is not None]
    few = too_few(len(before), len(after), what="run with a known success")
    change = change_of_rate((sum(before), len(before)), (sum(after), len(after)))
    if few or change is None:
        return not_yet(key, label, target, few)
    found = per_cent(change)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict=no_worse(found, LESS_SUCCESS, worse_is_more=False),
        measured=f"{found.by:+.1f} points",
        interval=interval(found, " points"),
        basis=(
            f"{shown(100 * sum(before) / len(before), 'percent')} of {len(before):,} runs before"
            f" the last change of {count(len(around), 'agent')},"
            f" {shown(100 * sum(after) / len(after), 'percent')} of {len(after):,} after"
        ),
        figure=found.by,
        low=found.low,
        high=found.high,
    )


def all_assigned(agents: Sequence[str], unassigned: Sequence[str]) -> Outcome:
    """Whether every agent that ran has a profile of its own; all are counted, none is guessed."""
    key, label, target = "assigned", "Agents that are assigned", "all"
    if not agents:
        return not_yet(key, label, target, "needs an agent that ran")
    have = len(agents) - len(unassigned)
    named = ", ".join(clipped(name) for name in unassigned[:5])
    more = f" and {len(unassigned) - 5:,} more" if len(unassigned) > 5 else ""
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict="not met" if unassigned else "met",
        measured=f"{have:,} of {len(agents):,}",
        interval="counted",
        basis=f"without: {named}{more}" if unassigned else "agents that ran in the window",
        figure=100 * have / len(agents),
    )


def alerts_fire(due: int, raised: int, looked_at: int) -> Outcome:
    """Whether each threshold that an allocation reached raised its alert."""
    key, label, target = "alerts", "Alerts that were due and raised", "all"
    basis = f"thresholds reached in the newest {looked_at:,} finished allocations"
    if not due:
        return not_yet(key, label, target, "needs a run that reaches a threshold", basis=basis)
    low, high = share_interval(raised, due)
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict="met" if raised == due else "not met",
        measured=f"{raised:,} of {due:,}",
        interval=interval(Change(by=0, low=low, high=high), " %", signed=False),
        basis=basis,
        figure=100 * raised / due,
        low=low,
        high=high,
    )


def _timed(runs: Iterable[Ran]) -> list[tuple[float, float]]:
    return [
        (run.duration, float(run.used)) for run in runs if run.duration is not None and run.used
    ]
