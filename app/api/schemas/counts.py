"""Say how tokens are counted on the wire: by us, or as a provider reported them."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from app.core.charging import PriceOf, cost_of
from app.core.errors import InvalidRequest
from app.core.pricing import Counts
from app.core.raw_usage import read_usage

MAX_METADATA = 65_536


def _written(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ValueError("numbers must be finite") from error


def bounded(value: dict[str, Any]) -> dict[str, Any]:
    """The value, if it is not too large. Errors: ValueError."""
    if len(_written(value)) > MAX_METADATA:
        raise ValueError(f"at most {MAX_METADATA:,} characters of JSON")
    return value


def finite(value: Any) -> Any:
    """The value, if no number in it is beyond all bounds. Errors: ValueError."""
    if isinstance(value, float | dict | list):
        _written(value)
    return value


Finite = Annotated[Any, AfterValidator(finite)]
"""Whatever a caller adds of its own; of JSON, where 1e400 is a number and no infinity."""


RawUsage = Annotated[dict[str, Any], AfterValidator(bounded)]
"""What a provider said of tokens, in any of the shapes that are known."""

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


def counts_in(given: Mapping[str, Any], *loc: str | int) -> dict[str, Any]:
    """The counts of a body's fields by the names of core.

    Errors: InvalidRequest for counts and the usage that they are in at once.
    """
    said = given.get
    usage = said("usage")
    if usage is None:
        return {
            "input_tokens": said("input_tokens"),
            "output_tokens": said("output_tokens"),
            "cached_tokens": said("cached_tokens"),
            "cache_write_tokens": said("cache_write_tokens"),
            "reasoning_tokens": said("reasoning_tokens"),
            "service": said("service"),
        }
    twice = [name for name in COUNTS if said(name) is not None]
    if twice:
        raise InvalidRequest(
            "Give the provider's `usage`, or the counts themselves, not both.",
            errors=[{"loc": ["body", *loc, name], "msg": "goes without usage"} for name in twice],
        )
    try:
        reported = read_usage(usage)
    except InvalidRequest as error:
        raise InvalidRequest(
            error.detail,
            errors=[{**one, "loc": ["body", *loc, *one["loc"][1:]]} for one in error.errors],
        ) from error
    fields = reported.fields()
    return {**fields, "service": said("service") or fields["service"]}


def priced(
    model: str, workspace: str, at: int, given: Mapping[str, Any], price_of: PriceOf
) -> tuple[int, str] | tuple[None, None]:
    """The cost of counts and the version of their price; None and None where nobody knows."""
    sent, came = given["input_tokens"], given["output_tokens"]
    if sent is None and came is None:
        return None, None
    counts = Counts(
        input=sent or 0,
        output=came or 0,
        cached=given["cached_tokens"] or 0,
        cache_write=given["cache_write_tokens"] or 0,
        cache_write_1h=given.get("cache_write_1h_tokens") or 0,
        reasoning=given["reasoning_tokens"] or 0,
    )
    service = given["service"]
    found = cost_of(counts, price_of, workspace=workspace, model=model, at=at, service=service)
    return (None, None) if found is None else found
