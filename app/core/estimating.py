"""Say what calls will cost before they are made: declared ones, and the rest of a run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from app.core.analytics import usd
from app.core.pricing import Counts, Price, Service, bill
from app.core.values import value

LEAST_RUNS = 5
"""Earlier runs from which on an interval is told."""
LOW, HIGH = 0.1, 0.9
"""Shares of earlier runs below the ends of an interval."""


@value
class Call:
    """A call that is to be made."""

    model: str
    counts: Counts
    service: Service = "standard"
    stage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call would cost."""

    model: str
    usd: str | None
    """Decimal USD; null where nobody knows the price."""
    input_usd: str | None
    output_usd: str | None
    price_version: str | None
    unpriced: bool
    """Nobody knows what it costs: this is not free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What a stage will cost."""

    stage: str | None
    usd: str | None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a run will have cost in the end."""

    total_usd: str | None
    """Null where a declared stage has no price."""
    current_usd: str
    remaining: Sequence[StageCost]
    lower: str | None
    """Of the interval in which four of five such runs end. What is declared is taken at its word:
    then it is what is priced of it."""
    upper: str | None
    unpriced: Sequence[str]
    """Models that have no price: what they cost is in no sum."""
    samples: int
    """Earlier runs that this was projected from; 0 where it was declared."""


def estimate(call: Call, price: Price | None) -> Estimate:
    """The cost of a call at a price."""
    if price is None:
        return Estimate(
            model=call.model,
            usd=None,
            input_usd=None,
            output_usd=None,
            price_version=None,
            unpriced=True,
        )
    cost = bill(price, call.counts)
    return Estimate(
        model=call.model,
        usd=usd(cost.total),
        input_usd=usd(cost.input),
        output_usd=usd(cost.output),
        price_version=cost.version,
        unpriced=False,
    )


def declared(current: int, calls: Iterable[tuple[Call, Price | None]]) -> Prediction:
    """The cost of a run whose remaining calls are known; `current` in nano-USD."""
    remaining = []
    unpriced = []
    known = current
    for call, price in calls:
        cost = None if price is None else bill(price, call.counts).total
        known += cost or 0
        stage_usd = None if cost is None else usd(cost)
        remaining.append(StageCost(stage=call.stage, usd=stage_usd, model=call.model))
        if cost is None:
            unpriced.append(call.model)
    total = None if unpriced else usd(known)
    return Prediction(
        total_usd=total,
        current_usd=usd(current),
        remaining=tuple(remaining),
        lower=usd(known),
        upper=total,
        unpriced=tuple(dict.fromkeys(unpriced)),
        samples=0,
    )


RunCosts = Mapping[str | None, int]
"""What a run's stages cost, in nano-USD."""


def projected(current: RunCosts, earlier: Sequence[RunCosts], *, spent: int) -> Prediction:
    """The cost of a run that goes on as earlier ones did; `spent` in nano-USD.

    What an earlier run spent on stages that this one has not begun is what is left; where runs
    have one stage only, what they cost beyond what this one has spent.
    """
    staged = any(stage is not None for run in (current, *earlier) for stage in run)
    if staged:
        rests = [
            sum(cost for stage, cost in run.items() if stage not in current) for run in earlier
        ]
    else:
        totals = [sum(run.values()) for run in earlier]
        rests = [total - spent for total in totals if total >= spent]
    ahead = _ahead(current, earlier) if staged else ()
    rest = round(median(rests)) if rests else 0
    tells = len(rests) >= LEAST_RUNS
    return Prediction(
        total_usd=usd(spent + rest),
        current_usd=usd(spent),
        remaining=ahead,
        lower=usd(spent + _at(rests, LOW)) if tells else None,
        upper=usd(spent + _at(rests, HIGH)) if tells else None,
        unpriced=(),
        samples=len(rests),
    )


def _ahead(current: RunCosts, earlier: Sequence[RunCosts]) -> tuple[StageCost, ...]:
    """Stages that at least half of the earlier runs had and this one has not, by their median."""
    costs: dict[str, list[int]] = {}
    for run in earlier:
        for stage, cost in run.items():
            if stage is not None and stage not in current:
                costs.setdefault(stage, []).append(cost)
    return tuple(
        StageCost(stage=stage, usd=usd(round(median(its))))
        for stage, its in costs.items()
        if 2 * len(its) >= len(earlier)
    )


def _at(values: Sequence[int], share: float) -> int:
    """The value at a share of the ranks."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
