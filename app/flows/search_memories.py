"""Find the memories that a question needs."""

from functools import partial

from app.core.appraisal import Aim
from app.core.profiles import ResolvedPolicy
from app.core.recall import Prospects, View
from app.core.retrieval import probe
from app.core.searching import Hits, Sought, search, wish_of
from app.gateways.tokens import TokenCounter
from app.store.database import Store
from app.store.prospects import gather
from app.store.shelf import PolicyShelf
from app.store.textcache import TextCache


async def search_memories(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, texts: TextCache, sought: Sought
) -> Hits:
    """What is found, best first; nothing counts as loaded by it. Errors: Unavailable."""
    book = shelf.book(sought.workspace)
    agent = None if sought.agent is None else book.identify(sought.agent)[0]
    policy, _ = book.resolve(workspace=sought.workspace, project=sought.project)
    return await gather(
        store,
        texts,
        View(workspace=sought.workspace, project=sought.project, agent=agent),
        probe(sought.query, sought.at),
        wish_of(sought),
        encoding=tokens.encoding_for(sought.model),
        count=tokens.count_many,
        then=partial(_found, sought, policy),
    )


def _found(sought: Sought, policy: ResolvedPolicy, prospects: Prospects) -> Hits:
    aim = Aim(
        task=sought.query,
        at=sought.at,
        scoring="measured",
        weights=policy.weights,
        half_life_hours=policy.half_life_hours,
        embedding=sought.query_embedding,
        explain=sought.explain,
    )
    return search(aim, prospects, limit=sought.limit, max_tokens=sought.max_tokens)
