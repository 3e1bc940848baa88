"""Hold every workspace's policy book in memory, as new as the version rows say."""

from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any

from app.core.policy_documents import (
    DEFAULT_WORKSPACE,
    OWN_SECTIONS,
    layers_for,
    merge_budgets,
)
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
        self.generation = 0
        """Raised when a backup has replaced all rows: nothing read before is true any more."""
        self._documents: dict[str, Document] = {}
        self._versions: dict[str, int] = {}
        self._books: dict[str, PolicyBook] = {}
        self._epoch = -1
        self._lock = Lock()

    def book(self, workspace: str) -> PolicyBook:
        """The book in force for a workspace, declared or not."""
        book = self._books.get(workspace)
        return self._compile(workspace) if book is None else book

    def identify(
        self, workspace: str, agent: str, agent_type: str | None = None
    ) -> tuple[str, str | None]:
        """The full name of an agent that reports usage, and its profile if it has one."""
        return self.book(workspace).identify(agent, agent_type)

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
        """`refresh` within a transaction; books in use are compiled before they are replaced."""
        epoch = policies.epoch(tx)
        if epoch == self._epoch:
            return False
        heads = policies.heads(tx)
        is_renewed = self._epoch // policies.GENERATION != epoch // policies.GENERATION
        held = {} if is_renewed else self._versions
        stale = {name: version for name, version in heads.items() if held.get(name) != version}
        found = policies.read_documents(tx, stale)
        with self._lock:
            documents = found if is_renewed else {**self._documents, **found}
            kept = {} if is_renewed or DEFAULT_WORKSPACE in stale else dict(self._books)
            affected = [name for name in self._books if name not in kept or name in stale]
        fresh = {
            name: self._compiled(name, documents, heads)
            for name in affected
            if name in documents or name in self.shipped
        }
        with self._lock:
            if epoch < self._epoch:
                return False  # another thread has read later rows meanwhile
            self._documents, self._versions, self._epoch = documents, heads, epoch
            self._books = {**kept, **fresh}
            if is_renewed:
                self.generation, self.files_seen = epoch // policies.GENERATION, {}
        return bool(stale)

    def _compile(self, workspace: str) -> PolicyBook:
        with self._lock:
            epoch, documents, versions = self._epoch, self._documents, self._versions
        if workspace in documents or workspace in self.shipped:
            book = self._compiled(workspace, documents, versions)
        else:
            book = _undeclared(self.book(DEFAULT_WORKSPACE), workspace) or self._compiled(
                workspace, documents, versions
            )
        with self._lock:
            if epoch == self._epoch:
                if len(self._books) >= MAX_BOOKS:
                    self._books = {}
                self._books[workspace] = book
        return book

    def _compiled(
        self, workspace: str, documents: Mapping[str, Document], versions: Mapping[str, int]
    ) -> PolicyBook:
        return PolicyBook.compile(
            layers_for(workspace, shipped=self.shipped, stored=documents),
            workspace=workspace,
            version=versions.get(workspace, 0) or versions.get(DEFAULT_WORKSPACE, 0),
        )


def _undeclared(default: PolicyBook, workspace: str) -> PolicyBook | None:
    """The book of a workspace that states nothing, made of `default`'s without compiling it.

    None where something of `default`'s own budget has gone into the agents' policies.
    """
    if default.default_profile is None or default.default_budget.enforcement is not None:
        return None
    return replace(
        default,
        workspace=workspace,
        document={key: part for key, part in default.document.items() if key not in OWN_SECTIONS},
        budget=None,
        projects={},
        users={},
    )
