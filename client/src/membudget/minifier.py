"""Make a dictionary of texts fit a token budget: what matters stays, what is cut is named."""

import hashlib
import json
import math
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from membudget import _tokens
from membudget._core import words
from membudget._cutting import CODE, HEAD, HEADING, ITEM, PROSE, ROW, Piece, joined, pieces_of

__all__ = ["ContextMinifier", "MinifiedContext"]

BASE = {HEADING: 0.02, CODE: 0.2, ITEM: 0.2, PROSE: 0.15, ROW: 0.1}
"""What a piece is worth without a task; one that has every word of the task is worth 1 more."""
OPENING = 0.15
"""More for the first prose below a heading."""
FROM_HEADINGS = 0.5
FROM_KEY = 0.3
"""How much of what the headings above it, or its key, have of the task counts for a piece."""
CROWDING, CROWDING_FOR_TASK = 1.0, 0.2
"""How much less a piece is preferred for each fair share of the room that its key has had; less so
with a task, where what is about it should crowd the rest out."""
LEAST_COST = 8
"""Tokens; shorter pieces are not preferred for being shorter still."""


class MinifiedContext(dict[str, Any]):
    """What was kept, by key, in the order given; keys of which nothing was kept are absent."""

    tokens: int
    """Of all that is kept, counted key by key."""
    original_tokens: int
    max_tokens: int
    exactness: str
    """`exact` (counted with tiktoken), `heuristic` (four characters to a token), or `given`."""
    dropped: list[dict[str, Any]]
    """`{"key", "tokens", "sections": [headings]}` of every key that lost something."""

    @property
    def is_over_budget(self) -> bool:
        """Whether the important keys alone, which are kept whole, have more than `max_tokens`."""
        return self.tokens > self.max_tokens


@dataclass(slots=True)
class _Part:
    """One key's text on its way."""

    key: str
    given: Any
    text: str
    tokens: int
    pieces: Sequence[Piece] = ()
    costs: Sequence[int] = ()
    kept: tuple[int, ...] = ()


class ContextMinifier:
    """Keeps of a context what fits. May be used from several threads."""

    def __init__(
        self,
        max_tokens: int = 2000,
        *,
        model: str | None = None,
        count: Callable[[str], int] | None = None,
        cache_size: int = 256,
    ) -> None:
        """
        max_tokens: of all values together; keys and what a caller puts around them are not counted.
        model: whose tokens are counted, with the extra `tokens`; else four characters are a token.
        count: counts the tokens of a text in place of that.
        cache_size: results that are remembered; 0 for none.
        """
        if max_tokens < 0:
            raise ValueError(f"max_tokens is {max_tokens}; the least is 0")
        self.max_tokens = max_tokens
        self._model = model
        self._count = count
        self._cache_size = cache_size
        self._cache: OrderedDict[bytes, MinifiedContext] = OrderedDict()
        self._lock = threading.Lock()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, as budgets are counted here."""
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
            found = self._minify(context, texts, important, task, budget)
            self._remember(cache_key, found)
        return _copy(found, context)

    def _minify(
        self,
        context: Mapping[str, Any],
        texts: Mapping[str, str],
        important: frozenset[str],
        task: str | None,
        budget: int,
    ) -> MinifiedContext:
        counted = self._counts(list(texts.values()))
        parts = [
            _Part(key=key, given=context[key], text=text, tokens=tokens)
            for (key, text), tokens in zip(texts.items(), counted, strict=True)
        ]
        original = sum(counted)
        room = budget - sum(part.tokens for part in parts if part.key in important)
        others = [part for part in parts if part.key not in important]
        fits = original <= budget
        shortened = {} if fits else self._shorten(others, task, room)
        made = MinifiedContext()
        made.dropped = []
        made.tokens = 0
        for part in parts:
            text, tokens = shortened.get(part.key, (None, part.tokens))
            is_whole = fits or part.key in important or text == part.text
            if is_whole or text:
                made[part.key] = part.given if is_whole else text
                made.tokens += part.tokens if is_whole else tokens
            if not is_whole:
                lost = part.tokens - (tokens if text else 0)
                made.dropped.append(
                    {"key": part.key, "tokens": lost, "sections": _headings_cut(part)}
                )
        made.original_tokens = original
        made.max_tokens = budget
        made.exactness = "given" if self._count is not None else _tokens.exactness()
        return made

    def _shorten(
        self, parts: Sequence[_Part], task: str | None, room: int
    ) -> dict[str, tuple[str, int]]:
        """Text and tokens of what is kept of each part."""
        for part in parts:
            whole = Piece(at=0, kind=CODE, text=part.text, section=0, block=0)
            part.pieces = [whole] if _is_atomic(part) else pieces_of(part.text)
            part.costs = self._counts([piece.text + "\n" for piece in part.pieces])
        chosen: list[tuple[_Part, tuple[int, ...]]] = []
        kept: dict[str, set[int]] = {part.key: set() for part in parts}
        left = room
        for part, piece in _by_worth(parts, task, room):
            mine = kept[part.key]
            new = tuple(at for at in (*piece.below, piece.at) if at not in mine)
            cost = sum(part.costs[at] for at in new)
            if piece.at in new and cost <= left:
                chosen.append((part, new))
                mine.update(new)
                left -= cost
        while True:
            texts = {part.key: _written(part, kept[part.key]) for part in parts}
            counts = self._counts(list(texts.values()))
            if sum(counts) <= max(0, room) or not chosen:
                break
            # Pieces were counted one by one; together they may have a few tokens more.
            part, last = chosen.pop()
            kept[part.key].difference_update(last)
        for part in parts:
            part.kept = tuple(sorted(kept[part.key]))
        return dict(zip(texts, zip(texts.values(), counts, strict=True), strict=True))

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


def _by_worth(parts: Sequence[_Part], task: str | None, room: int) -> list[tuple[_Part, Piece]]:
    """Every piece that may be chosen for itself, the one that says most for its length first.

    The more of a key stands before a piece, measured by the key's fair share of the room, the less
    the piece is preferred: a long text does not crowd the others out.
    """
    asked = frozenset(words.query_words(task or ""))
    found = {
        (part.key, piece.at): asked.intersection(words.stems(piece.text)) if asked else frozenset()
        for part in parts
        for piece in part.pieces
    }
    rarity = _rarity(asked, found.values())
    share = max(1.0, room / max(1, len(parts)))
    crowding = (CROWDING_FOR_TASK if asked else CROWDING) / share
    ordered = []
    for part in parts:
        by_key = FROM_KEY * _share(asked.intersection(words.stems(part.key)), rarity)
        opened: set[int] = set()
        own = []
        for piece in part.pieces:
            if piece.kind == HEAD:
                continue
            above = frozenset().union(*(found[part.key, at] for at in piece.below))
            worth = BASE[piece.kind] + by_key
            worth += _share(found[part.key, piece.at], rarity)
            worth += FROM_HEADINGS * _share(above, rarity)
            if piece.kind == PROSE and piece.section not in opened:
                opened.add(piece.section)
                worth += OPENING
            own.append((worth / math.sqrt(max(LEAST_COST, part.costs[piece.at])), piece))
        own.sort(key=lambda one: (-one[0], one[1].at))
        before = 0
        for density, piece in own:
            ordered.append(((-density / (1 + before * crowding), piece.at), (part, piece)))
            before += part.costs[piece.at]
    return [pair for _, pair in sorted(ordered, key=lambda one: one[0])]


def _rarity(asked: Iterable[str], found: Collection[frozenset[str]]) -> dict[str, float]:
    """How much each word of the task tells pieces apart, 0–1; words that nothing has count most."""
    holding = Counter(word for one in found for word in one)
    weights = {word: math.log1p(len(found) / (1 + holding[word])) for word in asked}
    whole = sum(weights.values())
    return {word: weight / whole for word, weight in weights.items()} if whole else {}


def _share(found: Iterable[str], rarity: Mapping[str, float]) -> float:
    return sum(rarity.get(word, 0.0) for word in found)


def _written(part: _Part, kept: Collection[int]) -> str:
    if len(kept) == len(part.pieces):
        return part.text
    return joined(part.pieces[at] for at in kept)


def _headings_cut(part: _Part) -> list[str]:
    """The headings of sections that lost something, in order."""
    headings = {piece.section: piece.text for piece in part.pieces if piece.kind == HEADING}
    lost = {piece.section for piece in part.pieces if piece.at not in part.kept}
    return [headings[section].lstrip("# ") for section in sorted(lost & headings.keys())]


def _is_atomic(part: _Part) -> bool:
    if not isinstance(part.given, str):
        return True
    if part.text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(part.text)
    except ValueError:
        return False
    return True


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
