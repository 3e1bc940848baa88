"""Hold every workspace's policy book in memory, as new as the version rows say."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from app.core.policy_documents import DEFAULT_WORKSPACE, layers_for, merge_budgets
from app.core.policybook import PolicyBook
from app.store import policies
from app.store.database import Store, Tx

MAX_BOOKS = 2_000

Document = Mapping[str, Any]


class PolicyShelf:
    """Compiled policy by workspace: shipped preset, then `default`'s document, then its own."""

    def __init__(self, shipped: Mapping[str, Document]) -> None:
        self.shipped = shipped
        """The documents that ship, by workspace."""
        self.file_errors: dict[str, str] = {}
        """Watched files that were refused, and why; the policy before them stays in force."""
        self.files_seen: dict[str, str] = {}
        """The hash of each watched file as this process last judged it."""
        self._documents: dict[str, Document] = {}
        self._versions: dict[str, int] = {}
        self._books: dict[str, PolicyBook] = {}
        self._epoch = -1
        self._lock = Lock()

    def book(self, workspace: str) -> PolicyBook:
        """The book in force for a workspace, declared or not."""
        book = self._books.get(workspace)
        return self._compile(workspace) if book is None else book

    def documented(self) -> list[str]:
        """Workspaces that state anything: shipped ones and those made since."""
        return sorted({*self.shipped, *self.documents()})

    def documents(self) -> dict[str, Document]:
        """What each workspace states itself beyond what ships."""
        with self._lock:
            return dict(self._documents)

    def budgets(self) -> dict[str, Document]:
        """The budget of every workspace that has one of its own."""
        documents = self.documents()
        found = {
            name: merge_budgets(layers_for(name, shipped=self.shipped, stored=documents), name)
            for name in sorted({*self.shipped, *documents})
        }
        return {name: budget for name, budget in found.items() if budget is not None}

    def version(self, workspace: str) -> int:
        """The version in force of a workspace's own document; 0: as shipped."""
        return self._versions.get(workspace, 0)

    async def refresh(self, store: Store) -> bool:
        """Follow what any replica changed; whether anything had."""
        return await store.read(self.refresh_now)

    def refresh_now(self, tx: Tx) -> bool:
        """`refresh` within a transaction."""
        epoch = policies.epoch(tx)
        if epoch == self._epoch:
            return False
        heads = policies.heads(tx)
        held = self._versions
        stale = {name: version for name, version in heads.items() if held.get(name) != version}
        documents = policies.read_documents(tx, stale)
        with self._lock:
            if epoch < self._epoch:
                return False  # another thread has read later rows meanwhile
            self._documents = {**self._documents, **documents}
            self._versions = heads
            self._epoch = epoch
            if DEFAULT_WORKSPACE in stale:
                self._books.clear()
            for workspace in stale:
                self._books.pop(workspace, None)
        return bool(stale)

    def _compile(self, workspace: str) -> PolicyBook:
        with self._lock:
            epoch = self._epoch
            version = self._versions.get(workspace, 0) or self._versions.get(DEFAULT_WORKSPACE, 0)
            layers = layers_for(workspace, shipped=self.shipped, stored=self._documents)
        book = PolicyBook.compile(layers, workspace=workspace, version=version)
        with self._lock:
            if epoch == self._epoch:
                if len(self._books) >= MAX_BOOKS:
                    self._books.clear()
                self._books[workspace] = book
        return book
