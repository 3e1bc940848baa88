"""What models cost: a short table, read from published pages, that callers extend.

USD for a million tokens of input, output, and input that the provider had cached. Input tokens
include cached ones. Sources, with the day on which they were read there:

- gpt-4o-mini, gpt-4o: developers.openai.com/api/docs/pricing, 2026-09-24; gpt-4.1-mini: the same
  page, 2026-09-28; gpt-4.1: 2026-06-21; gpt-4.1-nano: platform.openai.com/docs/pricing, 2026-03;
  cached input of these: the same pages as of 2025-07-04
- claude-*: platform.claude.com/docs/en/about-claude/pricing, 2026-10-24

The figures were copied from stored copies and from others' records of these pages. They are not
bills; what you pay is what `prices=` should say. The quality of a model is its place in its maker's
family (small, middle, large), which is our reading and may be changed in the same way.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from membudget._money import UNPRICED, Amount, Usd, exact

Quality = Literal["low", "medium", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
MILLION = Decimal(1_000_000)

_SNAPSHOT = re.compile(r"[-@](?:\d{4}-?\d{2}-?\d{2}|latest)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD for a million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """Of cached input; as other input if None."""
    quality: Quality = "medium"
    above: tuple[int, Decimal, Decimal, Decimal] | None = None
    """Input tokens of one call above which all of it costs other prices: input, output, cached."""

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Usd:
        """What one call costs; input tokens include cached ones."""
        into, out, cached = self.input, self.output, self.cached
        if self.above is not None and input_tokens > self.above[0]:
            _, into, out, cached = self.above
        fresh = input_tokens - min(cached_tokens, input_tokens)
        return Usd(
            (fresh * into + (input_tokens - fresh) * (into if cached is None else cached)) / MILLION
            + output_tokens * out / MILLION
        )


def _price(into: str, out: str, cached: str, quality: Quality) -> Price:
    return Price(input=Decimal(into), output=Decimal(out), cached=Decimal(cached), quality=quality)


PUBLISHED: Mapping[str, Price] = {
    "gpt-4o-mini": _price("0.15", "0.60", "0.075", "medium"),
    "gpt-4o": _price("2.50", "10", "1.25", "high"),
    "gpt-4.1-nano": _price("0.10", "0.40", "0.025", "low"),
    "gpt-4.1-mini": _price("0.40", "1.60", "0.10", "medium"),
    "gpt-4.1": _price("2", "8", "0.50", "high"),
    "claude-haiku-5-5": Price(
        input=Decimal("0.10"),
        output=Decimal("0.50"),
        cached=Decimal("0.01"),
        quality="low",
        above=(100_000, Decimal("0.50"), Decimal("2.50"), Decimal("0.05")),
    ),
    "claude-haiku-4-5": _price("1", "5", "0.10", "low"),
    "claude-sonnet-5-5": _price("2", "10", "0.10", "medium"),
    "claude-sonnet-4-6": _price("3", "15", "0.30", "medium"),
    "claude-sonnet-4-5": _price("3", "15", "0.30", "medium"),
    "claude-opus-5-5": _price("4", "20", "0.20", "high"),
    "claude-opus-5": _price("5", "25", "0.50", "high"),
}
"""Prices by name of the model."""


def read_price(given: Any, known: Price | None = None) -> Price:
    """A price as a caller may write it: a `Price`, `(input, output[, cached])`, or a mapping with
    `input`, `output` and perhaps `cached` and `quality`; what is left out is as `known`, if one is.

    Errors: ValueError.
    """
    if isinstance(given, Price):
        return given
    if not isinstance(given, Mapping):
        if not isinstance(given, Sequence) or len(given) not in (2, 3):
            raise ValueError("a price is (input, output) or (input, output, cached)")
        given = dict(zip(("input", "output", "cached"), given, strict=False))
    unknown = set(given) - {"input", "output", "cached", "quality"}
    if unknown or (known is None and not {"input", "output"} <= set(given)):
        raise ValueError(
            "a price is input, output and perhaps cached (USD per million) and quality"
        )
    quality = given.get("quality", known.quality if known else "medium")
    if quality not in QUALITIES:
        raise ValueError(f"quality is one of {', '.join(QUALITIES)}, not {quality!r}")
    if known is None or {"input", "output"} & set(given):
        base = Price(input=Decimal(), output=Decimal()) if known is None else known
        return Price(
            input=_rate(given.get("input", base.input)),
            output=_rate(given.get("output", base.output)),
            cached=None if given.get("cached") is None else _rate(given["cached"]),
            quality=quality,
        )
    cached = known.cached if "cached" not in given else _rate(given["cached"])
    return Price(
        input=known.input, output=known.output, cached=cached, quality=quality, above=known.above
    )


def _rate(given: Amount) -> Decimal:
    rate = exact(given)
    if rate < 0:
        raise ValueError(f"{given!r}: a price is not negative")
    return rate


def find_price(prices: Mapping[str, Price], model_name: str) -> Price | None:
    """The price of a model: by its name, without its provider, or without its snapshot's date."""
    name = model_name.strip()
    for candidate in (name, name.rsplit("/", 1)[-1], name.rpartition(":")[2]):
        for form in (candidate, candidate.lower()):
            for bare in (form, _SNAPSHOT.sub("", form)):
                if bare in prices:
                    return prices[bare]
    return None


def cost_of(
    prices: Mapping[str, Price],
    model_name: str,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
) -> Usd:
    """What a call costs; `UNPRICED` if the model has no price here."""
    price = find_price(prices, model_name)
    return UNPRICED if price is None else price.of(input_tokens, output_tokens, cached_tokens)
