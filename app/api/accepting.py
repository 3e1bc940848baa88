"""Choose what a client likes best of what there is, by its Accept header (RFC 9110)."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException

MOST_RANGES = 100
"""Media ranges of one header that are looked at."""


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The offer with the highest quality; of equals the first. The first where nothing is asked.

    Each offer has the quality of the most specific range that it fits. Errors: 406 where none fits.
    """
    ranges = [found for part in _split(accept) if (found := _range(part)) is not None]
    if not ranges:
        return offers[0]
    best, most = offers[0], 0.0
    for offer in offers:
        quality = _quality(offer, ranges)
        if quality > most:
            best, most = offer, quality
    if most <= 0:
        raise HTTPException(406, f"This can be had as {', '.join(offers)}: accept one of them.")
    return best


def _split(accept: str | None) -> list[str]:
    return [part for part in (accept or "").split(",")[:MOST_RANGES] if part.strip()]


def _quality(offer: str, ranges: Sequence[tuple[str, str, float]]) -> float:
    type_, _, subtype = offer.partition("/")
    fitting = [
        ((main != "*") + (sub != "*"), quality)
        for main, sub, quality in ranges
        if main in ("*", type_) and sub in ("*", subtype)
    ]
    if not fitting:
        return 0.0
    specific = max(rank for rank, _ in fitting)
    return max(quality for rank, quality in fitting if rank == specific)


def _range(part: str) -> tuple[str, str, float] | None:
    """Type, subtype and quality of a media range; None for what is no range."""
    name, *parameters = (one.strip().lower() for one in part.split(";"))
    type_, found, subtype = name.partition("/")
    if not found or not type_ or not subtype or (type_ == "*" and subtype != "*"):
        return None
    quality = 1.0
    for parameter in parameters:
        key, _, given = parameter.partition("=")
        if key.strip() == "q":
            quality = _number(given.strip())
    return type_, subtype, quality


def _number(text: str) -> float:
    """A quality of 0 to 1; what is none counts as not wanted."""
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), 1.0)
    return 0.0
