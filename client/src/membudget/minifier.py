"""Make a dictionary of texts fit a token budget: what matters stays, what is cut is named.

With a service at the address it cuts and counts, else the same is done here.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from membudget import _tokens
from membudget._core import minifying
from membudget._service import Service

if TYPE_CHECKING:
    from membudget.client import Client

__all__ = ["ContextMinifier", "MinifiedContext"]

MOST_KEYS, LONGEST_KEY, MOST_CHARACTERS = 10_000, 400, 4_000_000
"""What the service takes of a context; larger ones are cut here."""


class MinifiedContext(dict[str, Any]):
    """What was kept, by key, in the order given; keys of which nothing was kept are absent."""

    tokens: int
    """Of all that is kept, counted key by key."""
    original_tokens: int
    max_tokens: int
    exactness: str
    """`exact` (counted with the model's own encoding), `calibrated` or `heuristic` (a ratio of it,
    or four characters to a token), or `given`."""
    dropped: list[dict[str, Any]]
    """`{"key", "tokens", "sections": [headings]}` of every key that lost something."""

    @property
    def is_over_budget(self) -> bool:
        """Whether the important keys alone, which are kept whole, have more than `max_tokens`."""
        return self.tokens > self.max_tokens


class ContextMinifier:
    """Keeps of a context what fits. May be used from several threads."""

    def __init__(
        self,
        max_tokens: int = 2000,
        *,
        model: str | None = None,
        count: Callable[[str], int] | None = None,
        cache_size: int = 256,
        client: "Client | Literal[False] | None" = None,
        workspace: str | None = None,
    ) -> None:
        """
        max_tokens: of all values together; keys and what a caller puts around them are not counted.
        model: whose tokens are counted. Without the service that takes the extra `tokens`; else
            four characters are a token.
        count: counts the tokens of a text in place of that; the service is not asked then.
        cache_size: results that are remembered; 0 for none.
        client: of the service; one that all names share if None, none at all if False.
        """
        if max_tokens < 0:
            raise ValueError(f"max_tokens is {max_tokens}; the least is 0")
        self.max_tokens = max_tokens
        self._model = model
        self._count = count
        self._service = None if client is False or count is not None else Service(client)
        self._workspace = workspace
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, MinifiedContext] = OrderedDict()
        self._lock = threading.Lock()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, as budgets are counted here."""
        if self._service is not None and _fits({"text": text}):
            found = self._service.ask(
                lambda client: client.tokens.count(
                    text, model=self._model, workspace=self._workspace
                )
            )
            if found is not None:
                return found.total
        return self._counts([text])[0]

    def minify_context(
        self,
        context: Mapping[str, Any],
        important_keys: Collection[str] | None = None,
        task: str | None = None,
        *,
        max_tokens: int | None = None,
    ) -> MinifiedContext:
        """The context within `max_tokens` (the minifier's, if None).

        Important keys are kept whole, even if they alone are too much (`is_over_budget`). Of the
        others those pieces are kept that say most about the task for their length, or, without a
        task, the openings of sections first: whole sentences, list items, code blocks and rows of
        tables, below their headings. JSON and values that are no text are kept whole or not at all.
        """
        budget = self.max_tokens if max_tokens is None else max_tokens
        important = frozenset(important_keys or ())
        texts = {key: _text_of(given) for key, given in context.items()}
        cache_key = _digest(texts, sorted(important & texts.keys()), task, budget)
        found = self._remembered(cache_key)
        if found is None:
            found = self._asked(context, texts, important, task, budget)
            found = found or self._minify(context, texts, important, task, budget)
            self._remember(cache_key, found)
        return _copy(found, context)

    def _asked(
        self,
        context: Mapping[str, Any],
        texts: Mapping[str, str],
        important: frozenset[str],
        task: str | None,
        budget: int,
    ) -> MinifiedContext | None:
        """What the service keeps; None where it cannot be asked."""
        can_be_cut = all(isinstance(held, str | Mapping | list) for held in context.values())
        if self._service is None or not can_be_cut or not _fits(texts):
            return None
        found = self._service.ask(
            lambda client: client.tokens.minify(
                texts,
                budget,
                important_keys=sorted(important & texts.keys()),
                task=task or None,
                model=self._model,
                workspace=self._workspace,
            )
        )
        if found is None:
            return None
        made = MinifiedContext({key: found.context[key] for key in texts if key in found.context})
        made.tokens = found.tokens
        made.original_tokens = found.original_tokens
        made.max_tokens = budget
        made.exactness = found.exactness
        made.dropped = [
            {"key": one.key, "tokens": one.tokens, "sections": list(one.sections)}
            for one in found.dropped
        ]
        return made

    def _minify(
        self,
        context: Mapping[str, Any],
        texts: Mapping[str, str],
        important: frozenset[str],
        task: str | None,
        budget: int,
    ) -> MinifiedContext:
        found = minifying.minify(
            texts,
            budget,
            self._counts,
            important=important,
            whole=[key for key, given in context.items() if not isinstance(given, str)],
            task=task,
        )
        made = MinifiedContext(found.context)
        made.tokens = found.tokens
        made.original_tokens = found.original_tokens
        made.max_tokens = budget
        made.exactness = "given" if self._count is not None else _tokens.exactness(self._model)
        made.dropped = [
            {"key": one.key, "tokens": one.tokens, "sections": list(one.sections)}
            for one in found.dropped
        ]
        return made

    def _counts(self, texts: Sequence[str]) -> list[int]:
        if self._count is not None:
            return [self._count(text) for text in texts]
        return _tokens.count_many(texts, self._model)

    def _remembered(self, key: bytes) -> MinifiedContext | None:
        with self._lock:
            found = self._cache.get(key)
            if found is not None:
                self._cache.move_to_end(key)
            return found

    def _remember(self, key: bytes, made: MinifiedContext) -> None:
        with self._lock:
            self._cache[key] = made
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)


def _fits(texts: Mapping[Any, str]) -> bool:
    """Whether the service takes texts."""
    try:
        return (
            len(texts) <= MOST_KEYS
            and all(isinstance(key, str) and 0 < len(key) <= LONGEST_KEY for key in texts)
            and sum(map(len, texts.values())) <= MOST_CHARACTERS
            and all(text.encode() is not None for pair in texts.items() for text in pair)
        )
    except UnicodeEncodeError:
        return False


def _text_of(given: Any) -> str:
    """What stands for a value when tokens are counted."""
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, default=str)


def _digest(
    texts: Mapping[str, str], important: Sequence[str], task: str | None, budget: int
) -> bytes:
    said = json.dumps([list(texts.items()), important, task, budget])
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def _copy(made: MinifiedContext, context: Mapping[str, Any]) -> MinifiedContext:
    """A result for its caller alone, with the caller's own values where they are no text."""
    copied = MinifiedContext(
        {key: kept if isinstance(context[key], str) else context[key] for key, kept in made.items()}
    )
    copied.__dict__.update(made.__dict__)
    copied.dropped = [{**one, "sections": list(one["sections"])} for one in made.dropped]
    return copied
