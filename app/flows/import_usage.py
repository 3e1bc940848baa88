"""Book usage logs line by line: what can be read is kept, what cannot is named."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from app.core.errors import DomainError, InvalidRequest
from app.core.usage import UsageEvent
from app.core.windows import MICROS
from app.store.booking import Delivery, book
from app.store.cell_reading import read_sealed
from app.store.cells import sealed_off
from app.store.database import Store

BATCH = 1_000
MAX_LINE = 1_000_000
MAX_NAMED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line that was not booked."""

    line: int
    """Its number, from 1."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of a log."""

    imported: int
    duplicates: int
    """Lines that were booked before; they count once."""
    refused_count: int
    refused: list[Refused]
    """The first thousand of them."""


async def import_usage(
    store: Store,
    workspace: str,
    chunks: AsyncIterator[bytes],
    read: Callable[[bytes], UsageEvent],
) -> ImportReport:
    """Book the lines of a log, given in chunks of bytes, in bounded memory."""
    imported = duplicates = refused_count = number = 0
    refused: list[Refused] = []
    sealed = await store.read(lambda tx: read_sealed(tx, workspace))
    waiting: list[UsageEvent] = []

    async def flush() -> None:
        nonlocal imported, duplicates
        if waiting:
            delivery = Delivery(events=list(waiting))  # what happened: budgets do not refuse it
            booked = await store.write(workspace, book, delivery, weight=len(waiting), repeats=True)
            new = sum(one.is_new for one in booked)
            imported += new
            duplicates += len(booked) - new
            waiting.clear()

    async for line in lines(chunks):
        number += 1
        if not line.strip():
            continue
        try:
            if len(line) > MAX_LINE:
                raise InvalidRequest(f"longer than {MAX_LINE:,} bytes")
            event = read(line)
            if event.at < sealed * MICROS:
                raise sealed_off(sealed)
            waiting.append(event)
        except DomainError as error:
            refused_count += 1
            if len(refused) < MAX_NAMED:
                refused.append(Refused(line=number, reason=error.detail))
        if len(waiting) >= BATCH:
            await flush()
    await flush()
    return ImportReport(
        imported=imported, duplicates=duplicates, refused_count=refused_count, refused=refused
    )


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines of a stream of chunks; an endless line is cut off beyond what is read anyway."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        rest = rest[: MAX_LINE + 1]
    if rest:
        yield rest
