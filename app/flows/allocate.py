"""Give a run its budget, and choose the memories that fit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from time import perf_counter_ns

from anyio import to_thread

from app.core.allocation import Decision, Request, decide, full_name, tokens_for
from app.core.complexity import Verdict, default, given
from app.core.errors import Unavailable
from app.core.judging import judge_text
from app.core.memory import Candidate
from app.core.policybook import PolicyBook
from app.core.pricing import Price
from app.core.profiles import AgentMatch, ResolvedPolicy
from app.core.recall import View, Wish
from app.core.retrieval import probe
from app.core.spending import CostBudget, Spender, Standing, covers
from app.core.spending_words import exhaustion
from app.core.values import value
from app.core.windows import micros
from app.gateways.tokens import TokenCounter
from app.presets.detector import weights
from app.store.allocations import New, add_many, encode
from app.store.database import Store, Tx
from app.store.loading import Loading, add_loading
from app.store.prospects import gather
from app.store.shelf import PolicyShelf
from app.store.standings import read_standings
from app.store.textcache import TextCache

FEW = 50
"""Candidates that are scored and packed on the event loop; more would hold others up."""


@value
class Asked:
    """A request for a budget, with the memories that came with it and how to repeat it."""

    request: Request
    candidates: Sequence[Candidate] = ()
    uncounted: Sequence[int] = ()
    """Indexes of candidates whose tokens the caller left out."""
    idempotency_key: str | None = None
    request_hash: bytes | None = None
    price: Price | None = None
    """Of the model, if one is named and its price known."""
    hard_budgets: Sequence[CostBudget] = ()
    """Budgets in USD of the workspace under which no run may begin once they are spent."""


async def allocate(
    store: Store,
    shelf: PolicyShelf,
    tokens: TokenCounter,
    texts: TextCache,
    *,
    asked: Asked,
    now: datetime,
    new_id: Callable[[str, str], str],
) -> bytes:
    """The allocation as JSON, recorded before it is answered; loads of stored memories, too.

    With the database away a soft budget is answered all the same, from policy in memory: its
    `id` is null, `degraded` is true, and of stored memories none is selected. Errors:
    UnknownAgent (strict), Unavailable (hard, or drawn from a pool), BudgetExceeded (a hard budget
    in USD is spent, or the pool has not enough), and NotFound or PoolClosed of a pool.
    """
    started = perf_counter_ns()
    request = asked.request
    candidates = await _counted(asked, tokens)
    book = shelf.book(request.workspace)

    policy, agent = book.resolve(
        agent=request.agent,
        agent_type=request.agent_type,
        workspace=request.workspace,
        project=request.project,
        user=request.user,
        max_tokens=request.max_tokens,
        strict=request.strict,
    )
    if asked.hard_budgets:
        await _require_money(store, asked, agent, now)
    verdict = judge(request, policy, book)
    work = partial(
        decide,
        request,
        policy=policy,
        agent=agent,
        verdict=verdict,
        candidates=candidates,
        count=partial(tokens.count, encoding=tokens.encoding_for(request.model)),
        price=asked.price,
        now=now,
        id=new_id("alc", request.workspace),
    )
    if request.select == "stored":
        try:
            room = tokens_for(policy, verdict)
            decision = await _from_stored(store, tokens, texts, request, agent, room, now, work)
        except Unavailable as error:
            if policy.enforcement == "hard" or request.pool is not None:
                raise
            return encode(degraded(work(), error.detail).allocation)
    elif len(candidates) > FEW or request.render is not None:
        decision = await to_thread.run_sync(work)
    else:
        decision = work()

    new = New(
        decision=decision,
        answer=encode(decision.allocation),
        task=request.task,
        processing_us=(perf_counter_ns() - started) // 1000,
        idempotency_key=asked.idempotency_key,
        request_hash=asked.request_hash,
        is_last_word=request.is_last_word,
    )
    try:
        selection = decision.allocation.selection
        if request.select != "stored" or selection is None:
            return await store.write(request.workspace, add_many, new, repeats=True)
        chosen = [one.id for one in selection.selected]
        loading = Loading(new=new, memory_ids=chosen)
        return await store.write(request.workspace, add_loading, loading, weight=1 + len(chosen))
    except Unavailable as error:
        if policy.enforcement == "hard" or request.pool is not None:
            raise
        return encode(degraded(decision, error.detail).allocation)


async def _require_money(
    store: Store, asked: Asked, agent: AgentMatch | None, now: datetime
) -> None:
    """Refuse a run that a spent hard budget covers."""
    request = asked.request
    spender = Spender(
        agent=None if agent is None else full_name(agent),
        project=request.project,
        user=request.user,
        run_id=request.run_id,
    )
    budgets = [one for one in asked.hard_budgets if covers(one, spender)]

    def work(tx: Tx) -> list[Standing]:
        return read_standings(tx, request.workspace, budgets, at=micros(now), run_id=request.run_id)

    for standing in await store.read(work) if budgets else ():
        if standing.is_exhausted:
            raise exhaustion(standing)


async def _from_stored(
    store: Store,
    tokens: TokenCounter,
    texts: TextCache,
    request: Request,
    agent: AgentMatch | None,
    room: int,
    now: datetime,
    work: Callable[..., Decision],
) -> Decision:
    """The decision about the stored memories that the request may see and that may answer it."""
    at = request.as_of or now
    view = View(
        workspace=request.workspace,
        project=request.project,
        agent=None if agent is None else full_name(agent),
    )
    return await gather(
        store,
        texts,
        view,
        probe(request.task or "", at),
        Wish(room=room, now=micros(at), embedding=request.query_embedding),
        encoding=tokens.encoding_for(request.model),
        count=tokens.count_many,
        then=lambda prospects: work(prospects=prospects),
    )


def judge(request: Request, policy: ResolvedPolicy, book: PolicyBook) -> Verdict:
    """How difficult the task is: as given, else as detected, else the default."""
    if request.complexity is not None:
        return given(request.complexity, policy.text_kind)
    if request.task is None:
        return default(policy.text_kind)
    return judge_text(
        request.task,
        policy.text_kind,
        request.context,
        signals=book.signals,
        detection=book.detection,
        weights=weights(),
        detector=request.detector,
    )


def degraded(decision: Decision, reason: str) -> Decision:
    """The decision as it is answered when it cannot be recorded."""
    allocation = replace(
        decision.allocation,
        id=None,
        degraded=True,
        degraded_reason=f"Not recorded: {reason}",
    )
    return replace(decision, allocation=allocation)


async def _counted(asked: Asked, tokens: TokenCounter) -> Sequence[Candidate]:
    if not asked.uncounted:
        return asked.candidates
    candidates = list(asked.candidates)
    texts = [candidates[index].text or "" for index in asked.uncounted]
    encoding = tokens.encoding_for(asked.request.model)
    counts = await to_thread.run_sync(tokens.count_many, texts, encoding)
    for index, count in zip(asked.uncounted, counts, strict=True):
        candidates[index] = candidates[index]._replace(tokens=count)
    return candidates
