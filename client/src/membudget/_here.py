"""Decide here what the service would: the same rules, where nobody answers."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from membudget import _core, results
from membudget._say import warn

WEAK_BOOSTER = r"\ball\b"
WEAK = Decimal("0.1")


def judge(text: str, context: Mapping[str, Any], kind: str = "task") -> results.Complexity:
    """How hard a text is by the shipped rules."""
    return _judged(text, context, kind, _core.signals.DEFAULT_TABLE)


def judge_by(
    tiers: Mapping[str, Sequence[str]],
    simpler: Sequence[str],
    harder: Sequence[str],
    *,
    text: str,
    context: Mapping[str, Any],
) -> results.Complexity:
    """How hard a task is by patterns of the caller's own, weighed as the originals did.

    Patterns are RE2's. Where one is none: medium, with the reason. Where RE2 is not installed:
    those that ship, with the words that say what to install.
    """
    weights = _core.complexity.TIER_WEIGHTS
    spec = _core.patterns.SignalSpec
    specs = [
        spec(
            tier=tier,
            name=pattern,
            pattern=pattern,
            weight=Decimal(str(weights[tier] / len(patterns))),
        )
        for tier, patterns in tiers.items()
        if tier in weights
        for pattern in patterns
    ]
    specs += [spec(tier="simplicity", name=one, pattern=one, weight=Decimal(1)) for one in simpler]
    specs += [
        spec(
            tier="complexity",
            name=one,
            pattern=one,
            weight=WEAK if one == WEAK_BOOSTER else Decimal("0.5"),
        )
        for one in harder
    ]
    try:
        table = _core.patterns.SignalTable.compile(specs)
    except _core.errors.InvalidPattern as error:
        warn(f"membudget: medium is assumed: {error.detail}")
        return results.Complexity(advice=error.detail, degraded=True)
    except ImportError as error:
        warn(f"membudget: {error}. Those that ship are looked for.")
        return judge(text, context)
    return _judged(text, context, "task", table)


def shipped_signals() -> list[dict[str, Any]]:
    """The patterns that ship."""
    return [
        {"tier": one.tier, "name": one.name, "pattern": one.pattern}
        for one in _core.signals.DEFAULT_SIGNALS
    ]


def _judged(text: str, context: Mapping[str, Any], kind: Any, table: Any) -> results.Complexity:
    known = _core.complexity.Context(**context)
    verdict = _core.complexity.detect(text, kind, known, table)
    return results.Complexity(
        tier=verdict.tier,
        confidence=verdict.confidence,
        source=verdict.source,
        signals=tuple(
            results.Signal(tier=one.tier, name=one.name, matched=one.matched, weight=one.weight)
            for one in verdict.signals
        ),
        advice=verdict.advice,
        degraded=True,
    )
