"""Hold back what runs speak for of which some are from before the last change."""

from collections.abc import Iterable
from dataclasses import replace

from app.core.recommending import Review, Ruling
from app.core.values import value
from app.core.windows import moment


@value
class Applied:
    """A recommendation that was applied and is in force."""

    agent: str
    at: int
    """Microseconds since 1970."""
    runs_before: int
    """Runs of the window that had a budget and are from before."""


def hold_back(reviews: Iterable[Review], applied: Iterable[Applied]) -> tuple[Review, ...]:
    """Only show what runs speak for of which some are from before the last change of the agent."""
    last = {one.agent: one for one in applied if one.runs_before}
    return tuple(
        replace(one, ruling=_held_back(one.ruling, last[one.agent], one.evidence.samples))
        if one.agent in last and one.ruling.confidence is not None
        else one
        for one in reviews
    )


def _held_back(ruling: Ruling, applied: Applied, samples: int) -> Ruling:
    return replace(
        ruling,
        is_held_back=True,
        reason=f"{ruling.reason} But {applied.runs_before:,} of the {samples:,} runs"
        f" {'is' if applied.runs_before == 1 else 'are'} from before the change that was applied"
        f" at {moment(applied.at):%Y-%m-%d %H:%M} UTC, so this is shown only.",
    )
