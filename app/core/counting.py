"""Say how a model's tokens are counted: exactly, or scaled from an encoding that is near it.

Where a model's tokenizer is not here, its texts are counted in a base encoding and multiplied by
the ratio of the model's family: a shipped one, or the median of what the model itself reported.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from app.core.errors import InvalidRequest
from app.core.statistics import bucket_of, decode, encode, quantiles, value_of
from app.core.usage import UsageEvent
from app.core.values import value

Exactness = Literal["exact", "calibrated", "heuristic"]

OTHER_FAMILY = "other"
FAMILIES: tuple[tuple[str, str, float], ...] = (
    ("claude", r"claude", 1.2),
    ("gemini", r"gemini|gemma|palm", 1.1),
    ("llama-2", r"llama-?2|codellama|vicuna", 1.25),
    ("llama", r"llama", 1.0),
    ("mistral", r"mistral|mixtral|codestral|ministral|magistral|devstral|pixtral", 1.15),
    ("qwen", r"qwen|qwq", 1.0),
    ("deepseek", r"deepseek", 1.05),
    ("grok", r"grok", 1.05),
    ("command", r"command|cohere|aya", 1.05),
    ("nova", r"nova|titan", 1.15),
    ("phi", r"phi-?\d", 1.05),
    ("glm", r"glm", 1.05),
    ("kimi", r"kimi|moonshot", 1.05),
    (OTHER_FAMILY, r"", 1.1),
)
"""Family, what names it, and its tokens for one of cl100k_base. The ratios are ours, from what is
said of the tokenizers' vocabularies; none is measured, so nothing is said of their error."""

_NAMED = tuple((family, re.compile(rf"(?:^|[^a-z])(?:{named})")) for family, named, _ in FAMILIES)
SHIPPED: Mapping[str, float] = {family: ratio for family, _, ratio in FAMILIES}

COUNTED_MARK = "counted_tokens"
"""Key of an event's metadata: what its whole input was counted as, in the base encoding."""

ENOUGH_PAIRS = 20
"""Pairs from which a family is calibrated; ours: a 95th percentile of fewer says nothing."""
LEAST_TOKENS = 50
"""Shorter texts tell more of what surrounds a message than of the tokenizer."""
MOST_RATIO = 4.0
"""A pair that is further apart, in either direction, is not about the same text."""
MOST_PAIRS = 10_000
"""Beyond it every pair weighs half, so that what is new is heard."""
PPM = 1_000_000

STRETCH = 5_000
"""Characters that are looked at together: a run of twice as many fills one of them whole."""
MOST_UNBROKEN = 500_000
"""Characters of one request that may stand in stretches without a blank, or of nothing else. Ours:
byte pairs take the more time the longer a run is, up to 1.5 s of CPU a million characters, where
other texts take half a second at most."""

_BLANK = re.compile(r"\s")


@value
class Method:
    """How texts are counted for a model or in an encoding."""

    encoding: str
    """What is counted in."""
    ratio: float = 1.0
    exactness: Exactness = "exact"
    family: str | None = None
    p95_error_pct: float | None = None
    """95 of 100 counts were at most so many per cent off what the model said; None: exact, or never
    measured."""


@value
class Pair:
    """One text as it was counted in the base encoding, and as its model reported it."""

    counted: int
    reported: int


@value
class Calibration:
    """What the pairs of one family come to; sketches of millionths (`core.statistics`)."""

    pairs: int = 0
    ratios: bytes = b""
    errors: bytes = b""
    """Each pair's error under the ratio that was known before it; the first `ENOUGH_PAIRS` are
    judged by what they came to."""


def require_countable(texts: Iterable[str]) -> None:
    """Refuse texts that take too long to count. Errors: InvalidRequest."""
    unbroken = STRETCH * sum(
        piece.isspace() or not _BLANK.search(piece)
        for text in texts
        for start in range(0, len(text) - STRETCH + 1, STRETCH)
        for piece in [text[start : start + STRETCH]]
    )
    if unbroken > MOST_UNBROKEN:
        raise InvalidRequest(
            f"{unbroken:,} characters stand without a blank between them, or are nothing but"
            f" blanks, thousands in a row; one request may hold {MOST_UNBROKEN:,} of them. That"
            " looks like encoded data: send it in several requests, or leave it out.",
            errors=[{"loc": ["body"], "msg": "has too many characters without a blank"}],
        )


def family_of(model: str) -> str:
    """The family of a model's name, with or without its provider."""
    name = model.lower()
    return next(family for family, pattern in _NAMED if pattern.search(name))


def is_plausible(pair: Pair) -> bool:
    """Whether a pair may tell about the tokenizer: long enough, and not too far apart."""
    if pair.counted < LEAST_TOKENS or pair.reported <= 0:
        return False
    return 1 / MOST_RATIO <= pair.reported / pair.counted <= MOST_RATIO


def ratio_of(calibration: Calibration, family: str) -> float:
    """Tokens of the family for one of the base encoding."""
    if calibration.pairs < ENOUGH_PAIRS:
        return SHIPPED[family]
    return _quantile(calibration.ratios, 0.5)


def method_for(family: str, calibration: Calibration, *, encoding: str) -> Method:
    """How texts of a family are counted with what is known of it."""
    is_known = calibration.pairs >= ENOUGH_PAIRS
    return Method(
        encoding=encoding,
        ratio=ratio_of(calibration, family),
        exactness="calibrated" if is_known else "heuristic",
        family=family,
        p95_error_pct=round(100 * _quantile(calibration.errors, 0.95), 2) if is_known else None,
    )


def scaled(counted: int, method: Method) -> int:
    """Tokens of a text that has `counted` in the method's encoding."""
    return counted if method.exactness == "exact" else round(counted * method.ratio)


def learn(calibration: Calibration, family: str, pairs: Iterable[Pair]) -> Calibration:
    """Take pairs in, in their order; implausible ones are left out."""
    known, ratios, errors = (
        calibration.pairs,
        decode(calibration.ratios),
        decode(calibration.errors),
    )
    ratio = ratio_of(calibration, family)
    for pair in pairs:
        if not is_plausible(pair):
            continue
        error = abs(pair.counted * ratio - pair.reported) / pair.reported
        _count(errors, round(error * PPM))
        _count(ratios, round(pair.reported / pair.counted * PPM))
        known += 1
        if known > MOST_PAIRS:
            ratios, errors = _halved(ratios), _halved(errors)
            known = sum(ratios.values())
        if known >= ENOUGH_PAIRS:
            ratio = _quantile_of(ratios, 0.5)
        if known == ENOUGH_PAIRS:
            errors = _errors_of(ratios, ratio)
    return Calibration(pairs=known, ratios=encode(ratios), errors=encode(errors))


def pairs_in(events: Iterable[UsageEvent]) -> list[tuple[str, Pair]]:
    """Model and pair of the events that say how their whole input was counted here."""
    found: list[tuple[str, Pair]] = []
    for event in events:
        if not event.metadata or event.model is None or event.input_tokens is None:
            continue
        counted: Any = event.metadata.get(COUNTED_MARK)
        if type(counted) is int and counted > 0:
            found.append((event.model, Pair(counted=counted, reported=event.input_tokens)))
    return found


def _count(counts: dict[int, int], amount: int) -> None:
    bucket = bucket_of(amount)
    counts[bucket] = counts.get(bucket, 0) + 1


def _errors_of(ratios: Mapping[int, int], ratio: float) -> dict[int, int]:
    errors: dict[int, int] = {}
    for bucket, count in ratios.items():
        at = bucket_of(round(abs(ratio * PPM / value_of(bucket) - 1) * PPM))
        errors[at] = errors.get(at, 0) + count
    return errors


def _halved(counts: Mapping[int, int]) -> dict[int, int]:
    return {bucket: (count + 1) // 2 for bucket, count in counts.items()}


def _quantile(sketch: bytes, q: float) -> float:
    return _quantile_of(decode(sketch), q)


def _quantile_of(counts: Mapping[int, int], q: float) -> float:
    rank = -(-round(q * 1000) * sum(counts.values()) // 1000)
    most = 100 * PPM
    (found,) = quantiles(counts, [max(2, rank)], low=0, high=most)
    return found / PPM
