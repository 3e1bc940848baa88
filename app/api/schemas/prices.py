"""Turn prices on the wire into core values and back."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.api.schemas.costs import ModelPriceIn, PriceIn, RatesIn
from app.core.errors import InvalidRequest
from app.core.price_overrides import Dated, ListPrice, Override
from app.core.windows import micros, moment

KINDS = tuple(field.name for field in fields(ListPrice))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """What a workspace states of a model; USD for a million tokens."""

    model: str
    quality: str | None
    prices: Sequence[dict[str, Any]]
    """By day, each in the fields that a PUT takes."""
    version: str
    """Named by costs that were worked out with it."""


def to_override(model: str, given: ModelPriceIn) -> Override:
    """What is stated, checked. Errors: InvalidRequest."""
    if given.model is not None and given.model != model:
        raise _refuse("model", "The body names another model than the path.", "is another model")
    single = {name for name in PriceIn.model_fields if getattr(given, name) is not None}
    if given.prices is not None and single:
        raise _refuse(
            sorted(single)[0], "Give `prices`, or the fields of one price.", "goes without prices"
        )
    stated = given.prices if given.prices is not None else [given] if single else []
    if not stated and given.quality is None:
        raise _refuse("prices", "State a price (input, output) or a quality.", "is missing")
    dated = sorted((_dated(one, at) for at, one in enumerate(stated)), key=lambda one: one[0])
    starts = [at for at, _ in dated]
    if len(set(starts)) < len(starts):
        raise _refuse("prices", "Two prices begin at the same time.", "begin at the same time")
    return Override(
        model=model, quality=given.quality, dated=tuple(one for _, one in dated), version=0
    )


def _dated(given: PriceIn, index: int) -> tuple[int, Dated]:
    price = _rates(given)
    if price.input is None and price.output is None:
        raise _refuse("prices", "A price needs `input` or `output`.", f"{index} has neither")
    since = None if given.effective_from is None else _moment(given.effective_from)
    above = {tier.above: _rates(tier) for tier in given.tiers or ()}
    if len(above) < len(given.tiers or ()):
        raise _refuse("tiers", "Two tiers begin at the same length.", "begin at the same length")
    services = {name: _rates(part) for name, part in (given.services or {}).items()}
    found = Dated(since=since, price=price, above=above, services=services)
    return (-1 if since is None else since), found


def _rates(given: RatesIn) -> ListPrice:
    return ListPrice(**{kind: getattr(given, kind) for kind in KINDS})


def _moment(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or not 1970 <= at.year < 2200:
        raise _refuse("effective_from", "A day is written 2026-01-31.", "is no day from 1970 on")
    return micros(at if at.tzinfo else at.replace(tzinfo=UTC))


def _refuse(name: str, detail: str, msg: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[{"loc": ["body", name], "msg": msg}])


def price_out(workspace: str, override: Override) -> ModelPrice:
    """What is stated, in the fields that a PUT takes."""
    return ModelPrice(
        model=override.model,
        quality=override.quality,
        prices=[_shown(one) for one in override.dated],
        version=f"override {workspace} {override.version}",
    )


def _shown(dated: Dated) -> dict[str, Any]:
    shown: dict[str, Any] = _amounts(dated.price)
    if dated.since is not None:
        shown["effective_from"] = moment(dated.since).isoformat().replace("+00:00", "Z")
    if dated.above:
        shown["tiers"] = [{"above": at, **_amounts(one)} for at, one in sorted(dated.above.items())]
    if dated.services:
        shown["services"] = {name: _amounts(one) for name, one in dated.services.items()}
    return shown


def _amounts(price: ListPrice) -> dict[str, str]:
    stated: dict[str, Decimal | None] = {kind: getattr(price, kind) for kind in KINDS}
    return {kind: format(one, "f") for kind, one in stated.items() if one is not None}
