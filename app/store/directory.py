"""Find the workspace of an id by the tag at its end."""

from collections import defaultdict
from collections.abc import Sequence

from app.core.ids import tag_in
from app.store.agents import list_workspaces
from app.store.database import Store


class Directory:
    """Workspaces by tag, as far as this process has seen them; looked up again on a miss."""

    def __init__(self) -> None:
        self._by_tag: dict[str, list[str]] = {}
        self.homes: Sequence[str] = ("default",)
        """Where ids without a tag of ours are looked for."""
        self._bound: frozenset[str] | None = None

    def narrowed(self, workspaces: Sequence[str]) -> "Directory":
        """This directory for somebody who reaches only some workspaces; it shares what it saw."""
        narrow = Directory()
        narrow._by_tag, narrow.homes, narrow._bound = (
            self._by_tag,
            workspaces,
            frozenset(workspaces),
        )
        return narrow

    def forget(self) -> None:
        """Forget every workspace (when all rows are replaced)."""
        self._by_tag.clear()

    async def workspaces_of(self, store: Store, id_: str) -> list[str]:
        """Workspaces that an id may belong to: one, but for colliding tags; none if unknown."""
        tag = tag_in(id_)
        if tag is None:
            return []
        if tag not in self._by_tag:
            by_tag: defaultdict[str, list[str]] = defaultdict(list)
            for workspace, its in (await store.read(list_workspaces)).items():
                by_tag[its].append(workspace)
            self._by_tag.update(by_tag)
        found = self._by_tag.get(tag, [])
        return found if self._bound is None else [one for one in found if one in self._bound]
