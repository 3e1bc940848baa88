"""Say by the rules of A12 which profile or weights the runs of an agent speak for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from app.core.analytics import CellName, group_runs
from app.core.grants import Grant, grant_of, ladder_of
from app.core.intervals import Interval, wilson
from app.core.policybook import PolicyBook
from app.core.profiles import Tuning
from app.core.usage import PERCENT, Cell
from app.core.values import value
from app.core.weighing import by_weight_names, off_scopes, weights_from

Action = Literal["upgrade", "downgrade", "adjust_weights", "maintain", "defer"]

# Spec A12: confidence starts here at the threshold and grows with the distance from it.
UPGRADE_FROM, UPGRADE_MOST = Fraction(7, 10), Fraction(1)
DOWNGRADE_FROM, DOWNGRADE_MOST = Fraction(6, 10), Fraction(9, 10)
ADJUST_FROM, ADJUST_EACH, ADJUST_MOST = Fraction(6, 10), Fraction(1, 10), Fraction(85, 100)


@value
class Evidence:
    """What the runs of an agent in a window come to."""

    samples: int
    """Executions: runs that had a budget."""
    exceeded: int
    unmet: int
    rated: int
    """Executions that have a used per cent: all but those that used tokens of no budget."""
    pct_sum: int
    """Their used per cent added up, in units of `usage.PERCENT`, each rounded."""
    budget: int
    used: int
    scopes: Mapping[str, int]
    """Tokens by scope, as logged."""

    @property
    def exceedance_rate(self) -> Fraction:
        """Share of the executions that used more than their budget."""
        return Fraction(self.exceeded, self.samples) if self.samples else Fraction(0)

    @property
    def exceedance_interval(self) -> Interval | None:
        """Where that share lies with 95 % confidence (Wilson)."""
        return wilson(self.exceeded, self.samples)

    @property
    def average_used(self) -> Fraction | None:
        """Average used share of the budget; None where nothing is rated."""
        return Fraction(self.pct_sum, self.rated * 100 * PERCENT) if self.rated else None

    def is_used_below(self, share: Decimal) -> bool:
        """Whether the average used share is less than this, whatever rounding did to it."""
        bound = Fraction(share) * 100 * PERCENT * self.rated
        return bool(self.rated) and self.pct_sum + Fraction(self.rated, 2) < bound


@value
class Ruling:
    """What the rules say of an agent."""

    action: Action
    confidence: Fraction | None
    """None where nothing is advised: maintain, defer."""
    proposed: Grant | None
    """None where nothing is to be changed, or nothing is left to change to."""
    off_scopes: tuple[str, ...]
    """Scopes whose share is off their weight, whatever the action."""
    reason: str
    is_held_back: bool = False
    """Whether it is only shown, however sure: a change was applied among the runs behind it."""

    def is_recommended(self, tuning: Tuning) -> bool:
        """Whether it is sure enough to be recommended, and not only shown."""
        least = Fraction(tuning.recommendation_confidence_threshold)
        is_sure = self.confidence is not None and self.confidence >= least
        return is_sure and not self.is_held_back


def evidence_of(cell: Cell, scopes: Mapping[str, int]) -> Evidence:
    """The evidence in all runs of an agent and the tokens of its scopes."""
    return Evidence(
        samples=cell.executions,
        exceeded=cell.exceeded,
        unmet=cell.unmet,
        rated=cell.rated,
        pct_sum=cell.pct_sum,
        budget=cell.budget,
        used=cell.used,
        scopes=scopes,
    )


@value
class Review:
    """An agent's runs, what it is given, and what the rules say."""

    agent: str
    evidence: Evidence
    current: Grant
    ruling: Ruling
    cell: Cell
    """All its runs in one."""

    @property
    def moves_to(self) -> str | None:
        """The profile proposed; None where budgets stay as they are."""
        ruling = self.ruling
        is_move = ruling.action in ("upgrade", "downgrade")
        return ruling.proposed.profile if is_move and ruling.proposed is not None else None


def review_agents(
    book: PolicyBook, runs: Mapping[CellName, Cell], scopes: Mapping[str, Mapping[str, int]]
) -> Iterator[Review]:
    """What the rules say of each agent that had a run under a budget, by its name.

    `runs`: cells of this family; `scopes`: tokens by agent and scope, as logged; both over all of
    the window.
    """
    ladder = ladder_of(book)
    for agent, group in sorted(group_runs(runs, "agent").items()):
        cell = group.cell
        if not agent or not cell.executions:
            continue
        evidence, current = evidence_of(cell, scopes.get(agent, {})), grant_of(book, agent)
        ruling = rule(evidence, current, ladder, book.tuning)
        yield Review(agent=agent, evidence=evidence, current=current, ruling=ruling, cell=cell)


def rule(evidence: Evidence, current: Grant, ladder: Sequence[Grant], tuning: Tuning) -> Ruling:
    """The first rule that fires: too few runs, too many exceeded, too little used, scopes off."""
    tokens = by_weight_names(evidence.scopes, current.weights)
    off = off_scopes(tokens, current.weights)
    missing = tuning.minimum_samples_for_recommendation - evidence.samples
    rate, most = evidence.exceedance_rate, tuning.exceedance_threshold_for_upgrade
    average, least = evidence.average_used, tuning.underutilization_threshold_for_downgrade

    if missing > 0:
        return Ruling(
            action="defer", confidence=None, proposed=None, off_scopes=off, reason=_too_few(missing)
        )
    if rate > Fraction(most):
        larger = next((grant for grant in ladder if grant.base > current.base), None)
        return Ruling(
            action="upgrade",
            confidence=min(UPGRADE_FROM + rate - Fraction(most), UPGRADE_MOST),
            proposed=_moved(current, larger),
            off_scopes=off,
            reason=f"{_exceeded(evidence)}, more than {_percent(Fraction(most))}:"
            f" {_next(current, larger, 'larger')}",
        )
    if average is not None and evidence.is_used_below(least):
        smaller = max(
            (grant for grant in ladder if grant.base < current.base),
            key=lambda grant: grant.base,
            default=None,
        )
        return Ruling(
            action="downgrade",
            confidence=min(DOWNGRADE_FROM + Fraction(least) - average, DOWNGRADE_MOST),
            proposed=_moved(current, smaller),
            off_scopes=off,
            reason=f"{_used(evidence)}, less than {_percent(Fraction(least))}:"
            f" {_next(current, smaller, 'smaller')}",
        )
    if off:
        return _adjust(evidence, current, tokens, off)
    return Ruling(
        action="maintain",
        confidence=None,
        proposed=None,
        off_scopes=off,
        reason=f"{_exceeded(evidence)}, {_used(evidence, start='on average')}"
        + (", and every scope is within 10 points of its weight." if tokens else "."),
    )


def _adjust(
    evidence: Evidence, current: Grant, tokens: Mapping[str, int], off: tuple[str, ...]
) -> Ruling:
    proposed = None
    if current.profile is None:
        then = "The tiers of a workspace are changed by hand, with its budget."
    elif (weights := weights_from(tokens, current.weights)) is None:
        then = "There are too many scopes to state their weights in hundredths."
    elif weights == current.weights:
        then = "The weights are as near as hundredths and floors let them be."
    else:
        proposed = replace(current, weights=weights, is_own=True)
        then = "Weights of the agent's own, by what it used, are proposed."
    total = sum(tokens.values())
    named = ", ".join(
        f"{_brief(scope)} {_percent(Fraction(tokens.get(scope, 0), total))}"
        f" (weight {_percent(Fraction(current.weights.get(scope, 0)))})"
        for scope in off[:_NAMED]
    )
    more = f" and {len(off) - _NAMED} more" if len(off) > _NAMED else ""
    return Ruling(
        action="adjust_weights",
        confidence=min(ADJUST_FROM + ADJUST_EACH * len(off), ADJUST_MOST),
        proposed=proposed,
        off_scopes=off,
        reason=f"Of the tokens of all scopes in {_runs(evidence.samples)}, shares are more than"
        f" 10 points off their weights: {named}{more}. {then}",
    )


_NAMED = 5
_LONGEST_NAME = 60


def _moved(current: Grant, to: Grant | None) -> Grant | None:
    """The grant of another profile; weights of the agent's own go with it."""
    if to is None or current.profile is None:
        return None
    if not current.is_own:
        return to
    return replace(
        to, weights={**dict.fromkeys(to.weights, Decimal(0)), **current.weights}, is_own=True
    )


def _next(current: Grant, to: Grant | None, word: str) -> str:
    if current.profile is None:
        return "no profile decides here; change the budget of the workspace."
    if to is None:
        return f"no profile has a {word} base than {current.profile} ({current.base:,} tokens)."
    return (
        f"the next {word} profile is {to.profile} ({to.base:,} tokens)"
        f" after {current.profile} ({current.base:,})."
    )


def _too_few(missing: int) -> str:
    return f"Deferred, needs {_runs(missing, more=True)}."


def _exceeded(evidence: Evidence) -> str:
    return (
        f"{evidence.exceeded:,} of {_runs(evidence.samples)}"
        f" ({_percent(evidence.exceedance_rate)}) exceeded their budget"
    )


def _used(evidence: Evidence, *, start: str = "") -> str:
    average = evidence.average_used
    if average is None:
        return "all of them without one"
    if start:
        return f"{_percent(average)} of it is used {start}"
    return f"{_runs(evidence.samples)} used {_percent(average)} of their budget on average"


def _runs(count: int, *, more: bool = False) -> str:
    return f"{count:,} {'more ' if more else ''}{'run' if count == 1 else 'runs'}"


def _percent(share: Fraction) -> str:
    """A share in per cent, to one decimal; to more where it would look like a whole one."""
    for digits in (1, 2, 3, 4, 5, 6):
        shown = f"{float(100 * share):.{digits}f}"
        if share * 100 == round(share * 100) or float(shown) != round(float(shown)):
            break
    return f"{shown.rstrip('0').rstrip('.')} %"


def _brief(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
