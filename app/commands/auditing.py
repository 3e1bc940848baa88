"""Audit a database, whether the service runs on it or not, and show what was found."""

from rich.console import Console
from rich.table import Table

from app.commands.trouble import Trouble, plainly, sqlite_file
from app.core.auditing import NAMED, Audited
from app.flows.audit import audit
from app.settings import Settings
from app.store.database import Store
from app.store.migrate import pending


def audit_books(settings: Settings, workspace: str | None, screen: Console) -> list[Audited]:
    """Audit one or all workspaces, reading only."""
    path = sqlite_file(settings.database_url)
    if path is not None and not path.is_file():
        raise Trouble(f"There is no database {path}; name another with --database-url.")
    with plainly():
        store = Store(settings.database_url)
        try:
            if store.read_now(lambda tx: pending(tx.connection)):
                raise Trouble("The schema is of another version: run membudget-server migrate.")
            with screen.status("reading the books") as status:
                return audit(
                    store,
                    None if workspace is None else [workspace],
                    lambda name, events: status.update(f"{name}: {events:,} events"),
                )
        finally:
            store.close()


def summary(found: list[Audited]) -> Table:
    """What was audited, a row for each workspace."""
    table = Table("workspace")
    for heading in ("events", "cells", "finished allocations", "totals in USD", "differences"):
        table.add_column(heading, justify="right")
    for one in found:
        figures = (one.events, one.cells, one.finished, one.totals, one.faults)
        table.add_row(one.workspace, *(f"{figure:,}" for figure in figures))
    return table


def differences(found: list[Audited]) -> Table:
    """The first differences, in the order of workspaces."""
    table = Table("workspace", "what", "kept", "counted")
    for one in [difference for each in found for difference in each.differences][:NAMED]:
        table.add_row(one.workspace, one.what, one.kept, one.counted)
    return table
