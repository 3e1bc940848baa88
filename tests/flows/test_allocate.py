"""Prove that the flow of a budget records once, in few statements, at the moment it is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from sqlalchemy import event, select

from app.core.allocation import Request
from app.core.errors import IdempotencyMismatch, Unavailable, UnknownAgent
from app.core.memory import Candidate
from app.flows.allocate import Asked, allocate
from app.gateways.tokens import TokenCounter
from app.presets.loader import shipped
from app.store.database import Store
from app.store.shelf import PolicyShelf
from app.store.tables import agents, allocations, workspaces
from app.store.textcache import TextCache


@pytest.fixture(scope="module")
def tokens() -> TokenCounter:
    """A counter of tokens, loaded once."""
    return TokenCounter()


@pytest.fixture
def shelf() -> PolicyShelf:
    """The shipped policy."""
    return PolicyShelf(shipped())


class Ids:
    """Ids in a row, so that answers can be told apart."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, prefix: str, workspace: str) -> str:
        self.count += 1
        return f"{prefix}_{self.count:04}_{workspace}"


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """The statements that run through SQLAlchemy while the block lasts."""
    found: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        found.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    yield found
    event.remove(store.engine, "before_cursor_execute", note)


async def test_a_budget_is_in_the_books_when_it_is_answered(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    asked = Asked(request=Request(agent="helpers/new", task="List models", workspace="w"))

    answer = await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=Ids())

    row, agent, workspace = store.read_now(
        lambda tx: (
            tx.connection.execute(select(allocations)).one(),
            tx.connection.execute(select(agents)).one(),
            tx.connection.execute(select(workspaces)).one(),
        )
    )
    assert row.decision.encode() == answer
    assert (row.id, row.workspace, row.agent) == ("alc_0001_w", "w", "helpers/new")
    assert (agent.name, workspace.workspace) == ("helpers/new", "w")


async def test_a_plain_budget_asks_the_database_nothing_before_it_writes(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    asked = Asked(request=Request(agent="dbt-expert", task="List models"))
    await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=(ids := Ids()))
    with statements(store) as found:
        await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=ids)
    assert [one for one in found if one.lstrip().upper().startswith("SELECT")] == []


async def test_the_same_key_is_the_same_bytes_and_another_body_is_refused(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    request = Request(agent="dbt-expert", task="List models")
    first = Asked(request=request, idempotency_key="k", request_hash=b"1")
    other = Asked(request=request, idempotency_key="k", request_hash=b"2")
    ids = Ids()

    answers = [
        await allocate(store, shelf, tokens, TextCache(), asked=first, now=now, new_id=ids)
        for _ in range(2)
    ]
    with pytest.raises(IdempotencyMismatch):
        await allocate(store, shelf, tokens, TextCache(), asked=other, now=now, new_id=ids)

    assert answers[0] == answers[1]
    assert ids.count == 3


async def test_a_refusal_records_nothing(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    asked = Asked(request=Request(agent="zzz", strict=True))
    with pytest.raises(UnknownAgent):
        await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=Ids())
    rows = store.read_now(lambda tx: tx.connection.execute(select(allocations)).all())
    assert rows == []


async def test_only_texts_without_tokens_are_counted(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    asked = Asked(
        request=Request(max_tokens=1_000),
        candidates=(
            Candidate(id="trusted", tokens=7, text="hello world"),
            Candidate(id="counted", tokens=0, text="hello wide world"),
        ),
        uncounted=(1,),
    )
    answer = await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=Ids())
    assert b'"tokens":10,' in answer


async def test_without_the_writer_a_budget_is_answered_and_not_recorded(
    store: Store, shelf: PolicyShelf, tokens: TokenCounter, now: datetime
) -> None:
    store.close()
    asked = Asked(request=Request(agent="dbt-expert"))
    answer = await allocate(store, shelf, tokens, TextCache(), asked=asked, now=now, new_id=Ids())
    assert answer.startswith(b'{"id":null')
    assert b'"degraded":true' in answer
    with pytest.raises(Unavailable):
        await store.write_alone(lambda tx: None)
