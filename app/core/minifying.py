"""Make texts fit a token budget: those that matter whole, of the rest what the task is about."""

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from app.core import words
from app.core.minifying_pieces import (
    CODE,
    HEAD,
    HEADING,
    ITEM,
    PROSE,
    ROW,
    Piece,
    joined,
    pieces_of,
)
from app.core.values import value

CountMany = Callable[[Sequence[str]], Sequence[int]]
"""Tokens of each text, in order."""

BASE = {HEADING: 0.02, CODE: 0.2, ITEM: 0.2, PROSE: 0.15, ROW: 0.1}
"""What a piece is worth without a task; one that has every word of the task is worth 1 more."""
OPENING = 0.15
"""More for the first prose below a heading."""
FROM_SECTION = 1.5
"""How much what the whole section has of the task counts for each of its pieces."""
FROM_HEADINGS, FROM_KEY, IN_HEADING = 0.5, 0.3, 2.0
"""How often a word counts that stands in the headings above a section, in its key, in its own
heading."""
HALF = 0.7
"""A word that a section has so often counts half of what it could."""
SHARPNESS = 2.0
"""How fast sections fall behind the best one."""
LENGTH, LENGTH_FOR_TASK = 0.5, 0.25
"""The power of its tokens that a piece's worth is divided by: for a task less, so that what answers
it stays together."""
CROWDING, CROWDING_FOR_TASK = 1.0, 0.2
"""How much less a piece is preferred for each fair share of the room that its key has had; less so
with a task, where what is about it should crowd the rest out."""
LEAST_COST = 8
"""Tokens; shorter pieces are not preferred for being shorter still."""


@value
class Dropped:
    """What a key lost."""

    key: str
    tokens: int
    sections: tuple[str, ...] = ()
    """The headings of the sections that lost something, in order."""


@value
class Minified:
    """What was kept of texts, by key, in the order given; keys that kept nothing are absent."""

    context: Mapping[str, str]
    tokens: int
    """Of all that is kept, counted key by key."""
    original_tokens: int
    dropped: tuple[Dropped, ...]
    """Every key that is not kept whole."""


@dataclass(slots=True)
class _Part:
    """One key's text on its way."""

    key: str
    text: str
    tokens: int
    pieces: Sequence[Piece] = ()
    costs: Sequence[int] = ()
    kept: tuple[int, ...] = ()


def minify(
    texts: Mapping[str, str],
    budget: int,
    count: CountMany,
    *,
    important: Collection[str] = (),
    whole: Collection[str] = (),
    task: str | None = None,
) -> Minified:
    """Texts within a budget of tokens.

    Important keys are kept whole, even if they alone are too much. Of the others those pieces are
    kept that say most about the task for their length, or, without a task, the openings of sections
    first: whole sentences, list items, code blocks and rows of tables, below their headings. JSON,
    and the keys in `whole`, are kept whole or not at all.
    """
    counted = count(list(texts.values()))
    parts = [
        _Part(key=key, text=text, tokens=tokens)
        for (key, text), tokens in zip(texts.items(), counted, strict=True)
    ]
    original = sum(counted)
    fits = original <= budget
    shortened: Mapping[str, tuple[str, int]] = {}
    if not fits:
        room = budget - sum(part.tokens for part in parts if part.key in important)
        others = [part for part in parts if part.key not in important]
        shortened = _shorten(others, frozenset(whole), task, room, count)
    context: dict[str, str] = {}
    dropped: list[Dropped] = []
    kept_tokens = 0
    for part in parts:
        text, tokens = shortened.get(part.key, (part.text, part.tokens))
        is_whole = text == part.text
        if is_whole or text:
            context[part.key] = text
            kept_tokens += part.tokens if is_whole else tokens
        if not is_whole:
            lost = part.tokens - (tokens if text else 0)
            dropped.append(Dropped(key=part.key, tokens=lost, sections=_headings_cut(part)))
    return Minified(
        context=context, tokens=kept_tokens, original_tokens=original, dropped=tuple(dropped)
    )


def _shorten(
    parts: Sequence[_Part], whole: frozenset[str], task: str | None, room: int, count: CountMany
) -> dict[str, tuple[str, int]]:
    """Text and tokens of what is kept of each part."""
    for part in parts:
        if part.key in whole or _is_json(part.text):
            part.pieces = [Piece(at=0, kind=CODE, text=part.text, section=0, block=0)]
        else:
            part.pieces = pieces_of(part.text)
    costs = iter(count([piece.text + "\n" for part in parts for piece in part.pieces]))
    for part in parts:
        part.costs = [next(costs) for _ in part.pieces]
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
        counts = count(list(texts.values()))
        if sum(counts) <= max(0, room) or not chosen:
            break
        # Pieces were counted one by one; together they may have a few tokens more.
        over = sum(counts) - max(0, room)
        while chosen and over > 0:
            part, last = chosen.pop()
            kept[part.key].difference_update(last)
            over -= sum(part.costs[at] for at in last)
    for part in parts:
        part.kept = tuple(sorted(kept[part.key]))
    return dict(zip(texts, zip(texts.values(), counts, strict=True), strict=True))


def _by_worth(parts: Sequence[_Part], task: str | None, room: int) -> list[tuple[_Part, Piece]]:
    """Every piece that may be chosen for itself, the one that says most for its length first.

    The more of a key stands before a piece, measured by the key's fair share of the room, the less
    the piece is preferred: a long text does not crowd the others out.
    """
    asked = frozenset(words.query_words(task or ""))
    about = _Relevance(parts, asked) if asked else None
    share = max(1.0, room / max(1, len(parts)))
    crowding = (CROWDING_FOR_TASK if asked else CROWDING) / share
    length = LENGTH_FOR_TASK if asked else LENGTH
    ordered = []
    for part in parts:
        opened: set[int] = set()
        own = []
        for piece in part.pieces:
            if piece.kind == HEAD:
                continue
            worth = BASE[piece.kind]
            if about is not None:
                worth += about.of_piece(part, piece) + FROM_SECTION * about.of_section(part, piece)
            if piece.kind == PROSE and piece.section not in opened:
                opened.add(piece.section)
                worth += OPENING
            own.append((worth / max(LEAST_COST, part.costs[piece.at]) ** length, piece))
        own.sort(key=lambda one: (-one[0], one[1].at))
        before = 0
        for density, piece in own:
            ordered.append(((-density / (1 + before * crowding), piece.at), (part, piece)))
            before += part.costs[piece.at]
    return [pair for _, pair in sorted(ordered, key=lambda one: one[0])]


class _Relevance:
    """How much pieces and sections have of what a task asks for, each 0-1.

    A section speaks for its pieces: what answers a question seldom repeats its words in every line.
    """

    def __init__(self, parts: Sequence[_Part], asked: frozenset[str]) -> None:
        self._pieces: dict[tuple[str, int], frozenset[str]] = {}
        sections: dict[tuple[str, int], dict[str, float]] = {}
        for part in parts:
            of_key = asked.intersection(words.stems(part.key))
            for piece in part.pieces:
                found = words.stems(piece.text)
                here = self._pieces[part.key, piece.at] = asked.intersection(found)
                held = sections.get((part.key, piece.section))
                if held is None:
                    held = sections[part.key, piece.section] = dict.fromkeys(of_key, FROM_KEY)
                    for at in piece.below:
                        for word in self._pieces[part.key, at]:
                            held[word] = max(held.get(word, 0.0), FROM_HEADINGS)
                for word in here:
                    more = IN_HEADING if piece.kind == HEADING else found.count(word)
                    held[word] = held.get(word, 0.0) + more
        holding = Counter(word for held in sections.values() for word in held if held[word] >= 1)
        weights = {word: math.log1p(len(sections) / (1 + holding[word])) for word in asked}
        full = sum(weights.values()) or 1.0
        self._weights = {word: weight / full for word, weight in weights.items()}
        shares = {
            at: sum(self._weights[word] * often / (often + HALF) for word, often in held.items())
            for at, held in sections.items()
        }
        best = max(shares.values(), default=0.0) or 1.0
        self._sections: dict[tuple[str, int], float] = {
            at: (share / best) ** SHARPNESS for at, share in shares.items()
        }

    def of_piece(self, part: _Part, piece: Piece) -> float:
        """The share of the task's words in a piece, rare ones counting more."""
        return sum(self._weights[word] for word in self._pieces[part.key, piece.at])

    def of_section(self, part: _Part, piece: Piece) -> float:
        """The same of its section, its headings and its key, beside the best section."""
        return self._sections[part.key, piece.section]


def _written(part: _Part, kept: Collection[int]) -> str:
    if kept and len(kept) == len(part.pieces):
        return part.text
    return joined(part.pieces[at] for at in kept)


def _headings_cut(part: _Part) -> tuple[str, ...]:
    headings = {piece.section: piece.text for piece in part.pieces if piece.kind == HEADING}
    kept = frozenset(part.kept)
    lost = {piece.section for piece in part.pieces if piece.at not in kept}
    return tuple(headings[section].lstrip("# ") for section in sorted(lost & headings.keys()))


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
