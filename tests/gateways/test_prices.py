"""Published prices: ours equal the list's own calculation on every model that it has."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import ModelInfo, Provider

from app.core.pricing import SERVICES, Counts, bill
from app.core.windows import micros
from app.gateways.prices import CONTEXTS, PriceList, to_price

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
LONG = Counts(
    input=310_007,
    cached=100_003,
    cache_write=50_001,
    cache_write_1h=20_011,
    output=12_345,
    reasoning=2_345,
)
SHORT = Counts(input=1_009, cached=17, output=211)
OTHER_UNITS = 26
"""Models of the list that are sold by the hour, page or character: unpriced by the token."""


@pytest.fixture(scope="module")
def prices() -> PriceList:
    found = PriceList()
    found.load()
    return found


def usage(counts: Counts) -> Usage:
    return Usage(
        input_tokens=counts.input,
        cache_read_tokens=counts.cached,
        cache_write_tokens=counts.cache_write,
        cache_write_1h_tokens=counts.cache_write_1h,
        output_tokens=counts.output,
        output_reasoning_tokens=counts.reasoning,
    )


def listed() -> Iterator[tuple[DataSnapshot, Provider, ModelInfo]]:
    snapshot = get_snapshot()
    for provider in snapshot.providers:
        for model in provider.models:
            yield snapshot, provider, model


def nano(usd: Decimal) -> int:
    return int((usd * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))


@pytest.mark.parametrize("counts", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("at", [AT, datetime(2025, 2, 1, 20, tzinfo=UTC)], ids=["now", "before"])
def test_every_model_costs_what_the_list_calculates(
    counts: Counts, service: str, at: datetime
) -> None:
    seen = other = 0
    for _, provider, model in listed():
        context = CONTEXTS[service]  # type: ignore[index]
        theirs = model.calc_price(
            usage(counts), provider, genai_request_timestamp=at, price_context=context or None
        )
        ours = to_price(model.get_prices(at, context or None), "v")
        seen += 1
        if ours is None:
            assert theirs.total_price == 0, model.id
            other += 1
            continue
        found = bill(ours, counts)
        wanted = (theirs.total_price, theirs.input_price, theirs.output_price)
        assert (found.total, found.input, found.output) == tuple(map(nano, wanted)), model.id
    assert seen > 2_000
    assert other <= 2 * OTHER_UNITS


def test_every_name_that_the_list_finds_is_found_with_its_provider_before_it(
    prices: PriceList,
) -> None:
    found = 0
    for snapshot, provider, model in listed():
        try:
            theirs = snapshot.calc(usage(SHORT), model.id, provider.id, None, AT)
        except LookupError:
            continue
        ours = prices.price(f"{provider.id}/{model.id}", micros(AT))
        if ours is not None:
            assert bill(ours, SHORT).total == nano(theirs.total_price), model.id
            found += 1
    assert found > 2_000


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai:gpt-4o", "openai/gpt-4o"),
        ("GPT-4o-2024-08-06", "openai/gpt-4o"),
        ("azure/gpt-4o", "azure/gpt-4o"),
        ("openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        (
            "bedrock/anthropic.claude-3-5-sonnet-20241022-v2:0",
            "aws/regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "bedrock/us-east-1/anthropic.claude-3-5-sonnet-20241022-v2:0",
            "aws/regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        (
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        ("vertex_ai/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("xai/grok-4", "x-ai/grok-4-0709"),
    ],
)
def test_names_are_resolved(prices: PriceList, asked: str, name: str) -> None:
    assert prices.name(asked) == name


@pytest.mark.parametrize(
    "asked",
    ["nobody-knows", "gpt-99", "ollama/llama3", "", "/", "a\nb", "gpt-4o" * 1000, "gpt-4o-mine"],
)
def test_what_the_list_does_not_know_has_no_price(prices: PriceList, asked: str) -> None:
    assert prices.price(asked, micros(AT)) is None


def test_a_cost_names_the_list_and_the_model(prices: PriceList) -> None:
    found = prices.price("gpt-4o-2024-08-06", micros(AT))
    assert found is not None
    assert found.version.startswith("genai-prices ")
    assert found.version.endswith(" openai/gpt-4o")


def test_prices_are_those_of_the_moment(prices: PriceList) -> None:
    model, changed = next(
        (model, one.constraint.start_date)
        for _, provider, model in listed()
        if provider.id == "openai" and isinstance(model.prices, list)
        for one in model.prices
        if one.constraint is not None and hasattr(one.constraint, "start_date")
    )
    day = datetime(changed.year, changed.month, changed.day, tzinfo=UTC)
    before = prices.price(f"openai/{model.id}", micros(day) - 1)
    after = prices.price(f"openai/{model.id}", micros(day))
    assert before is not None
    assert after is not None
    assert before.steps != after.steps


def test_the_list_is_not_loaded_before_a_model_is_named() -> None:
    assert not PriceList().is_ready
