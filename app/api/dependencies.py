"""Hand the house to endpoints: everything that a flow may be given."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from app import clock
from app.api.reach import bound_to
from app.core.errors import DomainError
from app.core.model_choice import Grade
from app.core.windows import micros
from app.flows.backup import Backups
from app.flows.record_lists import LongLists
from app.flows.run_jobs import Jobs
from app.gateways.prices import PriceList
from app.gateways.thinking import Thinking
from app.gateways.tokens import TokenCounter
from app.store.costshelf import CostShelf
from app.store.database import Store
from app.store.directory import Directory
from app.store.groupcache import GroupCache
from app.store.keyring import KeyRing
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
    prices: PriceList
    costs: CostShelf
    grades: Mapping[str, Grade]
    thinking: Thinking
    zone: ZoneInfo
    ttl_seconds: int
    backups: Backups
    jobs: Jobs
    ring: KeyRing
    lists: LongLists | None = None
    """Reads long lists of usage events in a process beside; None: they are read here."""
    now: clock.Now = clock.now
    new_id: clock.NewId = clock.new_id
    new_secret: clock.NewSecret = clock.new_secret

    def identify(
        self, workspace: str, agent: str, agent_type: str | None = None
    ) -> tuple[str, str | None]:
        """The full name of an agent that reports usage, and its profile if it has one."""
        return self.shelf.identify(workspace, agent, agent_type)

    def forget(self) -> None:
        """Forget what was read from rows that have been replaced, and read policy anew."""
        self.store.forget()
        self.cache.forget()
        self.directory.forget()
        self.costs.forget()
        with suppress(DomainError):  # the database is away: policy is followed once a second
            self.store.read_now(self.shelf.refresh_now)
            self.store.read_now(self.costs.refresh_now)

    def now_micros(self) -> int:
        """The present moment in microseconds since 1970."""
        return micros(self.now())


def house_for(request: Request) -> House:
    """The house that serves a request, as far as its key reaches: ids of others are not found."""
    house: House = request.scope["app"].state.house
    bound = bound_to()
    return replace(house, directory=house.directory.narrowed(bound)) if bound else house


async def house_of(request: Request) -> House:
    """`house_for` as FastAPI asks for it."""
    return house_for(request)


HouseDep = Annotated[House, Depends(house_of)]
