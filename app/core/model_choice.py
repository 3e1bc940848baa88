"""Choose the cheapest model that is good enough and that the money left allows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from app.core.analytics import usd
from app.core.pricing import Counts, Price, bill

Grade = Literal["low", "medium", "high"]
GRADES: tuple[Grade, ...] = get_args(Grade)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that may be recommended."""

    model: str
    grade: Grade
    price: Price | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A model that was not chosen, and why."""

    model: str
    reason: str
    usd: str | None
    grade: Grade


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The model to use for a call."""

    model: str | None
    """Null where none is good enough within the money left."""
    usd: str | None
    """What the call would cost with it."""
    grade: Grade | None
    price_version: str | None
    rejected: Sequence[Rejected]
    """Cheapest first; those without a price last."""
    budget: str | None = None
    """The budget that says how much is left."""
    remaining_usd: str | None = None


def choose(
    candidates: Iterable[Candidate],
    counts: Counts,
    *,
    quality: Grade,
    remaining: int | None,
    budget: str | None = None,
) -> Choice:
    """The cheapest of at least this grade, of equals the better one, then by name.

    `remaining` is nano-USD that may be spent; None: as much as it takes.
    """
    wanted = GRADES.index(quality)
    priced = []
    rejected = []
    for one in candidates:
        if one.price is None:
            why = "nobody knows its price; state it: PUT /costs/prices/{model}"
            rejected.append(Rejected(model=one.model, reason=why, usd=None, grade=one.grade))
        else:
            priced.append((bill(one.price, counts), one))
    priced.sort(key=lambda it: (it[0].total, -GRADES.index(it[1].grade), it[1].model))
    chosen = None
    dear = []
    for cost, one in priced:
        reason = ""
        if GRADES.index(one.grade) < wanted:
            reason = f"its grade is {one.grade}, {quality} is wanted"
        elif remaining is not None and cost.total > remaining:
            reason = f"it costs {usd(cost.total)} USD, {usd(remaining)} are left"
        elif chosen is not None:
            reason = _dearer(cost.total - chosen[0].total, chosen[1])
        else:
            chosen = cost, one
        if reason:
            total = usd(cost.total)
            dear.append(Rejected(model=one.model, reason=reason, usd=total, grade=one.grade))
    return Choice(
        model=None if chosen is None else chosen[1].model,
        usd=None if chosen is None else usd(chosen[0].total),
        grade=None if chosen is None else chosen[1].grade,
        price_version=None if chosen is None else chosen[0].version,
        rejected=(*dear, *rejected),
        budget=budget,
        remaining_usd=None if remaining is None else usd(remaining),
    )


def _dearer(more: int, chosen: Candidate) -> str:
    if not more:
        return f"it costs the same as {chosen.model}"
    return f"it costs {usd(more)} USD more than {chosen.model}"
