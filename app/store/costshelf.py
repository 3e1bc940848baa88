"""Hold every workspace's prices and budgets in USD in memory, as new as their versions say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from app.core.charging import PriceOf, charge
from app.core.price_overrides import Override, Stated, stated_price
from app.core.pricing import Price, Service
from app.core.spending import CostBudget
from app.core.usage import UsageEvent
from app.store.cost_budgets import read_budgets
from app.store.cost_heads import read_version, read_versions
from app.store.cost_prices import read_prices
from app.store.database import SYSTEM, Store, Tx

DEFAULT = "default"
"""The workspace whose prices hold where a workspace states none."""

Listed = Callable[[str, int, Service], Price | None]
"""model, moment (microseconds), service → the published price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBook:
    """What a workspace states about costs."""

    version: int = 0
    prices: Mapping[str, Override] = field(default_factory=dict)
    """By model, in lower case."""
    hard_budgets: Sequence[CostBudget] = ()
    """Those that may refuse a run."""


_NOTHING = CostBook()


class CostShelf:
    """Prices and budgets by workspace: its own, then `default`'s prices, then published ones."""

    def __init__(self, listed: Listed) -> None:
        self._listed = listed
        self.stated: Stated = {}
        """The prices that workspaces state; another object once any of them changes."""
        self._books: dict[str, CostBook] = {}
        self._epoch = -1
        self._lock = Lock()
        self.price: PriceOf = self._price
        self.charge: Callable[[UsageEvent], UsageEvent] = partial(charge, price_of=self._price)
        """Prices an event that came without a cost."""

    def book(self, workspace: str) -> CostBook:
        """What a workspace states."""
        return self._books.get(workspace, _NOTHING)

    def overrides(self, workspace: str) -> dict[str, tuple[str, Override]]:
        """What is stated of models, by their name in lower case, and the workspace that states
        it."""
        found = {}
        for home in dict.fromkeys((DEFAULT, workspace)):
            found.update({name: (home, one) for name, one in self.book(home).prices.items()})
        return found

    async def refresh(self, store: Store) -> None:
        """Follow what any replica changed."""
        await store.read(self.refresh_now)

    def refresh_now(self, tx: Tx) -> None:
        """`refresh` within a transaction."""
        epoch = read_version(tx, SYSTEM)
        if epoch == self._epoch:
            return
        versions = read_versions(tx)
        with self._lock:
            held = dict(self._books)
        books = {
            name: held[name] if name in held and held[name].version == version else _read(tx, name)
            for name, version in versions.items()
        }
        with self._lock:
            self._books, self._epoch = books, epoch
            self.stated = {name: book.prices for name, book in books.items() if book.prices}

    def forget(self) -> None:
        """Forget everything: the rows have been replaced."""
        with self._lock:
            self._books, self._epoch, self.stated = {}, -1, {}

    def _price(self, workspace: str, model: str, at: int, service: Service) -> Price | None:
        own = stated_price(self.stated, (workspace, DEFAULT), model, at, service)
        return self._listed(model, at, service) if own is None else own


def _read(tx: Tx, workspace: str) -> CostBook:
    return CostBook(
        version=read_version(tx, workspace),
        prices={one.model.lower(): one for one in read_prices(tx, workspace)},
        hard_budgets=tuple(one for one in read_budgets(tx, workspace) if one.is_hard),
    )
