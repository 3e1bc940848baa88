"""Book usage events: each once, a list whole or not at all."""

from collections.abc import Sequence

from app.core.charging import Charge, uncharged
from app.core.errors import DomainError
from app.core.receipts import Booked, Receipt, receipt
from app.core.usage import UsageEvent
from app.store.apart import book_apart
from app.store.booking import Delivery, book
from app.store.database import Store, Tx


async def record_usage(
    store: Store, events: Sequence[UsageEvent], charge: Charge = uncharged
) -> Receipt:
    """Book events and return once they are committed.

    `charge` prices events whose allocation names the model. Errors: IdMismatch where an id is
    known with another body, BudgetExceeded where a hard budget in USD lacks room; nothing is
    stored then.
    """
    workspaces = {event.workspace for event in events}
    if len(workspaces) == 1:
        home = next(iter(workspaces))
        delivery = Delivery(events=events, charge=charge, enforced=True)
        return receipt(await store.write(home, book, delivery, weight=len(events), repeats=True))
    return receipt(await store.write_alone(lambda tx: _book_each(tx, events, charge)))


def _book_each(tx: Tx, events: Sequence[UsageEvent], charge: Charge) -> list[Booked]:
    """Book a list that names several workspaces, in one transaction."""

    def book_its(workspace: str, its: Sequence[UsageEvent]) -> list[Booked] | DomainError:
        return book(tx, workspace, [Delivery(events=its, charge=charge, enforced=True)])[0]

    return book_apart(events, book_its)
