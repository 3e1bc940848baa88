"""Hand the house to endpoints: everything that a flow may be given."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from app import clock
from app.core.errors import DomainError
from app.core.windows import micros
from app.flows.backup import Backups
from app.flows.run_jobs import Jobs
from app.gateways.thinking import Thinking
from app.gateways.tokens import TokenCounter
from app.store.database import Store
from app.store.directory import Directory
from app.store.groupcache import GroupCache
from app.store.shelf import PolicyShelf
from app.store.textcache import TextCache


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the composition root opened."""

    store: Store
    shelf: PolicyShelf
    directory: Directory
    cache: GroupCache
    texts: TextCache
    tokens: TokenCounter
    thinking: Thinking
    zone: ZoneInfo
    ttl_seconds: int
    backups: Backups
    jobs: Jobs
    now: clock.Now = clock.now
    new_id: clock.NewId = clock.new_id

    def identify(
        self, workspace: str, agent: str, agent_type: str | None = None
    ) -> tuple[str, str | None]:
        """The full name of an agent that reports usage, and its profile if it has one."""
        return self.shelf.book(workspace).identify(agent, agent_type)

    def forget(self) -> None:
        """Forget what was read from rows that have been replaced, and read policy anew."""
        self.store.forget()
        self.cache.forget()
        self.directory.forget()
        with suppress(DomainError):  # the database is away: policy is followed once a second
            self.store.read_now(self.shelf.refresh_now)

    def now_micros(self) -> int:
        """The present moment in microseconds since 1970."""
        return micros(self.now())


async def house_of(request: Request) -> House:
    """The house that serves this request."""
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(house_of)]
