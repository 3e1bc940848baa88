"""Find the policy books that held in a workspace before: every change made a version."""

from collections.abc import Mapping
from typing import Any

from app.core.policy_documents import DEFAULT_WORKSPACE, layers_for
from app.core.policybook import PolicyBook
from app.store import policies
from app.store.database import Tx
from app.store.pacing import pause

Document = Mapping[str, Any]

EVER = -(2**62)
"""Before anything."""


class PolicyHistory:
    """When which versions of a workspace's policy, and of `default`'s below it, came into force.

    What ships is taken as this release has it.
    """

    def __init__(self, shipped: Mapping[str, Document], workspace: str) -> None:
        self._shipped = shipped
        self._workspace = workspace
        self.since: list[int] = [EVER]
        """When each state began, in microseconds; the first is what ships."""
        self._versions: list[dict[str, int]] = [{}]

    def read(self, tx: Tx) -> None:
        """Read when the versions were made."""
        changes = sorted(
            change
            for workspace in {DEFAULT_WORKSPACE, self._workspace}
            for change in _changes(tx, workspace)
        )
        held: dict[str, int] = {}
        for at, workspace, version in changes:
            held = {**held, workspace: version}
            self.since.append(at)
            self._versions.append(held)

    def book(self, tx: Tx, index: int) -> PolicyBook:
        """The book of a state."""
        versions = self._versions[index]
        stored = policies.read_documents(tx, versions)
        pause()
        return PolicyBook.compile(
            layers_for(self._workspace, shipped=self._shipped, stored=stored),
            workspace=self._workspace,
            version=versions.get(self._workspace, 0) or versions.get(DEFAULT_WORKSPACE, 0),
        )


def _changes(tx: Tx, workspace: str) -> list[tuple[int, str, int]]:
    """When each version came into force; never before the one it followed, whatever the clock."""
    sql = (
        f"SELECT version, created_at FROM policy_versions WHERE workspace = {tx.marks(1)}"
        " ORDER BY version"
    )
    found = []
    latest = EVER
    for version, at in tx.fetch(sql, [workspace]):
        latest = max(latest, at)
        found.append((latest, workspace, version))
    return found
