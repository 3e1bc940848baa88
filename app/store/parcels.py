"""Book long lists of events that a process beside has read, several lists at once.

That process has made rows of the events already, and counted what those of a workspace come to
together. This holds where all of them are new and count against no budget in USD; anything else is
sorted out event by event, as if it had been read here.
"""

from collections.abc import Sequence
from functools import cached_property

from app.core.charging import Charge, uncharged
from app.core.errors import DomainError
from app.core.receipts import Booked
from app.core.unread import CellRow, Row
from app.core.usage import UsageEvent
from app.core.windows import MICROS
from app.store.agents import register
from app.store.appending import append_rows
from app.store.booking import Delivery, book
from app.store.cells import add_rows, settle
from app.store.database import Tx
from app.store.spending import open_ledger
from app.store.usage_rows import event_of


class Parcel:
    """The events of one request, as rows in the order they were given."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    @cached_property
    def ids(self) -> list[str]:
        """The id of each event."""
        return [row[1] for row in self.rows]

    @cached_property
    def events(self) -> list[UsageEvent]:
        """The events themselves."""
        return list(map(event_of, self.rows))


class Share:
    """Parcels of one workspace that were read together, and the cells that they come to.

    No event names an allocation, and no id comes twice.
    """

    def __init__(
        self,
        parcels: Sequence[Parcel],
        *,
        cells: Sequence[CellRow],
        oldest: int,
        newest: int,
        charge: Charge = uncharged,
    ) -> None:
        self.parcels = parcels
        self.cells = cells
        self.oldest = oldest
        self.newest = newest
        """Moments of events, in microseconds."""
        self.charge = charge

    @property
    def deliveries(self) -> list[Delivery]:
        """The same to be sorted out."""
        return [
            Delivery(events=one.events, charge=self.charge, enforced=True) for one in self.parcels
        ]


Outcome = Sequence[list[Booked] | DomainError] | None
"""What became of each parcel of a share; None: every event was new."""


def book_shares(tx: Tx, workspace: str, shares: Sequence[Share]) -> list[Outcome]:
    """Append shares, of each the parcels whole or not at all."""
    return [
        None if _append(tx, workspace, one) else book(tx, workspace, one.deliveries)
        for one in shares
    ]


def _append(tx: Tx, workspace: str, share: Share) -> bool:
    """Append a share as it was counted; False where that does not hold, and nothing is written."""
    rows = [row for parcel in share.parcels for row in parcel.rows]
    agents = {row[3] for row in rows}
    if any((workspace, agent) in tx.notes.crowded for agent in agents):
        return False
    marks = settle(tx, workspace, share.newest)
    if share.oldest < max(marks.rolled, marks.sealed) * MICROS:
        return False
    if open_ledger(tx, workspace, marks) is not None:
        return False
    if not append_rows(tx, workspace, rows):
        return False
    add_rows(tx, workspace, share.cells)
    register(tx, workspace, agents, now=rows[0][2])
    return True
