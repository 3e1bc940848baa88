"""Put what a replay found into figures: as it was, as it would have been, and the difference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from app.core.analytics import Group, Statistics, UsedPct, describe, group_runs, merge, usd
from app.core.simulation import Comparison, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensMoved:
    """Tokens that there would have been more of, or fewer (negative)."""

    budget: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was simulated less what was recorded: negative is less."""

    used_pct: UsedPct | None
    """None where either has none."""
    exceeded: int
    exceedance_rate: float
    unmet: int
    unmet_rate: float
    tokens: TokensMoved
    cost_usd: str | None
    """Decimal USD; None where no run is priced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Runs as they were, and as they would have been."""

    recorded: Statistics
    simulated: Statistics
    difference: Difference


def overall(compared: Comparison) -> Figures:
    """The figures of all runs."""
    recorded, simulated = (
        group_runs(one, "").get("", Group()) for one in (compared.recorded, compared.simulated)
    )
    return _figures(recorded, simulated)


def by_agent(compared: Comparison) -> Mapping[str, Figures]:
    """The figures of each agent, by name; `unknown` for runs that named none."""
    recorded, simulated = _groups(compared.recorded), _groups(compared.simulated)
    return {name: _figures(recorded[name], simulated[name]) for name in sorted(recorded)}


def _groups(outcome: Outcome) -> Mapping[str, Group]:
    groups = group_runs(outcome, "agent")
    return merge({name or "unknown": group} for name, group in groups.items())


def _figures(recorded: Group, simulated: Group) -> Figures:
    before, after = _described(recorded), _described(simulated)
    return Figures(
        recorded=before,
        simulated=after,
        difference=Difference(
            used_pct=_moved(before.used_pct, after.used_pct),
            exceeded=after.exceeded - before.exceeded,
            exceedance_rate=after.exceedance_rate - before.exceedance_rate,
            unmet=after.unmet - before.unmet,
            unmet_rate=after.unmet_rate - before.unmet_rate,
            tokens=TokensMoved(
                budget=after.tokens.budget - before.tokens.budget,
                used=after.tokens.used - before.tokens.used,
            ),
            cost_usd=_cost(before.cost_usd, after.cost_usd),
        ),
    )


def _described(group: Group) -> Statistics:
    """Without scopes, which a replay does not follow: tokens do not say how they are divided."""
    return replace(describe(group), scope_share=None)


def _moved(before: UsedPct | None, after: UsedPct | None) -> UsedPct | None:
    if before is None or after is None:
        return None
    return UsedPct(
        avg=after.avg - before.avg,
        median=after.median - before.median,
        min=after.min - before.min,
        max=after.max - before.max,
        p95=after.p95 - before.p95,
    )


def _cost(before: str | None, after: str | None) -> str | None:
    if before is None or after is None:
        return None
    return usd(int((Decimal(after) - Decimal(before)) * 1_000_000_000))
