"""Keep which workspaces and agents have been seen."""

from collections.abc import Iterable

from sqlalchemy import select

from app.core.ids import tag_of
from app.store.database import Tx
from app.store.tables import agents, workspaces

REMEMBERED = 200_000
_IGNORE = "ON CONFLICT DO NOTHING"


def register(tx: Tx, workspace: str, names: Iterable[str], *, now: int) -> None:
    """Note a workspace and agents on sight; what this process noted before costs nothing."""
    seen = tx.notes.seen
    fresh = sorted({name for name in ("", *names) if (workspace, name) not in seen})
    if not fresh:
        return
    if not fresh[0]:
        tx.insert_many(workspaces, [(workspace, tag_of(workspace), now)], tail=_IGNORE)
    tx.insert_many(agents, [(workspace, name, now) for name in fresh if name], tail=_IGNORE)
    tx.on_commit.append(lambda: _note(seen, workspace, fresh))


def _note(seen: set[tuple[str, str]], workspace: str, names: list[str]) -> None:
    if len(seen) > REMEMBERED:
        seen.clear()
    seen.update((workspace, name) for name in names)


def list_agents(tx: Tx, workspace: str) -> dict[str, int]:
    """Every agent seen in a workspace, and when first (microseconds)."""
    table = agents.c
    query = select(table.name, table.first_seen_at).where(table.workspace == workspace)
    return {row.name: row.first_seen_at for row in tx.connection.execute(query)}


def list_workspaces(tx: Tx) -> dict[str, str]:
    """Every workspace seen, with its tag (a sweep)."""
    rows = tx.connection.execute(select(workspaces.c.workspace, workspaces.c.tag))
    return {row.workspace: row.tag for row in rows}


def names_like(tx: Tx, workspace: str, name: str) -> tuple[str, ...]:
    """The full names that an agent filter means: itself, or every `type/name` of a bare name."""
    if "/" in name:
        return (name,)
    table = agents.c
    query = select(table.name).where(
        table.workspace == workspace, table.name.like(f"%/{_escaped(name)}", escape="\\")
    )
    found = tx.connection.execute(query).scalars()
    return (name, *(full for full in found if full.endswith(f"/{name}")))  # LIKE may ignore case


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
