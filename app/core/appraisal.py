"""Say what memories are worth to a task: by the formula of the policy, or as measured."""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from app.core.budgets import Room
from app.core.memory import REFERENCE, Candidate, scope_in
from app.core.passages import Passage, statistics_of, traits_of
from app.core.profiles import ScoreWeights, Scoring
from app.core.recall import Prospects
from app.core.retrieval import Relevance, relevances
from app.core.scoped import original_score
from app.core.scoring import Score, Scorer, freshness
from app.core.screening import SHARED_SCOPE
from app.core.values import value
from app.core.windows import micros, moment

SHORTLIST_ROOM = 1.5
"""Of stored memories the best are candidates, up to so many times the budget."""
SHORTLIST_LEAST = 32
"""Memories that are candidates in any case."""

GIVEN_RELEVANCE, GIVEN_IMPORTANCE, GIVEN_FRESHNESS = 0.9, 0.09, 0.01
"""Weights of what a caller says of a memory: the rest decides between equally relevant ones."""


SCOPED_WEIGHT = 0.8
"""What the original's score weighs for files of a memory tree; relevance has the rest."""


@value
class TaskContext:
    """What a caller says of a task besides its text."""

    technologies: Sequence[str] = ()
    task_type: str | None = None
    keywords: Sequence[str] = ()


@value
class Aim:
    """What memories are judged by."""

    task: str
    at: datetime
    """The time that is the present to the task."""
    scoring: Scoring
    weights: ScoreWeights
    half_life_hours: Decimal
    agent: str | None = None
    """`type/name` of the agent that loads; files of a memory tree are scored for it, too."""
    context: TaskContext = field(default_factory=TaskContext)
    embedding: Sequence[float] | None = None
    """Of the task; compared with memories' that are as long."""
    explain: bool = False


def appraise(aim: Aim, candidates: Sequence[Candidate]) -> list[Score]:
    """The scores of candidates that came with a request, in their order."""
    if aim.scoring == "formula":
        scorer = _scorer(aim)
        return [scorer.score(candidate) for candidate in candidates]
    passages = [_passage(candidate) for candidate in candidates]
    found: Sequence[Relevance] = ()
    if any(candidate.relevance is None for candidate in candidates):
        found = relevances(
            aim.task,
            passages,
            statistics_of(passages),
            as_of=aim.at,
            query_embedding=aim.embedding,
            embeddings=[candidate.embedding for candidate in candidates],
            explain=aim.explain,
        )
    half_life = float(aim.half_life_hours)
    return [
        _measured(aim.at, half_life, candidate, found[at])
        if candidate.relevance is None
        else _told(aim, candidate)
        for at, candidate in enumerate(candidates)
    ]


def shortlist(
    aim: Aim,
    prospects: Prospects,
    *,
    budget: int | None,
    rooms: Sequence[Room] = (),
    default_scope: str = SHARED_SCOPE,
    least: int = SHORTLIST_LEAST,
) -> tuple[list[Candidate], list[Score]]:
    """The stored memories that come into question, with their scores.

    As measured these are the best, until they more than fill a budget (tokens; None: there is
    none) and are so many, and all that are pinned; by the formula, all. An agent loads no files
    of a tree that are only for reference.
    """
    if aim.agent is not None:
        prospects = _loadable(prospects)
    if aim.scoring == "formula":
        candidates = [candidate_at(prospects, at) for at in range(len(prospects.memories))]
        return candidates, appraise(aim, candidates)
    passages = [
        Passage(
            one.id,
            text.traits,
            one.session,
            one.speaker,
            one.position,
            _moment(one.created_at),
            one.importance,
        )
        for one, text in zip(prospects.memories, prospects.texts, strict=True)
    ]
    found = relevances(
        aim.task,
        passages,
        prospects.statistics,
        as_of=aim.at,
        query_embedding=aim.embedding,
        embeddings=[one.embedding for one in prospects.memories] if aim.embedding else None,
        explain=aim.explain,
    )
    if aim.agent is not None:
        found = [_scoped(aim, prospects, at, one) for at, one in enumerate(found)]
    chosen = _best(
        aim, [one.value for one in found], prospects, budget, rooms, default_scope, least
    )
    candidates = [candidate_at(prospects, at) for at in chosen]
    half_life = float(aim.half_life_hours)
    return candidates, [
        _measured(aim.at, half_life, candidate, found[at])
        for at, candidate in zip(chosen, candidates, strict=True)
    ]


def _scoped(aim: Aim, prospects: Prospects, at: int, relevance: Relevance) -> Relevance:
    """The relevance of a memory to an agent's task; a file is scored as the original did, too."""
    one = prospects.memories[at]
    if aim.agent is None or one.path is None:
        return relevance
    used = one.last_accessed_at
    score = original_score(
        path=one.path,
        text=prospects.texts[at].text,
        agent=aim.agent.rpartition("/")[2],
        own=one.agent == aim.agent,
        technologies=aim.context.technologies,
        task_type=aim.context.task_type,
        keywords=aim.context.keywords,
        age_days=None if used is None else (aim.at - moment(used)) / timedelta(days=1),
        access_count=one.access_count,
    )
    rest = 1 - SCOPED_WEIGHT
    return Relevance(
        value=SCOPED_WEIGHT * score + rest * relevance.value,
        parts=(
            ("scoped", score, SCOPED_WEIGHT),
            *((name, part, weight * rest) for name, part, weight in relevance.parts),
        )
        if aim.explain
        else (),
    )


_moment = lru_cache(maxsize=65_536)(moment)


def _loadable(prospects: Prospects) -> Prospects:
    kept = [
        at
        for at, one in enumerate(prospects.memories)
        if one.path is None or one.scope != REFERENCE or one.pinned
    ]
    if len(kept) == len(prospects.memories):
        return prospects
    return Prospects(
        statistics=prospects.statistics,
        memories=[prospects.memories[at] for at in kept],
        texts=[prospects.texts[at] for at in kept],
        tokens=[prospects.tokens[at] for at in kept],
    )


def candidate_at(prospects: Prospects, at: int) -> Candidate:
    """One of the prospects as a memory that may be loaded."""
    one = prospects.memories[at]
    accessed, expires = one.last_accessed_at, one.expires_at
    return Candidate(
        one.id,
        prospects.tokens[at],
        one.scope,
        prospects.texts[at].text,
        one.path,
        _moment(one.created_at),
        None if accessed is None else _moment(accessed),
        one.access_count,
        one.relevance,
        one.importance,
        one.pinned,
        one.group,
        None if expires is None else moment(expires),
        one.session,
        one.speaker,
        one.position,
    )


def _best(
    aim: Aim,
    values: Sequence[float],
    prospects: Prospects,
    budget: int | None,
    rooms: Sequence[Room],
    default_scope: str,
    least: int,
) -> list[int]:
    """Indexes of the shortlisted: the best by score, and by score for a token, until they more
    than fill the budget and each room.

    What could not be selected beside better ones (copies, others of a group, what has expired or
    is too large) is among them and takes no place of theirs.
    """
    memories, tokens, now = prospects.memories, prospects.tokens, micros(aim.at)
    names = [room.name for room in rooms if room.tokens]
    scopes = {one.scope for one in memories} if names else set()
    homes = {scope: scope_in(names, scope or default_scope) for scope in scopes}
    chosen = {at: None for at, one in enumerate(memories) if one.pinned}
    by_score = sorted(range(len(values)), key=lambda at: (-values[at], memories[at].id))
    orders = [by_score]
    if budget:
        orders.append(sorted(by_score, key=lambda at: -values[at] / (tokens[at] or 1)))
    for ranked in orders:
        wanted, count = SHORTLIST_ROOM * (budget or 0), least
        free = {room.name: SHORTLIST_ROOM * room.tokens for room in rooms if room.tokens}
        seen: set[bytes | str] = set()
        for at in ranked:
            one, size = memories[at], tokens[at]
            home = homes.get(one.scope)
            if wanted <= 0 and count <= 0 and home not in free:
                if not free:
                    break
                continue
            chosen[at] = None
            same = (one.content, one.group or one.content)
            is_past = one.expires_at is not None and one.expires_at <= now
            if is_past or (budget is not None and size > budget) or not seen.isdisjoint(same):
                continue
            seen.update(same)
            wanted, count = wanted - size, count - 1
            if home is not None and home in free:
                free[home] -= size
                if free[home] <= 0:
                    del free[home]
    return list(chosen)


def _scorer(aim: Aim) -> Scorer:
    return Scorer(
        task=aim.task, weights=aim.weights, half_life_hours=aim.half_life_hours, now=aim.at
    )


def _passage(candidate: Candidate) -> Passage:
    return Passage(
        id=candidate.id,
        traits=traits_of(candidate.text or ""),
        session=candidate.session,
        speaker=candidate.speaker,
        position=candidate.position,
        created_at=candidate.created_at,
        importance=candidate.importance,
    )


def _measured(
    at: datetime, half_life_hours: float, candidate: Candidate, relevance: Relevance
) -> Score:
    value, parts = relevance
    fresh = freshness(candidate.created_at, at, half_life_hours=half_life_hours)
    total = 0.0 if value < 0 else 1.0 if value > 1 else value
    return Score(total, value, candidate.importance, fresh, parts)


def _told(aim: Aim, candidate: Candidate) -> Score:
    """The score of a memory whose relevance the caller knows."""
    relevance = candidate.relevance or 0.0
    fresh = freshness(candidate.created_at, aim.at, half_life_hours=float(aim.half_life_hours))
    parts = (
        ("relevance", relevance, GIVEN_RELEVANCE),
        ("importance", candidate.importance, GIVEN_IMPORTANCE),
        ("freshness", fresh, GIVEN_FRESHNESS),
    )
    return Score(
        total=sum(value * weight for _, value, weight in parts),
        relevance=relevance,
        importance=candidate.importance,
        freshness=fresh,
        parts=parts,
    )
