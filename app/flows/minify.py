"""Make a context of texts fit a token budget, and say what was cut."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from app.core.counting import Exactness, Method, require_countable, scaled
from app.core.minifying import Minified, minify
from app.gateways.thinking import Thinking
from app.gateways.tokens import TokenCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Texts by key, and what is wanted of them."""

    texts: Mapping[str, str]
    max_tokens: int
    important: frozenset[str]
    task: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutKey:
    """What a key lost."""

    key: str
    tokens: int
    sections: Sequence[str]
    """The headings of the sections that lost something, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What was kept of a context."""

    context: Mapping[str, str]
    """In the order given; keys of which nothing was kept are absent."""
    tokens: int
    """Of all that is kept, counted key by key."""
    original_tokens: int
    max_tokens: int
    over_budget: bool
    """Whether the important keys alone, which are kept whole, have more than `max_tokens`."""
    dropped: Sequence[CutKey]
    """Every key that is not kept whole."""
    unknown_keys: Sequence[str]
    """Important keys that the context does not have."""
    encoding: str
    exactness: Exactness
    """As of `/tokens/count`."""
    p95_error_pct: float | None


async def fit_context(
    tokens: TokenCounter, thinking: Thinking, method: Method, given: Context
) -> Fitted:
    """A context within its budget. The same again is remembered by its content.

    Errors: InvalidRequest for texts that take too long to count.
    """

    def count(texts: Sequence[str]) -> Sequence[int]:
        return [scaled(one, method) for one in tokens.count_many(texts, method.encoding)]

    important = given.important & given.texts.keys()

    def work() -> Minified:
        require_countable(given.texts.values())
        return minify(given.texts, given.max_tokens, count, important=important, task=given.task)

    found = await thinking.run_once(_digest(given, important, method), work, _size)

    return Fitted(
        context=found.context,
        tokens=found.tokens,
        original_tokens=found.original_tokens,
        max_tokens=given.max_tokens,
        over_budget=found.tokens > given.max_tokens,
        dropped=[
            CutKey(key=one.key, tokens=one.tokens, sections=one.sections) for one in found.dropped
        ],
        unknown_keys=sorted(given.important - important),
        encoding=method.encoding,
        exactness=method.exactness,
        p95_error_pct=method.p95_error_pct,
    )


def _digest(given: Context, important: frozenset[str], method: Method) -> bytes:
    said = [
        list(given.texts.items()),
        sorted(important),
        given.task,
        given.max_tokens,
        method.encoding,
        method.ratio,
    ]
    return hashlib.blake2b(to_json(said), digest_size=16).digest()


def _size(found: Minified) -> int:
    kept = sum(len(key) + len(text) for key, text in found.context.items())
    cut = sum(len(one.key) + sum(map(len, one.sections)) for one in found.dropped)
    return 1_000 + kept + cut
