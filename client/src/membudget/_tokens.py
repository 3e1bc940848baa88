"""Count tokens here: exactly with tiktoken where it is installed, else by their length."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from membudget import _core

Exactness = Literal["exact", "heuristic"]

CHARACTERS_PER_TOKEN = 4
"""The originals' estimate; of English prose it is within some 15 %."""


def count(text: str, model: str | None = None) -> int:
    """Tokens of a text, in the model's encoding (cl100k_base if unknown) or estimated."""
    return count_many([text], model)[0]


def count_many(texts: Sequence[str], model: str | None = None) -> list[int]:
    """Tokens of each text, in order."""
    counter = _counter()
    if counter is None:
        return [estimate(text) for text in texts]
    whole = [text.encode("utf-8", "replace").decode() for text in texts]  # no lone surrogates
    counted: list[int] = counter.count_many(whole, counter.encoding_for(model))
    return counted


def estimate(text: str) -> int:
    """About how many tokens a text has: one for every four characters begun."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def exactness(model: str | None = None) -> Exactness:
    """Whether counts are exact, or estimates (install `membudget[tiktoken]`): a model whose
    encoding is not known is counted in another's."""
    if _counter() is None or (model and _core.tokens.own_encoding(model) is None):
        return "heuristic"
    return "exact"


@cache
def _counter() -> Any:
    try:
        return _core.tokens.TokenCounter()
    except ImportError:
        return None
