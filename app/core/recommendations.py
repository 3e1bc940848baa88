"""Hold a recommendation: what was found, what it proposes, and what became of it."""

from collections.abc import Mapping
from typing import Any, Literal

from app.core.grants import Grant
from app.core.impacts import Impact, Replayed, no_impact
from app.core.intervals import Interval
from app.core.profiles import Tuning
from app.core.recommending import Action, Review
from app.core.usage import hour_start
from app.core.values import value
from app.core.weighing import by_weight_names
from app.core.windows import DAY_S, HOUR_S, MICROS

MOST_SCOPES = 100
"""Scopes whose shares are kept with a recommendation, the largest."""

Status = Literal["open", "applied", "dismissed", "superseded", "rolled_back"]


@value
class Asked:
    """Whose runs to judge, and which."""

    workspace: str
    window_days: int
    until: int
    """Microseconds since 1970: the last moment of the window, but see there."""
    now: int
    period: str
    """A moment if somebody asks for it, else the period of the job, such as 2026-11."""
    report: tuple[int, int] | None = None
    """The window of the report that it is for, if it is for one."""

    @property
    def window(self) -> tuple[int, int]:
        """`since` ≤ t < `until` in microseconds: whole UTC hours, so that cells answer for it.

        A report's; else it ends with the hour that `until` is in, and begins with the one
        `window_days` before.
        """
        if self.report is not None:
            return self.report
        last = hour_start(self.until // MICROS)
        return (last - self.window_days * DAY_S) * MICROS, (last + HOUR_S) * MICROS


@value
class Deed:
    """What applying a recommendation wrote."""

    version: int
    """The policy version that it made."""
    was_stated: bool
    """Whether the workspace stated something about the agent before."""
    before: Any
    """What it stated, as plain data."""
    after: Any
    """What it states since."""


@value
class Recommendation:
    """What the runs of an agent speak for; nothing is changed until somebody applies it."""

    id: str
    workspace: str
    agent: str
    period: str
    """A moment if somebody asked for it, else the period of the job."""
    window_days: int
    since: int
    """Microseconds since 1970; it is about `since` ≤ t < `until`."""
    until: int
    status: Status
    created_at: int
    decided_at: int | None
    """When it was applied, dismissed or rolled back."""
    action: Action
    current: Grant
    proposed: Grant | None
    """None where nothing is to be changed, or nothing is left to change to."""
    confidence: float | None
    """0 to 1; None where nothing is advised."""
    is_recommended: bool
    """Whether it is sure enough; others are only shown."""
    samples: int
    exceedance_interval: Interval
    """Where the exceedance rate lies with 95 % confidence."""
    reason: str
    evidence: Mapping[str, Any]
    """The figures behind it, as plain data."""
    impact: Impact
    deed: Deed | None = None
    """What applying it wrote; None until then."""


def made(
    review: Review,
    impact: Impact | None,
    *,
    id_: str,
    asked: Asked,
    replayed: Replayed,
    tuning: Tuning,
) -> Recommendation:
    """The recommendation of a ruling; `impact`: of what it proposes, if that moves budgets."""
    ruling = review.ruling
    since, until = asked.window
    return Recommendation(
        id=id_,
        workspace=asked.workspace,
        agent=review.agent,
        period=asked.period,
        window_days=asked.window_days,
        since=since,
        until=until,
        status="open",
        created_at=asked.now,
        decided_at=None,
        action=ruling.action,
        current=review.current,
        proposed=ruling.proposed,
        confidence=None if ruling.confidence is None else float(ruling.confidence),
        is_recommended=ruling.is_recommended(tuning),
        samples=review.evidence.samples,
        exceedance_interval=review.evidence.exceedance_interval or (0.0, 1.0),
        reason=ruling.reason,
        evidence=_figures(review, None if impact is None else replayed),
        impact=impact or no_impact(review.cell),
    )


def _figures(review: Review, replayed: Replayed | None) -> dict[str, Any]:
    evidence = review.evidence
    average = evidence.average_used
    tokens = by_weight_names(evidence.scopes, review.current.weights)
    whole = sum(tokens.values())
    largest = sorted(tokens, key=lambda scope: (-tokens[scope], scope))[:MOST_SCOPES]
    return {
        "executions": evidence.samples,
        "exceeded": evidence.exceeded,
        "exceedance_rate": float(evidence.exceedance_rate),
        "unmet": evidence.unmet,
        "avg_used_pct": None if average is None else float(100 * average),
        "budget_tokens": evidence.budget,
        "used_tokens": evidence.used,
        "scope_share": {scope: tokens[scope] / whole for scope in sorted(largest) if whole},
        "off_scopes": list(review.ruling.off_scopes),
        "replayed": replayed,
    }
