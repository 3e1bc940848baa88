"""Hold every workspace's policy book in memory, as new as the version rows say."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

from app.core.policy_documents import Layer, layers_for
from app.core.policybook import PolicyBook
from app.store import policies
from app.store.database import Store, Tx

DEFAULT = "default"
MAX_BOOKS = 2_000

Document = Mapping[str, Any]


class PolicyShelf:
    """Compiled policy by workspace: shipped preset, then `default`'s document, then its own."""

    def __init__(self, shipped: Mapping[str, Document]) -> None:
        self._shipped = shipped
        self._documents: dict[str, Document] = {}
        self._versions: dict[str, int] = {}
        self._books: dict[str, PolicyBook] = {}
        self._epoch = -1
        self._lock = Lock()
        self.file_errors: dict[str, str] = {}
        """Watched files that were refused, and why; the policy before them stays in force."""

    def book(self, workspace: str) -> PolicyBook:
        """The book in force for a workspace, declared or not."""
        book = self._books.get(workspace)
        return self._compile(workspace) if book is None else book

    def declared(self) -> list[str]:
        """Workspaces that have a budget policy: shipped ones and those made since."""
        return sorted({*self._shipped, *self._documents})

    def layers(self, workspace: str, document: Document | None = None) -> tuple[Layer, ...]:
        """The documents that make up a workspace's policy, lowest first.

        `document` stands for the workspace's own in place of the one in force.
        """
        stored = self._documents if document is None else {**self._documents, workspace: document}
        return layers_for(workspace, shipped=self._shipped, stored=stored)

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
        stale = {name: v for name, v in heads.items() if self._versions.get(name) != v}
        documents = policies.read_documents(tx, stale)
        with self._lock:
            self._documents.update(documents)
            self._versions = heads
            self._books.clear()
            self._epoch = epoch
        return True

    def _compile(self, workspace: str) -> PolicyBook:
        with self._lock:
            version = self._versions.get(workspace, 0) or self._versions.get(DEFAULT, 0)
            layers = self.layers(workspace)
        book = PolicyBook.compile(layers, workspace=workspace, version=version)
        with self._lock:
            if len(self._books) >= MAX_BOOKS:
                self._books.clear()
            self._books[workspace] = book
        return book
