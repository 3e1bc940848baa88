"""Choose the memories that are worth most within the room of each scope."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.core.budgets import Room
from app.core.memory import Candidate, scope_in
from app.core.profiles import ScoreWeights
from app.core.scoring import Score, Scorer

Reason = Literal["over_budget", "duplicate", "expired", "below_threshold"]

SHARED_SCOPE = "global"  # spec, "Rooms": of equal contents the copy outside it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A memory to load, and why."""

    id: str
    scope: str
    tokens: int
    score: float
    relevance: float
    importance: float
    freshness: float
    reason: Literal["pinned", "room", "lent_room"]
    """In the room of its scope, or in room that other scopes left unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A memory that is not loaded, and why."""

    id: str
    scope: str
    tokens: int
    score: float
    reason: Reason
    min_budget_to_include: int | None = None
    displaced_by: str | None = None
    """The memory with the same content, id or group that was preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Each candidate once: selected or dropped, best first."""

    tokens: int
    utilization: float
    """Share of the budget, 0–1."""
    value: float
    """Sum of the scores of what is selected."""
    upper_bound: None = None
    gap_pct: None = None
    context: None = None
    rendered_tokens: None = None
    selected: tuple[Selected, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    candidate: Candidate
    scope: str
    home: str | None
    """The policy's scope it counts in; None: it lives on unused room only."""
    score: Score
    at: int
    """Its position in the request."""


def select(
    candidates: Sequence[Candidate],
    rooms: Sequence[Room],
    *,
    budget: int,
    task: str | None,
    weights: ScoreWeights,
    half_life_hours: Decimal,
    rigid: bool,
    now: datetime,
    default_scope: str = SHARED_SCOPE,
) -> Selection:
    """The greedy choice: pinned first, then each scope in its room, then what room is left.

    Rigid scopes lend nothing to each other; a scope that the policy lacks lives on unused room
    either way. The budget is never exceeded.
    """
    free = {room.name: room.tokens for room in rooms}
    scorer = Scorer(task=task, weights=weights, half_life_hours=half_life_hours, now=now)
    items = sorted(_weigh(candidates, free, scorer, default_scope), key=_by_score)

    dropped = {
        item.at: _drop(item, "expired")
        for item in items
        if item.candidate.expires_at is not None and item.candidate.expires_at <= now
    }
    dropped |= _repeated([item for item in items if item.at not in dropped])
    waiting = [item for item in items if item.at not in dropped]
    selected: dict[int, Selected] = {}
    left = budget

    for item in waiting:
        tokens = item.candidate.tokens
        room = free.get(item.home, 0) if rigid and item.home is not None else left
        if item.candidate.pinned and tokens <= min(room, left):
            selected[item.at] = _choose(item, "pinned")
            left -= tokens
            if item.home is not None:
                free[item.home] -= tokens

    for name in free:
        own = [item for item in waiting if item.home == name and item.at not in selected]
        for item in _best_packing(own, max(0, min(free[name], left))):
            selected[item.at] = _choose(item, "room")
            left -= item.candidate.tokens

    homeless = [
        item for item in waiting if item.at not in selected and (not rigid or item.home is None)
    ]
    for item in _best_packing(homeless, left):
        selected[item.at] = _choose(item, "lent_room")
        left -= item.candidate.tokens

    used = budget - left
    return Selection(
        tokens=used,
        utilization=used / budget if budget else 0.0,
        value=sum(chosen.score for chosen in selected.values()),
        selected=tuple(selected[item.at] for item in items if item.at in selected),
        dropped=tuple(
            dropped.get(item.at) or _drop(item, "over_budget")
            for item in items
            if item.at not in selected
        ),
    )


def _weigh(
    candidates: Iterable[Candidate],
    names: Mapping[str, int],
    scorer: Scorer,
    default_scope: str,
) -> Iterator[_Item]:
    for at, candidate in enumerate(candidates):
        scope = default_scope if candidate.scope is None else candidate.scope
        yield _Item(candidate, scope, scope_in(names, scope), scorer.score(candidate), at)


def _best_packing(items: Sequence[_Item], room: int) -> Sequence[_Item]:
    """The most valuable of three greedy fills, each skipping what does not fit.

    By score is the original's rule; by score per token wins where one large memory would push
    out many small ones; scores in the order given repeat the original's way with equal scores.
    """
    if sum(item.candidate.tokens for item in items) <= room:
        return items
    fills = (
        _fill(items, room),
        _fill(sorted(items, key=_by_density), room),
        _fill(sorted(items, key=lambda item: (-item.score.total, item.at)), room),
    )
    return max(fills, key=lambda fill: sum(item.score.total for item in fill))


def _fill(items: Iterable[_Item], room: int) -> list[_Item]:
    chosen = []
    for item in items:
        if item.candidate.tokens <= room:
            chosen.append(item)
            room -= item.candidate.tokens
    return chosen


def _repeated(items: Sequence[_Item]) -> dict[int, Dropped]:
    """What another candidate of the same id, content or group stands for."""
    dropped = _but_the_first(items, lambda item: item.candidate.id)
    rest = [item for item in items if item.at not in dropped]
    dropped |= _but_the_first(sorted(rest, key=_by_ownership), lambda item: item.candidate.text)
    rest = [item for item in items if item.at not in dropped]
    pinned_first = sorted(rest, key=lambda item: not item.candidate.pinned)
    return dropped | _but_the_first(pinned_first, lambda item: item.candidate.group)


def _but_the_first(
    items: Iterable[_Item], identity: Callable[[_Item], str | None]
) -> dict[int, Dropped]:
    first: dict[str, _Item] = {}
    dropped = {}
    for item in items:
        if key := identity(item):
            kept = first.setdefault(key, item)
            if kept is not item:
                dropped[item.at] = _drop(item, "duplicate", displaced_by=kept.candidate.id)
    return dropped


def _by_ownership(item: _Item) -> tuple[bool, bool]:
    return (not item.candidate.pinned, item.scope == SHARED_SCOPE)


def _by_score(item: _Item) -> tuple[float, int, str, int]:
    return (-item.score.total, item.candidate.tokens, item.candidate.id, item.at)


def _by_density(item: _Item) -> tuple[float, float, int, str, int]:
    return (-item.score.total / max(item.candidate.tokens, 1), *_by_score(item))


def _choose(item: _Item, reason: Literal["pinned", "room", "lent_room"]) -> Selected:
    return Selected(
        id=item.candidate.id,
        scope=item.scope,
        tokens=item.candidate.tokens,
        score=item.score.total,
        relevance=item.score.relevance,
        importance=item.score.importance,
        freshness=item.score.freshness,
        reason=reason,
    )


def _drop(item: _Item, reason: Reason, *, displaced_by: str | None = None) -> Dropped:
    return Dropped(
        id=item.candidate.id,
        scope=item.scope,
        tokens=item.candidate.tokens,
        score=item.score.total,
        reason=reason,
        displaced_by=displaced_by,
    )
