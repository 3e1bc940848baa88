"""Say what an event cost by the prices of its moment, where its sender did not."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from app.core.pricing import SERVICES, Counts, Price, Service, bill
from app.core.usage import UsageEvent

PriceOf = Callable[[str, str, int, Service], Price | None]
"""workspace, model, moment (microseconds), service → the price; None: nobody knows it."""

Charge = Callable[[UsageEvent], UsageEvent]

_SERVICES: Mapping[str | None, Service] = {one: one for one in SERVICES}

MAX_COST = 100_000 * 1_000_000_000
"""Nano-USD that one event costs at most: keeps every sum inside 64 bits."""


def cost_of(
    counts: Counts,
    price_of: PriceOf,
    *,
    workspace: str,
    model: str,
    at: int,
    service: str | None,
) -> tuple[int, str] | None:
    """What a call cost in nano-USD, and the version of its price; None: nobody knows."""
    price = price_of(workspace, model, at, _SERVICES.get(service, "standard"))
    if price is None:
        return None
    found = bill(price, counts)
    return min(found.total, MAX_COST), found.version


def charge(event: UsageEvent, price_of: PriceOf) -> UsageEvent:
    """The event with its cost and the version of the prices; as it is where it has a cost, names
    no model or no tokens, or where nobody knows the price: unpriced is not free."""
    model = event.model
    sent, came = event.input_tokens, event.output_tokens
    if event.cost_nano_usd is not None or model is None or (sent is None and came is None):
        return event
    found = cost_of(
        Counts(
            input=sent or 0,
            output=came or 0,
            cached=event.cached_tokens or 0,
            cache_write=event.cache_write_tokens or 0,
            cache_write_1h=event.cache_write_1h_tokens or 0,
            reasoning=event.reasoning_tokens or 0,
        ),
        price_of,
        workspace=event.workspace,
        model=model,
        at=event.at,
        service=event.service,
    )
    if found is None:
        return event
    return replace(event, cost_nano_usd=found[0], price_version=found[1])


def uncharged(event: UsageEvent) -> UsageEvent:
    """The event as it was sent."""
    return event
