"""Decide what one run may load, and which of its memories that is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from app.core.analytics import usd
from app.core.appraisal import Aim, TaskContext, appraise, shortlist
from app.core.budgets import Budget, Room, budget_for, rooms
from app.core.complexity import Context, Signal, Verdict
from app.core.detection import Detector
from app.core.memory import Candidate, scope_in
from app.core.monitoring import Load, Monitor, opened, record
from app.core.packing import SHARED_SCOPE, Selection, select
from app.core.pricing import Counts, Price, bill
from app.core.profiles import (
    AgentMatch,
    Enforcement,
    MatchKind,
    PolicyKind,
    ResolvedPolicy,
    Scoring,
)
from app.core.recall import Prospects
from app.core.rendering import Format
from app.core.terms import Alert, Terms, terms_of
from app.core.values import value

DEFAULT_TTL_SECONDS = 3600  # spec, "Defaults"

FIRST_TIER = "working"  # spec, "Defaults": where a memory without a scope belongs among tiers


@value
class Request:
    """What a client asks when it asks for a budget."""

    agent: str | None = None
    agent_type: str | None = None
    task: str | None = None
    complexity: str | None = None
    """Overrides detection."""
    workspace: str = "default"
    project: str | None = None
    user: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    """A manual budget: no profile decides."""
    strict: bool = False
    """Refuse an unknown agent."""
    as_of: datetime | None = None
    """The time that freshness is judged at; None: now."""
    context: Context = field(default_factory=Context)
    select: Literal["none", "given", "stored"] | None = None
    """None: `given` when memories are sent, else `none`."""
    scoring: Scoring | None = None
    """None: as the policy says."""
    render: Format | None = None
    """Also write the text to load; the budget then holds for that text."""
    explain: bool = False
    query_embedding: Sequence[float] | None = None
    """Of the task."""
    detector: Detector | None = None
    """What judges the task; None: as the policy says."""
    hints: TaskContext = field(default_factory=TaskContext)
    """What files of a memory tree are matched with."""
    ttl_seconds: float = DEFAULT_TTL_SECONDS
    pool: str | None = None
    """The pool that the budget is drawn from."""
    is_last_word: bool = False
    """May draw the share that the pool keeps for its last word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameScore:
    """An agent's name and its likeness, 0–1, to the one asked for."""

    name: str
    score: float


@value
class Agent:
    """Whom the budget is for."""

    name: str
    """`type/name` where the type is known."""
    type: str | None
    requested: str
    match: MatchKind
    match_score: float
    candidates: tuple[NameScore, ...]
    """The nearest names, when it is unsure which was meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which policy decided, and why."""

    kind: PolicyKind
    name: str
    version: int
    trace: tuple[str, ...]


@value
class Complexity:
    """How difficult the task was taken to be."""

    tier: str
    multiplier: float
    confidence: float
    source: Literal["detected", "given", "default"]
    signals: tuple[Signal, ...]
    advice: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The budget in numbers that JSON carries; `Budget` holds them exactly."""

    tokens: int
    base: int
    max: int | None
    multiplier: float
    capped: bool
    mode: Literal["profile"]
    bound_by: Literal["multiplier", "max", "max_tokens"]
    predicted: None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeUse:
    """The room of a scope and what is left of it."""

    name: str
    weight: float
    tokens: int
    used: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What tokens would cost."""

    usd: str
    model: str
    price_version: str


@value
class Allocation:
    """The answer to a request for a budget."""

    id: str | None
    """None when it could not be recorded."""
    created_at: datetime
    workspace: str
    project: str | None
    user: str | None
    session_id: str | None
    run_id: str | None
    model: str | None
    degraded: bool = False
    degraded_reason: str | None = None
    agent: Agent | None
    policy: Policy
    complexity: Complexity
    budget: Grant
    scopes: tuple[ScopeUse, ...]
    selection: Selection | None
    enforcement: Enforcement
    alerts: tuple[Alert, ...]
    cost: Cost | None = None
    """What the whole budget would cost as input of the model; null where no model is named, or
    nobody knows its price."""
    expires_at: datetime
    pool: str | None = None
    """The pool that the budget is reserved in until it is finished, released or expired."""


@value
class Decision:
    """The answer, and the running state that its loads are booked on."""

    allocation: Allocation
    monitor: Monitor


def decide(
    request: Request,
    *,
    policy: ResolvedPolicy,
    agent: AgentMatch | None,
    verdict: Verdict,
    candidates: Sequence[Candidate] = (),
    prospects: Prospects | None = None,
    count: Callable[[str], int] | None = None,
    price: Price | None = None,
    now: datetime,
    id: str | None,
    ttl_seconds: float | None = None,
) -> Decision:
    """The budget that the policy gives, the memories that fit, and these booked as loads.

    Memories are chosen from `candidates`, or from a `prospects` of stored ones. `count` tells the
    tokens of a text that is rendered. `ttl_seconds` is the request's unless given.
    """
    offer = _offer(policy, verdict.tier)
    budget = offer.budget
    ttl = request.ttl_seconds if ttl_seconds is None else ttl_seconds
    monitor = opened(offer.terms, budget=budget.tokens, now=now, ttl_seconds=ttl)

    selection = None
    if prospects is not None or wants_selection(request, candidates):
        aim = _aim(request, policy, agent, now)
        default_scope = FIRST_TIER if policy.text_kind == "query" else SHARED_SCOPE
        if prospects is not None:
            candidates, scores = shortlist(
                aim, prospects, budget=budget.tokens, rooms=offer.rooms, default_scope=default_scope
            )
        else:
            scores = appraise(aim, candidates)
        selection = select(
            candidates,
            scores,
            offer.rooms,
            budget=budget.tokens,
            rigid=policy.rigid,
            now=aim.at,
            default_scope=default_scope,
            render=request.render,
            count=count,
            explain=request.explain,
        )
        chosen = [
            Load(scope=one.scope, tokens=one.tokens, memory_id=one.id) for one in selection.selected
        ]
        monitor = record(monitor, chosen, now)

    allocation = Allocation(
        id=id,
        created_at=now,
        workspace=request.workspace,
        project=request.project,
        user=request.user,
        session_id=request.session_id,
        run_id=request.run_id,
        model=request.model,
        agent=_agent(agent),
        policy=offer.policy,
        complexity=_complexity(verdict, offer.grant.multiplier),
        budget=_granted(offer.grant, monitor.budget),
        scopes=offer.scopes,
        selection=selection,
        enforcement=policy.enforcement,
        alerts=monitor.alerts,
        cost=_cost(request.model, price, monitor.budget),
        expires_at=monitor.expires_at,
        pool=request.pool,
    )
    if selection is not None:
        allocation = replace(allocation, scopes=used_scopes(allocation.scopes, monitor.scopes))
    return Decision(allocation=allocation, monitor=monitor)


def tokens_for(policy: ResolvedPolicy, verdict: Verdict) -> int:
    """The budget that a policy gives to a task so difficult."""
    return _offer(policy, verdict.tier).budget.tokens


def wants_selection(request: Request, candidates: Sequence[Candidate]) -> bool:
    """Whether memories that were sent are to be chosen from; unless it says, if there are some."""
    if request.select is None:
        return bool(candidates)
    return request.select == "given"


def _aim(request: Request, policy: ResolvedPolicy, agent: AgentMatch | None, now: datetime) -> Aim:
    return Aim(
        task=request.task or "",
        at=request.as_of or now,
        scoring=request.scoring or policy.scoring,
        weights=policy.weights,
        half_life_hours=policy.half_life_hours,
        agent=None if agent is None else full_name(agent),
        context=request.hints,
        embedding=request.query_embedding,
        explain=request.explain,
    )


def used_scopes(scopes: Sequence[ScopeUse], loaded: Mapping[str, int]) -> tuple[ScopeUse, ...]:
    """The rooms after these loads by scope; a scope without a room is added with none."""
    rooms_by_name = {scope.name: scope for scope in scopes}
    used: dict[str, int] = dict.fromkeys(rooms_by_name, 0)
    for name, tokens in loaded.items():
        home = scope_in(rooms_by_name, name) or name
        used[home] = used.get(home, 0) + tokens
    roomless = ScopeUse(name="", weight=0.0, tokens=0, used=0, remaining=0)
    return tuple(
        replace(scope, used=tokens, remaining=max(0, scope.tokens - tokens))
        for name, tokens in used.items()
        for scope in (rooms_by_name.get(name) or replace(roomless, name=name),)
    )


def full_name(match: AgentMatch) -> str:
    """The agent that was matched, `type/name` where its type is known."""
    return match.name if match.type is None else f"{match.type}/{match.name}"


def _agent(match: AgentMatch | None) -> Agent | None:
    if match is None:
        return None
    return Agent(
        name=full_name(match),
        type=match.type,
        requested=match.requested,
        match=match.match,
        match_score=match.match_score,
        candidates=tuple(NameScore(name=name, score=score) for name, score in match.candidates),
    )


def _complexity(verdict: Verdict, multiplier: float) -> Complexity:
    return Complexity(
        tier=verdict.tier,
        multiplier=multiplier,
        confidence=verdict.confidence,
        source=verdict.source,
        signals=verdict.signals,
        advice=verdict.advice,
    )


def _cost(model: str | None, price: Price | None, tokens: int) -> Cost | None:
    if model is None or price is None:
        return None
    found = bill(price, Counts(input=tokens))
    return Cost(usd=usd(found.total), model=model, price_version=found.version)


def _granted(grant: Grant, tokens: int) -> Grant:
    """The budget, as its own selection may have raised it."""
    return grant if tokens == grant.tokens else replace(grant, tokens=tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """All that a policy says about one tier, whoever asks."""

    budget: Budget
    rooms: tuple[Room, ...]
    terms: Terms
    policy: Policy
    grant: Grant
    scopes: tuple[ScopeUse, ...]


@lru_cache(maxsize=4096)
def _offer(policy: ResolvedPolicy, tier: str) -> _Offer:
    budget = budget_for(policy, tier)
    shares = rooms(policy, budget)
    return _Offer(
        budget=budget,
        rooms=shares,
        terms=terms_of(policy, tier, budget=budget.tokens),
        policy=Policy(
            kind=policy.kind, name=policy.name, version=policy.version, trace=policy.trace
        ),
        grant=Grant(
            tokens=budget.tokens,
            base=budget.base,
            max=budget.max,
            multiplier=float(budget.multiplier),
            capped=budget.capped,
            mode=budget.mode,
            bound_by=budget.bound_by,
        ),
        scopes=tuple(map(_room_use, shares)),
    )


def _room_use(room: Room) -> ScopeUse:
    return ScopeUse(
        name=room.name,
        weight=float(room.weight),
        tokens=room.tokens,
        used=0,
        remaining=room.tokens,
    )
