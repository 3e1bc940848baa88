"""Move memories between the ranked tiers of a workspace, and never back and forth (B4)."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from app.core.lifecycle import DAY_MICROS, Card, Edit, Proposal
from app.core.policybook import PolicyBook
from app.core.profiles import WorkspaceBudget
from app.core.scoring import freshness
from app.core.values import value
from app.core.windows import moment

# Spec B4: what a promotion score is made of.
SCORE_SHARE = 0.5
ACCESS_SHARE = 0.3
RECENCY_SHARE = 0.2
RECENCY_DECAY = 0.1  # a day

BAND = 0.1
"""Promotion scores between demotion and promotion at which a memory stays, whatever the policy's
thresholds: the score does not depend on the tier, so that no memory is wanted in both."""

REST_MICROS = DAY_MICROS
"""How long a memory that was moved (or moved back) stays where it is."""


@value
class Standing:
    """How a memory stands between the tiers."""

    score: float
    """Relevance, importance and freshness in the workspace's weights, 0–1 (B3)."""
    promotion_score: float
    """0–1."""
    move: str | None
    """`promote`, `demote`, or None: it stays."""
    target: str | None
    reason: str | None


def placements(
    cards: Iterable[Card], budget: WorkspaceBudget, *, now: int, resting: Collection[str] = ()
) -> list[Proposal]:
    """Memories that belong one tier higher or lower, the surest moves first.

    Only those whose scope is a tier of the budget and whose id is not among `resting`.
    """
    tiers = ranked(budget)
    found = []
    for card in cards:
        if card.scope not in tiers or card.id in resting:
            continue
        standing = stand(card, budget, now=now)
        if standing.target is None or standing.reason is None:
            continue
        found.append(
            Proposal(
                memory_id=card.id,
                score=standing.promotion_score,
                reason=standing.reason,
                project=card.project,
                path=card.path,
                agent=card.agent,
                source=card.scope,
                target=standing.target,
                ids=(card.id,),
                edits=(Edit(memory_id=card.id, fields={"scope": standing.target}),),
            )
        )
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


def stand(card: Card, budget: WorkspaceBudget, *, now: int) -> Standing:
    """Where a memory belongs: promoted at the promotion threshold and with accesses enough,
    demoted below the demotion threshold, one tier at a time."""
    tiers = ranked(budget)
    rank = tiers.index(card.scope) if card.scope in tiers else None
    score = value_of(card, budget, now=now)
    promotion = promotion_score(card, score, budget, now=now)
    high = float(budget.promotion_threshold)
    low = min(float(budget.demotion_threshold), high - BAND)

    move = target = reason = None
    if promotion >= high and card.access_count >= budget.promotion_accesses:
        if rank is not None and rank + 1 < len(tiers):
            move, target = "promote", tiers[rank + 1]
            reason = (
                f"promotion_score={promotion:.2f} >= {high:g},"
                f" use_count={card.access_count} >= {budget.promotion_accesses}"
            )
    elif promotion < low and rank:
        move, target = "demote", tiers[rank - 1]
        reason = f"promotion_score={promotion:.2f} < {low:g}"
    return Standing(score=score, promotion_score=promotion, move=move, target=target, reason=reason)


def each_place(
    book: PolicyBook,
    cards: Iterable[Card],
    propose: Callable[[Sequence[Card], WorkspaceBudget], Sequence[Proposal]],
) -> list[Proposal]:
    """What is proposed for the memories of each project under the budget it has."""
    by_project: defaultdict[str | None, list[Card]] = defaultdict(list)
    for card in cards:
        by_project[card.project].append(card)
    found = chain.from_iterable(
        propose(its, budget_in(book, project)) for project, its in by_project.items()
    )
    return sorted(found, key=lambda one: (-one.score, one.memory_id))


def budget_in(book: PolicyBook, project: str | None) -> WorkspaceBudget:
    """The budget of a project: its own, its workspace's, or that of `default`."""
    own = None if project is None else book.projects.get(project)
    return own or book.budget or book.default_budget


def ranked(budget: WorkspaceBudget) -> list[str]:
    """The tiers of a budget, lowest first."""
    tiers = [(scope.rank, scope.name) for scope in budget.scopes if scope.rank is not None]
    return [name for _, name in sorted(tiers)]


def value_of(card: Card, budget: WorkspaceBudget, *, now: int) -> float:
    """The score of B3 without a task: the stated relevance, importance, freshness.

    Without a stated relevance the other two decide by their own weights: that nothing is known of
    it does not speak against a memory.
    """
    weights = budget.weights
    half_life = float(budget.half_life_hours)
    fresh = freshness(moment(card.created_at), moment(now), half_life_hours=half_life)
    parts = [(float(weights.importance), card.importance), (float(weights.freshness), fresh)]
    total = sum(weight * part for weight, part in parts)
    if card.relevance is not None:
        total += float(weights.relevance) * card.relevance
    elif (known := sum(weight for weight, _ in parts)) > 0:
        total /= known
    return min(1.0, max(0.0, total))


def promotion_score(card: Card, score: float, budget: WorkspaceBudget, *, now: int) -> float:
    """0.5·score + 0.3·min(1, accesses/threshold) + 0.2·exp(−0.1·days since access; 1 if never)."""
    used = min(1.0, card.access_count / budget.promotion_accesses)
    recency = 1.0
    if card.last_accessed_at is not None:
        days = max(0.0, (now - card.last_accessed_at) / DAY_MICROS)
        recency = math.exp(-RECENCY_DECAY * days)
    return SCORE_SHARE * score + ACCESS_SHARE * used + RECENCY_SHARE * recency
