"""Fill a SQLite file with many events in minutes: three days are booked, the others repeat them."""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from analytics import CHUNK, DAYS, event

from app.core.usage import HOUR, CellId, hour_start
from app.core.windows import DAY_S, HOUR_S, MICROS
from app.flows.audit import audit
from app.store.appending import append_many
from app.store.cell_reading import cell_rows, cells_of
from app.store.cells import settle, write_cells
from app.store.database import Store, Tx
from app.store.migrate import upgrade
from app.store.tables import usage_events

WORKSPACE = "default"
COPIES = 10
"""The days that are booked, and their repeats: they fill all days together."""

HOURS_AT_ONCE = 4
"""Hours that are repeated in one transaction."""

_PREFIX = len("fill-00")
"""What an id begins with, and the digits that tell repeats apart."""
_SHIFTED = {
    "id": f"printf('fill-%02x', ?) || substr(id, {_PREFIX + 1})",
    "at": "at + ?",
}
_COLUMNS = [column.name for column in usage_events.columns]


def main() -> int:
    """Fill, and say what the audit says if it is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--audit", action="store_true", help="recompute every cell from the events")
    given = parser.parse_args()
    started = time.monotonic()
    fill_by_repeats(given.file, given.events)
    print(f"{given.events:,} events in {time.monotonic() - started:.0f} s")
    return int(given.audit and not _is_equal(given.file))


def fill_by_repeats(file: Path, size: int) -> None:
    """Store events of the `DAYS` days before this hour, `COPIES` times as many as are booked.

    The first of `COPIES` equal stretches is booked through the service's own writer. The others are
    its events again with later times and ids of their own, and its cells of hours, added and rolled
    up hour after hour by what does so for the service: what is kept then is what booking would
    have kept.
    """
    stretch = DAYS * DAY_S // COPIES
    first = hour_start(int(time.time())) - DAYS * DAY_S
    url = f"sqlite:///{file.resolve()}"
    upgrade(url)
    store = Store(url)
    try:
        _book(store, size // COPIES, first, stretch)
        for copy in range(1, COPIES):
            for start in range(first, first + stretch, HOURS_AT_ONCE * HOUR_S):
                hours = range(start, start + HOURS_AT_ONCE * HOUR_S, HOUR_S)
                store.write_now(partial(_repeat, hours=hours, copy=copy, shift=copy * stretch))
    finally:
        store.close()


def _book(store: Store, size: int, first: int, stretch: int) -> None:
    for begin in range(0, size, CHUNK):
        numbers = range(begin, min(begin + CHUNK, size))
        events = [event(n, first * MICROS + n * stretch * MICROS // size) for n in numbers]
        store.write_now(partial(append_many, workspace=WORKSPACE, batches=[events]))


def _repeat(tx: Tx, *, hours: range, copy: int, shift: int) -> None:
    """The events and cells of some hours once more, some days later."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    read = ", ".join(_SHIFTED.get(name, f'"{name}"') for name in _COLUMNS)
    for start in hours:
        settle(tx, WORKSPACE, (start + shift) * MICROS)
        tx.fetch(
            f"INSERT INTO usage_events ({names}) SELECT {read} FROM usage_events"
            " WHERE workspace = ? AND at >= ? AND at < ? ORDER BY at, id",
            [copy, shift * MICROS, WORKSPACE, start * MICROS, (start + HOUR_S) * MICROS],
        )
        held = cells_of(cell_rows(tx, WORKSPACE, HOUR, start, start + HOUR_S))
        write_cells(tx, WORKSPACE, {_later(at, shift): cell for at, cell in held.items()})


def _later(at: CellId, shift: int) -> CellId:
    family, grain, start, *names = at
    agent, key, key2 = names
    return family, grain, start + shift, agent, key, key2


def _is_equal(file: Path) -> bool:
    store = Store(f"sqlite:///{file.resolve()}")
    try:
        (found,) = audit(store, [WORKSPACE], lambda *_: None)
    finally:
        store.close()
    print(f"{found.events:,} events, {found.cells:,} cells, {found.faults} differ from the events")
    return not found.faults


if __name__ == "__main__":
    sys.exit(main())
