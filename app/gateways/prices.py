"""Know what published models cost, offline, from the price list of genai-prices.

The list is loaded when a model is named for the first time: a third of a second and 15 MB.
"""

import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from app.core.pricing import Price, Rates, Service, Step, rate
from app.core.windows import DAY_S, MICROS, MINUTE_S, moment

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

KINDS: Mapping[str, str] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_reasoning_mtok": "reasoning",
}
"""Prices of the list that apply to tokens as we count them."""

PER_REQUEST = "requests_kcount"
CONTEXTS: Mapping[Service, Mapping[str, str]] = {
    "standard": {},
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
"""What the list calls the ways of serving."""

REMEMBERED = 4096
MAX_NAME = 400

Found = tuple["Provider", "ModelInfo"]


class PriceList:
    """Published prices by model and moment."""

    def __init__(self) -> None:
        self._providers: list[Provider] | None = None
        self._version = ""
        self._lock = threading.Lock()
        self._find = lru_cache(REMEMBERED)(self._look_up)
        self._prices = lru_cache(REMEMBERED)(self._price_at)

    @property
    def is_ready(self) -> bool:
        """Whether the list is loaded: asking it costs microseconds then."""
        return self._providers is not None

    async def ready(self) -> None:
        """Load the list in a thread, if it is not."""
        if self._providers is None:
            await to_thread.run_sync(self.load)

    def load(self) -> list["Provider"]:
        """The list, loaded once."""
        with self._lock:
            if self._providers is None:
                import genai_prices  # noqa: PLC0415 (slow to load; many never name a model)
                from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 (the same)

                self._version = f"genai-prices {genai_prices.__version__}"
                self._providers = get_snapshot().providers
            return self._providers

    def price(self, model: str, at: int, service: Service = "standard") -> Price | None:
        """What a model costs at a moment (microseconds); None: nobody knows."""
        found = self._find(model)
        if found is None:
            return None
        step = MINUTE_S if _has_hours(found[1]) else DAY_S
        return self._prices(model, at // (step * MICROS) * step, service)

    def name(self, model: str) -> str | None:
        """How the list calls a model, `provider/model`; None if it does not know it."""
        found = self._find(model)
        return None if found is None else f"{found[0].id}/{found[1].id}"

    def _price_at(self, model: str, second: int, service: Service) -> Price | None:
        found = self._find(model)
        assert found is not None
        provider, listed = found
        own = any(listed is one for one in provider.models)
        prices = listed.get_prices(_at(second), dict(CONTEXTS[service]) if own else None)
        return to_price(prices, f"{self._version} {provider.id}/{listed.id}")

    def _look_up(self, model: str) -> Found | None:
        if len(model) > MAX_NAME:
            return None
        providers = self.load()
        for provider, rest in _readings(providers, model.lower()):
            listed = provider.find_model(rest, all_providers=providers)
            if listed is not None:
                return provider, listed
        return None


def to_price(prices: "ModelPrice", version: str) -> Price | None:
    """Listed prices as ours; None where they are not by the token."""
    listed: dict[str, Any] = {key: one for key, one in vars(prices).items() if one is not None}
    if listed and not any(key in KINDS or key == PER_REQUEST for key in listed):
        return None
    if not listed:  # the list says that it is free
        return Price(steps=(Step(above=-1, rates=Rates(input=0, output=0)),), version=version)
    bounds = sorted({tier.start for one in listed.values() for tier in getattr(one, "tiers", ())})
    steps = tuple(Step(above=above, rates=_rates(listed, above)) for above in (-1, *bounds))
    return Price(steps=steps, version=version)


def _rates(listed: Mapping[str, Any], above: int) -> Rates:
    rates = {
        kind: rate(_beyond(listed[key], above)) for key, kind in KINDS.items() if key in listed
    }
    per_request = listed.get(PER_REQUEST)
    request = 0 if per_request is None else int(_beyond(per_request, above).scaleb(21))
    return Rates(**rates, request=request)


def _beyond(price: Any, above: int) -> Any:
    """The price of calls with more input tokens than `above`."""
    found = getattr(price, "base", price)
    for tier in getattr(price, "tiers", ()):
        if above >= tier.start:
            found = tier.price
    return found


def _readings(providers: list["Provider"], model: str) -> Iterator[tuple["Provider", str]]:
    """Ways to read a name: `provider/model`, as some write `provider:model`; then as it stands."""
    for mark in ("/", ":"):
        prefix, found, rest = model.partition(mark)
        provider = _provider(providers, prefix) if found else None
        if provider is not None:
            yield provider, rest
            if "/" in rest:  # bedrock/us-east-1/…, vertex_ai/publishers/…
                yield provider, rest.rpartition("/")[2]
    for provider in providers:
        if provider.model_match is not None and provider.model_match.is_match(model):
            yield provider, model
            break
    if "." in model and "/" not in model:  # us.anthropic.claude-…-v1:0
        aws = _provider(providers, "aws")
        if aws is not None:
            yield aws, model


def _provider(providers: list["Provider"], name: str) -> "Provider | None":
    from genai_prices.data_snapshot import find_provider_by_id  # noqa: PLC0415 (slow to load)

    return find_provider_by_id(providers, name) if name else None


def _has_hours(model: "ModelInfo") -> bool:
    """Whether its price depends on the time of day."""
    dated = model.prices if isinstance(model.prices, list) else []
    return any(hasattr(one.constraint, "start_time") for one in dated) or any(
        hasattr(one.constraint, "start_time") for one in model.price_variants or ()
    )


def _at(second: int) -> datetime:
    return moment(second * MICROS)
