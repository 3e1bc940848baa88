"""Turn prices that a workspace states into plain data that JSON can carry, and back."""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from app.core.price_overrides import Dated, ListPrice, Override

_KINDS = tuple(field.name for field in fields(ListPrice))


def to_data(override: Override) -> dict[str, Any]:
    """An override as plain data."""
    return {
        "quality": override.quality,
        "version": override.version,
        "dated": [
            {
                "since": one.since,
                "price": _price_data(one.price),
                "above": [[above, _price_data(part)] for above, part in one.above.items()],
                "services": {name: _price_data(part) for name, part in one.services.items()},
            }
            for one in override.dated
        ],
    }


def from_data(model: str, data: Mapping[str, Any]) -> Override:
    """The override of plain data."""
    return Override(
        model=model,
        quality=data["quality"],
        version=data["version"],
        dated=tuple(
            Dated(
                since=one["since"],
                price=_price(one["price"]),
                above={above: _price(part) for above, part in one["above"]},
                services={name: _price(part) for name, part in one["services"].items()},
            )
            for one in data["dated"]
        ),
    )


def _price_data(price: ListPrice) -> dict[str, str]:
    stated = {kind: getattr(price, kind) for kind in _KINDS}
    return {kind: format(one, "f") for kind, one in stated.items() if one is not None}


def _price(data: Mapping[str, str]) -> ListPrice:
    return ListPrice(**{kind: Decimal(one) for kind, one in data.items()})
