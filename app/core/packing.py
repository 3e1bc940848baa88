"""Choose the memories to load, and say of each why it is chosen or dropped."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from app.core.budgets import Room
from app.core.choosing import Choice, Problem
from app.core.explaining import RENDERED_WORK, WORK, budgets_that_include, can_write, displacers
from app.core.fitting import fit
from app.core.memory import Candidate
from app.core.rendering import Format
from app.core.scoring import Part, Score
from app.core.screening import SHARED_SCOPE, Item, SetAside, items_of, set_aside
from app.core.values import value

__all__ = ["SHARED_SCOPE", "Dropped", "Selected", "Selection", "select"]

Reason = Literal["over_budget", "duplicate", "expired", "below_threshold"]


@value
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
    parts: tuple[Part, ...] | None = None
    """Name, value (0–1) and weight of what the score adds up from, where that was asked for."""


@value
class Dropped:
    """A memory that is not loaded, and why."""

    id: str
    scope: str
    tokens: int
    score: float
    reason: Reason
    min_budget_to_include: int | None = None
    """The smallest budget tried that includes it, with rooms of the same shares."""
    displaced_by: str | None = None
    """The memory of the same content, id or group that was preferred; of one that is over budget,
    a memory without which it would have been selected."""


@value
class Selection:
    """Each candidate once: selected or dropped, best first."""

    tokens: int
    utilization: float
    """Share of the budget, 0–1."""
    value: float
    """Sum of the scores of what is selected."""
    upper_bound: float | None = None
    """No choice is worth more."""
    gap_pct: float | None = None
    """How far `value` may be below the best: 0–100 per cent of `upper_bound`."""
    context: str | None = None
    """The text to load, where one was asked for."""
    rendered_tokens: int | None = None
    """Counted tokens of `context`."""
    selected: tuple[Selected, ...]
    dropped: tuple[Dropped, ...]


def select(
    candidates: Sequence[Candidate],
    scores: Sequence[Score],
    rooms: Sequence[Room],
    *,
    budget: int,
    rigid: bool,
    now: datetime,
    default_scope: str = SHARED_SCOPE,
    render: Format | None = None,
    count: Callable[[str], int] | None = None,
    explain: bool = False,
) -> Selection:
    """Each candidate selected or dropped, within the budget.

    `scores` are those of the candidates, in their order. With `render` the text to load is written
    as well, and the budget also holds for its tokens as `count` counts them; memories without a
    text are not in it. With `explain` drops for want of room say what would include them,
    unless that takes writing very long texts.
    """
    items = items_of(candidates, scores, frozenset(room.name for room in rooms), default_scope)
    aside = set_aside(items, now=now)
    waiting = [item for item in items if item.at not in aside]
    problem = Problem(items=waiting, rooms=rooms, budget=budget, rigid=rigid)
    fitted = fit(problem, render, count)
    needed: dict[int, int] = {}
    displaced: dict[int, str] = {}
    if explain and (render is None or can_write(problem)):
        work = WORK if render is None else RENDERED_WORK

        def choose(other: Problem) -> Choice:
            return fit(other, render, count).choice

        budgets = budgets_that_include(problem, fitted.choice, choose, work=work)
        needed = {waiting[at].at: tokens for at, tokens in budgets.items()}
        others = displacers(problem, fitted.choice, choose, work=work)
        displaced = {waiting[at].at: waiting[by].candidate.id for at, by in others.items()}
    choice = fitted.choice
    chosen = [waiting[index] for index in choice.chosen]
    tokens = sum(item.candidate.tokens for item in chosen)
    return Selection(
        tokens=tokens,
        utilization=tokens / budget if budget else 0.0,
        value=choice.value,
        upper_bound=choice.bound,
        gap_pct=100 * (choice.bound - choice.value) / choice.bound if choice.bound else 0.0,
        context=fitted.text,
        rendered_tokens=fitted.tokens,
        selected=_selected(chosen, rooms, explain=explain),
        dropped=_dropped(items, aside, chosen, needed, displaced),
    )


def _selected(
    chosen: Sequence[Item], rooms: Sequence[Room], *, explain: bool
) -> tuple[Selected, ...]:
    free = {room.name: room.tokens for room in rooms}
    for item in chosen:
        if item.candidate.pinned and item.home is not None:
            free[item.home] -= item.candidate.tokens
    selected = []
    for item in chosen:
        candidate, score = item.candidate, item.score
        fits = item.home is not None and candidate.tokens <= free[item.home]
        if item.home is not None and fits and not candidate.pinned:
            free[item.home] -= candidate.tokens
        selected.append(
            Selected(
                id=candidate.id,
                scope=item.scope,
                tokens=candidate.tokens,
                score=score.total,
                relevance=score.relevance,
                importance=score.importance,
                freshness=score.freshness,
                reason="pinned" if candidate.pinned else "room" if fits else "lent_room",
                parts=score.parts if explain else None,
            )
        )
    return tuple(selected)


def _dropped(
    items: Sequence[Item],
    aside: Mapping[int, SetAside],
    chosen: Sequence[Item],
    needed: Mapping[int, int],
    displaced: Mapping[int, str],
) -> tuple[Dropped, ...]:
    """What is not chosen; one whose group has another chosen is a duplicate of that."""
    taken = {item.at for item in chosen}
    by_group = {item.candidate.group: item.candidate.id for item in chosen if item.candidate.group}
    dropped = []
    for item in items:
        if item.at in taken:
            continue
        why = aside.get(item.at)
        reason: Reason = "over_budget"
        displaced_by = displaced.get(item.at)
        if why is not None:
            reason, displaced_by = why.reason, why.displaced_by
        elif item.candidate.group in by_group:
            reason, displaced_by = "duplicate", by_group[item.candidate.group]
        dropped.append(
            Dropped(
                id=item.candidate.id,
                scope=item.scope,
                tokens=item.candidate.tokens,
                score=item.score.total,
                reason=reason,
                min_budget_to_include=needed.get(item.at) if reason == "over_budget" else None,
                displaced_by=displaced_by,
            )
        )
    return tuple(dropped)
