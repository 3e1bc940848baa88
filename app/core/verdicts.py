"""Judge what was measured against its target, by the whole of its interval."""

from typing import Literal

from app.core.comparing import FEWEST_RUNS, Change
from app.core.values import value

Verdict = Literal["met", "not met", "open", "not enough yet"]
"""`open`: the interval holds the target, so that more runs have to tell."""


@value
class Outcome:
    """One promise, and how it stands."""

    key: str
    label: str
    target: str
    verdict: Verdict
    measured: str
    """The figure with its unit, or why there is none."""
    interval: str
    basis: str
    """What was compared with what."""
    figure: float | None = None
    low: float | None = None
    high: float | None = None


def not_yet(key: str, label: str, target: str, why: str, basis: str = "") -> Outcome:
    """What has too little to be measured by says why; there is no figure."""
    return Outcome(
        key=key,
        label=label,
        target=target,
        verdict="not enough yet",
        measured=f"not enough yet: {why}",
        interval="",
        basis=basis,
    )


def too_few(before: int, after: int, what: str = "run") -> str:
    """What is missing to compare; nothing where it is enough."""
    missing = [
        f"{more(FEWEST_RUNS - count, what)} {side}"
        for count, side in ((before, "before"), (after, "since"))
        if count < FEWEST_RUNS
    ]
    return " and ".join(missing).replace(" and needs ", " and ")


def more(number: int, what: str) -> str:
    """How many are missing, in words."""
    return f"needs {number:,} more {what if number == 1 else what.replace('run', 'runs', 1)}"


def count(number: int, what: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def per_cent(change: Change) -> Change:
    """A change of a share in points."""
    return Change(by=100 * change.by, low=100 * change.low, high=100 * change.high)


def interval(found: Change, unit: str, *, signed: bool = True) -> str:
    """An interval in words."""
    sign = "+" if signed else ""
    return f"{found.low:{sign}.1f} to {found.high:{sign}.1f}{unit}"


def at_most(found: Change, target: float) -> Verdict:
    """Whether a target from above is kept: by the whole interval, by none of it, or open."""
    if found.high <= target:
        return "met"
    return "not met" if found.low > target else "open"


def at_least(found: Change, target: float) -> Verdict:
    """The same for a target from below."""
    if found.low >= target:
        return "met"
    return "not met" if found.high < target else "open"


def no_worse(found: Change, margin: float, *, worse_is_more: bool) -> Verdict:
    """Met where the whole interval is within the margin, not met where all of it is worse."""
    if worse_is_more:
        return "met" if found.high <= margin else "not met" if found.low > 0 else "open"
    return "met" if found.low >= margin else "not met" if found.high < 0 else "open"
