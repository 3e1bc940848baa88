"""Say what a process that reads long lists of usage events is given, and what it answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.keys import Key
from app.core.price_overrides import Stated
from app.core.usage import CellId
from app.core.values import value

Named = tuple[str, str, str | None]
"""Workspace, agent and type as an event names them."""

Identity = tuple[str, str | None]
"""The agent's full name, and its profile if it has one."""


@value
class Unread:
    """A body as it came, and what its reading depends on."""

    raw: bytes
    kind: str
    """Its content type."""
    now: datetime
    key: Key | None
    """The key of the request, where it is bound to workspaces."""


@value
class Group:
    """Bodies to read together."""

    bodies: Sequence[Unread]
    stated: Stated | None = None
    """Prices that workspaces state, where they have changed since the last group."""
    forgets: bool = False
    """Whether names may mean something else since."""


Row = tuple[Any, ...]
"""A row, in the order of its table's columns."""

CellRow = tuple[CellId, Row, int]
"""A cell's name, its row of `usage_cells`, and how many entries its encodings have."""

Together = tuple[str, list[int], list[CellRow], int, int]
"""A workspace, the numbers of its bodies, the cells they come to, and the oldest and the newest
moment of their events (microseconds)."""

Found = tuple[list[list[Row] | None], list[Together], list[tuple[Named, Identity]]]
"""The rows of each body, or None where it is refused; what bodies of a workspace come to; names, as
they were taken."""
