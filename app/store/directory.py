"""Find the workspace of an id by the tag at its end."""

from collections import defaultdict

from app.core.ids import tag_in
from app.store.agents import list_workspaces
from app.store.database import Store


class Directory:
    """Workspaces by tag, as far as this process has seen them; looked up again on a miss."""

    def __init__(self) -> None:
        self._by_tag: dict[str, list[str]] = {}

    def forget(self) -> None:
        """Forget every workspace (when all rows are replaced)."""
        self._by_tag = {}

    async def workspaces_of(self, store: Store, id_: str) -> list[str]:
        """Workspaces that an id may belong to: one, but for colliding tags; none if unknown."""
        tag = tag_in(id_)
        if tag is None:
            return []
        if tag not in self._by_tag:
            by_tag: defaultdict[str, list[str]] = defaultdict(list)
            for workspace, its in (await store.read(list_workspaces)).items():
                by_tag[its].append(workspace)
            self._by_tag = dict(by_tag)
        return self._by_tag.get(tag, [])
