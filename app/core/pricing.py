"""Say what the tokens of a call cost, exactly: rates by kind of token, by steps of length."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, get_args

from app.core.values import value

Service = Literal["standard", "batch", "flex", "priority", "fast"]
"""How a provider was asked to serve a call; most have a price of their own for some of these."""

SERVICES: tuple[Service, ...] = get_args(Service)

SCALE = 10**18
"""Rates are integers of 10⁻²⁴ USD a token: a list price per million tokens, times this."""

_PER_NANO = 10**15


@value
class Counts:
    """The tokens of one call, each once: parts are inside their whole."""

    input: int = 0
    """All that was sent, cached tokens and those written to a cache included."""
    output: int = 0
    """All that came back, reasoning included."""
    cached: int = 0
    """Of `input`: read from a cache."""
    cache_write: int = 0
    """Of `input`: written to a cache."""
    cache_write_1h: int = 0
    """Of `cache_write`: to be kept for an hour."""
    reasoning: int = 0
    """Of `output`."""


@value
class Rates:
    """What a token of each kind costs, in 10⁻²⁴ USD; None: as the kind that it is part of."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    request: int = 0
    """For the call itself."""


@value
class Step:
    """Rates of calls with more input tokens than `above`; they hold for all of the call."""

    above: int
    rates: Rates


@value
class Price:
    """What a model costs at some moment, and where that is from."""

    steps: Sequence[Step]
    """By `above`, ascending; the first is above -1."""
    version: str
    """Names the price list or override, so that a cost can be explained later."""


@value
class Bill:
    """What one call costs, in nano-USD; every figure is rounded half to even, once."""

    total: int
    input: int
    output: int
    version: str


def rate(usd_per_million: Decimal) -> int:
    """A list price as a rate; what lies beyond 10⁻²⁴ USD a token is cut off."""
    return int(usd_per_million.scaleb(18))


def bill(price: Price, counts: Counts) -> Bill:
    """The cost of a call; counts that contradict each other are cut to what their whole holds."""
    rates = price.steps[0].rates
    for step in price.steps[1:]:
        if counts.input > step.above:
            rates = step.rates
    sent = _sent(rates, counts)
    came = _came(rates, counts)
    return Bill(
        total=nano(sent + came + rates.request),
        input=nano(sent),
        output=nano(came),
        version=price.version,
    )


def _sent(rates: Rates, counts: Counts) -> int:
    fresh = counts.input
    cost = 0
    if counts.cached:
        cached = min(counts.cached, fresh)
        if rates.cached is not None:
            cost += cached * rates.cached
            fresh -= cached
    if counts.cache_write:
        written = min(counts.cache_write, counts.input - min(counts.cached, counts.input))
        kept = min(counts.cache_write_1h, written)
        if rates.cache_write_1h is not None:
            cost += kept * rates.cache_write_1h
            written -= kept
            fresh -= kept
        if rates.cache_write is not None:
            cost += written * rates.cache_write
            fresh -= written
    return cost + fresh * (rates.input or 0)


def _came(rates: Rates, counts: Counts) -> int:
    if rates.reasoning is None or not counts.reasoning:
        return counts.output * (rates.output or 0)
    reasoning = min(counts.reasoning, counts.output)
    return reasoning * rates.reasoning + (counts.output - reasoning) * (rates.output or 0)


def nano(amount: int) -> int:
    """10⁻²⁴ USD as nano-USD, rounded half to even."""
    whole, rest = divmod(amount, _PER_NANO)
    if 2 * rest > _PER_NANO or (2 * rest == _PER_NANO and whole % 2):
        return whole + 1
    return whole
