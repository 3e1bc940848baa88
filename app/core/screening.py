"""Set memories aside that are not to be packed: expired, worth nothing, or there already."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from app.core.memory import Candidate, scope_in
from app.core.scoring import Score

SHARED_SCOPE = "global"  # spec, "Rooms": of equal contents the copy outside it is kept


class Item(NamedTuple):
    """A candidate with its score, and where it counts."""

    candidate: Candidate
    score: Score
    scope: str
    home: str | None
    """The policy's scope it counts in; None: it lives on unused room only."""
    at: int
    """Its position in the request."""


class SetAside(NamedTuple):
    """Why an item is not packed."""

    reason: Literal["duplicate", "expired", "below_threshold"]
    displaced_by: str | None = None
    """Id of the one that was preferred."""


def items_of(
    candidates: Sequence[Candidate],
    scores: Sequence[Score],
    names: frozenset[str],
    default_scope: str,
) -> list[Item]:
    """The candidates with their scores, best first; equals by tokens, id and position."""
    homes: dict[str, str | None] = {}
    items = []
    for at, (candidate, score) in enumerate(zip(candidates, scores, strict=True)):
        scope = default_scope if candidate.scope is None else candidate.scope
        if scope not in homes:
            homes[scope] = scope_in(names, scope)
        items.append(Item(candidate, score, scope, homes[scope], at))
    items.sort(key=_by_score)
    return items


def set_aside(items: Sequence[Item], *, now: datetime) -> dict[int, SetAside]:
    """What is not packed, by position in the request; `items` come best first.

    Of one id the best is kept. Of equal texts the pinned one is kept, then one outside the shared
    scope, which is the agent's own, then the best.
    """
    aside = {}
    waiting = []
    for item in items:
        if item.candidate.expires_at is not None and item.candidate.expires_at <= now:
            aside[item.at] = SetAside("expired")
        elif item.score.total <= 0 and not item.candidate.pinned:
            aside[item.at] = SetAside("below_threshold")
        else:
            waiting.append(item)
    waiting = _once(waiting, lambda item: item.candidate.id, aside)
    told = sorted((item for item in waiting if item.candidate.text), key=_by_ownership)
    _once(told, lambda item: item.candidate.text, aside)
    return aside


def _once(
    items: Iterable[Item], identity: Callable[[Item], str | None], aside: dict[int, SetAside]
) -> list[Item]:
    """The first of each identity; the others are set aside."""
    first: dict[str | None, Item] = {}
    for item in items:
        kept = first.setdefault(identity(item), item)
        if kept is not item:
            aside[item.at] = SetAside("duplicate", kept.candidate.id)
    return list(first.values())


def _by_ownership(item: Item) -> tuple[bool, bool]:
    return (not item.candidate.pinned, item.scope == SHARED_SCOPE)


def _by_score(item: Item) -> tuple[float, int, str, int]:
    return (-item.score.total, item.candidate.tokens, item.candidate.id, item.at)
