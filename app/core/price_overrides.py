"""State what a workspace pays for a model where that is not what is published."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from decimal import Decimal

from app.core.pricing import Price, Rates, Service, Step, rate
from app.core.values import value

Quality = str
"""`low`, `medium` or `high`."""


@value
class ListPrice:
    """USD for a million tokens of each kind, as people write prices."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    per_request: Decimal | None = None
    """USD for the call itself."""


@value
class Dated:
    """Prices that hold from a moment on."""

    since: int | None
    """Microseconds since 1970; None: ever since."""
    price: ListPrice
    above: Mapping[int, ListPrice]
    """By input tokens of one call: what differs above them."""
    services: Mapping[Service, ListPrice]
    """What differs where a call is served otherwise."""


@value
class Override:
    """Everything that a workspace states about a model."""

    model: str
    quality: Quality | None
    dated: Sequence[Dated]
    """By `since`, ascending; none where only the quality is stated."""
    version: int
    """Of the workspace's costs when it was stated."""


def price_at(override: Override, at: int, service: Service, workspace: str) -> Price | None:
    """The price that is stated for a moment; None before the first one."""
    found = None
    for one in override.dated:
        if one.since is None or one.since <= at:
            found = one
    if found is None:
        return None
    changes = found.services.get(service)
    steps = []
    price = found.price
    for above, part in ((-1, price), *sorted(found.above.items())):
        price = _with(price, part)
        served = price if changes is None else _with(price, changes)
        steps.append(Step(above=above, rates=_rates(served)))
    return Price(steps=tuple(steps), version=f"override {workspace} {override.version}")


Stated = Mapping[str, Mapping[str, Override]]
"""What workspaces state, each by the model's name in lower case."""


def stated_price(
    stated: Stated, workspaces: Iterable[str], model: str, at: int, service: Service
) -> Price | None:
    """The price of the first workspace that states one for a moment."""
    for home in workspaces:
        override = stated[home].get(model.lower()) if home in stated else None
        found = None if override is None else price_at(override, at, service, home)
        if found is not None:
            return found
    return None


def _with(price: ListPrice, changes: ListPrice) -> ListPrice:
    stated = {
        field.name: one
        for field in fields(ListPrice)
        if (one := getattr(changes, field.name)) is not None
    }
    return replace(price, **stated)


def _rates(price: ListPrice) -> Rates:
    def known(amount: Decimal | None) -> int | None:
        return None if amount is None else rate(amount)

    return Rates(
        input=known(price.input),
        output=known(price.output),
        cached=known(price.cached),
        cache_write=known(price.cache_write),
        cache_write_1h=known(price.cache_write_1h),
        reasoning=known(price.reasoning),
        request=0 if price.per_request is None else int(price.per_request.scaleb(24)),
    )
