"""Count the tokens of texts for a model or in an encoding, and learn what models report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from app.core.counting import (
    Calibration,
    Exactness,
    Method,
    Pair,
    family_of,
    method_for,
    require_countable,
    scaled,
)
from app.core.errors import InvalidRequest, Unavailable
from app.gateways.thinking import Thinking
from app.gateways.tokens import DEFAULT_ENCODING, TokenCounter, own_encoding
from app.store.counting import Reports, read_calibration, take_reports
from app.store.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The tokens of one text, and how sure that is."""

    tokens: int
    encoding: str
    """What was counted in; a count that is not exact is scaled from it."""
    exactness: Exactness
    """`exact`: by the model's own tokenizer. `calibrated`: scaled by what its family's models
    reported to this workspace. `heuristic`: scaled by a shipped ratio that nobody measured."""
    family: str | None
    """The models whose ratio was taken; null for exact counts."""
    p95_error_pct: float | None
    """95 of 100 reported texts were at most so many per cent off; null where it is exact, or was
    never measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The tokens of texts, in their order."""

    items: Sequence[Count]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a model said of one text: the text itself, or what it was counted as here."""

    text: str | None
    counted: int | None
    reported: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a family of models after its reports."""

    family: str
    taken: int
    """Reports that counted."""
    left_out: int
    """Reports of less than 50 tokens, or more than four times off: they say nothing."""
    pairs: int
    """What the family's ratio rests on, this workspace's reports in all."""
    ratio: float
    """Its tokens for one of cl100k_base."""
    exactness: Exactness
    p95_error_pct: float | None


async def method_of(
    store: Store, workspace: str, *, model: str | None, encoding: str | None
) -> Method:
    """How texts are counted for a model, or in an encoding; cl100k_base where neither is named.

    With the database away nothing is known but what ships.
    """
    own = encoding or own_encoding(model) or (None if model else DEFAULT_ENCODING)
    if own is not None:
        return Method(encoding=own)
    family = family_of(model or "")
    try:
        known = await store.read(lambda tx: read_calibration(tx, workspace, family))
    except Unavailable:
        known = Calibration()
    return method_for(family, known, encoding=DEFAULT_ENCODING)


async def count_texts(
    tokens: TokenCounter, thinking: Thinking, method: Method, texts: Sequence[str]
) -> Counted:
    """The tokens of texts by a method, counted beside the event loop.

    Errors: InvalidRequest for texts that take too long.
    """
    counts = await thinking.run(partial(_counted, tokens, texts, method.encoding))

    items = [
        Count(
            tokens=scaled(counted, method),
            encoding=method.encoding,
            exactness=method.exactness,
            family=method.family,
            p95_error_pct=method.p95_error_pct,
        )
        for counted in counts
    ]
    return Counted(items=items, total=sum(one.tokens for one in items))


def _counted(tokens: TokenCounter, texts: Sequence[str], encoding: str) -> list[int]:
    require_countable(texts)
    return tokens.count_many(texts, encoding)


async def learn_reports(
    store: Store,
    tokens: TokenCounter,
    thinking: Thinking,
    *,
    workspace: str,
    model: str,
    reports: Sequence[Report],
) -> Known:
    """Learn from what a model reported.

    Errors: InvalidRequest where counts are exact anyway, and for texts that take too long.
    """
    if own_encoding(model) is not None:
        raise InvalidRequest(
            "This model's texts are counted exactly: there is nothing to learn.",
            errors=[{"loc": ["body", "model"], "msg": "is counted exactly"}],
        )
    texts = [one.text for one in reports if one.text is not None]
    counted = iter(await thinking.run(partial(_counted, tokens, texts, DEFAULT_ENCODING)))
    pairs = [
        Pair(
            counted=next(counted) if one.counted is None else one.counted,
            reported=one.reported,
        )
        for one in reports
    ]

    learned = await store.write(workspace, take_reports, Reports(model, pairs), weight=len(pairs))

    method = method_for(learned.family, learned.calibration, encoding=DEFAULT_ENCODING)
    return Known(
        family=learned.family,
        taken=learned.taken,
        left_out=len(pairs) - learned.taken,
        pairs=learned.calibration.pairs,
        ratio=round(method.ratio, 4),
        exactness=method.exactness,
        p95_error_pct=method.p95_error_pct,
    )
